/* Logs of threads: events into them, watches on them, and how long they stay. */
#include "runtime/internal.h"

/* What an ended run that lingers costs beside its log, in bytes. */
#define LINGER_COST (sizeof(struct apd_run) + sizeof(struct apd_run_row) + 512)

struct apd_event_log *apd_rt_thread_log(struct apd_runtime *rt, struct thread *thread)
{
	if (!thread->log) {
		thread->log = apd_event_log_create(
			thread->kept ? rt->seq_floor + 1 : 1, rt->config.ring_bytes);
		apd_event_log_set_owner(thread->log, thread);
		/* A kept thread may have had another one, which is closed. */
		thread->log_closed = false;
		if (rt->shutting_down)
			apd_rt_log_close(rt, thread);
	}
	return thread->log;
}

void apd_rt_logs_note_news(struct apd_runtime *rt, struct thread *thread)
{
	if (!apd_list_empty(&thread->watches) && !apd_list_linked(&thread->news))
		apd_list_append(&rt->news, &thread->news);
}

void apd_rt_log_append(struct apd_runtime *rt, struct apd_run *run, struct apd_event *event)
{
	struct thread *thread = run->thread;
	size_t before;
	uint64_t seq;

	if (!thread->log || thread->log_closed)
		return;
	event->run_id = run->id;
	event->thread_id = thread->id;
	event->attempt = run->attempt;
	event->wall_us = runtime_wall(rt);
	before = apd_event_log_bytes(thread->log);
	seq = apd_event_log_append(thread->log, event);
	rt->logs_bytes += apd_event_log_bytes(thread->log) - before;
	/* With no ended log left to give way, a log pays for itself. */
	if (rt->logs_bytes > rt->config.events_max_bytes && apd_list_empty(&rt->lingering)) {
		before = apd_event_log_bytes(thread->log);
		apd_event_log_evict(thread->log, seq - 1);
		rt->logs_bytes -= before - apd_event_log_bytes(thread->log);
	}
	rt->stats.events++;
	apd_rt_logs_note_news(rt, thread);
}

void apd_rt_log_close(struct apd_runtime *rt, struct thread *thread)
{
	if (!thread->log || thread->log_closed)
		return;
	thread->log_closed = true;
	apd_event_log_close(thread->log);
	apd_rt_logs_note_news(rt, thread);
}

void apd_rt_log_drop(struct apd_runtime *rt, struct thread *thread)
{
	uint64_t last;

	if (!thread->log)
		return;
	apd_rt_log_close(rt, thread);
	apd_list_remove(&thread->news);
	apd_list_splice(&rt->orphans, &thread->watches);
	last = apd_event_log_last(thread->log);
	if (thread->kept && last > rt->seq_floor)
		rt->seq_floor = last;
	rt->logs_bytes -= apd_event_log_bytes(thread->log);
	apd_event_log_set_owner(thread->log, NULL);
	apd_event_log_unref(thread->log);
	thread->log = NULL;
}

/* Calls all watches of a list, which may come and go meanwhile; they end up in *to. */
static void tell_watches(struct apd_list *watches, struct apd_list *to)
{
	struct apd_list local;

	apd_list_init(&local);
	apd_list_splice(&local, watches);
	while (!apd_list_empty(&local)) {
		struct apd_watch *watch = apd_list_first(&local, struct apd_watch, link);

		apd_list_remove(&watch->link);
		if (to)
			apd_list_append(to, &watch->link);
		watch->news(watch);
	}
}

void apd_rt_logs_tell_news(struct apd_runtime *rt)
{
	struct apd_list news;

	apd_list_init(&news);
	apd_list_splice(&news, &rt->news);
	while (!apd_list_empty(&news)) {
		struct thread *thread = apd_list_first(&news, struct thread, news);

		apd_list_remove(&thread->news);
		tell_watches(&thread->watches, &thread->watches);
	}
	/* A log without a thread has one last piece of news: that it was closed. */
	tell_watches(&rt->orphans, NULL);
}

uint32_t apd_rt_thread_channels(const struct thread *thread)
{
	uint32_t channels = 0;

	for (unsigned i = 0; i < APD_COUNT(thread->listeners); i++)
		if (thread->listeners[i])
			channels |= 1u << i;
	return channels;
}

/* Counts the channels of a watch in or out. */
static void count_channels(
	struct apd_runtime *rt, struct thread *thread, uint32_t channels, uint32_t by)
{
	for (unsigned i = 0; i < APD_COUNT(thread->listeners); i++)
		if (channels & 1u << i)
			thread->listeners[i] += by;
	if (thread->active)
		apd_rt_run_update_listening(rt, thread->active);
}

void apd_runtime_watch(struct apd_runtime *rt, struct apd_event_log *log, struct apd_watch *watch)
{
	struct thread *thread = apd_event_log_owner(log);

	watch->log = apd_event_log_ref(log);
	if (!thread) {
		apd_list_append(&rt->orphans, &watch->link);
		return;
	}
	apd_list_append(&thread->watches, &watch->link);
	apd_rt_logs_note_news(rt, thread);
	count_channels(rt, thread, watch->channels, 1);
}

void apd_runtime_unwatch(struct apd_runtime *rt, struct apd_watch *watch)
{
	struct thread *thread;

	if (!watch->log)
		return;
	thread = apd_event_log_owner(watch->log);
	apd_list_remove(&watch->link);
	if (thread)
		count_channels(rt, thread, watch->channels, UINT32_MAX);
	apd_event_log_unref(watch->log);
	watch->log = NULL;
}

/* An ended run's time in memory is over. */
static void run_expire(struct apd_runtime *rt, struct apd_run *run)
{
	apd_rt_logs_unlinger(rt, run);
	apd_rt_run_free(rt, run);
}

static void linger_over(struct apd_runtime *rt, struct timer *timer)
{
	int64_t now = runtime_now(rt);

	while (!apd_list_empty(&rt->lingering)) {
		struct apd_run *run = apd_list_first(&rt->lingering, struct apd_run, linger_link);

		if (run->linger_ns > now) {
			apd_rt_timer_set(rt, timer, run->linger_ns, linger_over);
			return;
		}
		run_expire(rt, run);
	}
}

void apd_rt_logs_linger(struct apd_runtime *rt, struct apd_run *run)
{
	bool first = apd_list_empty(&rt->lingering);

	run->linger_ns = runtime_now(rt) + rt->config.linger_ns;
	apd_list_append(&rt->lingering, &run->linger_link);
	rt->linger_bytes += LINGER_COST;
	if (first)
		apd_rt_timer_set(rt, &rt->linger, run->linger_ns, linger_over);
}

void apd_rt_logs_unlinger(struct apd_runtime *rt, struct apd_run *run)
{
	if (run->linger_ns == 0)
		return;
	run->linger_ns = 0;
	apd_list_remove(&run->linger_link);
	rt->linger_bytes -= LINGER_COST;
}

void apd_rt_logs_trim(struct apd_runtime *rt)
{
	while (rt->logs_bytes + rt->linger_bytes > rt->config.events_max_bytes &&
		!apd_list_empty(&rt->lingering))
		run_expire(rt, apd_list_first(&rt->lingering, struct apd_run, linger_link));
}
