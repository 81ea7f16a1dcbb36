/*
 * What the writer removes between two groups of batches: old runs, old threads,
 * and bit by bit what is left of deleted threads. Rows may be large, so that the
 * time that a step takes is measured, not its rows counted.
 */
#include <errno.h>

#include "base/clock.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"

/* What a step may take before its commit: a batch never waits longer than 20 ms in all. */
#define STEP_NS (4 * APD_NS_PER_MS)

/* Removes one old run. */
static int sweep_run(struct apd_chores *chores, struct apd_apply *apply)
{
	struct apd_deleted_run deleted;
	int n;

	sqlite3_bind_int64(apply->stmts.sweep_run, 1, chores->sweep.runs_before_us);
	n = apd_apply_run_delete_by(apply, apply->stmts.sweep_run, &deleted);
	if (n < 0)
		return n;
	chores->runs_left = n ? chores->runs_left - 1 : 0;
	return 0;
}

/* Finds the thread that was not looked at for longest; 1, or 0 if none is due. */
static int next_thread(
	struct apd_apply *apply, int64_t before_us, int64_t *ret_tid, struct apd_id *ret_id)
{
	sqlite3_stmt *stmt = apply->stmts.sweep_thread;
	int rc;

	sqlite3_bind_int64(stmt, 1, before_us);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		*ret_tid = sqlite3_column_int64(stmt, 0);
		if (!apd_db_column_id(stmt, 1, ret_id))
			rc = SQLITE_CORRUPT;
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 1 : apd_db_errno(rc);
}

/* When a thread was last used; a busy one just now. */
static int last_use(struct apd_apply *apply, int64_t tid, int64_t now_us, int64_t *ret_us)
{
	sqlite3_stmt *stmt = apply->stmts.sweep_last_use;
	int rc;

	sqlite3_bind_int64(stmt, 1, tid);
	sqlite3_bind_int64(stmt, 2, now_us);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_us = sqlite3_column_int64(stmt, 0);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

/* Removes one old thread, or notes when to look at it again. */
static int sweep_thread(struct apd_chores *chores, struct apd_apply *apply)
{
	int64_t before_us = chores->sweep.threads_before_us, tid = 0, used_us = 0;
	sqlite3_stmt *later = apply->stmts.sweep_later;
	uint32_t missing = 0;
	struct apd_id id;
	int r;

	r = next_thread(apply, before_us, &tid, &id);
	if (r <= 0) {
		chores->threads_left = 0;
		return r;
	}
	r = last_use(apply, tid, before_us, &used_us);
	if (r < 0)
		return r;
	if (used_us < before_us) {
		chores->threads_left--;
		return apd_apply_thread_delete(apply, &id, &missing);
	}
	sqlite3_bind_int64(later, 1, tid);
	sqlite3_bind_int64(later, 2, used_us);
	return apd_db_run(later);
}

/* A deleted thread of which something is left. */
struct rest {
	int64_t tid;
	int64_t cid;
	int64_t rid;
};

/* Finds one; 1, or 0 if there is none. */
static int next_rest(struct apd_apply *apply, struct rest *ret_rest)
{
	sqlite3_stmt *stmt = apply->stmts.purge_first;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		*ret_rest = (struct rest){.tid = sqlite3_column_int64(stmt, 0),
			.cid = sqlite3_column_int64(stmt, 1),
			.rid = sqlite3_column_int64(stmt, 2)};
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 1 : apd_db_errno(rc);
}

/* Removes the newest checkpoint that is left. */
static int purge_checkpoint(struct apd_apply *apply, struct rest *rest)
{
	int64_t cid = rest->cid, prev = 0;
	struct apd_id id;
	int r;

	/* Where the list is torn, what is behind it is nobody's. */
	r = apd_apply_look_at_checkpoint(apply, cid, &prev, &id);
	rest->cid = prev;
	return r == 0 || r == -EBADMSG ? apd_apply_checkpoint_delete(apply, cid) : r;
}

/* Removes the newest run that is left. */
static int purge_run(struct apd_apply *apply, struct rest *rest)
{
	struct apd_deleted_run deleted = {.prev = 0};
	sqlite3_stmt *stmt = apply->stmts.purge_run;
	int r;

	sqlite3_bind_int64(stmt, 1, rest->rid);
	sqlite3_bind_int64(stmt, 2, rest->tid);
	r = apd_apply_run_delete_by(apply, stmt, &deleted);
	rest->rid = deleted.prev;
	return r < 0 ? r : 0;
}

/* Notes what is left now. */
static int note_rest(struct apd_apply *apply, const struct rest *rest)
{
	bool all = rest->cid == 0 && rest->rid == 0;
	sqlite3_stmt *stmt = all ? apply->stmts.purge_end : apply->stmts.purge_update;

	sqlite3_bind_int64(stmt, 1, rest->tid);
	if (!all) {
		sqlite3_bind_int64(stmt, 2, rest->cid);
		sqlite3_bind_int64(stmt, 3, rest->rid);
	}
	return apd_db_run(stmt);
}

/* Removes one checkpoint or one run of a deleted thread. */
static int purge(struct apd_chores *chores, struct apd_apply *apply)
{
	struct rest rest = {0};
	int r;

	r = next_rest(apply, &rest);
	if (r <= 0) {
		chores->purge = false;
		return r;
	}
	if (rest.cid)
		r = purge_checkpoint(apply, &rest);
	else if (rest.rid)
		r = purge_run(apply, &rest);
	else
		r = 0;
	return r < 0 ? r : note_rest(apply, &rest);
}

/* Does the smallest part of what is due. */
static int do_one(struct apd_chores *chores, struct apd_apply *apply)
{
	if (chores->runs_left)
		return sweep_run(chores, apply);
	if (chores->threads_left) {
		int r = sweep_thread(chores, apply);

		if (r == 0 && apply->deleted_threads)
			chores->purge = true;
		return r;
	}
	return purge(chores, apply);
}

int apd_chores_step(struct apd_chores *chores, struct apd_apply *apply)
{
	int64_t until = apd_clock_mono_ns() + STEP_NS;
	int r;

	r = apd_db_run(apply->stmts.begin);
	while (r == 0 && apd_chores_due(chores) && apd_clock_mono_ns() < until)
		r = do_one(chores, apply);
	if (r == 0)
		r = apd_db_run(apply->stmts.commit);
	if (r == 0)
		return 0;
	apd_apply_forget_threads(apply);
	if (!sqlite3_get_autocommit(apply->db))
		apd_db_run(apply->stmts.rollback);
	return r;
}
