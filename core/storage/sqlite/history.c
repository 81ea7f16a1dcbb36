/*
 * A thread's checkpoints with the state at each. The states are made from the
 * oldest on: mostly a checkpoint's parent is the one before it, and its state is
 * one step further; a state is read by itself only where a branch begins at a
 * checkpoint that is not on the page.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/thread_sql.h"

/* What the states of one answer may weigh. */
#define ANSWER_MAX_BYTES (64u << 20)

/* A page while it is made. */
struct page {
	struct apd_history_item *items; /* newest first */
	size_t n;
	size_t cap;
	size_t bytes;
	struct apd_map states; /* of items, by checkpoint_id, as they are made */
};

static void page_finish(struct page *page)
{
	for (size_t i = 0; i < page->n; i++) {
		apd_checkpoint_row_unref(page->items[i].row);
		apd_state_unref(page->items[i].state);
	}
	free(page->items);
}

/* Adds a row without its state. */
static int page_add(struct page *page, struct apd_checkpoint_row *row)
{
	if (page->n == page->cap) {
		page->cap = page->cap ? page->cap * 2 : 16;
		page->items = apd_realloc(page->items, page->cap * sizeof(*page->items));
	}
	page->items[page->n++] = (struct apd_history_item){.row = row};
	page->bytes += row->patch.len;
	return page->bytes > ANSWER_MAX_BYTES ? -E2BIG : 0;
}

/* Reads so many rows from a number on down. */
static int read_rows(struct apd_reads *reads, const struct apd_history_read *read, int64_t tid,
	int64_t cid, struct page *page)
{
	struct apd_checkpoint_row *row;
	sqlite3_stmt *stmt;
	int r = 0;

	while (r == 0 && cid != 0 && page->n < read->limit) {
		r = apd_reads_check_time(reads);
		if (r == 0)
			r = apd_chain_row(reads, tid, cid, &stmt);
		if (r < 0)
			return r;
		cid = sqlite3_column_int64(stmt, APD_CHECKPOINT_COLUMN_PREV);
		r = apd_checkpoint_row_read(stmt, &read->thread_id, &row);
		sqlite3_reset(stmt);
		if (r == 0)
			r = page_add(page, row);
	}
	return r;
}

/* The state at a checkpoint that is not on the page, or is one without parent. */
static int read_state(struct apd_reads *reads, const struct apd_history_read *read, int64_t tid,
	const struct apd_checkpoint_row *row, struct apd_state **ret_state)
{
	struct apd_chain chain;
	int r = apd_chain_read(reads, &read->thread_id, tid, &row->checkpoint_id, &chain);

	if (r < 0)
		return r == -ESRCH ? -EBADMSG : r;
	apd_checkpoint_row_unref(chain.head);
	*ret_state = chain.state;
	return 0;
}

/* Makes the state of an item, all older ones having theirs. */
static int make_state(struct apd_reads *reads, const struct apd_history_read *read, int64_t tid,
	struct page *page, struct apd_history_item *item)
{
	const struct apd_checkpoint_row *row = item->row;
	struct apd_state *before =
		row->has_parent ? apd_map_get(&page->states, apd_id_key(&row->parent_id)) : NULL;
	int r;

	r = apd_reads_check_time(reads);
	if (r < 0)
		return r;
	if (before || row->whole)
		r = apd_chain_step(reads, before, row, &item->state);
	else
		r = read_state(reads, read, tid, row, &item->state);
	if (r < 0)
		return r;
	apd_map_put(&page->states, apd_id_key(&row->checkpoint_id), item->state);
	page->bytes += item->state->bytes;
	return page->bytes > ANSWER_MAX_BYTES ? -E2BIG : 0;
}

/* The number of the thread, or -ENOENT. */
static int find_thread(struct apd_reads *reads, const struct apd_id *thread_id, int64_t *ret_tid)
{
	sqlite3_stmt *stmt;
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_THREAD, &stmt);
	if (r < 0)
		return r;
	apd_db_bind_id(stmt, 1, thread_id);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_tid = sqlite3_column_int64(stmt, APD_THREAD_COLUMN_TID);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? -ENOENT : apd_db_errno(rc);
}

int apd_read_history(struct apd_reads *reads, struct apd_history_read *read)
{
	struct page page = {0};
	int64_t tid = 0, cid = 0, before;
	int r;

	r = find_thread(reads, &read->thread_id, &tid);
	if (r == 0 && read->has_before)
		r = apd_chain_find(reads, tid, &read->before, &before, &cid);
	else if (r == 0)
		r = apd_chain_head(reads, tid, &cid);
	if (r == 0)
		r = read_rows(reads, read, tid, cid, &page);
	for (size_t i = page.n; r == 0 && i-- > 0;)
		r = make_state(reads, read, tid, &page, &page.items[i]);
	apd_map_finish(&page.states);
	if (r < 0) {
		page_finish(&page);
		return r;
	}
	read->items = page.items;
	read->n_items = page.n;
	return 0;
}
