/* The runtime as a whole: making it, its turn (flush), its timers and its numbers. */
#include "runtime/internal.h"

#include <stdlib.h>

/* So often a flush goes round when callbacks make new work; the rest waits for the next turn. */
#define FLUSH_ROUNDS 16

const struct apd_host_sink apd_runtime_sink = {
	.emitted = apd_rt_sink_emitted,
	.commit = apd_rt_sink_commit,
	.asked = apd_rt_sink_asked,
	.done = apd_rt_sink_done,
	.lost = apd_rt_sink_lost,
	.slots = apd_rt_sink_slots,
};

struct apd_runtime *apd_runtime_create(
	const struct apd_runtime_config *config, const struct apd_runtime_deps *deps)
{
	struct apd_runtime *rt = apd_calloc(1, sizeof(*rt));
	struct apd_list *lists[] = {&rt->all_queues, &rt->all, &rt->pool, &rt->all_saves,
		&rt->save_pool, &rt->all_loads, &rt->dead, &rt->dirty, &rt->tell, &rt->news,
		&rt->orphans, &rt->outbox, &rt->refused, &rt->lingering, &rt->idle, &rt->works,
		&rt->answers};

	for (size_t i = 0; i < APD_COUNT(lists); i++)
		apd_list_init(lists[i]);
	rt->config = *config;
	rt->clock = deps->clock;
	rt->storage = deps->storage;
	rt->host = deps->host;
	rt->outbox_fn = deps->outbox;
	rt->outbox_data = deps->outbox_data;
	if (config->seed)
		apd_id_gen_init(&rt->gen, config->seed);
	else
		apd_id_gen_init_random(&rt->gen);
	return rt;
}

void apd_runtime_destroy(struct apd_runtime *rt)
{
	struct apd_run *run;
	struct save *save;

	if (!rt)
		return;
	rt->destroying = true;
	apd_rt_works_free(rt);
	while (!apd_list_empty(&rt->all)) {
		run = apd_list_first(&rt->all, struct apd_run, all);
		/* The host may be gone. */
		run->slot = NULL;
		apd_rt_run_free(rt, run);
	}
	while (!apd_list_empty(&rt->all_saves)) {
		save = apd_list_first(&rt->all_saves, struct save, all);
		apd_rt_save_free(rt, save);
	}
	while (!apd_list_empty(&rt->pool)) {
		run = apd_list_first(&rt->pool, struct apd_run, all);
		apd_list_remove(&run->all);
		free(run);
	}
	while (!apd_list_empty(&rt->save_pool)) {
		save = apd_list_first(&rt->save_pool, struct save, all);
		apd_list_remove(&save->all);
		free(save);
	}
	apd_rt_loads_free(rt);
	apd_rt_threads_finish(rt);
	apd_rt_queue_free_all(rt);
	apd_map_finish(&rt->runs);
	apd_map_finish(&rt->queues);
	apd_heap_finish(&rt->timers);
	apd_json_finish(&rt->json);
	apd_json_finish(&rt->json2);
	apd_buf_finish(&rt->buf);
	apd_buf_finish(&rt->buf2);
	apd_buf_finish(&rt->buf3);
	free(rt);
}

/* True while a flush would do something. */
static bool work_waits(const struct apd_runtime *rt)
{
	return !apd_list_empty(&rt->dirty) || !apd_list_empty(&rt->tell) ||
		!apd_list_empty(&rt->news) || !apd_list_empty(&rt->orphans) ||
		!apd_list_empty(&rt->outbox) || !apd_list_empty(&rt->refused) ||
		!apd_list_empty(&rt->answers) || rt->behind || rt->outbox_news;
}

/* Lets runs start whose slots came free. */
static void pump_queues(struct apd_runtime *rt)
{
	struct apd_list dirty;

	apd_list_init(&dirty);
	apd_list_splice(&dirty, &rt->dirty);
	while (!apd_list_empty(&dirty)) {
		struct queue *queue = apd_list_first(&dirty, struct queue, dirty);

		apd_list_remove(&queue->dirty);
		apd_rt_queue_pump(rt, queue);
	}
}

/* Tells clients what became of their runs. */
static void tell_calls(struct apd_runtime *rt)
{
	struct apd_list tell;

	apd_list_init(&tell);
	apd_list_splice(&tell, &rt->tell);
	while (!apd_list_empty(&tell)) {
		struct apd_run *run = apd_list_first(&tell, struct apd_run, tell_link);

		apd_list_remove(&run->tell_link);
		apd_rt_calls_tell(rt, run);
	}
}

/* Tells the webhooks' thread that there is something to deliver. */
static void tell_outbox(struct apd_runtime *rt)
{
	if (rt->outbox_news && rt->outbox_fn)
		rt->outbox_fn(rt->outbox_data);
	rt->outbox_news = false;
}

void apd_runtime_flush(struct apd_runtime *rt)
{
	if (rt->flushing)
		return;
	rt->flushing = true;
	for (int round = 0; round < FLUSH_ROUNDS && work_waits(rt); round++) {
		pump_queues(rt);
		tell_calls(rt);
		apd_rt_changes_refuse(rt);
		apd_rt_works_tell(rt);
		apd_rt_logs_tell_news(rt);
		apd_rt_saves_flush(rt);
	}
	tell_outbox(rt);
	apd_rt_logs_trim(rt);
	apd_rt_threads_trim(rt);
	apd_rt_runs_bury(rt);
	rt->flushing = false;
	apd_rt_shutdown_check(rt);
}

void apd_rt_timer_set(struct apd_runtime *rt, struct timer *timer, int64_t at_ns,
	void (*fire)(struct apd_runtime *runtime, struct timer *timer))
{
	timer->fire = fire;
	apd_heap_set(&rt->timers, &timer->at, at_ns);
}

void apd_rt_timer_clear(struct apd_runtime *rt, struct timer *timer)
{
	apd_heap_clear(&rt->timers, &timer->at);
}

int64_t apd_runtime_next_timer(const struct apd_runtime *rt)
{
	struct apd_timer *top = apd_heap_top(&rt->timers);

	if (work_waits(rt))
		return runtime_now(rt);
	return top ? top->at_ns : INT64_MAX;
}

void apd_runtime_run_timers(struct apd_runtime *rt)
{
	int64_t now = runtime_now(rt);
	struct apd_timer *top;

	while ((top = apd_heap_top(&rt->timers)) && top->at_ns <= now) {
		struct timer *timer = apd_container_of(top, struct timer, at);

		apd_heap_clear(&rt->timers, top);
		timer->fire(rt, timer);
	}
}

void apd_runtime_stats(const struct apd_runtime *rt, struct apd_runtime_stats *ret_stats)
{
	*ret_stats = rt->stats;
	ret_stats->queued = rt->waiting;
	ret_stats->executing = rt->executing;
	ret_stats->runs = rt->runs.count;
	ret_stats->threads = rt->threads_count;
	ret_stats->logs_bytes = rt->logs_bytes;
}
