/* What an earlier life left: its pending runs are queued again, or end. */
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>

/* The bytes of a member of the request, or absent. */
static struct apd_str member(const struct apd_json *json, struct apd_str key)
{
	uint32_t i = apd_json_given(json, 0, key);

	return i ? apd_json_slice(json, i) : APD_STR_ABSENT;
}

/* What stands between the quotes of a string member that needs no escapes, or absent. */
static struct apd_str word(const struct apd_json *json, struct apd_str key)
{
	struct apd_str s = member(json, key);

	return s.len >= 2 && s.ptr[0] == '"' ? (struct apd_str){s.ptr + 1, s.len - 2}
					     : APD_STR_ABSENT;
}

/* Takes what is in the request's command. */
static void take_command(const struct apd_json *json, struct apd_run *run)
{
	uint32_t i = apd_json_given(json, 0, APD_STR("command"));
	struct {
		struct apd_str *to;
		struct apd_str key;
	} members[] = {{&run->resume, APD_STR("resume")}, {&run->update, APD_STR("update")},
		{&run->jump, APD_STR("goto")}};

	if (!i || apd_json_type(json, i) != APD_JSON_OBJECT)
		return;
	for (size_t n = 0; n < APD_COUNT(members); n++) {
		/* Only what says something was written down: also null is an answer. */
		uint32_t k = apd_json_member(json, i, members[n].key);

		if (k)
			*members[n].to = apd_json_slice(json, k);
	}
}

static enum apd_multitask multitask_of(struct apd_str s)
{
	if (apd_str_is(s, "enqueue"))
		return APD_MULTITASK_ENQUEUE;
	if (apd_str_is(s, "interrupt"))
		return APD_MULTITASK_INTERRUPT;
	return apd_str_is(s, "rollback") ? APD_MULTITASK_ROLLBACK : APD_MULTITASK_REJECT;
}

/* Takes from the stored request what a run needs; -EINVAL where it is not what was written. */
static int take_request(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_json *json = &rt->json;

	if (apd_json_scan(json, run->body) < 0 || apd_json_type(json, 0) != APD_JSON_OBJECT)
		return -EINVAL;
	run->input = member(json, APD_STR("input"));
	run->messages = member(json, APD_STR("messages"));
	run->config = member(json, APD_STR("config"));
	run->webhook = word(json, APD_STR("webhook"));
	run->multitask = multitask_of(word(json, APD_STR("multitask_strategy")));
	take_command(json, run);
	return 0;
}

/* Puts the run among those of its kept thread: one that began goes before all others. */
static void enter(struct apd_runtime *rt, struct apd_run *run, const struct apd_id *thread_id)
{
	struct thread *thread = run->thread = apd_rt_thread_get(rt, thread_id);
	struct apd_run *other = thread->active;

	if (other && run->began && !other->began) {
		apd_list_prepend(&thread->turns, &other->turn_link);
		thread->active = NULL;
	}
	apd_rt_thread_enter(rt, run);
	apd_rt_queue_count(rt, run);
}

/* Makes the run of a row. */
static struct apd_run *revive(struct apd_runtime *rt, struct apd_run_row *row)
{
	struct apd_run *run = apd_rt_run_create(rt, &row->run_id);

	run->mode = row->flags & APD_RUN_ROW_BACKGROUND ? APD_MODE_BACKGROUND : APD_MODE_WAIT;
	run->keep_going = row->flags & APD_RUN_ROW_CONTINUE;
	run->delete_thread = row->flags & APD_RUN_ROW_DELETE_THREAD;
	run->known = true;
	run->row = apd_run_row_ref(row);
	run->request = apd_text_ref(row->request_text);
	run->body = row->request;
	run->agent_id = row->agent_id;
	run->metadata = row->metadata;
	run->created_us = row->created_us;
	run->updated_us = row->updated_us;
	run->started_us = row->started_us;
	run->attempt = run->attempt_durable = row->attempt;
	run->invoked = row->attempt > 0;
	run->began = run->began_durable = row->has_base;
	run->base_id = row->base_id;
	run->phase = RUN_WAITING;
	run->queue = apd_rt_queue_get(rt, run->agent_id);
	if (row->flags & APD_RUN_ROW_EPHEMERAL)
		apd_rt_thread_own(rt, run, &row->thread_id);
	else
		enter(rt, run, &row->thread_id);
	return run;
}

