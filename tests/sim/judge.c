/* What one batch may do at once: the ends of runs, what they leave of their threads, webhooks. */
#include "sim.h"

/* The thread that the batch is about, or NULL. */
static struct thr *thread_of(struct world *w, const struct apd_batch *batch)
{
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		const struct apd_op *op = &batch->ops[i];
		struct srun *run = NULL;

		switch (op->type) {
		case APD_OP_RUN_PUT:
			run = ledger_find(w, &op->run->run_id);
			break;
		case APD_OP_RUN_DELETE:
			run = ledger_find(w, &op->id);
			break;
		case APD_OP_THREAD_PUT:
			return thr_find(w, &op->thread->thread_id);
		case APD_OP_CHECKPOINT_PUT:
			return thr_find(w, &op->checkpoint->thread_id);
		case APD_OP_CHECKPOINTS_UNDO:
			return thr_find(w, &op->id);
		default:
			break;
		}
		if (run && run->thr)
			return run->thr;
	}
	return NULL;
}

/* What the ends in the batch make of the thread. */
void judge_before(struct world *w, const struct apd_batch *batch, struct judged *judged)
{
	*judged = (struct judged){.thr = thread_of(w, batch)};
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		const struct apd_op *op = &batch->ops[i];
		struct srun *run;

		if (op->type == APD_OP_RUN_DELETE) {
			run = ledger_find(w, &op->id);
			/* An active one is rolled back: all must be as before it. */
			if (run && run->row && run->row->row->status == APD_RUN_PENDING)
				judged->undone = run;
			continue;
		}
		if (op->type != APD_OP_RUN_PUT || op->run->status == APD_RUN_PENDING)
			continue;
		run = ledger_find(w, &op->run->run_id);
		if (run->thr && run->row && run->row->row->status == APD_RUN_PENDING)
			thr_expect_end(w, run->thr, run, op->run);
	}
}

/* The output of a run that ended on a kept thread is the state that it left. */
static void check_output(struct world *w, const struct srun *run, const struct apd_run_row *row)
{
	const struct thr *thr = run->thr;
	const struct point *head = thr_head(thr);
	struct apd_id base = {0};

	if (!run->began)
		return;
	SIM_CHECK(w,
		row->at_checkpoint && head &&
			apd_id_eq(&row->checkpoint_id, &head->row->checkpoint_id),
		"run %lu's output is not where it left its thread", run->serial);
	base = run->base_n ? thr->points[run->base_n - 1].row->checkpoint_id : base;
	SIM_CHECK(w, row->has_base && apd_id_eq(&row->base_id, &base), "run %lu forgot its base",
		run->serial);
}

static void check_end(struct world *w, const struct apd_run_row *row)
{
	struct srun *run = ledger_find(w, &row->run_id);

	SIM_CHECK(w, run->behind || run->rolled_in != w->restarts + 1,
		"run %lu was to be undone and ended", run->serial);
	SIM_CHECK(w, run->hooked == run->webhook, "run %lu ended %s its webhook", run->serial,
		run->webhook ? "without" : "with");
	if (!run->thr)
		return;
	if (!run->delete_thread || !(row->flags & APD_RUN_ROW_EPHEMERAL)) {
		/* One that never had its turn left the thread to others. */
		SIM_CHECK(w, !run->delete_thread || !run->began,
			"run %lu ended and its thread stays", run->serial);
		check_output(w, run, row);
		return;
	}
	SIM_CHECK(w, !run->thr->exists && !row->at_checkpoint, "run %lu ended and its thread stays",
		run->serial);
}

/* A run began: its row says so, and on what. */
static void check_beginning(struct world *w, const struct apd_checkpoint_row *point)
{
	const struct srun *run = ledger_find(w, &point->run_id);
	const struct apd_run_row *row = run->row ? run->row->row : NULL;

	SIM_CHECK(w, row && row->status == APD_RUN_PENDING && row->started_us && row->attempt,
		"run %lu begins and is not said to have", run->serial);
	SIM_CHECK(w, row->has_base && apd_id_eq(&row->base_id, &point->parent_id),
		"run %lu begins on another base than the head", run->serial);
}

void judge_after(struct world *w, const struct apd_batch *batch, const struct judged *judged)
{
	const struct srun *run = judged->undone;

	for (uint32_t i = 0; i < batch->n_ops; i++)
		if (batch->ops[i].type == APD_OP_RUN_PUT &&
			batch->ops[i].run->status != APD_RUN_PENDING)
			check_end(w, batch->ops[i].run);
		else if (batch->ops[i].type == APD_OP_CHECKPOINT_PUT &&
			batch->ops[i].checkpoint->source == APD_SOURCE_INPUT)
			check_beginning(w, batch->ops[i].checkpoint);
	if (run && run->thr && run->began)
		SIM_CHECK(w, run->thr->exists && run->thr->n_points == run->base_n,
			"run %lu was undone and left something", run->serial);
	if (judged->thr)
		thr_check(w, judged->thr);
}
