/* Threads in memory: an ephemeral run's own, and kept ones while runs of theirs are in memory. */
#include "runtime/internal.h"

#include <stdlib.h>

struct thread *apd_rt_thread_find(struct apd_runtime *rt, const struct apd_id *id)
{
	return apd_map_get(&rt->threads, apd_id_key(id));
}

static void thread_init(struct apd_runtime *rt, struct thread *thread, const struct apd_id *id)
{
	thread->id = *id;
	apd_list_init(&thread->runs);
	apd_list_init(&thread->watches);
	rt->threads_count++;
}

void apd_rt_thread_join(
	struct apd_runtime *rt, struct apd_run *run, const struct apd_id *id, bool kept)
{
	struct thread *thread = kept ? apd_rt_thread_find(rt, id) : &run->own;

	if (!thread) {
		thread = apd_calloc(1, sizeof(*thread));
		thread_init(rt, thread, id);
		thread->kept = true;
		apd_map_put(&rt->threads, apd_id_key(&thread->id), thread);
	} else if (!kept) {
		thread_init(rt, thread, id);
	}
	run->thread = thread;
	thread->active = run;
	if (kept)
		apd_list_append(&thread->runs, &run->thread_link);
}

void apd_rt_thread_deleted(struct apd_runtime *rt, struct thread *thread)
{
	if (apd_rt_thread_find(rt, &thread->id) == thread)
		apd_map_remove(&rt->threads, apd_id_key(&thread->id));
	thread->exists = false;
	apd_rt_log_close(rt, thread);
}

void apd_rt_thread_leave(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;

	run->thread = NULL;
	apd_list_remove(&run->thread_link);
	if (thread->active == run)
		thread->active = NULL;
	if (!apd_list_empty(&thread->runs))
		return;
	apd_rt_log_drop(rt, thread);
	rt->threads_count--;
	if (!thread->kept)
		return;
	if (apd_rt_thread_find(rt, &thread->id) == thread)
		apd_map_remove(&rt->threads, apd_id_key(&thread->id));
	free(thread);
}
