/* Threads in memory: an ephemeral run's own, and kept ones while somebody needs them. */
#include "runtime/internal.h"

#include <stdlib.h>

/* What threads that nobody needs may weigh, and what each costs beside its state. */
#define IDLE_BYTES_MAX ((size_t)64 << 20)
#define IDLE_COST      (sizeof(struct thread) + 1024)

struct thread *apd_rt_thread_find(struct apd_runtime *rt, const struct apd_id *id)
{
	return apd_map_get(&rt->threads, apd_id_key(id));
}

static void thread_init(struct apd_runtime *rt, struct thread *thread, const struct apd_id *id)
{
	thread->id = *id;
	apd_list_init(&thread->turns);
	apd_list_init(&thread->demands);
	apd_list_init(&thread->runs);
	apd_list_init(&thread->watches);
	rt->threads_count++;
}

void apd_rt_thread_own(struct apd_runtime *rt, struct apd_run *run, const struct apd_id *id)
{
	thread_init(rt, &run->own, id);
	run->thread = &run->own;
	run->own.active = run;
}

/* Makes a kept thread of which nothing is known. */
static struct thread *thread_create(struct apd_runtime *rt, const struct apd_id *id)
{
	struct thread *thread = apd_calloc(1, sizeof(*thread));

	thread_init(rt, thread, id);
	thread->kept = true;
	apd_map_put(&rt->threads, apd_id_key(&thread->id), thread);
	return thread;
}

struct thread *apd_rt_thread_get(struct apd_runtime *rt, const struct apd_id *id)
{
	struct thread *thread = apd_rt_thread_find(rt, id);

	return thread ? thread : thread_create(rt, id);
}

void apd_rt_thread_enter(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;

	(void)rt;
	apd_list_append(&thread->runs, &run->thread_link);
	if (thread->active)
		apd_list_append(&thread->turns, &run->turn_link);
	else
		thread->active = run;
}

bool apd_rt_thread_busy(const struct thread *thread)
{
	return thread->active || !apd_list_empty(&thread->turns);
}

/* Gives the turn to the next run. One that is over already only waits to be told so. */
static void next_turn(struct apd_runtime *rt, struct thread *thread)
{
	struct apd_run *run;

	apd_list_each (run, &thread->turns, turn_link) {
		if (run->phase == RUN_FINISHING)
			continue;
		apd_list_remove(&run->turn_link);
		thread->active = run;
		if (run->phase == RUN_WAITING)
			apd_rt_queue_push(rt, run, false);
		return;
	}
}

void apd_rt_thread_turn_over(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;

	apd_list_remove(&run->turn_link);
	if (thread->active != run)
		return;
	thread->active = NULL;
	if (thread->kept)
		next_turn(rt, thread);
}

/* The ended runs go with their thread, but for the one that took it with it. */
static void lose_runs(struct apd_runtime *rt, struct thread *thread)
{
	struct apd_run *run;

	apd_list_each (run, &thread->runs, thread_link) {
		if (run->delete_thread || run->phase != RUN_ENDED)
			continue;
		run->gone = true;
		if (run->linger_ns == 0)
			continue;
		apd_rt_logs_unlinger(rt, run);
		apd_list_append(&rt->dead, &run->linger_link);
	}
}

void apd_rt_thread_deleted(struct apd_runtime *rt, struct thread *thread)
{
	struct thread *next;
	struct demand *demand;

	apd_map_remove(&rt->threads, apd_id_key(&thread->id));
	thread->gone = true;
	apd_rt_thread_forget(thread);
	apd_rt_log_close(rt, thread);
	lose_runs(rt, thread);
	if (thread->deletion) {
		/* A run took the thread with it before the client's deletion could. */
		apd_rt_work_done(thread->deletion);
		thread->deletion = NULL;
	}
	if (apd_list_empty(&thread->demands))
		return;
	next = thread_create(rt, &thread->id);
	apd_rt_thread_set_absent(next);
	apd_list_splice(&next->demands, &thread->demands);
	apd_list_each (demand, &next->demands, link)
		demand->move(demand, next);
	apd_rt_thread_pump(rt, next);
}

static void unidle(struct apd_runtime *rt, struct thread *thread)
{
	if (!apd_list_linked(&thread->idle_link))
		return;
	apd_list_remove(&thread->idle_link);
	rt->idle_bytes -= thread->idle_bytes;
}

static void thread_free(struct apd_runtime *rt, struct thread *thread)
{
	apd_rt_log_drop(rt, thread);
	apd_rt_thread_forget(thread);
	if (!thread->gone)
		apd_map_remove(&rt->threads, apd_id_key(&thread->id));
	rt->threads_count--;
	free(thread);
}

/* The time of an idle thread is over. Its log stays as long as its runs. */
static void expire(struct apd_runtime *rt, struct thread *thread)
{
	unidle(rt, thread);
	if (apd_list_empty(&thread->runs))
		thread_free(rt, thread);
	else
		apd_rt_thread_forget(thread);
}

static void idle_over(struct apd_runtime *rt, struct timer *timer)
{
	int64_t now = runtime_now(rt);

	while (!apd_list_empty(&rt->idle)) {
		struct thread *thread = apd_list_first(&rt->idle, struct thread, idle_link);

		if (thread->idle_ns > now) {
			apd_rt_timer_set(rt, timer, thread->idle_ns, idle_over);
			return;
		}
		expire(rt, thread);
	}
}

static void idle(struct apd_runtime *rt, struct thread *thread)
{
	bool first = apd_list_empty(&rt->idle);

	thread->idle_ns = runtime_now(rt) + rt->config.linger_ns;
	thread->idle_bytes = IDLE_COST + thread->tip.state->bytes;
	rt->idle_bytes += thread->idle_bytes;
	apd_list_append(&rt->idle, &thread->idle_link);
	if (first)
		apd_rt_timer_set(rt, &rt->idle_over, thread->idle_ns, idle_over);
}

/* True if something is still to be done with the thread. */
static bool needed(const struct thread *thread)
{
	return apd_rt_thread_busy(thread) || !apd_list_empty(&thread->demands) ||
		thread->deletion || thread->held || thread->pumping ||
		thread->phase == THREAD_LOADING;
}

void apd_rt_thread_settle(struct apd_runtime *rt, struct thread *thread)
{
	unidle(rt, thread);
	if (needed(thread))
		return;
	if (thread->phase == THREAD_THERE)
		idle(rt, thread);
	else if (apd_list_empty(&thread->runs))
		thread_free(rt, thread);
}

void apd_rt_threads_trim(struct apd_runtime *rt)
{
	while (rt->idle_bytes > IDLE_BYTES_MAX)
		expire(rt, apd_list_first(&rt->idle, struct thread, idle_link));
}

void apd_rt_thread_leave(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;

	apd_list_remove(&run->demand.link);
	apd_list_remove(&run->thread_link);
	apd_rt_thread_turn_over(rt, run);
	run->thread = NULL;
	if (!thread->kept) {
		apd_rt_log_drop(rt, thread);
		rt->threads_count--;
		return;
	}
	if (apd_list_empty(&thread->runs))
		apd_rt_log_drop(rt, thread);
	apd_rt_thread_pump(rt, thread);
}

void apd_rt_threads_finish(struct apd_runtime *rt)
{
	struct thread *thread;
	size_t at = 0;

	while ((thread = apd_map_next(&rt->threads, &at))) {
		apd_rt_log_drop(rt, thread);
		apd_rt_thread_forget(thread);
		free(thread);
	}
	apd_map_finish(&rt->threads);
}
