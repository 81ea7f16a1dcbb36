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
	int n;

	sqlite3_bind_int64(apply->stmts.sweep_run, 1, chores->sweep.runs_before_us);
	n = apd_apply_run_delete_by(apply, apply->stmts.sweep_run);
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

/* The deleted thread of which something is left; 1, or 0 if there is none. */
static int next_purge(struct apd_apply *apply, int64_t *ret_tid, struct apd_id *ret_id)
{
	sqlite3_stmt *stmt = apply->stmts.purge_first;
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW) {
		*ret_tid = sqlite3_column_int64(stmt, 0);
		if (!apd_db_column_id(stmt, 1, ret_id))
			rc = SQLITE_CORRUPT;
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 1 : apd_db_errno(rc);
}

/* Removes one checkpoint or one run of a deleted thread, or notes that there are none left. */
static int purge(struct apd_chores *chores, struct apd_apply *apply)
{
	struct apd_write_stmts *stmts = &apply->stmts;
	struct apd_id id;
	int64_t tid = 0;
	int r;

	r = next_purge(apply, &tid, &id);
	if (r <= 0) {
		chores->purge = false;
		return r;
	}
	sqlite3_bind_int64(stmts->purge_checkpoint, 1, tid);
	r = apd_db_run(stmts->purge_checkpoint);
	if (r < 0 || sqlite3_changes(apply->db) > 0)
		return r;
	sqlite3_bind_int64(stmts->purge_run, 1, tid);
	apd_db_bind_id(stmts->purge_run, 2, &id);
	r = apd_apply_run_delete_by(apply, stmts->purge_run);
	if (r != 0)
		return r < 0 ? r : 0;
	sqlite3_bind_int64(stmts->purge_end, 1, tid);
	return apd_db_run(stmts->purge_end);
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
	apply->tids = (struct apd_tid_cache){0};
	if (!sqlite3_get_autocommit(apply->db))
		apd_db_run(apply->stmts.rollback);
	return r;
}
