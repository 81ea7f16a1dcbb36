/* The end of a run: what the agent's last word means, and who hears of it. */
#include "runtime/internal.h"

#include "base/json_text.h"

/* More write-behind rows than this on their way: storage hangs, and the newest are dropped. */
#define BEHIND_MAX 16384

/* A group of write-behind rows is tried so often, then dropped and counted. */
#define BEHIND_TRIES 5

void apd_rt_log_end(struct apd_runtime *rt, struct apd_run *run, const struct apd_run_row *row)
{
	apd_rt_log_append(rt, run,
		&(struct apd_event){
			.kind = APD_EVENT_ENDED, .status = row->status, .data = row->error});
	if (!run->thread->kept)
		apd_rt_log_close(rt, run->thread);
}

void apd_rt_run_ended(struct apd_runtime *rt, struct apd_run *run, struct apd_run_row *row)
{
	struct thread *thread = run->thread;

	if (run->rollback && thread->kept && thread->tip.state)
		apd_rt_log_append(rt, run,
			&(struct apd_event){.kind = APD_EVENT_VALUES, .state = thread->tip.state});
	apd_rt_log_end(rt, run, row);
	run->phase = RUN_ENDED;
	apd_rt_run_set_row(run, row);
	if (run->rollback)
		run->gone = true;
	run->end_due = true;
	apd_rt_run_strip(rt, run);
	apd_rt_calls_tell_later(rt, run);
	apd_rt_thread_turn_over(rt, run);
}

/* Adds the row of a write-behind run to the batch that the next flush hands over. */
static void behind_add(struct apd_runtime *rt, struct apd_run *run)
{
	if (rt->behind_rows >= BEHIND_MAX) {
		rt->stats.storage_failures++;
		return;
	}
	if (!rt->behind)
		rt->behind = apd_rt_save_create(rt, SAVE_BEHIND, NULL);
	apd_batch_put_run(&rt->behind->batch, run->row);
	rt->behind->runs[rt->behind->n_runs++] = run;
	run->saving = true;
	rt->behind_rows++;
	if (rt->behind->n_runs == APD_COUNT(rt->behind->runs))
		apd_rt_behind_submit(rt);
}

/* Takes the rows off that clients deleted meanwhile: they must not come back. */
void apd_rt_behind_skip_deleted(struct apd_runtime *rt, struct save *save)
{
	uint32_t n = 0;

	apd_batch_finish(&save->batch);
	save->batch.n_ops = 0;
	for (uint32_t i = 0; i < save->n_runs; i++) {
		struct apd_run *run = save->runs[i];

		if (run->deleted) {
			run->saving = false;
			rt->behind_rows--;
			apd_rt_run_settle(rt, run);
			continue;
		}
		apd_batch_put_run(&save->batch, run->row);
		save->runs[n++] = run;
	}
	save->n_runs = n;
}

void apd_rt_behind_saved(struct apd_runtime *rt, struct save *save, int result)
{
	if (result < 0 && save->tries < BEHIND_TRIES) {
		apd_rt_save_retry(rt, save);
		return;
	}
	for (uint32_t i = 0; i < save->n_runs; i++) {
		save->runs[i]->saving = false;
		rt->behind_rows--;
		apd_rt_run_settle(rt, save->runs[i]);
	}
	apd_rt_save_free(rt, save);
}

static void count_end(struct apd_runtime *rt, enum apd_run_status status)
{
	switch (status) {
	case APD_RUN_SUCCESS:
		rt->stats.succeeded++;
		break;
	case APD_RUN_ERROR:
		rt->stats.failed++;
		break;
	case APD_RUN_TIMEOUT:
		rt->stats.timed_out++;
		break;
	default:
		rt->stats.interrupted++;
	}
}

