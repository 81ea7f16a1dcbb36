/* Commits of agents: the next state, and the events that tell of it. */
#include "runtime/internal.h"

#include <errno.h>

#include "base/json_text.h"

/* The checkpoint's object, in the scratch buffer. */
static struct apd_str checkpoint_json(struct apd_runtime *rt, struct apd_run *run)
{
	int64_t wall = runtime_wall(rt);
	struct apd_id id = apd_id_next(&rt->gen, wall);
	struct apd_buf *out = &rt->buf;

	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	apd_json_member_id(out, "checkpoint_id", &id);
	if (run->step)
		apd_json_member_id(out, "parent_checkpoint_id", &run->checkpoint_id);
	apd_json_member_i64(out, "step", run->step);
	apd_json_member_str(out, "source", APD_STR("loop"));
	apd_json_member_time(out, "created_at", wall);
	apd_json_member_id(out, "run_id", &run->id);
	apd_buf_lit(out, "}");
	run->checkpoint_id = id;
	run->step++;
	return apd_buf_str(out);
}

/*
 * The commit stands: its state is the run's, the agent hears of it, and its
 * events enter the log. Where a commit has to be durable first, this is what
 * follows.
 */
static void commit_stands(struct apd_runtime *rt, struct apd_run *run,
	const struct apd_commit *commit, struct apd_state *state)
{
	apd_state_unref(run->state);
	run->state = state;
	rt->stats.commits++;
	rt->host->ops->committed(rt->host, run->slot, commit->number, AP_OK);
	if (!run->thread->log)
		return;
	apd_rt_log_append(rt, run,
		&(struct apd_event){.kind = APD_EVENT_UPDATES,
			.ns = commit->ns,
			.node = commit->name,
			.data = commit->patch});
	apd_rt_log_append(rt, run,
		&(struct apd_event){.kind = APD_EVENT_VALUES, .ns = commit->ns, .state = state});
	apd_rt_log_append(rt, run,
		&(struct apd_event){.kind = APD_EVENT_CHECKPOINT,
			.ns = commit->ns,
			.node = commit->name,
			.data = checkpoint_json(rt, run)});
}

/* The state after the commit: AP_OK, or why there is none. */
static ap_status next_state(struct apd_runtime *rt, struct apd_run *run,
	const struct apd_commit *commit, struct apd_state **ret_state)
{
	if (run->rollback)
		return AP_E_CANCELLED;
	if (apd_json_scan(&rt->json, commit->patch) < 0 ||
		apd_json_type(&rt->json, 0) != APD_JSON_OBJECT)
		return AP_E_INVALID;
	if (commit->removed.ptr &&
		(apd_json_scan(&rt->json2, commit->removed) < 0 ||
			apd_json_type(&rt->json2, 0) != APD_JSON_ARRAY))
		return AP_E_INVALID;
	if (apd_state_apply(run->state,
		    &(struct apd_state_change){.patch = &rt->json,
			    .removed = commit->removed.ptr ? &rt->json2 : NULL,
			    .gen = &rt->gen,
			    .wall_us = runtime_wall(rt)},
		    ret_state, NULL) < 0)
		return AP_E_INVALID;
	return AP_OK;
}

void apd_rt_sink_commit(void *data, struct apd_slot *slot, const struct apd_commit *commit)
{
	struct apd_runtime *rt = data;
	struct apd_run *run = slot->run;
	struct apd_state *state = NULL;
	ap_status status;

	if (!run || run->phase != RUN_EXECUTING)
		return;
	if (run->thread->kept) {
		apd_rt_commit_take(rt, run, commit);
		return;
	}
	status = next_state(rt, run, commit, &state);
	if (status == AP_OK)
		commit_stands(rt, run, commit, state);
	else
		rt->host->ops->committed(rt->host, slot, commit->number, status);
}

void apd_rt_run_take_messages(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_state_change change = {.gen = &rt->gen, .wall_us = runtime_wall(rt)};
	struct apd_state *state;

	if (!run->state)
		run->state = apd_state_empty();
	if (run->messages_in)
		return;
	run->messages_in = true;
	if (run->messages.ptr && apd_json_scan(&rt->json, run->messages) == 0)
		change.messages = &rt->json;
	if (run->update.ptr && apd_json_scan(&rt->json2, run->update) == 0 &&
		apd_json_type(&rt->json2, 0) == APD_JSON_OBJECT)
		change.patch = &rt->json2;
	if (!change.messages && !change.patch)
		return;
	if (apd_state_apply(run->state, &change, &state, NULL) == 0) {
		apd_state_unref(run->state);
		run->state = state;
	}
}
