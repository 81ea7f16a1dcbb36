/* The fake storage: what is durable, what is on its way, and what fails. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

/* What a row counts for in its thread. */
static void count_row(struct world *w, const struct row *row, int by)
{
	struct thr *thr = row->run->thr;

	if (!thr || row->row->flags & APD_RUN_ROW_EPHEMERAL || row->row->status != APD_RUN_PENDING)
		return;
	thr->pending += (unsigned)by;
	if (row->row->started_us)
		thr->started += (unsigned)by;
	SIM_CHECK(w, thr->started <= 1, "two runs of thread %u have started", thr->number);
}

static void row_free(struct world *w, struct row *row)
{
	count_row(w, row, -1);
	if (apd_list_linked(&row->ended)) {
		apd_list_remove(&row->ended);
		w->n_ended_rows--;
	}
	apd_list_remove(&row->link);
	row->run->row = NULL;
	ledger_unref(w, row->run);
	apd_run_row_unref(row->row);
	free(row);
}

/* Forgets the oldest ended rows, as retention does: those runs are history. */
static void retain(struct world *w)
{
	while (w->n_ended_rows > KEPT_ROWS) {
		struct row *row = apd_list_first(&w->ended_rows, struct row, ended);

		ledger_retire(w, row->run);
		row_free(w, row);
	}
}

/* The run that a row is of; its input says so the first time. */
static struct srun *find_or_learn(struct world *w, const struct apd_run_row *row)
{
	struct srun *run = ledger_find(w, &row->run_id);
	const char *input;

	if (run)
		return run;
	input = strstr(row->request.ptr, "\"input\":");
	run = ledger_by_input(w, apd_str(input + 8));
	ledger_learn_id(w, run, &row->run_id);
	return run;
}

/* A pending run of the same thread that was there before and that nobody stopped, or NULL. */
struct srun *storage_earlier(struct world *w, const struct srun *run)
{
	struct row *row;

	apd_list_each (row, &w->rows, link) {
		const struct srun *other = row->run;

		if (other == run)
			break;
		if (other->thr == run->thr && row->row->status == APD_RUN_PENDING &&
			(other->began || !ledger_may_be_stopped(other)))
			return row->run;
	}
	return NULL;
}

/* Inserts or replaces a row; a run goes from pending to one end, never back. */
static void put_run(struct world *w, struct apd_run_row *new)
{
	struct srun *run = find_or_learn(w, new);
	struct row *row = run->row;

	SIM_CHECK(w, !run->thr || apd_id_eq(&run->thr->id, &new->thread_id),
		"run %lu is stored with another thread", run->serial);
	if (!row) {
		SIM_CHECK(w, !run->deleted, "run %lu came back after it was deleted", run->serial);
		row = apd_calloc(1, sizeof(*row));
		row->run = ledger_ref(run);
		run->row = row;
		apd_list_append(&w->rows, &row->link);
	} else {
		SIM_CHECK(w, row->row->status == APD_RUN_PENDING || row->row->status == new->status,
			"run %lu is stored as %d, then as %d", run->serial, (int)row->row->status,
			(int)new->status);
		count_row(w, row, -1);
		apd_run_row_unref(row->row);
	}
	row->row = apd_run_row_ref(new);
	count_row(w, row, 1);
	if (new->status != APD_RUN_PENDING && !apd_list_linked(&row->ended)) {
		apd_list_append(&w->ended_rows, &row->ended);
		w->n_ended_rows++;
	}
	SIM_CHECK(w, !run->over || new->status == run->status,
		"run %lu was told to be %d and is stored as %d later", run->serial,
		(int)run->status, (int)new->status);
}

static void delete_run(struct world *w, struct apd_batch *batch, const struct apd_id *id)
{
	struct srun *run = ledger_find(w, id);

	if (run)
		run->deleted = true;
	if (!run || !run->row) {
		batch->missing++;
		return;
	}
	SIM_CHECK(w, run->rollback_asked || run->undone || run->delete_asked,
		"run %lu was deleted by nobody", run->serial);
	SIM_CHECK(w, run->row->row->status != APD_RUN_PENDING || run->rollback_asked || run->undone,
		"run %lu was deleted while it was active", run->serial);
	row_free(w, run->row);
}

/* Whether the batch puts the end of this run. */
static bool puts_end(const struct apd_batch *batch, const struct apd_id *run_id)
{
	for (uint32_t i = 0; batch && i < batch->n_ops; i++)
		if (batch->ops[i].type == APD_OP_RUN_PUT &&
			batch->ops[i].run->status != APD_RUN_PENDING &&
			apd_id_eq(&batch->ops[i].run->run_id, run_id))
			return true;
	return false;
}

