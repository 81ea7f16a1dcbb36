/* Who waits for a run: joining, telling, leaving. */
#include "runtime/internal.h"

#include <errno.h>

void apd_rt_call_add(struct apd_run *run, struct apd_run_call *call, enum apd_run_mode mode)
{
	call->run = run;
	call->mode = mode;
	call->row = NULL;
	call->log = NULL;
	call->creator = false;
	apd_list_append(&run->calls, &call->link);
}

/* The call's last callback is near: the run forgets it. */
struct apd_run_call *apd_rt_call_detach(struct apd_run_call *call)
{
	struct apd_run *run = call->run;

	if (!run)
		return call;
	apd_list_remove(&call->link);
	if (run->creator == call)
		run->creator = NULL;
	call->run = NULL;
	return call;
}

void apd_rt_call_refuse(struct apd_run_call *call, const struct apd_problem *problem)
{
	apd_rt_call_detach(call);
	if (call->ops->refused)
		call->ops->refused(call, problem);
}

const char *apd_rt_refusal(enum apd_problem_code code)
{
	switch (code) {
	case APD_PROBLEM_SHUTTING_DOWN:
		return "The server is shutting down.";
	case APD_PROBLEM_STORAGE_UNAVAILABLE:
		return "The storage does not take changes at the moment.";
	case APD_PROBLEM_QUEUE_FULL:
		return "Too many runs are waiting.";
	case APD_PROBLEM_THREAD_NOT_FOUND:
		return "There is no such thread.";
	case APD_PROBLEM_AGENT_NOT_FOUND:
		return "The agent is not served any more.";
	case APD_PROBLEM_AGENT_UNAVAILABLE:
		return "The agent is broken.";
	default:
		return "The run is gone.";
	}
}

void apd_rt_calls_refuse(struct apd_list *list, enum apd_problem_code code, bool background)
{
	struct apd_list calls, kept;
	struct apd_problem problem;

	apd_problem_set(&problem, code, "%s", apd_rt_refusal(code));
	apd_list_init(&calls);
	apd_list_init(&kept);
	apd_list_splice(&calls, list);
	while (!apd_list_empty(&calls)) {
		struct apd_run_call *call = apd_list_first(&calls, struct apd_run_call, link);

		if (call->creator && call->mode == APD_MODE_BACKGROUND && !background) {
			apd_list_remove(&call->link);
			apd_list_append(&kept, &call->link);
		} else {
			apd_list_remove(&call->link);
			apd_rt_call_refuse(call, &problem);
		}
	}
	apd_list_splice(list, &kept);
}

void apd_rt_calls_tell_later(struct apd_runtime *rt, struct apd_run *run)
{
	if (!apd_list_linked(&run->tell_link))
		apd_list_append(&rt->tell, &run->tell_link);
}

/* Tells the creator that its run exists. */
static void tell_accepted(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_run_call *call = run->creator;

	run->accept_due = false;
	if (!call || call->mode == APD_MODE_WAIT)
		return;
	call->row = apd_rt_run_told_row(run);
	call->log = apd_rt_thread_log(rt, run->thread);
	call->log_seq = run->log_before;
	if (call->mode == APD_MODE_BACKGROUND)
		apd_rt_call_detach(call);
	if (call->ops->accepted)
		call->ops->accepted(call);
}

/* Tells all who wait that the run is over. */
static void tell_ended(struct apd_run *run)
{
	run->end_due = false;
	while (!apd_list_empty(&run->calls)) {
		struct apd_run_call *call = apd_list_first(&run->calls, struct apd_run_call, link);

		call->row = apd_rt_run_told_row(run);
		call->log = run->thread->log;
		apd_rt_call_detach(call);
		if (call->ops->ended)
			call->ops->ended(call);
	}
}

void apd_rt_calls_tell(struct apd_runtime *rt, struct apd_run *run)
{
	if (run->accept_due) {
		tell_accepted(rt, run);
		apd_rt_run_update_listening(rt, run);
	}
	if (run->end_due) {
		tell_ended(run);
		apd_rt_output_lighten(run);
	}
	apd_rt_run_settle(rt, run);
}

/* Tells a call at once what it wants to know of a run that is over. */
static void tell_at_once(struct apd_run *run, struct apd_run_call *call)
{
	call->row = apd_rt_run_told_row(run);
	call->log = run->thread->log;
	if (call->mode == APD_MODE_STREAM && call->ops->accepted)
		call->ops->accepted(call);
	call->run = NULL;
	if (call->ops->ended)
		call->ops->ended(call);
}

/* Sees to it that there is a log to read; the number that the joiner starts behind. */
static uint64_t log_for_joiner(struct apd_runtime *rt, struct apd_run *run)
{
	bool late = run->phase == RUN_ENDED && !run->thread->log;
	uint64_t seq = apd_event_log_last(apd_rt_thread_log(rt, run->thread));

	/* Nobody read this run while it ran; its end, at least, can be read. */
	if (late)
		apd_rt_log_end(rt, run, run->row);
	return seq;
}

int apd_runtime_join_run(struct apd_runtime *rt, const struct apd_id *run_id,
	enum apd_run_mode mode, struct apd_run_call *call)
{
	struct apd_run *run = apd_rt_run_find(rt, run_id);

	call->run = NULL;
	/* The output of a run that was told already is the state at a checkpoint, in storage. */
	if (!run ||
		(mode == APD_MODE_WAIT && !run->end_due && run->phase == RUN_ENDED &&
			run->row->at_checkpoint))
		return -ENOENT;
	if (mode == APD_MODE_STREAM)
		call->log_seq = log_for_joiner(rt, run);
	call->creator = false;
	call->mode = mode;
	if (run->phase == RUN_ENDED) {
		tell_at_once(run, call);
		return 0;
	}
	apd_rt_call_add(run, call, mode);
	if (mode == APD_MODE_STREAM) {
		call->row = apd_rt_run_told_row(run);
		call->log = run->thread->log;
		if (call->ops->accepted)
			call->ops->accepted(call);
	}
	return 0;
}

void apd_runtime_leave(struct apd_runtime *rt, struct apd_run_call *call)
{
	struct apd_run *run = call->run;
	bool creator = call->creator;

	if (!run)
		return;
	apd_rt_call_detach(call);
	if (!creator || call->mode == APD_MODE_BACKGROUND)
		return;
	apd_rt_credit_let_go(rt, run);
	apd_rt_run_update_listening(rt, run);
	if (!run->keep_going)
		apd_rt_run_cancel(rt, run, false);
}

void apd_runtime_taken(struct apd_runtime *rt, struct apd_run_call *call, uint64_t seq)
{
	if (call->run && call->creator)
		apd_rt_credit_taken(rt, call->run, seq);
}

int apd_runtime_cancel_run(struct apd_runtime *rt, const struct apd_id *run_id, bool rollback,
	struct apd_run_call *call)
{
	struct apd_run *run = apd_rt_run_find(rt, run_id);

	if (call)
		call->run = NULL;
	if (!run)
		return -ENOENT;
	if (run->phase == RUN_ENDED) {
		if (call) {
			call->mode = APD_MODE_WAIT;
			call->creator = false;
			tell_at_once(run, call);
		}
		return 0;
	}
	if (call)
		apd_rt_call_add(run, call, APD_MODE_WAIT);
	apd_rt_run_cancel(rt, run, rollback);
	return 0;
}