/* Ends a run that cannot go on. */
static void give_up(struct apd_runtime *rt, struct apd_run *run, const char *why)
{
	struct ending ending = {.status = APD_RUN_ERROR,
		.error = APD_RUN_ERROR_DAEMON_RESTARTED,
		.message = apd_str(why)};

	apd_rt_run_finish(rt, run, &ending);
}

/* Decides what becomes of a run whose turn it is. */
static void decide(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_agent *agent = rt->host->ops->find(rt->host, run->agent_id);
	bool again = agent && agent->retry_safe && run->attempt < agent->max_attempts;

	if (take_request(rt, run) < 0) {
		give_up(rt, run, "The run's stored request cannot be read.");
	} else if (run->started_us == 0 || again) {
		if (run->started_us)
			rt->stats.retried++;
		run->alone = run->started_us != 0;
		run->log_before = apd_event_log_last(apd_rt_thread_log(rt, run->thread));
		apd_rt_queue_push(rt, run, false);
	} else {
		give_up(rt, run, "The server was restarted while the run was executing.");
	}
}

/* Those that wait for it do so again; who was created to take its place does. */
static void decide_waiting(struct apd_runtime *rt, struct thread *thread)
{
	struct apd_run *run, *tmp;

	apd_list_each_safe (run, tmp, &thread->turns, turn_link) {
		if (take_request(rt, run) < 0)
			give_up(rt, run, "The run's stored request cannot be read.");
		else
			apd_rt_strategy_apply(rt, run);
	}
}

/* One thread less to be read. */
static void recovered_one(struct apd_runtime *rt)
{
	if (--rt->recovering == 0)
		rt->recovered(rt->recover_data, rt->recover_result);
}

/* The thread of a run is known. */
static void recover_go(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct apd_run *run = apd_container_of(demand, struct apd_run, demand);
	struct thread *thread = run->thread;

	if (result < 0) {
		rt->recover_result = result;
	} else if (!rt->shutting_down) {
		decide(rt, run);
		decide_waiting(rt, thread);
	}
	recovered_one(rt);
}

static void recover_drop(struct apd_runtime *rt, struct demand *demand)
{
	(void)demand;
	recovered_one(rt);
}

static void recover_move(struct demand *demand, struct thread *to)
{
	(void)demand;
	(void)to;
}

/* Decides what becomes of all that was read; threads have to be read first. */
static void decide_all(struct apd_runtime *rt)
{
	struct apd_run *run, *tmp;

	apd_list_each_safe (run, tmp, &rt->all, all) {
		if (!run->thread->kept) {
			decide(rt, run);
		} else if (run->thread->active == run) {
			run->demand = (struct demand){
				.go = recover_go, .drop = recover_drop, .move = recover_move};
			rt->recovering++;
			apd_rt_demand_add(rt, run->thread, &run->demand);
		}
	}
}

static void loaded(struct apd_load *load, int result)
{
	struct apd_runtime *rt = apd_container_of(load, struct apd_runtime, recover_load);

	rt->loads--;
	for (size_t i = 0; i < load->n_runs; i++) {
		if (result == 0)
			revive(rt, load->runs[i]);
		apd_run_row_unref(load->runs[i]);
	}
	free(load->runs);
	load->runs = NULL;
	load->n_runs = 0;
	rt->recover_result = result;
	rt->recovering = 1;
	decide_all(rt);
	recovered_one(rt);
}

void apd_runtime_recover(struct apd_runtime *rt, void (*done)(void *data, int result), void *data)
{
	rt->recovered = done;
	rt->recover_data = data;
	rt->recover_load = (struct apd_load){.type = APD_LOAD_ACTIVE_RUNS, .done = loaded};
	rt->loads++;
	rt->storage->ops->load(rt->storage, &rt->recover_load);
}
