/* A worker died under a run: the run ends, or is tried again where that does no harm. */
#include "runtime/internal.h"

#include <stdio.h>

/* True if another attempt may be made. */
static bool may_retry(const struct apd_run *run)
{
	return run->agent->retry_safe && run->attempt < run->agent->max_attempts &&
		!run->rollback && !run->cancel_asked && !run->deadline_passed;
}

static void retry(struct apd_runtime *rt, struct apd_run *run)
{
	rt->stats.retried++;
	run->alone = true;
	run->asked = false;
	apd_rt_run_drop_asks(run);
	apd_rt_commits_drop(run);
	apd_rt_queue_push(rt, run, false);
}

static void lost_executing(struct apd_runtime *rt, struct apd_run *run, const char *reason)
{
	char message[256];
	struct ending ending = {.status = APD_RUN_ERROR, .error = APD_RUN_ERROR_AGENT_CRASHED};

	snprintf(message, sizeof(message), "The agent's worker died: %s.", reason);
	apd_rt_open_items_close(rt, run, message);
	if (run->rollback) {
		apd_rt_run_end_cancelled(rt, run);
	} else if (run->shutdown_asked && !run->cancel_asked) {
		apd_rt_run_end_by_shutdown(rt, run);
	} else if (may_retry(run)) {
		retry(rt, run);
	} else {
		ending.message = apd_str(message);
		apd_rt_run_finish(rt, run, &ending);
	}
}

void apd_rt_sink_lost(void *data, struct apd_slot *slot, const char *reason)
{
	struct apd_runtime *rt = data;
	struct apd_run *run = slot->run;

	if (!run)
		return;
	apd_rt_slot_forget(rt, run);
	switch (run->phase) {
	case RUN_CREATING:
		/* It takes its place in the queue when it is durable. */
		apd_rt_queue_count(rt, run);
		break;
	case RUN_STARTING:
		/* Never invoked: its turn was taken from it, so it comes first. */
		apd_rt_queue_push(rt, run, true);
		break;
	case RUN_EXECUTING:
		lost_executing(rt, run, reason);
		break;
	default:
		break;
	}
}
