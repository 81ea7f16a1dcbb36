/* What clients ask of threads: creating, copying and deleting them, and how calls are answered. */
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>

/* A call that waits does not keep its thread from being another one. */
static void work_move(struct demand *demand, struct thread *to)
{
	apd_container_of(demand, struct thread_work, demand)->thread = to;
}

static void work_drop(struct apd_runtime *rt, struct demand *demand)
{
	(void)rt;
	apd_rt_work_refuse(apd_container_of(demand, struct thread_work, demand),
		APD_PROBLEM_SHUTTING_DOWN, apd_rt_refusal(APD_PROBLEM_SHUTTING_DOWN));
}

struct thread_work *apd_rt_work_create(
	struct apd_runtime *rt, const struct apd_id *thread_id, struct apd_thread_call *call)
{
	struct thread_work *work = apd_calloc(1, sizeof(*work));

	work->runtime = rt;
	work->call = call;
	work->demand.drop = work_drop;
	work->demand.move = work_move;
	apd_list_append(&rt->works, &work->all);
	call->view = (struct apd_thread_view){0};
	if (rt->shutting_down)
		work_drop(rt, &work->demand);
	else
		work->thread = apd_rt_thread_get(rt, thread_id);
	return work;
}

void apd_rt_work_refuse(struct thread_work *work, enum apd_problem_code code, const char *message)
{
	apd_problem_set(&work->problem, code, "%s", message);
	work->thread = NULL;
	apd_list_append(&work->runtime->answers, &work->answer);
}

void apd_rt_work_fail(struct thread_work *work, int result)
{
	enum apd_problem_code code =
		result == -ENOENT ? APD_PROBLEM_THREAD_NOT_FOUND : APD_PROBLEM_STORAGE_UNAVAILABLE;

	apd_rt_work_refuse(work, code, apd_rt_refusal(code));
}

void apd_rt_work_answer(struct thread_work *work)
{
	const struct thread *thread = work->thread;
	struct apd_thread_view *view = &work->call->view;

	view->thread = apd_thread_row_ref(thread->row);
	view->head = thread->tip.head ? apd_checkpoint_row_ref(thread->tip.head) : NULL;
	view->state = apd_state_ref(thread->tip.state);
	view->busy = apd_rt_thread_busy(thread);
	work->thread = NULL;
	apd_list_append(&work->runtime->answers, &work->answer);
}

void apd_rt_work_done(struct thread_work *work)
{
	work->thread = NULL;
	apd_list_append(&work->runtime->answers, &work->answer);
}

void apd_rt_work_submit(struct thread_work *work, void (*done)(struct apd_batch *batch, int result))
{
	struct apd_runtime *rt = work->runtime;

	work->batch.done = done;
	rt->changes++;
	apd_list_append(&rt->outbox, &work->batch.link);
}

void apd_rt_work_saved(struct thread_work *work, int result)
{
	struct apd_runtime *rt = work->runtime;

	rt->changes--;
	if (result < 0 && result != -ENOENT)
		rt->stats.storage_failures++;
	apd_batch_finish(&work->batch);
}

static void work_free(struct thread_work *work)
{
	apd_list_remove(&work->all);
	apd_list_remove(&work->answer);
	apd_list_remove(&work->demand.link);
	apd_batch_finish(&work->batch);
	apd_thread_row_unref(work->row);
	apd_rt_tip_finish(&work->tip);
	apd_text_unref(work->patch.text);
	free(work);
}

void apd_rt_works_tell(struct apd_runtime *rt)
{
	struct apd_list answers;

	apd_list_init(&answers);
	apd_list_splice(&answers, &rt->answers);
	while (!apd_list_empty(&answers)) {
		struct thread_work *work = apd_list_first(&answers, struct thread_work, answer);
		struct apd_thread_call *call = work->call;
		struct apd_problem problem = work->problem;
		struct apd_thread_view view = call->view;

		work_free(work);
		call->done(call, problem.code ? &problem : NULL);
		/* The call may be gone now. */
		apd_thread_view_finish(&view);
	}
}

void apd_rt_works_drop(struct apd_runtime *rt)
{
	struct thread_work *work;

	apd_list_each (work, &rt->works, all) {
		if (!work->thread || work->thread->deletion != work || work->batch.n_ops)
			continue;
		work->thread->deletion = NULL;
		work_drop(rt, &work->demand);
	}
}

void apd_rt_works_free(struct apd_runtime *rt)
{
	struct thread_work *work, *tmp;

	apd_list_each_safe (work, tmp, &rt->works, all) {
		apd_thread_view_finish(&work->call->view);
		work_free(work);
	}
}

/* ---- create ---- */

static void create_saved(struct apd_batch *batch, int result)
{
	struct thread_work *work = apd_container_of(batch, struct thread_work, batch);
	struct apd_runtime *rt = work->runtime;
	struct thread *thread = work->thread;

	apd_rt_work_saved(work, result);
	if (result < 0) {
		apd_rt_work_fail(work, result);
	} else {
		thread->phase = THREAD_THERE;
		apd_rt_thread_set_row(thread, apd_thread_row_ref(work->row));
		apd_rt_work_answer(work);
	}
	apd_rt_thread_unhold(rt, thread);
}

