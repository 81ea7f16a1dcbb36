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

/* Puts the statement where the row of an id has to be. */
static void seek(sqlite3_stmt *stmt, int64_t tid, const struct apd_id *id)
{
	sqlite3_reset(stmt);
	sqlite3_bind_int64(stmt, 1, tid);
	apd_db_bind_id(stmt, 2, id);
}

/* Steps to the checkpoint `want`, which is mostly the next one; -EBADMSG if it is missing. */
static int step_to(sqlite3_stmt *stmt, int64_t tid, const struct apd_id *want)
{
	struct apd_id id;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW && apd_db_column_id(stmt, 0, &id) && apd_id_eq(&id, want))
		return 0;
	/* Between the two are other branches. */
	if (rc == SQLITE_ROW) {
		seek(stmt, tid, want);
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW && apd_db_column_id(stmt, 0, &id) && apd_id_eq(&id, want))
			return 0;
	}
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

/* Reads the links from the statement's current row on down. */
static int read_links(struct apd_reads *reads, sqlite3_stmt *stmt, const struct apd_id *thread_id,
	int64_t tid, struct links *links)
{
	struct apd_checkpoint_row *row;
	int r;

	for (;;) {
		r = apd_checkpoint_row_read(stmt, thread_id, &row);
		if (r < 0)
			return r;
		links_add(links, row);
		if (row->whole || !row->has_parent)
			return 0;
		r = apd_reads_check_time(reads);
		if (r == 0)
			r = step_to(stmt, tid, &row->parent_id);
		if (r < 0)
			return r;
	}
}

/* Steps to the first link: 1, or 0 if there are no checkpoints. */
static int first_link(sqlite3_stmt *stmt, int64_t tid, const struct apd_id *at)
{
	static const struct apd_id last = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct apd_id id;
	int rc;

	seek(stmt, tid, at ? at : &last);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && at && (!apd_db_column_id(stmt, 0, &id) || !apd_id_eq(&id, at)))
		return -ESRCH;
	if (rc == SQLITE_DONE)
		return at ? -ESRCH : 0;
	return rc == SQLITE_ROW ? 1 : apd_db_errno(rc);
}

int apd_chain_read(struct apd_reads *reads, const struct apd_id *thread_id, int64_t tid,
	const struct apd_id *at, struct apd_chain *ret_chain)
{
	struct links links = {0};
	struct apd_chain chain = {0};
	sqlite3_stmt *stmt;
	int r;

	r = apd_reads_stmt(reads, APD_READ_CHAIN, &stmt);
	if (r < 0)
		return r;
	r = first_link(stmt, tid, at);
	if (r > 0)
		r = read_links(reads, stmt, thread_id, tid, &links);
	sqlite3_reset(stmt);
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
