/*
 * Stopping runs: cancel and rollback, the deadline, and the grace after which it goes on
 * without the agent.
 */
#include "runtime/internal.h"

void apd_rt_run_end_cancelled(struct apd_runtime *rt, struct apd_run *run)
{
	struct ending ending = {.status = APD_RUN_INTERRUPTED,
		.error = APD_RUN_ERROR_CANCELLED,
		.message = run->invoked ? APD_STR("The run was cancelled.")
					: APD_STR("The run was cancelled before it started.")};

	apd_rt_run_finish(rt, run, &ending);
}

void apd_rt_run_end_superseded(struct apd_runtime *rt, struct apd_run *run)
{
	struct ending ending = {.status = APD_RUN_INTERRUPTED,
		.error = APD_RUN_ERROR_SUPERSEDED,
		.message = APD_STR("A later run of the thread took the place of this one.")};

	apd_rt_run_finish(rt, run, &ending);
}

/* The agent did not stop: the run ends without it, and it is fenced off. */
static void grace_over(struct apd_runtime *rt, struct timer *timer)
{
	struct apd_run *run = apd_container_of(timer, struct apd_run, stop);
	struct ending ending = {.status = APD_RUN_INTERRUPTED,
		.error = APD_RUN_ERROR_AGENT_STUCK,
		.message = APD_STR("The agent did not stop in time after the run was cancelled.")};

	apd_rt_slot_abandon(rt, run);
	if (run->deadline_passed && !run->rollback) {
		ending.status = APD_RUN_TIMEOUT;
		ending.message = APD_STR("The run was out of time, and the agent did not stop.");
	}
	apd_rt_run_finish(rt, run, &ending);
}

/* Tells the agent to stop; a second time only for what the first did not say. */
void apd_rt_tell_stop(struct apd_runtime *rt, struct apd_run *run, enum apd_stop_reason reason)
{
	if (run->stop_told && (reason != APD_STOP_ROLLBACK || run->stop_told == reason))
		return;
	run->stop_told = reason;
	rt->host->ops->stop(rt->host, run->slot, reason);
}

static void begin_grace(struct apd_runtime *rt, struct apd_run *run)
{
	apd_rt_timer_set(rt, &run->stop, runtime_now(rt) + run->agent->grace_ns, grace_over);
}

static void deadline(struct apd_runtime *rt, struct timer *timer)
{
	struct apd_run *run = apd_container_of(timer, struct apd_run, stop);

	run->deadline_passed = true;
	apd_rt_tell_stop(rt, run, APD_STOP_DEADLINE);
	begin_grace(rt, run);
}

void apd_rt_run_set_deadline(struct apd_runtime *rt, struct apd_run *run)
{
	run->deadline_ns = 0;
	if (run->agent->timeout_ns <= 0)
		return;
	run->deadline_ns = runtime_now(rt) + run->agent->timeout_ns;
	apd_rt_timer_set(rt, &run->stop, run->deadline_ns, deadline);
}

/* Tells the agent to stop; the first telling begins the grace. */
static void stop_executing(struct apd_runtime *rt, struct apd_run *run, bool rollback)
{
	bool stopping = run->cancel_asked || run->deadline_passed;

	apd_rt_tell_stop(rt, run, rollback ? APD_STOP_ROLLBACK : APD_STOP_CANCEL);
	run->rollback |= rollback;
	run->cancel_asked = true;
	if (!stopping)
		begin_grace(rt, run);
}

void apd_rt_run_cancel(struct apd_runtime *rt, struct apd_run *run, bool rollback)
{
	switch (run->phase) {
	case RUN_LOADING:
	case RUN_CREATING:
		run->cancel_later = true;
		break;
	case RUN_WAITING:
	case RUN_QUEUED:
		run->rollback = rollback;
		apd_rt_run_end_cancelled(rt, run);
		break;
	case RUN_STARTING:
		apd_rt_slot_release(rt, run);
		run->rollback = rollback;
		apd_rt_run_end_cancelled(rt, run);
		break;
	case RUN_EXECUTING:
		stop_executing(rt, run, rollback);
		break;
	case RUN_FINISHING:
	case RUN_ENDED:
		break;
	}
}
