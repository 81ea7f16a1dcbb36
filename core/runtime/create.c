/* The beginning of a run: what refuses it, its thread, its creation in storage. */
#include "runtime/internal.h"

#include <errno.h>

/* Refuses a call that has no run yet. */
static void refuse(
	struct apd_run_call *call, enum apd_problem_code code, const char *fmt, struct apd_str what)
{
	struct apd_problem problem;

	apd_problem_set(&problem, code, fmt, APD_STR_FMT(what));
	apd_rt_call_refuse(call, &problem);
}

/* What can be said before a run is made; the agent, or NULL when the call was refused. */
static struct apd_agent *admit(
	struct apd_runtime *rt, const struct apd_run_spec *spec, struct apd_run_call *call)
{
	struct apd_agent *agent = NULL;

	if (rt->shutting_down) {
		refuse(call, APD_PROBLEM_SHUTTING_DOWN, "The server is shutting down.%.*s",
			APD_STR_ABSENT);
		return NULL;
	}
	agent = rt->host->ops->find(rt->host, spec->agent_id);
	if (!agent)
		refuse(call, APD_PROBLEM_AGENT_NOT_FOUND, "There is no agent \"%.*s\".",
			spec->agent_id);
	else if (agent->state == APD_AGENT_BROKEN)
		refuse(call, APD_PROBLEM_AGENT_UNAVAILABLE, "The agent is broken: %.*s.",
			agent->reason);
	else if (agent->needs_thread && !spec->has_thread)
		refuse(call, APD_PROBLEM_THREAD_REQUIRED,
			"The agent \"%.*s\" needs a thread: give a thread_id.", spec->agent_id);
	else if (spec->resume.ptr && !spec->has_thread)
		refuse(call, APD_PROBLEM_NOT_INTERRUPTED,
			"command.resume: without a thread there is no question.%.*s",
			APD_STR_ABSENT);
	else
		return agent;
	return NULL;
}

/* Copies what the run needs of its specification. */
static void take_spec(struct apd_run *run, const struct apd_run_spec *spec)
{
	run->mode = spec->mode;
	run->keep_going = spec->keep_going;
	run->delete_thread = spec->delete_thread && spec->has_thread;
	run->create_thread = spec->create_thread && spec->has_thread;
	run->behind = !spec->has_thread && spec->mode != APD_MODE_BACKGROUND && !spec->keep_going &&
		!spec->webhook.ptr;
	run->multitask = spec->multitask;
	run->request = apd_text_ref(spec->request);
	run->body = apd_text_str(run->request);
	run->agent_id = spec->agent_id;
	run->input = spec->input;
	run->messages = spec->messages;
	run->config = spec->config;
	run->metadata = spec->metadata;
	run->webhook = spec->webhook;
	run->resume = spec->resume;
	run->update = spec->update;
	run->jump = spec->jump;
}

/* Hands the creation to storage; accepted() follows when it is durable. */
static void create_save(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;
	struct save *save = apd_rt_save_create(rt, SAVE_CREATE, run);

	run->phase = RUN_CREATING;
	if (thread->kept && thread->phase == THREAD_ABSENT) {
		save->thread_row =
			apd_rt_thread_row_new(&thread->id, APD_STR_ABSENT, run->created_us);
		apd_batch_put_thread(&save->batch, save->thread_row);
		apd_rt_thread_hold(thread);
	}
	save->with_start = run->slot != NULL;
	if (thread->kept && run->slot)
		apd_rt_run_begin(rt, run, save);
	save->start = apd_rt_run_make_row(run, NULL);
	apd_batch_put_run(&save->batch, save->start);
	apd_rt_save_submit(rt, save);
}

/* A write-behind run exists as soon as it is made. */
static void create_behind(struct apd_runtime *rt, struct apd_run *run)
{
	run->known = true;
	rt->stats.created++;
	if (run->mode == APD_MODE_STREAM) {
		run->accept_due = true;
		apd_rt_calls_tell_later(rt, run);
	}
	if (run->slot)
		apd_rt_run_invoke(rt, run);
	else
		apd_rt_queue_push(rt, run, false);
}

