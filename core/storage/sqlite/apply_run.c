/* What batches do to runs, and to the tags by which runs are found. */
#include <errno.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"
#include "storage/sqlite/tags.h"

/* Adds or removes the tags of a run. */
static int change_tags(struct apd_apply *apply, sqlite3_stmt *stmt, const struct apd_id *run_id,
	struct apd_str metadata)
{
	struct apd_tags tags;
	int r = 0;

	apd_tags_of_row(&tags, &apply->json, metadata);
	for (unsigned i = 0; r == 0 && i < tags.n; i++) {
		sqlite3_bind_int64(stmt, 1, tags.items[i]);
		apd_db_bind_id(stmt, 2, run_id);
		r = apd_db_run(stmt);
	}
	return r;
}

/* The run before one in its thread. */
static int read_prev(struct apd_apply *apply, int64_t rid, int64_t *ret_prev)
{
	sqlite3_stmt *stmt = apply->stmts.run_prev;
	int rc;

	sqlite3_bind_int64(stmt, 1, rid);
	rc = sqlite3_step(stmt);
	*ret_prev = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return apd_db_errno(rc);
}

/* Finds the run behind which another one is linked, from the newest on, and links it past that. */
static int relink(struct apd_apply *apply, int64_t newest, const struct apd_deleted_run *run)
{
	sqlite3_stmt *stmt = apply->stmts.run_relink;
	int64_t prev = 0;
	int r = 0;

	for (int64_t rid = newest; r == 0 && rid != 0; rid = prev) {
		r = read_prev(apply, rid, &prev);
		if (r < 0 || prev != run->rid)
			continue;
		sqlite3_bind_int64(stmt, 1, rid);
		sqlite3_bind_int64(stmt, 2, run->prev);
		return apd_db_run(stmt);
	}
	return r;
}

/* Takes a run out of the list of a thread that is deleted. */
static int unlink_purged(struct apd_apply *apply, const struct apd_deleted_run *run)
{
	sqlite3_stmt *find = apply->stmts.purge_find, *update = apply->stmts.purge_update;
	int64_t cid = 0, rid = 0;
	int rc;

	sqlite3_bind_int64(find, 1, run->tid);
	rc = sqlite3_step(find);
	if (rc == SQLITE_ROW) {
		cid = sqlite3_column_int64(find, 1);
		rid = sqlite3_column_int64(find, 2);
	}
	sqlite3_reset(find);
	if (rc != SQLITE_ROW)
		return apd_db_errno(rc);
	if (rid != run->rid)
		return relink(apply, rid, run);
	sqlite3_bind_int64(update, 1, run->tid);
	sqlite3_bind_int64(update, 2, cid);
	sqlite3_bind_int64(update, 3, run->prev);
	return apd_db_run(update);
}

/* Takes a run that is gone, or ephemeral from now on, out of its thread's list. */
static int unlink_run(struct apd_apply *apply, const struct apd_deleted_run *run)
{
	struct apd_thread_place *place;
	int r;

	if (run->tid == 0)
		return 0;
	r = apd_apply_find_thread(apply, &run->thread_id, &place);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT || place->tid != run->tid)
		return unlink_purged(apply, run);
	if (place->rid != run->rid)
		return relink(apply, place->rid, run);
	place->rid = run->prev;
	apd_apply_set_changed(apply, place);
	return 0;
}

/* The run that a row is going to replace leaves its thread, which is deleted. */
static int leave_thread(struct apd_apply *apply, const struct apd_id *run_id)
{
	sqlite3_stmt *stmt = apply->stmts.run_find;
	struct apd_deleted_run run = {.tid = 0};
	int rc;

	apd_db_bind_id(stmt, 1, run_id);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW && apd_db_column_id(stmt, 0, &run.thread_id)) {
		run.tid = sqlite3_column_int64(stmt, 1);
		run.rid = sqlite3_column_int64(stmt, 2);
		run.prev = sqlite3_column_int64(stmt, 3);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? unlink_run(apply, &run) : apd_db_errno(rc);
}

/* Notes what comes with a run that is new. */
static int inserted(
	struct apd_apply *apply, const struct apd_run_row *row, struct apd_thread_place *place)
{
	int64_t rid = sqlite3_last_insert_rowid(apply->db);

	if (rid == 0)
		return 0;
	if (place) {
		place->rid = rid;
		apd_apply_set_changed(apply, place);
	}
	return change_tags(apply, apply->stmts.run_tag_put, &row->run_id, row->metadata);
}

int apd_apply_run_put(struct apd_apply *apply, const struct apd_run_row *row)
{
	bool ephemeral = row->flags & APD_RUN_ROW_EPHEMERAL;
	sqlite3_stmt *stmt = apply->stmts.run_put;
	struct apd_thread_place *place = NULL;
	int r = 0;

	if (!ephemeral)
		r = apd_apply_find_thread(apply, &row->thread_id, &place);
	else if (apply->deletes_thread)
		r = leave_thread(apply, &row->run_id);
	if (r < 0)
		return r;
	/* Only an insertion changes it, so that it tells one from a replacement. */
	sqlite3_set_last_insert_rowid(apply->db, 0);
	apd_run_row_bind(stmt, row, place ? place->tid : 0);
	sqlite3_bind_int64(stmt, APD_RUN_N_COLUMNS + 1, place ? place->rid : 0);
	r = apd_db_run(stmt);
	return r < 0 ? r : inserted(apply, row, place);
}

int apd_apply_run_delete_by(
	struct apd_apply *apply, sqlite3_stmt *stmt, struct apd_deleted_run *ret_deleted)
{
	int rc = sqlite3_step(stmt), r = 0;
	bool found = rc == SQLITE_ROW;

	if (found) {
		struct apd_str metadata;
		struct apd_id run_id;

		ret_deleted->tid = sqlite3_column_int64(stmt, 3);
		ret_deleted->rid = sqlite3_column_int64(stmt, 4);
		ret_deleted->prev = sqlite3_column_int64(stmt, 5);
		if (!apd_db_column_id(stmt, 0, &run_id) ||
			!apd_db_column_text(stmt, 1, &metadata) ||
			!apd_db_column_id(stmt, 2, &ret_deleted->thread_id))
			r = -EBADMSG;
		if (r == 0)
			r = change_tags(apply, apply->stmts.run_tag_delete, &run_id, metadata);
		rc = sqlite3_step(stmt);
	}
	sqlite3_reset(stmt);
	apd_db_check_fsync(rc);
	if (r == 0)
		r = apd_db_errno(rc);
	return r < 0 ? r : found;
}

int apd_apply_run_delete(struct apd_apply *apply, const struct apd_id *run_id, uint32_t *missing)
{
	struct apd_deleted_run deleted;
	int r;

	apd_db_bind_id(apply->stmts.run_delete, 1, run_id);
	r = apd_apply_run_delete_by(apply, apply->stmts.run_delete, &deleted);
	if (r == 0)
		++*missing;
	return r > 0 ? unlink_run(apply, &deleted) : r;
}
