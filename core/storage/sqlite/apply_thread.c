/* What batches do to threads and their checkpoints, and to the tags by which threads are found. */
#include <errno.h>

#include "base/map.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/tags.h"
#include "storage/sqlite/thread_sql.h"

/* The place of a thread in the cache: ids of one moment differ at their end. */
static size_t place_of(const struct apd_tid_cache *cache, const struct apd_id *thread_id)
{
	uint64_t word;

	memcpy(&word, thread_id->bytes + 8, sizeof(word));
	return (word ^ word >> 32) % APD_COUNT(cache->items);
}

static void remember(struct apd_tid_cache *cache, const struct apd_id *thread_id, int64_t tid)
{
	size_t i = place_of(cache, thread_id);

	cache->items[i].thread_id = *thread_id;
	cache->items[i].tid = tid;
}

int apd_apply_find_thread(struct apd_apply *apply, const struct apd_id *thread_id, int64_t *ret_tid)
{
	sqlite3_stmt *stmt = apply->stmts.thread_find;
	size_t i = place_of(&apply->tids, thread_id);
	int rc, r;

	if (apply->tids.items[i].tid && apd_id_eq(&apply->tids.items[i].thread_id, thread_id)) {
		*ret_tid = apply->tids.items[i].tid;
		return 0;
	}
	apd_db_bind_id(stmt, 1, thread_id);
	rc = sqlite3_step(stmt);
	r = rc == SQLITE_DONE ? -ENOENT : apd_db_errno(rc);
	if (r == 0) {
		*ret_tid = sqlite3_column_int64(stmt, 0);
		remember(&apply->tids, thread_id, *ret_tid);
	}
	sqlite3_reset(stmt);
	return r;
}

/* What all tags of a thread end with. */
struct tagged {
	int64_t created_us;
	const struct apd_id *thread_id;
	int64_t tid;
};

static int put_tag(struct apd_apply *apply, int64_t tag, const struct tagged *what)
{
	sqlite3_stmt *stmt = apply->stmts.thread_tag_put;

	sqlite3_bind_int64(stmt, 1, tag);
	sqlite3_bind_int64(stmt, 2, what->created_us);
	apd_db_bind_id(stmt, 3, what->thread_id);
	sqlite3_bind_int64(stmt, 4, what->tid);
	return apd_db_run(stmt);
}

static int delete_tag(struct apd_apply *apply, int64_t tag, const struct tagged *what)
{
	sqlite3_stmt *stmt = apply->stmts.thread_tag_delete;

	sqlite3_bind_int64(stmt, 1, tag);
	sqlite3_bind_int64(stmt, 2, what->created_us);
	apd_db_bind_id(stmt, 3, what->thread_id);
	return apd_db_run(stmt);
}

/* Removes the tags that are only in `before` and adds those that are only in `after`. */
static int change_tags(struct apd_apply *apply, const struct tagged *what,
	const struct apd_tags *before, const struct apd_tags *after)
{
	unsigned i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < before->n || j < after->n)) {
		if (j == after->n || (i < before->n && before->items[i] < after->items[j]))
			r = delete_tag(apply, before->items[i++], what);
		else if (i == before->n || after->items[j] < before->items[i])
			r = put_tag(apply, after->items[j++], what);
		else
			i++, j++;
	}
	return r;
}

/* Reads the tags that a thread has, and its created_us. */
static int read_tags(
	struct apd_apply *apply, int64_t tid, struct apd_tags *ret_tags, int64_t *ret_created_us)
{
	sqlite3_stmt *stmt = apply->stmts.thread_metadata;
	struct apd_str metadata = APD_STR_ABSENT;
	int rc;