void apd_rt_run_finish(struct apd_runtime *rt, struct apd_run *run, const struct ending *ending)
{
	struct apd_run_row *row;

	apd_rt_queue_remove(rt, run);
	apd_rt_queue_uncount(rt, run);
	apd_rt_timer_clear(rt, &run->stop);
	apd_rt_open_items_close(rt, run, "The run ended before this did.");
	run->status = ending->status;
	run->ended_us = run->updated_us = runtime_wall(rt);
	count_end(rt, ending->status);
	run->error = apd_rt_output_error(rt, ending);
	/* Questions are pending only where the run ended with them. */
	if (ending->status != APD_RUN_INTERRUPTED || ending->error)
		apd_rt_run_drop_asks(run);
	if (!run->behind) {
		run->phase = RUN_FINISHING;
		apd_rt_commits_drop(run);
		apd_rt_run_finish_go(rt, run);
		return;
	}
	apd_rt_save_detach(rt, run);
	row = apd_rt_output_row(rt, run, false);
	apd_rt_run_ended(rt, run, row);
	if (!run->rollback)
		behind_add(rt, run);
}

/* Makes the ending of a failure that the agent reported. */
static void ending_failed(struct ending *ending, struct apd_str code, struct apd_str message)
{
	*ending = (struct ending){.status = APD_RUN_ERROR,
		.error = APD_RUN_ERROR_AGENT_ERROR,
		.message = message.len ? message : APD_STR("The agent failed."),
		.agent_code = code};
}

/* What the agent's last word makes of the run. */
static void ending_of(
	struct apd_runtime *rt, struct apd_run *run, ap_status status, struct ending *ending)
{
	bool late =
		run->deadline_passed || (run->deadline_ns && runtime_now(rt) >= run->deadline_ns);

	if (run->rollback || (status == AP_E_CANCELLED && run->cancel_asked))
		*ending = (struct ending){.status = APD_RUN_INTERRUPTED,
			.error = APD_RUN_ERROR_CANCELLED,
			.message = APD_STR("The run was cancelled.")};
	else if (status == AP_OK)
		*ending = (struct ending){.status = APD_RUN_SUCCESS};
	else if (status == AP_INTERRUPTED && run->asked)
		*ending = (struct ending){.status = APD_RUN_INTERRUPTED};
	else if (status == AP_E_DEADLINE && late)
		*ending = (struct ending){.status = APD_RUN_TIMEOUT,
			.error = APD_RUN_ERROR_DEADLINE,
			.message = APD_STR("The run was out of time.")};
}

void apd_rt_sink_done(void *data, struct apd_slot *slot, ap_status status, struct apd_str code,
	struct apd_str message)
{
	struct apd_runtime *rt = data;
	struct apd_run *run = slot->run;
	char invalid[480];
	struct ending ending;

	if (!run || run->phase != RUN_EXECUTING)
		return;
	apd_rt_slot_release(rt, run);
	if (status == AP_E_CANCELLED && run->shutdown_asked && !run->cancel_asked) {
		apd_rt_run_end_by_shutdown(rt, run);
		return;
	}
	ending_failed(&ending, code, message);
	ending_of(rt, run, status, &ending);
	if (ending.status == APD_RUN_SUCCESS &&
		apd_rt_output_check(rt, run, invalid, sizeof(invalid)) < 0)
		ending = (struct ending){.status = APD_RUN_ERROR,
			.error = APD_RUN_ERROR_INVALID_OUTPUT,
			.message = apd_str(invalid)};
	apd_rt_run_finish(rt, run, &ending);
}

void apd_rt_sink_asked(void *data, struct apd_slot *slot, const struct apd_ask *asks, size_t n,
	struct apd_str continuation)
{
	struct apd_runtime *rt = data;
	struct apd_run *run = slot->run;
	struct apd_buf *out = &rt->buf;

	/* Where the thread ends with the run nobody could answer. */
	if (!run || run->phase != RUN_EXECUTING || !run->thread->kept || run->delete_thread ||
		run->asked)
		return;
	run->asked = true;
	apd_buf_clear(out);
	apd_buf_lit(out, "[");
	for (size_t i = 0; i < n; i++) {
		apd_json_add_comma(out);
		apd_buf_lit(out, "{");
		apd_json_member_str(out, "id", asks[i].id);
		if (asks[i].ns.ptr)
			apd_json_member_raw(out, "namespace", asks[i].ns);
		apd_json_member_raw(out, "value", asks[i].payload);
		apd_buf_lit(out, "}");
	}
	apd_buf_lit(out, "]");
	run->asks = apd_text_of(out);
	if (continuation.ptr)
		run->continuation = apd_text_create(continuation);
}
