/* The ledger: what was asked for, and what was told to whom. */
#include "sim.h"

#include <stdlib.h>

struct srun *ledger_add(struct world *w)
{
	struct srun *run = apd_calloc(1, sizeof(*run));

	if ((w->n_serials & (w->n_serials - 1)) == 0)
		w->by_serial = apd_realloc(w->by_serial,
			(w->n_serials ? w->n_serials * 2 : 1) * sizeof(*w->by_serial));
	run->serial = w->n_serials;
	w->by_serial[w->n_serials++] = run;
	if (w->n_live == w->cap_live) {
		w->cap_live = w->cap_live ? w->cap_live * 2 : 64;
		w->live = apd_realloc(w->live, w->cap_live * sizeof(*w->live));
	}
	w->live[w->n_live++] = run;
	run->live_index = w->n_live;
	run->refs = 1;
	run->born = w->restarts;
	apd_list_init(&run->commits);
	return run;
}

struct srun *ledger_ref(struct srun *run)
{
	run->refs++;
	return run;
}

void ledger_unref(struct world *w, struct srun *run)
{
	if (!run || --run->refs)
		return;
	if (run->has_id)
		apd_map_remove(&w->by_id, apd_id_key(&run->id));
	w->by_serial[run->serial] = NULL;
	commits_forget(run);
	patch_unref(run->input);
	thr_unref(w, run->thr);
	apd_text_unref(run->request);
	free(run);
}

void ledger_retire(struct world *w, struct srun *run)
{
	size_t i = run->live_index;

	if (i == 0)
		return;
	run->live_index = 0;
	w->live[i - 1] = w->live[--w->n_live];
	if (i - 1 < w->n_live)
		w->live[i - 1]->live_index = i;
	ledger_unref(w, run);
}

struct srun *ledger_find(struct world *w, const struct apd_id *id)
{
	return apd_map_get(&w->by_id, apd_id_key(id));
}

struct srun *ledger_by_input(struct world *w, struct apd_str input)
{
	uint64_t serial = strtoull(input.ptr, NULL, 10);

	SIM_CHECK(w, serial < w->n_serials && w->by_serial[serial], "input %.*s is of no run",
		APD_STR_FMT(input));
	return w->by_serial[serial];
}

void ledger_learn_id(struct world *w, struct srun *run, const struct apd_id *id)
{
	if (run->has_id) {
		SIM_CHECK(w, apd_id_eq(&run->id, id), "run %lu has two ids", run->serial);
		return;
	}
	run->id = *id;
	run->has_id = true;
	SIM_CHECK(w, !apd_map_put(&w->by_id, apd_id_key(&run->id), run), "two runs have one id");
}

struct srun *ledger_pick(struct world *w)
{
	return w->n_live ? w->live[sim_below(w, (unsigned)w->n_live)] : NULL;
}

/* Whether something may have ended the run before its time. */
bool ledger_may_be_stopped(const struct srun *run)
{
	return run->cancel_asked || run->rollback_asked || run->creator_left || run->overtaken ||
		run->undone;
}

/* Is this end one that can have come about? */
static void check_cause(struct world *w, const struct srun *run, enum apd_run_status status)
{
	bool cancelled = ledger_may_be_stopped(run);

	switch (status) {
	case APD_RUN_SUCCESS:
		SIM_CHECK(w, run->done_ok, "run %lu succeeded by itself", run->serial);
		break;
	case APD_RUN_INTERRUPTED:
		SIM_CHECK(w, cancelled || run->asked, "run %lu was interrupted by nobody",
			run->serial);
		break;
	case APD_RUN_TIMEOUT:
		SIM_CHECK(w, run->late, "run %lu timed out in time", run->serial);
		break;
	case APD_RUN_ERROR:
		break;
	case APD_RUN_PENDING:
		sim_fail(w, "run %lu ended as pending", run->serial);
	}
}

/* What waiters are shown: the state that the run left, or its questions. */
static void check_told(struct world *w, const struct srun *run, const struct apd_run_row *row)
{
	const struct point *point;
	uint32_t values, messages;

	if (!run->thr || !row->at_checkpoint || !row->output.ptr)
		return;
	SIM_CHECK(w, !row->interrupts.ptr == !run->row->row->interrupts.ptr,
		"run %lu is told with other questions", run->serial);
	point = run->thr->exists ? thr_point(run->thr, &row->checkpoint_id) : NULL;
	if (!point || row->output_keys.ptr)
		return;
	SIM_CHECK(w, apd_json_scan(&w->json2, row->output) == 0, "an output is no JSON: %.*s",
		APD_STR_FMT(row->output));
	values = apd_json_member(&w->json2, 0, APD_STR("values"));
	messages = apd_json_given(&w->json2, 0, APD_STR("messages"));
	SIM_CHECK(w,
		values &&
			model_is_json(w, point->model, apd_json_slice(&w->json2, values),
				messages ? apd_json_slice(&w->json2, messages) : APD_STR_ABSENT),
		"run %lu is told to have left %.*s", run->serial, APD_STR_FMT(row->output));
}

void ledger_told_end(struct world *w, struct srun *run, const struct apd_run_row *row)
{
	ledger_learn_id(w, run, &row->run_id);
	check_cause(w, run, row->status);
	if (run->over)
		SIM_CHECK(w, run->status == row->status, "run %lu ended twice, as %d and as %d",
			run->serial, (int)run->status, (int)row->status);
	else
		w->ended++;
	SIM_CHECK(
		w, row->ended_us >= row->created_us, "run %lu ended before it began", run->serial);
	run->over = true;
	run->told = true;
	run->status = row->status;
	if (run->behind || run->delete_asked)
		return;
	if ((run->rollback_asked || run->undone) && !run->row)
		return;
	SIM_CHECK(w, run->row, "run %lu ended and is not durable", run->serial);
	check_told(w, run, row);
	SIM_CHECK(w, run->row->row->status == row->status,
		"run %lu was told to be %d and is stored as %d", run->serial, (int)row->status,
		(int)run->row->row->status);
}

void ledger_finish(struct world *w)
{
	while (w->n_live)
		ledger_retire(w, w->live[0]);
	for (uint64_t i = 0; i < w->n_serials; i++)
		SIM_CHECK(w, !w->by_serial[i], "the ledger leaks run %lu", i);
	free(w->by_serial);
	free(w->live);
	apd_map_finish(&w->by_id);
}
