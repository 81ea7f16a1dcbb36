/*
 * Batches become statements. A group of batches is one transaction; first it is
 * tried without savepoints, which cost a copy of every page they touch, and only
 * when a batch turns out to be bad the group is done again with one for each.
 */
#include <errno.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/thread_sql.h"

/* The number for the next thread: one that nothing in the database bears. */
static int read_next_tid(sqlite3 *db, int64_t *ret_tid)
{
	return apd_db_int(db,
		"SELECT 1 + max(coalesce((SELECT max(tid) FROM thread), 0),"
		" coalesce((SELECT max(tid) FROM purge), 0))",
		ret_tid);
}

int apd_apply_init(struct apd_apply *apply, sqlite3 *db)
{
	int r;

	apply->db = db;
	r = apd_write_prepare(&apply->stmts, db);
	return r < 0 ? r : read_next_tid(db, &apply->next_tid);
}

void apd_apply_finish(struct apd_apply *apply)
{
	apd_json_finish(&apply->json);
}

static int put_outbox(struct apd_apply *apply, const struct apd_outbox_row *row)
{
	apd_outbox_row_bind(apply->stmts.outbox_put, row);
	return apd_db_run(apply->stmts.outbox_put);
}

static int delete_outbox(struct apd_apply *apply, const struct apd_id *id, uint32_t *missing)
{
	int r;

	apd_db_bind_id(apply->stmts.outbox_delete, 1, id);
	r = apd_db_run(apply->stmts.outbox_delete);
	if (r == 0 && sqlite3_changes(apply->db) == 0)
		++*missing;
	return r;
}

static int apply_op(struct apd_apply *apply, const struct apd_op *op, uint32_t *missing)
{
	switch (op->type) {
	case APD_OP_RUN_PUT:
		return apd_apply_run_put(apply, op->run);
	case APD_OP_RUN_DELETE:
		return apd_apply_run_delete(apply, &op->id, missing);
	case APD_OP_THREAD_PUT:
		return apd_apply_thread_put(apply, op->thread, op->replaces);
	case APD_OP_THREAD_DELETE:
		return apd_apply_thread_delete(apply, &op->id, missing);
	case APD_OP_THREAD_COPY:
		return apd_apply_thread_copy(apply, &op->id, op->thread, missing);
	case APD_OP_CHECKPOINT_PUT:
		return apd_apply_checkpoint_put(apply, op->checkpoint);
	case APD_OP_CHECKPOINTS_UNDO:
		return apd_apply_checkpoint_undo(apply, &op->id, &op->after);
	case APD_OP_OUTBOX_PUT:
		return put_outbox(apply, op->outbox);
	case APD_OP_OUTBOX_DELETE:
		return delete_outbox(apply, &op->id, missing);
	}
	return -EINVAL;
}

static int apply_batch(struct apd_apply *apply, struct apd_batch *batch)
{
	int r = 0;

	batch->missing = 0;
	apply->deletes_thread = false;
	for (uint32_t i = 0; r == 0 && i < batch->n_ops; i++)
		r = apply_op(apply, &batch->ops[i], &batch->missing);
	if (r == 0)
		r = apd_apply_write_heads(apply);
	if (r < 0)
		batch->missing = 0;
	return r;
}

/* True if an error is the batch's own and not one of the disk or the machine. */
static bool is_own(int r)
{
	return r == -EINVAL || r == -E2BIG || r == -ENOENT;
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

/* Takes a batch back. */
static int undo(struct apd_apply *apply)
{
	apd_apply_forget_threads(apply);
	return apd_db_run(apply->stmts.undo);
}

/* Applies the batches each in a savepoint, so that a bad one fails alone. */
static int apply_guarded(struct apd_apply *apply, struct apd_list *batches, int *results)
{
	struct apd_batch *batch;
	int r, undone;

	apd_list_each (batch, batches, link) {
		r = apd_db_run(apply->stmts.save);
		if (r < 0)
			return r;
		*results = apply_batch(apply, batch);
		if (*results < 0 && !is_own(*results))
			return *results;
		undone = *results < 0 ? undo(apply) : 0;
		r = undone ? undone : apd_db_run(apply->stmts.release);
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

	r = apd_db_run(apply->stmts.begin);
	if (r == 0)
		r = apply_all(apply, batches, results);
	if (r == 0)
		r = apd_db_run(apply->stmts.commit);
	if (r < 0)
		apd_apply_forget_threads(apply);
	/* Some errors end the transaction by themselves. */
	if (r < 0 && !sqlite3_get_autocommit(apply->db))
		apd_db_run(apply->stmts.rollback);
	return r;
}

int apd_apply_batches(struct apd_apply *apply, struct apd_list *batches, int *results)
{
	int r = transact(apply, batches, results, apply_plain);

	return is_own(r) ? transact(apply, batches, results, apply_guarded) : r;
}