static void create_go(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct thread_work *work = apd_container_of(demand, struct thread_work, demand);

	(void)rt;
	if (result < 0) {
		apd_rt_work_fail(work, result);
	} else if (work->thread->phase == THREAD_ABSENT) {
		apd_batch_put_thread(&work->batch, work->row);
		apd_rt_thread_hold(work->thread);
		apd_rt_work_submit(work, create_saved);
	} else if (work->existing) {
		apd_rt_work_answer(work);
	} else {
		apd_rt_work_refuse(
			work, APD_PROBLEM_THREAD_EXISTS, "There is a thread of that id already.");
	}
}

void apd_runtime_create_thread(struct apd_runtime *rt, const struct apd_id *thread_id,
	struct apd_str metadata, bool existing, struct apd_thread_call *call)
{
	struct thread_work *work = apd_rt_work_create(rt, thread_id, call);

	if (!work->thread)
		return;
	/* Nothing keeps the sweep from a thread at rest: that it was there is not enough. */
	if (apd_list_linked(&work->thread->idle_link))
		apd_rt_thread_forget(work->thread);
	work->existing = existing;
	work->row = apd_rt_thread_row_new(thread_id, metadata, runtime_wall(rt));
	work->demand.go = create_go;
	apd_rt_demand_add(rt, work->thread, &work->demand);
}

/* ---- copy ---- */

/* The copy has been read. */
static void copy_read(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct thread_work *work = apd_container_of(demand, struct thread_work, demand);

	(void)rt;
	if (result == 0 && work->thread->phase == THREAD_ABSENT)
		result = -ENOENT;
	if (result < 0)
		apd_rt_work_fail(work, result);
	else
		apd_rt_work_answer(work);
}

static void copy_saved(struct apd_batch *batch, int result)
{
	struct thread_work *work = apd_container_of(batch, struct thread_work, batch);
	struct apd_runtime *rt = work->runtime;

	if (result == 0 && batch->missing)
		result = -ENOENT;
	apd_rt_work_saved(work, result);
	if (result < 0) {
		apd_rt_work_fail(work, result);
	} else if (rt->shutting_down) {
		work_drop(rt, &work->demand);
	} else {
		work->thread = apd_rt_thread_get(rt, &work->row->thread_id);
		work->demand.go = copy_read;
		apd_rt_demand_add(rt, work->thread, &work->demand);
	}
}

static void copy_go(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct thread_work *work = apd_container_of(demand, struct thread_work, demand);
	const struct thread *thread = work->thread;
	struct apd_thread_row row;

	if (result == 0 && thread->phase == THREAD_ABSENT)
		result = -ENOENT;
	if (result < 0) {
		apd_rt_work_fail(work, result);
		return;
	}
	row = *thread->row;
	row.created_us = row.updated_us = runtime_wall(rt);
	row.thread_id = apd_id_next(&rt->gen, row.created_us);
	work->row = apd_thread_row_create(&row);
	apd_batch_copy_thread(&work->batch, &thread->id, work->row);
	/* The original may go its way meanwhile: the batch has its place in the order. */
	work->thread = NULL;
	apd_rt_work_submit(work, copy_saved);
}

void apd_runtime_copy_thread(
	struct apd_runtime *rt, const struct apd_id *thread_id, struct apd_thread_call *call)
{
	struct thread_work *work = apd_rt_work_create(rt, thread_id, call);

	if (!work->thread)
		return;
	work->demand.changes_row = true;
	work->demand.go = copy_go;
	apd_rt_demand_add(rt, work->thread, &work->demand);
}

/* ---- delete ---- */

static void delete_saved(struct apd_batch *batch, int result)
{
	struct thread_work *work = apd_container_of(batch, struct thread_work, batch);
	struct apd_runtime *rt = work->runtime;
	struct thread *thread = work->thread;

	apd_rt_work_saved(work, result);
	thread->deletion = NULL;
	/* The sweep may have been there first. */
	if (result == 0 && batch->missing)
		apd_rt_work_fail(work, -ENOENT);
	else if (result == 0)
		apd_rt_work_done(work);
	else
		apd_rt_work_fail(work, result);
	if (result == 0)
		apd_rt_thread_deleted(rt, thread);
	apd_rt_thread_unhold(rt, thread);
}

void apd_rt_thread_delete_now(struct apd_runtime *rt, struct thread *thread)
{
	struct thread_work *work = thread->deletion;

	(void)rt;
	apd_rt_thread_hold(thread);
	apd_batch_delete_thread(&work->batch, &thread->id);
	apd_rt_work_submit(work, delete_saved);
}

/* Ends what runs and what waits to run. */
static void stop_all(struct apd_runtime *rt, struct thread *thread)
{
	struct apd_run *run, *tmp;

	apd_list_each_safe (run, tmp, &thread->turns, turn_link)
		apd_rt_run_cancel(rt, run, false);
	if (thread->active)
		apd_rt_run_cancel(rt, thread->active, false);
}

static void delete_go(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct thread_work *work = apd_container_of(demand, struct thread_work, demand);
	struct thread *thread = work->thread;

	if (result == 0 && thread->phase == THREAD_ABSENT)
		result = -ENOENT;
	if (result < 0) {
		apd_rt_work_fail(work, result);
		return;
	}
	/* Once the last run's end is durable the thread goes. */
	thread->deletion = work;
	stop_all(rt, thread);
}

void apd_runtime_delete_thread(
	struct apd_runtime *rt, const struct apd_id *thread_id, struct apd_thread_call *call)
{
	struct thread_work *work = apd_rt_work_create(rt, thread_id, call);

	if (!work->thread)
		return;
	work->demand.go = delete_go;
	apd_rt_demand_add(rt, work->thread, &work->demand);
}
