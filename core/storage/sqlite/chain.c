/* Reading a state: from a checkpoint back along its parents to a whole one, then folding. */
#include <errno.h>
#include <stdlib.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/reads.h"
#include "storage/sqlite/thread_sql.h"

/* The checkpoints of a chain, the newest first. */
struct links {
	struct apd_checkpoint_row **items;
	size_t n;
	size_t cap;
	size_t weight;
};

static void links_finish(struct links *links)
{
	for (size_t i = 0; i < links->n; i++)
		apd_checkpoint_row_unref(links->items[i]);
	free(links->items);
}

static void links_add(struct links *links, struct apd_checkpoint_row *row)
{
	if (links->n == links->cap) {
		links->cap = links->cap ? links->cap * 2 : 16;
		links->items = apd_realloc(links->items, links->cap * sizeof(*links->items));
	}
	links->items[links->n++] = row;
	links->weight += apd_checkpoint_weight(row);
}

/* What a checkpoint changes, scanned into the two. */
static int scan_change(struct apd_reads *reads, const struct apd_checkpoint_row *row,
	struct apd_state_change *ret_change)
{
	if (apd_json_scan(&reads->json, row->patch) < 0 ||
		apd_json_type(&reads->json, 0) != APD_JSON_OBJECT)
		return -EBADMSG;
	if (row->removed.ptr &&
		(apd_json_scan(&reads->json2, row->removed) < 0 ||
			apd_json_type(&reads->json2, 0) != APD_JSON_ARRAY))
		return -EBADMSG;
	*ret_change = (struct apd_state_change){
		.patch = &reads->json, .removed = row->removed.ptr ? &reads->json2 : NULL};
	return 0;
}

int apd_chain_step(struct apd_reads *reads, struct apd_state *before,
	const struct apd_checkpoint_row *row, struct apd_state **ret_state)
{
	struct apd_state *empty = row->whole ? apd_state_empty() : NULL;
	struct apd_state_change change;
	int r;

	r = scan_change(reads, row, &change);
	if (r == 0 && apd_state_apply(empty ? empty : before, &change, ret_state, NULL) < 0)
		r = -EBADMSG;
	apd_state_unref(empty);
	return r;
}

/* Folds the links from the oldest on. */
static int fold(struct apd_reads *reads, const struct links *links, struct apd_state **ret_state)
{
	struct apd_state *empty = apd_state_empty();
	struct apd_state_fold *fold = apd_state_fold_create(empty);
	struct apd_state_change change;
	struct apd_state *state;
	int r = 0;

	for (size_t i = links->n; r == 0 && i-- > 0;) {
		r = scan_change(reads, links->items[i], &change);
		if (r == 0 && apd_state_fold_add(fold, &change) < 0)
			r = -EBADMSG;
	}
	state = apd_state_fold_finish(fold);
	apd_state_unref(empty);
	if (r == 0)
		*ret_state = state;
	else
		apd_state_unref(state);
	return r;
}

int apd_chain_head(struct apd_reads *reads, int64_t tid, int64_t *ret_cid)
{
	sqlite3_stmt *stmt;
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_HEAD, &stmt);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, tid);
	rc = sqlite3_step(stmt);
	*ret_cid = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

int apd_chain_find(struct apd_reads *reads, int64_t tid, const struct apd_id *id, int64_t *ret_cid,
	int64_t *ret_prev)
{
	sqlite3_stmt *stmt;
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_CHECKPOINT_BY_ID, &stmt);
	if (r < 0)
		return r;
	apd_db_bind_id(stmt, 1, id);
	sqlite3_bind_int64(stmt, 2, tid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		*ret_cid = sqlite3_column_int64(stmt, 0);
		*ret_prev = sqlite3_column_int64(stmt, 1);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? -ESRCH : apd_db_errno(rc);
}

int apd_chain_row(struct apd_reads *reads, int64_t tid, int64_t cid, sqlite3_stmt **ret_stmt)
{
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_CHECKPOINT, ret_stmt);
	if (r < 0)
		return r;
	sqlite3_bind_int64(*ret_stmt, 1, cid);
	rc = sqlite3_step(*ret_stmt);
	if (rc == SQLITE_ROW && sqlite3_column_int64(*ret_stmt, APD_CHECKPOINT_COLUMN_TID) == tid)
		return 0;
	sqlite3_reset(*ret_stmt);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

/*
 * Steps to the row of a checkpoint, which mostly is the one of the number: where
 * it is not, other branches lie between the two.
 */
static int step_to(struct apd_reads *reads, int64_t tid, const struct apd_id *id, int64_t cid,
	sqlite3_stmt **ret_stmt)
{
	struct apd_id found;
	int64_t prev;
	int r = cid ? apd_chain_row(reads, tid, cid, ret_stmt) : -EBADMSG;

	if (r < 0)
		return r;
	if (apd_db_column_id(*ret_stmt, APD_CHECKPOINT_COLUMN_ID, &found) && apd_id_eq(&found, id))
		return 0;
	sqlite3_reset(*ret_stmt);
	r = apd_chain_find(reads, tid, id, &cid, &prev);
	if (r < 0)
		return r == -ESRCH ? -EBADMSG : r;
	return apd_chain_row(reads, tid, cid, ret_stmt);
}

/* Reads the links from a number on. */
static int read_links(struct apd_reads *reads, const struct apd_id *thread_id, int64_t tid,
	int64_t cid, struct links *links)
{
	struct apd_checkpoint_row *row;
	sqlite3_stmt *stmt;
	int64_t prev;
	int r = apd_chain_row(reads, tid, cid, &stmt);

	while (r == 0) {
		prev = sqlite3_column_int64(stmt, APD_CHECKPOINT_COLUMN_PREV);
		r = apd_checkpoint_row_read(stmt, thread_id, &row);
		sqlite3_reset(stmt);
		if (r < 0)
			return r;
		links_add(links, row);
		if (row->whole || !row->has_parent)
			return 0;
		r = apd_reads_check_time(reads);
		if (r == 0)
			r = step_to(reads, tid, &row->parent_id, prev, &stmt);
	}
	return r;
}

int apd_chain_read(struct apd_reads *reads, const struct apd_id *thread_id, int64_t tid,
	const struct apd_id *at, struct apd_chain *ret_chain)
{
	struct links links = {0};
	struct apd_chain chain = {0};
	int64_t cid = 0, prev;
	int r;

	r = at ? apd_chain_find(reads, tid, at, &cid, &prev) : apd_chain_head(reads, tid, &cid);
	if (r == 0 && cid)
		r = read_links(reads, thread_id, tid, cid, &links);
	if (r == 0)
		r = fold(reads, &links, &chain.state);
	if (r == 0) {
		chain.head = links.n ? apd_checkpoint_row_ref(links.items[0]) : NULL;
		chain.weight = links.weight;
		*ret_chain = chain;
	}
	links_finish(&links);
	return r;
}
