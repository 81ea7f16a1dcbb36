/*
 * Batches become statements. A group of batches is one transaction; first it is
 * tried without savepoints, which cost a copy of every page they touch, and only
 * when a batch turns out to be bad the group is done again with one for each.
 */
#include <errno.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"

static const char put_sql[] =
	"INSERT INTO run (" APD_RUN_COLUMNS ")"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
	" ON CONFLICT (run_id) DO UPDATE SET"
	/* Not thread_id, agent_id, created_us: they never change, and naming them would rewrite
	   three indexes. */
	" status = ?4, flags = ?5, attempt = ?6, updated_us = ?8, started_us = ?9, ended_us = ?10,"
	" metadata = ?11, request = ?12, error = ?13, output = ?14";

static const char sweep_sql[] =
	"DELETE FROM run WHERE rowid IN ("
	"SELECT rowid FROM run INDEXED BY run_ephemeral"
	" WHERE (flags & 1) AND ended_us > 0 AND ended_us < ?1 ORDER BY ended_us LIMIT ?2)";

int apd_apply_init(struct apd_apply *apply, sqlite3 *db)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&apply->begin, "BEGIN IMMEDIATE"},
		{&apply->commit, "COMMIT"},
		{&apply->rollback, "ROLLBACK"},
		{&apply->save, "SAVEPOINT batch"},
		{&apply->undo, "ROLLBACK TO batch"},
		{&apply->release, "RELEASE batch"},
		{&apply->run_put, put_sql},
		{&apply->run_delete, "DELETE FROM run WHERE run_id = ?1"},
		{&apply->thread_put,
			"INSERT INTO thread (thread_id, created_us) VALUES (?1, ?2)"
			" ON CONFLICT DO NOTHING"},
		{&apply->thread_delete, "DELETE FROM thread WHERE thread_id = ?1"},
		{&apply->thread_delete_runs,
			"DELETE FROM run WHERE thread_id = ?1 AND NOT (flags & 1)"},
		{&apply->sweep, sweep_sql},
	};

	apply->db = db;
	for (size_t i = 0; i < APD_COUNT(all); i++) {
		int r = apd_db_prepare(db, all[i].sql, all[i].stmt);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Runs a deletion by id and counts it as missing when nothing was there. */
static int delete_by_id(
	struct apd_apply *apply, sqlite3_stmt *stmt, const struct apd_id *id, uint32_t *missing)
{
	int r;

	apd_db_bind_id(stmt, 1, id);
	r = apd_db_run(stmt);
	if (r == 0 && missing && sqlite3_changes(apply->db) == 0)
		++*missing;
	return r;
}

static int apply_op(struct apd_apply *apply, const struct apd_op *op, uint32_t *missing)
{
	int r;

	switch (op->type) {
	case APD_OP_RUN_PUT:
		apd_run_row_bind(apply->run_put, op->run);
		return apd_db_run(apply->run_put);
	case APD_OP_RUN_DELETE:
		return delete_by_id(apply, apply->run_delete, &op->id, missing);
	case APD_OP_THREAD_PUT:
		apd_db_bind_id(apply->thread_put, 1, &op->id);
		sqlite3_bind_int64(apply->thread_put, 2, op->wall_us);
		return apd_db_run(apply->thread_put);
	case APD_OP_THREAD_DELETE:
		r = delete_by_id(apply, apply->thread_delete_runs, &op->id, NULL);
		return r ? r : delete_by_id(apply, apply->thread_delete, &op->id, missing);
	}
	return -EINVAL;
}

static int apply_batch(struct apd_apply *apply, struct apd_batch *batch)
{
	int r = 0;

	batch->missing = 0;
	for (uint32_t i = 0; r == 0 && i < batch->n_ops; i++)
		r = apply_op(apply, &batch->ops[i], &batch->missing);
	if (r < 0)
		batch->missing = 0;
	return r;
}

/* True if an error is the batch's own and not one of the disk or the machine. */
static bool is_own(int r)
{
	return r == -EINVAL || r == -E2BIG;
}

/* Applies the batches with no way back for a single one: its own errors end it, too. */
static int apply_plain(struct apd_apply *apply, struct apd_list *batches, int *results)
{
	struct apd_batch *batch;
	int r;

	apd_list_each (batch, batches, link) {
		r = apply_batch(apply, batch);
		if (r < 0)
			return r;
		*results++ = 0;
	}
	return 0;
}

/* Applies the batches each in a savepoint, so that a bad one fails alone. */
static int apply_guarded(struct apd_apply *apply, struct apd_list *batches, int *results)
{
	struct apd_batch *batch;
	int r, undone;

	apd_list_each (batch, batches, link) {
		r = apd_db_run(apply->save);
		if (r < 0)
			return r;
		*results = apply_batch(apply, batch);
		if (*results < 0 && !is_own(*results))
			return *results;
		undone = *results < 0 ? apd_db_run(apply->undo) : 0;
		r = undone ? undone : apd_db_run(apply->release);
		if (r < 0)
			return r;
		results++;
	}
	return 0;
}

/* One transaction. */
static int transact(struct apd_apply *apply, struct apd_list *batches, int *results,
	int (*apply_all)(struct apd_apply *, struct apd_list *, int *))
{
	int r;

	r = apd_db_run(apply->begin);
	if (r == 0)
		r = apply_all(apply, batches, results);
	if (r == 0)
		r = apd_db_run(apply->commit);
	/* Some errors end the transaction by themselves. */
	if (r < 0 && !sqlite3_get_autocommit(apply->db))
		apd_db_run(apply->rollback);
	return r;
}

int apd_apply_batches(struct apd_apply *apply, struct apd_list *batches, int *results)
{
	int r = transact(apply, batches, results, apply_plain);

	return is_own(r) ? transact(apply, batches, results, apply_guarded) : r;
}

int apd_apply_sweep(struct apd_apply *apply, int64_t ended_before_us, uint32_t n)
{
	int r;

	sqlite3_bind_int64(apply->sweep, 1, ended_before_us);
	sqlite3_bind_int64(apply->sweep, 2, n);
	r = apd_db_run(apply->sweep);
	return r ? r : sqlite3_changes(apply->db);
}
