/* The beginning of a run: what refuses it, its thread, its creation in storage. */
#include "runtime/internal.h"

#include <stdlib.h>

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
	struct thread *thread = spec->has_thread ? apd_rt_thread_find(rt, &spec->thread_id) : NULL;

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
	else if (thread && thread->active)
		refuse(call, APD_PROBLEM_THREAD_BUSY, "The thread has an active run.%.*s",
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
	run->behind = !spec->has_thread && spec->mode != APD_MODE_BACKGROUND && !spec->keep_going;
	run->request = apd_text_ref(spec->request);
	run->body = apd_text_str(run->request);
	run->agent_id = spec->agent_id;
	run->input = spec->input;
	run->messages = spec->messages;
	run->config = spec->config;
	run->metadata = spec->metadata;
}

/* Hands the creation to storage; accepted() follows when it is durable. */
static void create_save(struct apd_runtime *rt, struct apd_run *run)
{
	struct save *save = apd_rt_save_create(rt, SAVE_CREATE, run);

	run->phase = RUN_CREATING;
	save->start = apd_rt_run_make_row(run, NULL);
	save->with_start = run->slot != NULL;
	if (run->create_thread && !run->thread->exists)
		apd_batch_put_thread(&save->batch, &run->thread->id, run->created_us);
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

/* Gives up a run that does not come to be; nobody but its creator can know of it. */
static void create_fail(struct apd_runtime *rt, struct apd_run *run, enum apd_problem_code code)
{
	struct apd_list calls;

	if (run->slot)
		apd_rt_slot_release(rt, run);
	apd_list_init(&calls);
	if (run->creator) {
		apd_list_append(&calls, &apd_rt_call_detach(run->creator)->link);
	}
	/* The run goes first: whoever is called back may make the next one on its thread. */
	apd_rt_run_free(rt, run);
	apd_rt_calls_refuse(&calls, code, true);
}

/* The thread is there: takes a slot or a place in the queue, then creates. */
static void create_begin(struct apd_runtime *rt, struct apd_run *run, struct apd_agent *agent)
{
	struct queue *queue = run->queue = apd_rt_queue_get(rt, run->agent_id);

	if (apd_list_empty(&queue->runs) && apd_rt_slot_acquire(rt, run, agent)) {
		run->attempt = 1;
		run->started_us = run->created_us;
	} else if (apd_rt_queue_has_room(rt, queue, agent)) {
		apd_rt_queue_count(rt, run);
	} else {
		create_fail(rt, run, APD_PROBLEM_QUEUE_FULL);
		return;
	}
	if (run->mode != APD_MODE_WAIT || !run->behind) {
		run->log_before = apd_event_log_last(apd_rt_thread_log(rt, run->thread));
		if (run->mode == APD_MODE_STREAM)
			apd_rt_credit_hold(rt, run);
	}
	if (run->behind)
		create_behind(rt, run);
	else
		create_save(rt, run);
}

/* Whether the thread exists is known now. */
static void create_loaded(struct apd_load *base, int result)
{
	struct thread_load *load = apd_container_of(base, struct thread_load, load);
	struct apd_runtime *rt = load->runtime;
	struct apd_run *run = load->run;
	bool found = load->load.found;
	struct apd_agent *agent;

	apd_list_remove(&load->all);
	free(load);
	rt->loads--;
	if (rt->shutting_down) {
		create_fail(rt, run, APD_PROBLEM_SHUTTING_DOWN);
		return;
	}
	if (result < 0) {
		rt->stats.storage_failures++;
		create_fail(rt, run, APD_PROBLEM_STORAGE_UNAVAILABLE);
		return;
	}
	agent = rt->host->ops->find(rt->host, run->agent_id);
	if (!found)
		create_fail(rt, run, APD_PROBLEM_THREAD_NOT_FOUND);
	else if (run->cancel_later)
		apd_rt_run_free(rt, run);
	else if (!agent)
		create_fail(rt, run, APD_PROBLEM_AGENT_NOT_FOUND);
	else if (agent->state == APD_AGENT_BROKEN)
		create_fail(rt, run, APD_PROBLEM_AGENT_UNAVAILABLE);
	else {
		run->thread->exists = true;
		create_begin(rt, run, agent);
	}
}

static void create_load(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread_load *load = apd_calloc(1, sizeof(*load));

	run->phase = RUN_LOADING;
	load->runtime = rt;
	load->run = run;
	load->load.type = APD_LOAD_THREAD;
	load->load.id = run->thread->id;
	load->load.done = create_loaded;
	apd_list_append(&rt->all_loads, &load->all);
	rt->loads++;
	rt->storage->ops->load(rt->storage, &load->load);
}

void apd_runtime_create_run(
	struct apd_runtime *rt, const struct apd_run_spec *spec, struct apd_run_call *call)
{
	int64_t wall = runtime_wall(rt);
	struct apd_agent *agent;
	struct apd_run *run;
	struct apd_id id, own;

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
	if (!spec->has_thread)
		own = apd_id_next(&rt->gen, wall);
	apd_rt_thread_join(rt, run, spec->has_thread ? &spec->thread_id : &own, spec->has_thread);
	if (spec->has_thread && !spec->create_thread && !run->thread->exists)
		create_load(rt, run);
	else
		create_begin(rt, run, agent);
}

/* A run of which clients may hear now goes its way. */
static void created(struct apd_runtime *rt, struct apd_run *run)
{
	if (run->cancel_later) {
		if (run->slot)
			apd_rt_slot_release(rt, run);
		apd_rt_run_end_cancelled(rt, run);
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

void apd_rt_create_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	if (result < 0) {
		apd_rt_save_free(rt, save);
		create_fail(rt, run, APD_PROBLEM_STORAGE_UNAVAILABLE);
		return;
	}
	run->known = true;
	rt->stats.created++;
	if (run->thread->kept)
		run->thread->exists = true;
	apd_rt_run_set_row(run, apd_run_row_ref(save->start));
	if (save->with_start)
		run->attempt_durable = run->attempt;
	apd_rt_save_free(rt, save);
	if (run->creator) {
		run->accept_due = true;
		apd_rt_calls_tell_later(rt, run);
	}
	created(rt, run);
}
