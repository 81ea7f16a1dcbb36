/*
 * Commits of runs on kept threads. One at a time is on its way to storage; what
 * comes meanwhile is copied and waits. The agent is answered, and the events
 * enter the log, when the commit is durable.
 */
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>

/* A commit that waits. */
struct waiting {
	struct apd_list link; /* in run.commits */
	struct apd_commit commit; /* its ranges point into text */
	char text[];
};

/* Copies a range behind what was copied before. */
static struct apd_str copy(char **at, struct apd_str s)
{
	struct apd_str to = {*at, s.len};

	if (!s.ptr)
		return APD_STR_ABSENT;
	memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return to;
}

static void keep(struct apd_run *run, const struct apd_commit *commit)
{
	struct waiting *waiting = apd_malloc(sizeof(*waiting) + commit->name.len + commit->ns.len +
		commit->patch.len + commit->removed.len);
	char *at = waiting->text;

	waiting->commit = (struct apd_commit){.number = commit->number};
	waiting->commit.name = copy(&at, commit->name);
	waiting->commit.ns = copy(&at, commit->ns);
	waiting->commit.patch = copy(&at, commit->patch);
	waiting->commit.removed = copy(&at, commit->removed);
	apd_list_append(&run->commits, &waiting->link);
}

void apd_rt_commits_drop(struct apd_run *run)
{
	struct waiting *waiting, *tmp;

	if (!run->commits.next)
		return;
	apd_list_each_safe (waiting, tmp, &run->commits, link)
		free(waiting);
	apd_list_init(&run->commits);
}

/* Makes the checkpoint: AP_OK, or why there is none. */
static ap_status make(struct apd_runtime *rt, struct apd_run *run, const struct apd_commit *commit,
	struct checkpoint_made *ret_made)
{
	struct checkpoint_plan plan = {.source = APD_SOURCE_LOOP,
		.run = run,
		.name = commit->name,
		.ns = commit->ns,
		.removed = commit->removed,
		.change = {.patch = &rt->json, .gen = &rt->gen, .wall_us = runtime_wall(rt)}};

	if (run->rollback)
		return AP_E_CANCELLED;
	if (!run->began_durable)
		return AP_E_UNAVAILABLE;
	if (apd_json_scan(&rt->json, commit->patch) < 0 ||
		apd_json_type(&rt->json, 0) != APD_JSON_OBJECT)
		return AP_E_INVALID;
	if (commit->removed.ptr) {
		if (apd_json_scan(&rt->json2, commit->removed) < 0 ||
			apd_json_type(&rt->json2, 0) != APD_JSON_ARRAY)
			return AP_E_INVALID;
		plan.change.removed = &rt->json2;
	}
	if (apd_rt_checkpoint_make(rt, run->thread, &run->thread->tip, &plan, ret_made) < 0)
		return AP_E_INVALID;
	return AP_OK;
}

/* Hands a commit to storage, or answers it at once. */
static void submit(struct apd_runtime *rt, struct apd_run *run, const struct apd_commit *commit)
{
	struct checkpoint_made made;
	struct save *save;
	ap_status status = make(rt, run, commit, &made);

	if (status != AP_OK) {
		rt->host->ops->committed(rt->host, run->slot, commit->number, status);
		return;
	}
	save = apd_rt_save_create(rt, SAVE_COMMIT, NULL);
	save->run = run;
	save->made = made;
	save->number = commit->number;
	save->attempt = run->attempt;
	run->commit = save;
	apd_batch_put_checkpoint(&save->batch, made.row);
	apd_rt_save_submit(rt, save);
}

/* True while another batch has to come back before the next commit. */
static bool must_wait(const struct apd_run *run)
{
	return run->commit || (run->save && !run->began_durable);
}

void apd_rt_commits_next(struct apd_runtime *rt, struct apd_run *run)
{
	while (run->phase == RUN_EXECUTING && !apd_list_empty(&run->commits) && !must_wait(run)) {
		struct waiting *waiting = apd_list_first(&run->commits, struct waiting, link);

		apd_list_remove(&waiting->link);
		submit(rt, run, &waiting->commit);
		free(waiting);
	}
}

void apd_rt_commit_take(
	struct apd_runtime *rt, struct apd_run *run, const struct apd_commit *commit)
{
	if (must_wait(run) || !apd_list_empty(&run->commits))
		keep(run, commit);
	else
		submit(rt, run, commit);
}

/* The events of a durable commit. */
static void append_events(struct apd_runtime *rt, struct apd_run *run, const struct save *save)
{
	const struct checkpoint_made *made = &save->made;
	struct apd_event event = {.ns = made->ns, .node = made->row->name};

	if (!run->thread->log || run->rollback)
		return;
	event.kind = APD_EVENT_UPDATES;
	event.data = made->patch;
	apd_rt_log_append(rt, run, &event);
	event.kind = APD_EVENT_VALUES;
	event.node = event.data = APD_STR_ABSENT;
	event.state = made->state;
	apd_rt_log_append(rt, run, &event);
	apd_buf_clear(&rt->buf);
	apd_checkpoint_add_json(&rt->buf, made->row);
	event.kind = APD_EVENT_CHECKPOINT;
	event.node = made->row->name;
	event.data = apd_buf_str(&rt->buf);
	event.state = NULL;
	apd_rt_log_append(rt, run, &event);
}

/* The checkpoint is the thread's newest now. */
static void commit_stands(struct apd_runtime *rt, struct apd_run *run, const struct save *save)
{
	apd_rt_thread_advance(run->thread, save->made.row, save->made.state);
	apd_state_unref(run->state);
	run->state = apd_state_ref(save->made.state);
	rt->stats.commits++;
	append_events(rt, run, save);
}

void apd_rt_commit_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	ap_status status = result < 0  ? AP_E_UNAVAILABLE
		: run && run->rollback ? AP_E_CANCELLED
				       : AP_OK;

	if (run) {
		run->commit = NULL;
		if (result == 0)
			commit_stands(rt, run, save);
		/* The attempt that asked may be over, and the slot another one's. */
		if (run->phase == RUN_EXECUTING && run->attempt == save->attempt)
			rt->host->ops->committed(rt->host, run->slot, save->number, status);
	}
	save->run = NULL;
	apd_rt_save_free(rt, save);
	if (!run)
		return;
	if (run->phase == RUN_FINISHING)
		apd_rt_run_finish_go(rt, run);
	else
		apd_rt_commits_next(rt, run);
}