/* A thread goes, and its runs with it; those told pending had better not be among them. */
void storage_delete_thread(struct world *w, struct thr *thr, const struct apd_batch *batch)
{
	struct row *row, *tmp;

	apd_list_each_safe (row, tmp, &w->rows, link) {
		if (row->run->thr != thr || row->row->flags & APD_RUN_ROW_EPHEMERAL)
			continue;
		/* One that was stopped may still try to say so; but for its webhook it need not. */
		SIM_CHECK(w,
			row->row->status != APD_RUN_PENDING || puts_end(batch, &row->row->run_id) ||
				(row->run->overtaken && !row->run->began && !row->run->webhook),
			"run %lu went with its thread", row->run->serial);
		row->run->delete_asked = true;
		row_free(w, row);
	}
	thr_drop(w, thr);
}

/* Inserts or replaces a thread's row; what was not there must be wanted. */
static void put_thread(struct world *w, const struct apd_batch *batch, struct apd_thread_row *row)
{
	struct thr *thr = thr_find(w, &row->thread_id);
	bool wanted = false;

	SIM_CHECK(w, thr, "an unknown thread is stored");
	for (uint32_t i = 0; i < batch->n_ops; i++)
		if (batch->ops[i].type == APD_OP_RUN_PUT) {
			struct srun *run = ledger_find(w, &batch->ops[i].run->run_id);

			wanted |= run && run->thr == thr && run->create_thread;
		}
	SIM_CHECK(w, thr->exists || wanted || calls_may_create(w, thr), "thread %u came back",
		thr->number);
	thr_put(w, thr, row);
}

static void put_outbox(struct world *w, const struct apd_batch *batch, struct apd_outbox_row *row)
{
	struct srun *run = ledger_find(w, &row->run_id);
	struct hook *hook = apd_calloc(1, sizeof(*hook));
	char url[40];

	SIM_CHECK(w, run && run->webhook && !run->hooked, "a webhook for nothing, or twice");
	SIM_CHECK(w, puts_end(batch, &run->id), "run %lu's webhook tells of no end", run->serial);
	request_webhook(run, url, sizeof(url));
	SIM_CHECK(w, apd_str_is(row->url, url), "run %lu's webhook goes to %.*s", run->serial,
		APD_STR_FMT(row->url));
	SIM_CHECK(w, apd_json_scan(&w->json, row->body) == 0, "a webhook's body is no JSON: %.*s",
		APD_STR_FMT(row->body));
	run->hooked = true;
	w->hooked++;
	hook->row = apd_outbox_row_ref(row);
	apd_list_append(&w->hooks, &hook->link);
	w->n_hooks++;
	w->hooks_due = 1;
}

/* The webhook thread delivers one. */
static void deliver(struct world *w)
{
	struct hook *hook;

	if (apd_list_empty(&w->hooks))
		return;
	hook = apd_list_first(&w->hooks, struct hook, link);
	apd_list_remove(&hook->link);
	apd_outbox_row_unref(hook->row);
	free(hook);
	w->n_hooks--;
}

/* What the batch does to threads must be possible; their existence, op by op. */
static int check_missing(struct world *w, const struct apd_batch *batch)
{
	struct thr *thr = NULL;
	bool exists = false;

	/* A batch is of one thread, or of two where one is copied. */
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		const struct apd_op *op = &batch->ops[i];
		const struct apd_id *id = op->type == APD_OP_THREAD_PUT ? &op->thread->thread_id
			: op->type == APD_OP_THREAD_DELETE              ? &op->id
			: op->type == APD_OP_CHECKPOINT_PUT             ? &op->checkpoint->thread_id
			: op->type == APD_OP_RUN_PUT && !(op->run->flags & APD_RUN_ROW_EPHEMERAL)
			? &op->run->thread_id
			: NULL;

		if (!id)
			continue;
		if (!thr || !apd_id_eq(id, &thr->id)) {
			thr = thr_find(w, id);
			SIM_CHECK(w, thr, "a change of an unknown thread");
			exists = thr->exists;
		}
		if (op->type == APD_OP_THREAD_PUT && !op->replaces)
			exists = true;
		else if (op->type == APD_OP_THREAD_DELETE)
			exists = false;
		else if (!exists)
			return -ENOENT;
	}
	return 0;
}

static void apply_op(struct world *w, struct apd_batch *batch, struct apd_op *op)
{
	struct thr *thr;

	switch (op->type) {
	case APD_OP_RUN_PUT:
		put_run(w, op->run);
		break;
	case APD_OP_RUN_DELETE:
		delete_run(w, batch, &op->id);
		break;
	case APD_OP_THREAD_PUT:
		put_thread(w, batch, op->thread);
		break;
	case APD_OP_THREAD_DELETE:
		thr = thr_find(w, &op->id);
		if (thr && thr->exists)
			storage_delete_thread(w, thr, batch);
		else
			batch->missing++;
		break;
	case APD_OP_THREAD_COPY:
		thr = thr_find(w, &op->id);
		if (thr && thr->exists)
			thr_copy(w, thr, op->thread);
		else
			batch->missing++;
		break;
	case APD_OP_CHECKPOINT_PUT:
		thr_add_point(w, thr_find(w, &op->checkpoint->thread_id), op->checkpoint);
		break;
	case APD_OP_CHECKPOINTS_UNDO:
		thr = thr_find(w, &op->id);
		if (thr && thr->exists)
			thr_undo(w, thr, &op->after);
		break;
	case APD_OP_OUTBOX_PUT:
		put_outbox(w, batch, op->outbox);
		break;
	default:
		sim_fail(w, "an unknown change");
	}
}