	sqlite3_bind_int64(stmt, 1, tid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		apd_db_column_text(stmt, 0, &metadata);
		apd_tags_of_row(ret_tags, &apply->json, metadata);
		*ret_created_us = sqlite3_column_int64(stmt, 1);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

static int insert_thread(struct apd_apply *apply, const struct apd_thread_row *row, int64_t tid)
{
	struct tagged what = {row->created_us, &row->thread_id, tid};
	struct apd_tags none = {.n = 0}, tags;
	int r;

	apd_thread_row_bind(apply->stmts.thread_insert, row, tid);
	r = apd_db_run(apply->stmts.thread_insert);
	if (r < 0)
		return r;
	remember(&apply->tids, &row->thread_id, tid);
	apd_tags_of_row(&tags, &apply->json, row->metadata);
	return change_tags(apply, &what, &none, &tags);
}

static int update_thread(struct apd_apply *apply, const struct apd_thread_row *row, int64_t tid)
{
	struct tagged what = {.thread_id = &row->thread_id, .tid = tid};
	struct apd_tags before, after;
	int r;

	r = read_tags(apply, tid, &before, &what.created_us);
	if (r < 0)
		return r;
	apd_tags_of_row(&after, &apply->json, row->metadata);
	r = change_tags(apply, &what, &before, &after);
	if (r < 0)
		return r;
	apd_thread_row_bind(apply->stmts.thread_update, row, tid);
	return apd_db_run(apply->stmts.thread_update);
}

int apd_apply_thread_put(
	struct apd_apply *apply, const struct apd_thread_row *row, bool replaces)
{
	int64_t tid;
	int r = apd_apply_find_thread(apply, &row->thread_id, &tid);

	if (r == -ENOENT && !replaces)
		return insert_thread(apply, row, apply->next_tid++);
	return r < 0 ? r : update_thread(apply, row, tid);
}

/* Removes the row and what finds it, and leaves the rest for the purge. */
static int delete_thread(struct apd_apply *apply, const struct apd_id *thread_id, int64_t tid)
{
	struct tagged what = {.thread_id = thread_id, .tid = tid};
	struct apd_write_stmts *stmts = &apply->stmts;
	struct apd_tags before, none = {.n = 0};
	int r;

	r = read_tags(apply, tid, &before, &what.created_us);
	if (r == 0)
		r = change_tags(apply, &what, &before, &none);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmts->thread_delete, 1, tid);
	r = apd_db_run(stmts->thread_delete);
	if (r < 0)
		return r;
	remember(&apply->tids, thread_id, 0);
	apply->deleted_threads = true;
	sqlite3_bind_int64(stmts->purge_put, 1, tid);
	apd_db_bind_id(stmts->purge_put, 2, thread_id);
	return apd_db_run(stmts->purge_put);
}

int apd_apply_thread_delete(
	struct apd_apply *apply, const struct apd_id *thread_id, uint32_t *missing)
{
	int64_t tid;
	int r = apd_apply_find_thread(apply, thread_id, &tid);

	if (r == -ENOENT) {
		++*missing;
		return 0;
	}
	return r < 0 ? r : delete_thread(apply, thread_id, tid);
}

int apd_apply_thread_copy(struct apd_apply *apply, const struct apd_id *from_id,
	const struct apd_thread_row *to, uint32_t *missing)
{
	sqlite3_stmt *stmt = apply->stmts.checkpoint_copy;
	int64_t from, tid = apply->next_tid;
	int r = apd_apply_find_thread(apply, from_id, &from);

	if (r == -ENOENT) {
		++*missing;
		return 0;
	}
	if (r == 0)
		r = insert_thread(apply, to, apply->next_tid++);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, from);
	sqlite3_bind_int64(stmt, 2, tid);
	return apd_db_run(stmt);
}

int apd_apply_checkpoint_put(struct apd_apply *apply, const struct apd_checkpoint_row *row)
{
	int64_t tid;
	int r = apd_apply_find_thread(apply, &row->thread_id, &tid);

	if (r < 0)
		return r;
	apd_checkpoint_row_bind(apply->stmts.checkpoint_put, row, tid);
	return apd_db_run(apply->stmts.checkpoint_put);
}

int apd_apply_checkpoint_undo(
	struct apd_apply *apply, const struct apd_id *thread_id, const struct apd_id *after)
{
	sqlite3_stmt *stmt = apply->stmts.checkpoint_undo;
	int64_t tid;
	int r = apd_apply_find_thread(apply, thread_id, &tid);

	/* Nothing is there, so nothing is newer. */
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, tid);
	apd_db_bind_id(stmt, 2, after);
	return apd_db_run(stmt);
}