/* Gives up a run that does not come to be, and says why. */
static void create_refuse(
	struct apd_runtime *rt, struct apd_run *run, const struct apd_problem *problem)
{
	struct apd_run_call *call = run->creator;

	if (run->slot)
		apd_rt_slot_release(rt, run);
	if (call)
		apd_rt_call_detach(call);
	/* The run goes first: whoever is called back may make the next one on its thread. */
	apd_rt_run_free(rt, run);
	if (call)
		apd_rt_call_refuse(call, problem);
}

void apd_rt_create_fail(struct apd_runtime *rt, struct apd_run *run, enum apd_problem_code code)
{
	struct apd_problem problem;

	apd_problem_set(&problem, code, "%s", apd_rt_refusal(code));
	create_refuse(rt, run, &problem);
}

/* Takes a slot if one is free and it is the run's turn, else a place among those that wait. */
static bool take_place(struct apd_runtime *rt, struct apd_run *run, struct apd_agent *agent)
{
	struct queue *queue = run->queue = apd_rt_queue_get(rt, run->agent_id);

	if (run->thread->active == run && apd_list_empty(&queue->runs) &&
		apd_rt_slot_acquire(rt, run, agent)) {
		run->attempt = 1;
		run->started_us = run->created_us;
		return true;
	}
	if (!apd_rt_queue_has_room(rt, queue, agent))
		return false;
	apd_rt_queue_count(rt, run);
	return true;
}

/* The thread is there: takes a slot or a place in the queue, then creates. */
static void create_begin(struct apd_runtime *rt, struct apd_run *run, struct apd_agent *agent)
{
	if (!take_place(rt, run, agent)) {
		apd_rt_create_fail(rt, run, APD_PROBLEM_QUEUE_FULL);
		return;
	}
	/* Who only waits for the result reads no events. */
	if (run->mode != APD_MODE_WAIT) {
		run->log_before = apd_event_log_last(apd_rt_thread_log(rt, run->thread));
		if (run->mode == APD_MODE_STREAM)
			apd_rt_credit_hold(rt, run);
	}
	if (run->behind)
		create_behind(rt, run);
	else
		create_save(rt, run);
}

/* The thread is known: whether the run can be on it, and in which order, is decided here. */
static void create_known(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_agent *agent = rt->host->ops->find(rt->host, run->agent_id);
	struct apd_problem problem;

	if (run->thread->phase == THREAD_ABSENT && !run->create_thread) {
		apd_rt_create_fail(rt, run, APD_PROBLEM_THREAD_NOT_FOUND);
	} else if (!agent) {
		apd_rt_create_fail(rt, run, APD_PROBLEM_AGENT_NOT_FOUND);
	} else if (agent->state == APD_AGENT_BROKEN) {
		apd_rt_create_fail(rt, run, APD_PROBLEM_AGENT_UNAVAILABLE);
	} else if (apd_rt_strategy_check(rt, run, &problem) < 0) {
		create_refuse(rt, run, &problem);
	} else {
		apd_rt_thread_enter(rt, run);
		create_begin(rt, run, agent);
	}
}

/* It is the run's turn at its thread's door. */
static void create_go(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct apd_run *run = apd_container_of(demand, struct apd_run, demand);

	if (rt->shutting_down)
		apd_rt_create_fail(rt, run, APD_PROBLEM_SHUTTING_DOWN);
	else if (result < 0)
		apd_rt_create_fail(rt, run, APD_PROBLEM_STORAGE_UNAVAILABLE);
	else if (run->cancel_later)
		apd_rt_run_free(rt, run);
	else
		create_known(rt, run);
}

static void create_drop(struct apd_runtime *rt, struct demand *demand)
{
	apd_rt_create_fail(
		rt, apd_container_of(demand, struct apd_run, demand), APD_PROBLEM_SHUTTING_DOWN);
}

static void create_move(struct demand *demand, struct thread *to)
{
	apd_container_of(demand, struct apd_run, demand)->thread = to;
}

/* Puts the run among what waits for its thread. */
static void create_demand(struct apd_runtime *rt, struct apd_run *run, struct thread *thread)
{
	run->thread = thread;
	run->phase = RUN_LOADING;
	run->demand = (struct demand){.go = create_go, .drop = create_drop, .move = create_move};
	apd_rt_demand_add(rt, thread, &run->demand);
}

