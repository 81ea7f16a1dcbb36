/*
 * The orderly end: clients are sent away, agents stopped, and what was promised is left for
 * the next life.
 */
#include "runtime/internal.h"

void apd_rt_run_requeue_at_shutdown(struct apd_runtime *rt, struct apd_run *run)
{
	struct save *save;
	struct apd_run_row *row;

	bool kept = run->thread->kept;

	run->phase = RUN_QUEUED;
	/* A start that carries a checkpoint: what is left depends on whether it is durable. */
	if (kept && run->save && run->save->retry.at.index)
		apd_rt_start_give_up(rt, run);
	run->requeue = kept && run->save;
	if (run->requeue)
		return;
	/* An attempt that the agent never saw does not count; nor does the start. */
	if (!run->invoked && run->attempt)
		run->attempt--;
	run->invoked = run->attempt > 0;
	if ((run->started_us == 0 && run->attempt == 0) || (kept && run->attempt_durable == 0))
		return;
	run->started_us = 0;
	apd_rt_save_detach(rt, run);
	save = apd_rt_save_create(rt, SAVE_REQUEUE, run);
	row = apd_rt_run_make_row(run, NULL);
	apd_batch_put_run(&save->batch, row);
	apd_run_row_unref(row);
	apd_rt_save_submit(rt, save);
}

void apd_rt_run_end_by_shutdown(struct apd_runtime *rt, struct apd_run *run)
{
	struct ending ending = {.status = APD_RUN_ERROR,
		.error = APD_RUN_ERROR_DAEMON_RESTARTED,
		.message = APD_STR("The server was shut down while the run was executing.")};

	if (run->behind || !run->agent || !run->agent->retry_safe)
		apd_rt_run_finish(rt, run, &ending);
	else
		apd_rt_run_requeue_at_shutdown(rt, run);
}

/* Stops one run as far as it can be stopped now. */
static void stop_run(struct apd_runtime *rt, struct apd_run *run)
{
	switch (run->phase) {
	case RUN_QUEUED:
		apd_rt_queue_remove(rt, run);
		if (run->behind)
			apd_rt_run_end_by_shutdown(rt, run);
		else
			apd_rt_run_requeue_at_shutdown(rt, run);
		break;
	case RUN_STARTING:
		apd_rt_slot_release(rt, run);
		apd_rt_run_requeue_at_shutdown(rt, run);
		break;
	case RUN_EXECUTING:
		run->shutdown_asked = true;
		apd_rt_tell_stop(rt, run, APD_STOP_CANCEL);
		apd_rt_credit_let_go(rt, run);
		break;
	default:
		break;
	}
}

/* The grace is over: what executes still is cut off. */
static void grace_over(struct apd_runtime *rt, struct timer *timer)
{
	struct apd_run *run, *tmp;

	(void)timer;
	apd_list_each_safe (run, tmp, &rt->all, all) {
		if (run->phase != RUN_EXECUTING)
			continue;
		apd_rt_slot_abandon(rt, run);
		if (run->cancel_asked)
			apd_rt_run_end_cancelled(rt, run);
		else
			apd_rt_run_end_by_shutdown(rt, run);
	}
}

void apd_runtime_shutdown(struct apd_runtime *rt, void (*done)(void *data), void *data)
{
	struct apd_run *run, *tmp;

	rt->shutting_down = true;
	rt->shutdown_done_fn = done;
	rt->shutdown_data = data;
	apd_rt_demands_drop(rt);
	apd_rt_works_drop(rt);
	apd_list_each_safe (run, tmp, &rt->all, all) {
		if (run->thread->log)
			apd_rt_log_close(rt, run->thread);
		apd_rt_calls_refuse(&run->calls, APD_PROBLEM_SHUTTING_DOWN, false);
		stop_run(rt, run);
	}
	apd_rt_timer_set(
		rt, &rt->shutdown, runtime_now(rt) + rt->config.shutdown_grace_ns, grace_over);
}

void apd_rt_shutdown_check(struct apd_runtime *rt)
{
	if (!rt->shutting_down || rt->shutdown_done || rt->executing || rt->saves || rt->loads ||
		rt->changes || !apd_list_empty(&rt->answers))
		return;
	rt->shutdown_done = true;
	apd_rt_timer_clear(rt, &rt->shutdown);
	rt->shutdown_done_fn(rt->shutdown_data);
}
