/* The fake storage: what is durable, what is on its way, and what fails. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

static int thread_index(const struct world *w, const struct apd_id *id)
{
	for (int i = 0; i < N_THREADS; i++)
		if (apd_id_eq(&w->thread_ids[i], id))
			return i;
	return -1;
}

static void row_free(struct world *w, struct row *row)
{
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

/* Inserts or replaces a row; a run goes from pending to one end, never back. */
static void put_run(struct world *w, struct apd_run_row *new)
{
	struct srun *run = find_or_learn(w, new);
	struct row *row;

	row = run->row;
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
		apd_run_row_unref(row->row);
	}
	row->row = apd_run_row_ref(new);
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
	SIM_CHECK(w, run->rollback_asked || run->delete_asked, "run %lu was deleted by nobody",
		run->serial);
	row_free(w, run->row);
}

/* A thread goes, and its runs with it; those told pending had better not be among them. */
static void delete_thread(struct world *w, const struct apd_id *id)
{
	int i = thread_index(w, id);
	struct row *row, *tmp;

	SIM_CHECK(w, i >= 0, "an unknown thread is deleted");
	w->threads[i] = false;
	apd_list_each_safe (row, tmp, &w->rows, link) {
		if (row->row->flags & APD_RUN_ROW_EPHEMERAL || !apd_id_eq(&row->row->thread_id, id))
			continue;
		SIM_CHECK(w, row->row->status != APD_RUN_PENDING || row->run->delete_thread,
			"run %lu went with its thread", row->run->serial);
		/* The run whose end deletes the thread is put again right after. */
		if (row->row->status != APD_RUN_PENDING) {
			row->run->delete_asked = true;
			row_free(w, row);
		}
	}
}

/* A thread that was to go with its run is gone as soon as the run's end is durable. */
static void check_thread_gone(struct world *w, const struct apd_batch *batch)
{
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		const struct apd_op *op = &batch->ops[i];
		const struct srun *run;

		if (op->type != APD_OP_RUN_PUT || op->run->status == APD_RUN_PENDING)
			continue;
		run = ledger_find(w, &op->run->run_id);
		SIM_CHECK(w, !run || !run->delete_thread || !w->threads[run->thread],
			"run %lu ended and its thread stays", run->serial);
	}
}

static void apply(struct world *w, struct apd_batch *batch)
{
	batch->missing = 0;
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		struct apd_op *op = &batch->ops[i];

		switch (op->type) {
		case APD_OP_RUN_PUT:
			put_run(w, op->run);
			break;
		case APD_OP_RUN_DELETE:
			delete_run(w, batch, &op->id);
			break;
		case APD_OP_THREAD_PUT:
			w->threads[thread_index(w, &op->id)] = true;
			break;
		case APD_OP_THREAD_DELETE:
			delete_thread(w, &op->id);
			break;
		}
	}
	check_thread_gone(w, batch);
}

/* Finishes the oldest batch, well or badly. */
static void finish_batch(struct world *w, struct apd_batch *batch)
{
	int result = sim_chance(w, w->fail_percent) ? -EIO : 0;

	sim_story(w, "storage: batch of %u is %s", batch->n_ops, result ? "refused" : "durable");
	if (result == 0)
		apply(w, batch);
	batch->done(batch, result);
	retain(w);
}

static void op_commit(struct apd_storage *storage, struct apd_batch *batch)
{
	struct world *w = apd_container_of(storage, struct world, storage);

	SIM_CHECK(w, batch->n_ops > 0 && batch->n_ops <= APD_COUNT(batch->ops), "a batch of %u",
		batch->n_ops);
	/* The world knows of runs before clients may: it can ask for them too early. */
	for (uint32_t i = 0; i < batch->n_ops; i++)
		if (batch->ops[i].type == APD_OP_RUN_PUT)
			find_or_learn(w, batch->ops[i].run);
	if (w->sync_storage && apd_list_empty(&w->batches) && sim_chance(w, 50)) {
		finish_batch(w, batch);
		return;
	}
	apd_list_append(&w->batches, &batch->link);
}

static void active_runs(struct world *w, struct apd_load *load)
{
	struct row *row;

	apd_list_each (row, &w->rows, link) {
		if (row->row->status != APD_RUN_PENDING)
			continue;
		if ((load->n_runs & (load->n_runs - 1)) == 0)
			load->runs = apd_realloc(load->runs,
				(load->n_runs ? load->n_runs * 2 : 1) * sizeof(*load->runs));
		load->runs[load->n_runs++] = apd_run_row_ref(row->row);
	}
}

static void finish_load(struct world *w, struct apd_load *load)
{
	int result = load->type == APD_LOAD_THREAD && sim_chance(w, w->fail_percent) ? -EIO : 0;

	if (load->type == APD_LOAD_ACTIVE_RUNS)
		active_runs(w, load);
	else
		load->found = w->threads[thread_index(w, &load->id)];
	sim_story(w, "storage: read %s", result ? "failed" : "done");
	load->done(load, result);
}

static void op_load(struct apd_storage *storage, struct apd_load *load)
{
	struct world *w = apd_container_of(storage, struct world, storage);

	if (w->sync_storage && load->type == APD_LOAD_THREAD && sim_chance(w, 30)) {
		finish_load(w, load);
		return;
	}
	apd_list_append(&w->loads, &load->link);
}

void storage_init(struct world *w)
{
	static const struct apd_storage_ops ops = {.commit = op_commit, .load = op_load};

	w->storage.ops = &ops;
	apd_list_init(&w->batches);
	apd_list_init(&w->loads);
	apd_list_init(&w->rows);
	apd_list_init(&w->ended_rows);
	for (int i = 0; i < N_THREADS; i++) {
		memset(&w->thread_ids[i], 0, sizeof(w->thread_ids[i]));
		w->thread_ids[i].bytes[0] = (uint8_t)(i + 1);
		w->threads[i] = sim_chance(w, 50);
	}
}

void storage_step(struct world *w, unsigned most)
{
	if (!apd_list_empty(&w->loads) && (apd_list_empty(&w->batches) || sim_chance(w, 50))) {
		struct apd_load *load = apd_list_first(&w->loads, struct apd_load, link);

		apd_list_remove(&load->link);
		finish_load(w, load);
	}
	for (unsigned i = 0; i < most && !apd_list_empty(&w->batches); i++) {
		struct apd_batch *batch = apd_list_first(&w->batches, struct apd_batch, link);

		apd_list_remove(&batch->link);
		finish_batch(w, batch);
	}
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

		apd_list_remove(&batch->link);
		lost |= sim_chance(w, 40);
		if (!lost)
			apply(w, batch);
	}
	apd_list_init(&w->loads);
	retain(w);
}

void storage_finish(struct world *w)
{
	while (!apd_list_empty(&w->rows))
		row_free(w, apd_list_first(&w->rows, struct row, link));
}