void apd_runtime_create_run(
	struct apd_runtime *rt, const struct apd_run_spec *spec, struct apd_run_call *call)
{
	int64_t wall = runtime_wall(rt);
	struct apd_agent *agent;
	struct apd_run *run;
	struct apd_id id;

	call->run = NULL;
	agent = admit(rt, spec, call);
	if (!agent)
		return;
	id = apd_id_next(&rt->gen, wall);
	run = apd_rt_run_create(rt, &id);
	take_spec(run, spec);
	run->created_us = run->updated_us = wall;
	apd_rt_call_add(run, call, spec->mode);
	call->creator = true;
	run->creator = call;
	if (spec->has_thread) {
		create_demand(rt, run, apd_rt_thread_get(rt, &spec->thread_id));
		return;
	}
	id = apd_id_next(&rt->gen, wall);
	apd_rt_thread_own(rt, run, &id);
	create_begin(rt, run, agent);
}

/* A run of which clients may hear now goes its way. */
static void created(struct apd_runtime *rt, struct apd_run *run)
{
	bool turn = run->thread->active == run;

	if (run->cancel_later) {
		if (run->slot)
			apd_rt_slot_release(rt, run);
		apd_rt_run_end_cancelled(rt, run);
	} else if (!turn) {
		run->phase = RUN_WAITING;
		if (!rt->shutting_down)
			apd_rt_strategy_apply(rt, run);
	} else if (rt->shutting_down) {
		if (run->slot)
			apd_rt_slot_release(rt, run);
		apd_rt_run_requeue_at_shutdown(rt, run);
	} else if (run->slot) {
		apd_rt_run_invoke(rt, run);
	} else {
		apd_rt_queue_push(rt, run, false);
	}
}

/* The thread has vanished from storage since it was read: it is read again, once. */
static void create_again(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;

	if (run->slot)
		apd_rt_slot_release(rt, run);
	apd_rt_queue_uncount(rt, run);
	apd_rt_credit_let_go(rt, run);
	apd_rt_run_unbegin(run);
	run->attempt = 0;
	run->started_us = 0;
	run->reloaded = true;
	apd_list_remove(&run->thread_link);
	apd_rt_thread_turn_over(rt, run);
	if (!thread->gone)
		apd_rt_thread_deleted(rt, thread);
	create_demand(rt, run, apd_rt_thread_get(rt, &thread->id));
	apd_rt_thread_pump(rt, thread);
}

/* The creation failed: the run does not come to be. */
static void create_failed(struct apd_runtime *rt, struct apd_run *run, bool again, int result)
{
	if (result == -ENOENT && again)
		create_again(rt, run);
	else
		apd_rt_create_fail(rt, run,
			result == -ENOENT ? APD_PROBLEM_THREAD_NOT_FOUND
					  : APD_PROBLEM_STORAGE_UNAVAILABLE);
}

/* What the batch says is so. */
static void take_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run)
{
	struct thread *thread = run->thread;

	run->known = true;
	rt->stats.created++;
	if (save->thread_row) {
		thread->phase = THREAD_THERE;
		apd_rt_thread_set_row(thread, apd_thread_row_ref(save->thread_row));
	}
	apd_rt_run_set_row(run, apd_run_row_ref(save->start));
	apd_rt_run_began(run, save);
	if (save->with_start)
		run->attempt_durable = run->attempt;
	if (run->creator) {
		run->accept_due = true;
		apd_rt_calls_tell_later(rt, run);
	}
}

void apd_rt_create_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	struct thread *thread = run->thread;
	bool made_thread = save->thread_row;

	if (result == 0)
		take_saved(rt, save, run);
	apd_rt_save_free(rt, save);
	if (result == 0)
		created(rt, run);
	else
		create_failed(rt, run, thread->kept && !made_thread && !run->reloaded, result);
	/* Nothing else was done with the thread until it was known whether there is one. */
	if (made_thread)
		apd_rt_thread_unhold(rt, thread);
}
