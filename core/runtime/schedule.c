/* Queues and slots: which run may start, and in which order. */
#include "runtime/internal.h"

#include <stdlib.h>

struct queue *apd_rt_queue_get(struct apd_runtime *rt, struct apd_str agent_id)
{
	struct queue *queue = apd_map_get(&rt->queues, agent_id);

	if (queue)
		return queue;
	queue = apd_calloc(1, sizeof(*queue));
	queue->agent_id = apd_text_create(agent_id);
	apd_list_init(&queue->runs);
	apd_list_init(&queue->alone);
	apd_list_append(&rt->all_queues, &queue->all);
	apd_map_put(&rt->queues, apd_text_str(queue->agent_id), queue);
	return queue;
}

void apd_rt_queue_free_all(struct apd_runtime *rt)
{
	struct queue *queue, *tmp;

	apd_list_each_safe (queue, tmp, &rt->all_queues, all) {
		apd_text_unref(queue->agent_id);
		free(queue);
	}
}

bool apd_rt_queue_has_room(
	struct apd_runtime *rt, struct queue *queue, const struct apd_agent *agent)
{
	return queue->waiting < agent->max_queue && rt->waiting < rt->config.max_queue;
}

void apd_rt_queue_count(struct apd_runtime *rt, struct apd_run *run)
{
	if (run->counted)
		return;
	run->counted = true;
	run->queue->waiting++;
	rt->waiting++;
}

void apd_rt_queue_uncount(struct apd_runtime *rt, struct apd_run *run)
{
	if (!run->counted)
		return;
	run->counted = false;
	run->queue->waiting--;
	rt->waiting--;
}

void apd_rt_queue_mark(struct apd_runtime *rt, struct queue *queue)
{
	if (!apd_list_linked(&queue->dirty))
		apd_list_append(&rt->dirty, &queue->dirty);
}

void apd_rt_queue_push(struct apd_runtime *rt, struct apd_run *run, bool first)
{
	struct apd_list *list = run->alone ? &run->queue->alone : &run->queue->runs;

	run->phase = RUN_QUEUED;
	apd_rt_queue_count(rt, run);
	if (first)
		apd_list_prepend(list, &run->queue_link);
	else
		apd_list_append(list, &run->queue_link);
	apd_rt_queue_mark(rt, run->queue);
}

void apd_rt_queue_remove(struct apd_runtime *rt, struct apd_run *run)
{
	(void)rt;
	apd_list_remove(&run->queue_link);
}

/* Ends all that wait for an agent that is not served any more. */
static void end_all(struct apd_runtime *rt, struct apd_list *list, const struct apd_agent *agent)
{
	struct ending ending = {.status = APD_RUN_ERROR,
		.error = APD_RUN_ERROR_AGENT_REMOVED,
		.message = APD_STR("The agent was removed while the run waited for it.")};

	if (agent) {
		ending.error = APD_RUN_ERROR_AGENT_UNAVAILABLE;
		ending.message =
			agent->reason.len ? agent->reason : APD_STR("The agent is broken.");
	}
	while (!apd_list_empty(list))
		apd_rt_run_finish(rt, apd_list_first(list, struct apd_run, queue_link), &ending);
}

/* Starts what can be started of one list. */
static void start_some(struct apd_runtime *rt, struct apd_list *list, struct apd_agent *agent)
{
	while (!apd_list_empty(list)) {
		struct apd_run *run = apd_list_first(list, struct apd_run, queue_link);

		if (!apd_rt_slot_acquire(rt, run, agent))
			return;
		apd_rt_queue_remove(rt, run);
		apd_rt_run_got_slot(rt, run);
	}
}

void apd_rt_queue_pump(struct apd_runtime *rt, struct queue *queue)
{
	struct apd_agent *agent;

	if (rt->shutting_down || (apd_list_empty(&queue->runs) && apd_list_empty(&queue->alone)))
		return;
	agent = rt->host->ops->find(rt->host, apd_text_str(queue->agent_id));
	if (!agent || agent->state == APD_AGENT_BROKEN) {
		end_all(rt, &queue->alone, agent);
		end_all(rt, &queue->runs, agent);
		return;
	}
	start_some(rt, &queue->alone, agent);
	start_some(rt, &queue->runs, agent);
}

void apd_rt_sink_slots(void *data, struct apd_str agent_id)
{
	struct apd_runtime *rt = data;
	struct queue *queue = apd_map_get(&rt->queues, agent_id);

	if (queue)
		apd_rt_queue_mark(rt, queue);
}

bool apd_rt_slot_acquire(struct apd_runtime *rt, struct apd_run *run, struct apd_agent *agent)
{
	struct apd_slot *slot = rt->host->ops->acquire(rt->host, run->agent_id, run->alone);

	if (!slot)
		return false;
	slot->run = run;
	run->slot = slot;
	rt->executing++;
	if (run->agent != agent) {
		apd_agent_unref(run->agent);
		run->agent = apd_agent_ref(agent);
	}
	return true;
}

void apd_rt_slot_forget(struct apd_runtime *rt, struct apd_run *run)
{
	run->slot->run = NULL;
	run->slot = NULL;
	rt->executing--;
	apd_rt_timer_clear(rt, &run->stop);
	apd_rt_timer_clear(rt, &run->stall);
	apd_rt_queue_mark(rt, run->queue);
}

void apd_rt_slot_release(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_slot *slot = run->slot;

	apd_rt_slot_forget(rt, run);
	rt->host->ops->release(rt->host, slot);
}

void apd_rt_slot_abandon(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_slot *slot = run->slot;

	apd_rt_slot_forget(rt, run);
	rt->host->ops->abandon(rt->host, slot);
}
