/* From a slot to the agent: the start is made durable where it must be, then INVOKE. */
#include "runtime/internal.h"

#include <errno.h>

/* Bits of all channels that an agent may emit on. */
#define ALL_CHANNELS                                                                    \
	(1u << AP_CHANNEL_MESSAGES | 1u << AP_CHANNEL_TOOLS | 1u << AP_CHANNEL_CUSTOM | \
		1u << AP_CHANNEL_TASKS | 1u << AP_CHANNEL_LIFECYCLE)

/* The channels that are read. A creating stream cannot watch before it was told of its run. */
static uint32_t channels_now(const struct apd_run *run)
{
	if (run->creator && run->creator->mode == APD_MODE_STREAM &&
		(run->accept_due || !run->known))
		return ALL_CHANNELS;
	return apd_rt_thread_channels(run->thread);
}

void apd_rt_run_update_listening(struct apd_runtime *rt, struct apd_run *run)
{
	uint32_t channels;

	if (run->phase != RUN_EXECUTING || !run->slot)
		return;
	channels = channels_now(run);
	if (channels == run->listening)
		return;
	run->listening = channels;
	rt->host->ops->listening(rt->host, run->slot, channels);
}

/* Fills in what the run answers; the questions are in the thread's row until the run ends. */
static void describe_answers(
	struct apd_runtime *rt, struct apd_run *run, struct apd_invocation *what)
{
	const struct apd_thread_row *row = run->thread->row;

	if (!row)
		return;
	apd_buf_clear(&rt->buf3);
	apd_rt_resume_add(rt, &rt->buf3, row->interrupts, run->resume);
	what->resume = apd_buf_str(&rt->buf3);
	what->continuation = row->continuation;
}

/* Fills in what the agent gets to see; texts made here lie in the runtime's scratch buffers. */
static void describe(struct apd_runtime *rt, struct apd_run *run, struct apd_invocation *what)
{
	*what = (struct apd_invocation){
		.run_id = run->id,
		.thread_id = run->thread->id,
		.agent_id = run->agent_id,
		.input = run->input.ptr ? run->input : APD_STR("null"),
		.messages = run->messages,
		.config = run->config.ptr ? run->config : APD_STR("{}"),
		.metadata = run->metadata.ptr ? run->metadata : APD_STR("{}"),
		.values = APD_STR("{}"),
		.jump = run->jump,
		.attempt = run->attempt,
		.flags = run->thread->kept && !run->delete_thread ? 0 : AP_RUN_EPHEMERAL,
		.listening = run->listening,
		.credit = rt->config.credit_bytes,
		.deadline_ns = run->deadline_ns,
		.relaxed = run->behind,
	};
	if (run->state->n_values) {
		apd_buf_clear(&rt->buf);
		apd_state_add_values(&rt->buf, run->state);
		what->values = apd_buf_str(&rt->buf);
	}
	if (run->agent->wants_transcript) {
		apd_buf_clear(&rt->buf2);
		apd_state_add_messages(&rt->buf2, run->state);
		what->transcript = apd_buf_str(&rt->buf2);
	}
	if (run->resume.ptr)
		describe_answers(rt, run, what);
}

/* The state that the agent begins with. */
static void take_state(struct apd_runtime *rt, struct apd_run *run)
{
	if (!run->thread->kept) {
		apd_rt_run_take_messages(rt, run);
		return;
	}
	apd_state_unref(run->state);
	run->state = apd_state_ref(run->thread->tip.state);
}

void apd_rt_run_invoke(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_invocation what;

	run->phase = RUN_EXECUTING;
	run->invoked = true;
	run->stop_told = 0;
	take_state(rt, run);
	apd_rt_credit_reset(rt, run);
	apd_rt_run_set_deadline(rt, run);
	apd_rt_log_append(
		rt, run, &(struct apd_event){.kind = APD_EVENT_STARTED, .state = run->state});
	run->listening = channels_now(run);
	describe(rt, run, &what);
	rt->host->ops->invoke(rt->host, run->slot, &what);
}

/* Hands the start to storage. */
static void start_save(struct apd_runtime *rt, struct apd_run *run)
{
	struct save *save = apd_rt_save_create(rt, SAVE_START, run);

	if (run->thread->kept)
		apd_rt_run_begin(rt, run, save);
	save->start = apd_rt_run_make_row(run, NULL);
	apd_batch_put_run(&save->batch, save->start);
	apd_rt_save_submit(rt, save);
}

/* True if the agent may hear of the run before its start is durable: twice does no harm there. */
static bool may_hurry(const struct apd_run *run)
{
	return run->agent->retry_safe && !run->thread->kept;
}

void apd_rt_run_got_slot(struct apd_runtime *rt, struct apd_run *run)
{
	apd_rt_queue_uncount(rt, run);
	if (run->invoked || run->attempt == 0) {
		run->attempt++;
		run->invoked = false;
	}
	run->updated_us = runtime_wall(rt);
	if (run->started_us == 0)
		run->started_us = run->updated_us;
	if (!run->behind && run->attempt_durable < run->attempt) {
		run->phase = RUN_STARTING;
		if (!run->thread->kept)
			apd_rt_save_detach(rt, run);
		/* One that is on its way comes back before the next is made. */
		if (!run->save)
			start_save(rt, run);
		if (!may_hurry(run))
			return;
	}
	apd_rt_run_invoke(rt, run);
}

void apd_rt_start_give_up(struct apd_runtime *rt, struct apd_run *run)
{
	if (run->save->made.row)
		apd_rt_run_unbegin(run);
	apd_rt_save_free(rt, run->save);
}

/* The start of a run on a kept thread failed. */
static void start_failed(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	bool over = run->phase == RUN_FINISHING && (run->rollback || !run->invoked);

	if (!over && !run->requeue && result != -ENOENT) {
		apd_rt_save_retry(rt, save);
		return;
	}
	apd_rt_start_give_up(rt, run);
	if (run->phase == RUN_STARTING) {
		/* Its thread is gone, as its end will find. */
		apd_rt_slot_release(rt, run);
		apd_rt_run_end_cancelled(rt, run);
	}
}

/* The start of a run on a kept thread has come back. */
static void kept_start_saved(
	struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	if (result < 0) {
		start_failed(rt, save, run, result);
	} else {
		run->attempt_durable = save->start->attempt;
		apd_rt_run_set_row(run, apd_run_row_ref(save->start));
		apd_rt_run_began(run, save);
		apd_rt_save_free(rt, save);
	}
	if (run->save)
		return;
	if (run->requeue)
		apd_rt_run_requeue_at_shutdown(rt, run);
	else if (run->phase == RUN_FINISHING)
		apd_rt_run_finish_go(rt, run);
	else if (run->phase == RUN_STARTING && run->attempt_durable < run->attempt)
		start_save(rt, run);
	else if (run->phase == RUN_STARTING)
		apd_rt_run_invoke(rt, run);
}

void apd_rt_start_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	bool starting = run && run->phase == RUN_STARTING;

	if (run && run->thread->kept) {
		kept_start_saved(rt, save, run, result);
		return;
	}
	if (!run || (result < 0 && !starting)) {
		/* Over already, or the final batch will carry it. */
		apd_rt_save_free(rt, save);
		return;
	}
	if (result < 0) {
		apd_rt_save_retry(rt, save);
		return;
	}
	run->attempt_durable = save->start->attempt;
	apd_rt_run_set_row(run, apd_run_row_ref(save->start));
	apd_rt_save_free(rt, save);
	if (starting)
		apd_rt_run_invoke(rt, run);
}
