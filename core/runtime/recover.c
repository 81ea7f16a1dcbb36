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

/* Takes from the stored request what a run needs; -EINVAL where it is not what was written. */
static int take_request(struct apd_runtime *rt, struct apd_run *run, struct apd_str request)
{
	if (apd_json_scan(&rt->json, request) < 0 || apd_json_type(&rt->json, 0) != APD_JSON_OBJECT)
		return -EINVAL;
	run->input = member(&rt->json, APD_STR("input"));
	run->messages = member(&rt->json, APD_STR("messages"));
	run->config = member(&rt->json, APD_STR("config"));
	return 0;
}

/* Makes the run of a row. */
static struct apd_run *revive(struct apd_runtime *rt, struct apd_run_row *row)
{
	struct apd_run *run = apd_rt_run_create(rt, &row->run_id);
	bool kept = !(row->flags & APD_RUN_ROW_EPHEMERAL);

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
	run->phase = RUN_QUEUED;
	run->queue = apd_rt_queue_get(rt, run->agent_id);
	apd_rt_thread_join(rt, run, &row->thread_id, kept);
	run->thread->exists = kept;
	run->log_before = apd_event_log_last(apd_rt_thread_log(rt, run->thread));
	return run;
}

/* Decides what becomes of a run that was pending. */
static void recover_run(struct apd_runtime *rt, struct apd_run_row *row)
{
	struct apd_agent *agent = rt->host->ops->find(rt->host, row->agent_id);
	struct apd_run *run = revive(rt, row);
	bool again = agent && agent->retry_safe && run->attempt < agent->max_attempts;
	struct ending ending = {.status = APD_RUN_ERROR,
		.error = APD_RUN_ERROR_DAEMON_RESTARTED,
		.message = APD_STR("The server was restarted while the run was executing.")};

	if (take_request(rt, run, row->request) < 0) {
		ending.message = APD_STR("The run's stored request cannot be read.");
		apd_rt_run_finish(rt, run, &ending);
	} else if (run->started_us == 0 || again) {
		if (run->started_us)
			rt->stats.retried++;
		run->alone = run->started_us != 0;
		apd_rt_queue_push(rt, run, false);
	} else {
		apd_rt_run_finish(rt, run, &ending);
	}
}

static void loaded(struct apd_load *load, int result)
{
	struct apd_runtime *rt = apd_container_of(load, struct apd_runtime, recover_load);

	rt->loads--;
	for (size_t i = 0; i < load->n_runs; i++) {
		if (result == 0)
			recover_run(rt, load->runs[i]);
		apd_run_row_unref(load->runs[i]);
	}
	free(load->runs);
	load->runs = NULL;
	load->n_runs = 0;
	rt->recovered(rt->recover_data, result);
}

void apd_runtime_recover(struct apd_runtime *rt, void (*done)(void *data, int result), void *data)
{
	rt->recovered = done;
	rt->recover_data = data;
	rt->recover_load = (struct apd_load){.type = APD_LOAD_ACTIVE_RUNS, .done = loaded};
	rt->loads++;
	rt->storage->ops->load(rt->storage, &rt->recover_load);
}