/* Applies a batch, or -ENOENT when it cannot be. */
static int apply(struct world *w, struct apd_batch *batch)
{
	struct judged judged;
	int r = check_missing(w, batch);

	if (r < 0)
		return r;
	batch->missing = 0;
	judge_before(w, batch, &judged);
	for (uint32_t i = 0; i < batch->n_ops; i++)
		apply_op(w, batch, &batch->ops[i]);
	judge_after(w, batch, &judged);
	return 0;
}

/* The batch is not on its way any more; what an agent committed with it may have failed. */
static void landed(struct world *w, struct apd_batch *batch, int result)
{
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		const struct apd_checkpoint_row *row = batch->ops[i].checkpoint;

		if (batch->ops[i].type != APD_OP_CHECKPOINT_PUT)
			continue;
		thr_find(w, &row->thread_id)->flying--;
		if (result < 0 && row->source == APD_SOURCE_LOOP)
			commit_failed(w, row);
	}
}

/* Finishes the oldest batch, well or badly. */
static void finish_batch(struct world *w, struct apd_batch *batch)
{
	int result = sim_chance(w, w->fail_percent) ? -EIO : apply(w, batch);

	sim_story(w, "storage: batch of %u is %s", batch->n_ops,
		result == -ENOENT ? "of a thread that is gone"
			: result  ? "refused"
				  : "durable");
	w->failures += result == -EIO;
	landed(w, batch, result);
	batch->done(batch, result);
	retain(w);
}

/* What is on its way is known to the ledger before clients may ask for it. */
static void announce(struct world *w, const struct apd_op *op)
{
	struct thr *thr;

	switch (op->type) {
	case APD_OP_RUN_PUT:
		find_or_learn(w, op->run);
		break;
	case APD_OP_THREAD_COPY:
		if (!thr_find(w, &op->thread->thread_id))
			calls_name_copy(w, thr_find(w, &op->id), &op->thread->thread_id);
		break;
	case APD_OP_CHECKPOINT_PUT:
		thr = thr_find(w, &op->checkpoint->thread_id);
		SIM_CHECK(w, thr, "a checkpoint of an unknown thread");
		thr->flying++;
		if (op->checkpoint->source == APD_SOURCE_LOOP)
			commit_storing(w, op->checkpoint);
		break;
	default:
		break;
	}
}

static void op_commit(struct apd_storage *storage, struct apd_batch *batch)
{
	struct world *w = apd_container_of(storage, struct world, storage);

	SIM_CHECK(w, batch->n_ops > 0 && batch->n_ops <= APD_COUNT(batch->ops), "a batch of %u",
		batch->n_ops);
	for (uint32_t i = 0; i < batch->n_ops; i++)
		announce(w, &batch->ops[i]);
	if (w->sync_storage && apd_list_empty(&w->batches) && sim_chance(w, 50)) {
		finish_batch(w, batch);
		return;
	}
	apd_list_append(&w->batches, &batch->link);
}

void storage_init(struct world *w)
{
	static const struct apd_storage_ops ops = {.commit = op_commit, .load = load_begin};

	w->storage.ops = &ops;
	apd_list_init(&w->batches);
	apd_list_init(&w->loads);
	apd_list_init(&w->rows);
	apd_list_init(&w->ended_rows);
	apd_list_init(&w->hooks);
}

void storage_step(struct world *w, unsigned most)
{
	if (!apd_list_empty(&w->loads) && (apd_list_empty(&w->batches) || sim_chance(w, 50)))
		loads_step(w);
	for (unsigned i = 0; i < most && !apd_list_empty(&w->batches); i++) {
		struct apd_batch *batch = apd_list_first(&w->batches, struct apd_batch, link);

		apd_list_remove(&batch->link);
		finish_batch(w, batch);
	}
	if (sim_chance(w, 10))
		deliver(w);
}

/* The disk is full, or there is room again. */
void storage_outage(struct world *w)
{
	bool down = w->fail_percent == 100;

	w->fail_percent = down ? w->usual_fail_percent : 100;
	sim_story(w, "storage: %s", down ? "works again" : "takes nothing any more");
}

/* The power goes: of what was on its way, the first few made it. Nobody hears of it. */
void storage_crash(struct world *w)
{
	bool lost = false;

	while (!apd_list_empty(&w->batches)) {
		struct apd_batch *batch = apd_list_first(&w->batches, struct apd_batch, link);
		int result = -EIO;

		apd_list_remove(&batch->link);
		lost |= sim_chance(w, 40);
		if (!lost)
			result = apply(w, batch);
		landed(w, batch, result);
	}
	loads_crash(w);
	w->hooks_due = 0;
	retain(w);
}

void storage_finish(struct world *w)
{
	while (!apd_list_empty(&w->rows))
		row_free(w, apd_list_first(&w->rows, struct row, link));
	while (!apd_list_empty(&w->hooks))
		deliver(w);
}
