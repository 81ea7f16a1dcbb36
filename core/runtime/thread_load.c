/* Reading a kept thread, keeping what was read, and taking on what waits for it in order. */
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>

void apd_rt_tip_copy(struct thread_tip *to, const struct thread_tip *from)
{
	*to = *from;
	if (to->head)
		apd_checkpoint_row_ref(to->head);
	apd_state_ref(to->state);
}

void apd_rt_tip_finish(struct thread_tip *tip)
{
	apd_checkpoint_row_unref(tip->head);
	apd_state_unref(tip->state);
	*tip = (struct thread_tip){0};
}

void apd_rt_thread_set_tip(struct thread *thread, const struct thread_tip *tip)
{
	struct thread_tip old = thread->tip;

	apd_rt_tip_copy(&thread->tip, tip);
	apd_rt_tip_finish(&old);
}

void apd_rt_thread_advance(
	struct thread *thread, struct apd_checkpoint_row *head, struct apd_state *state)
{
	size_t weight = apd_checkpoint_weight(head);
	struct thread_tip tip = {head, state, head->whole ? weight : thread->tip.chain + weight};

	apd_rt_thread_set_tip(thread, &tip);
}

void apd_rt_thread_set_row(struct thread *thread, struct apd_thread_row *row)
{
	apd_thread_row_unref(thread->row);
	thread->row = row;
}

void apd_rt_thread_forget(struct thread *thread)
{
	apd_rt_thread_set_row(thread, NULL);
	apd_rt_tip_finish(&thread->tip);
	thread->phase = THREAD_UNKNOWN;
}

void apd_rt_thread_set_absent(struct thread *thread)
{
	apd_rt_thread_forget(thread);
	thread->phase = THREAD_ABSENT;
	thread->tip.state = apd_state_empty();
}

/* Takes over what was read. */
static void take_loaded(struct thread *thread, struct apd_load *load)
{
	struct apd_thread_view *view = &load->view;

	if (memcmp(load->newest.bytes, thread->newest.bytes, sizeof(load->newest.bytes)) > 0)
		thread->newest = load->newest;
	if (!load->found) {
		apd_rt_thread_set_absent(thread);
		return;
	}
	apd_rt_thread_forget(thread);
	thread->phase = THREAD_THERE;
	apd_rt_thread_set_row(thread, apd_thread_row_ref(view->thread));
	thread->tip.head = view->head ? apd_checkpoint_row_ref(view->head) : NULL;
	thread->tip.state = view->state ? apd_state_ref(view->state) : apd_state_empty();
	thread->tip.chain = load->chain;
}

/* Tells all who wait that the thread cannot be read. */
static void load_failed(struct apd_runtime *rt, struct thread *thread, int result)
{
	struct apd_list demands;

	rt->stats.storage_failures++;
	thread->phase = THREAD_UNKNOWN;
	thread->pumping = true;
	apd_list_init(&demands);
	apd_list_splice(&demands, &thread->demands);
	while (!apd_list_empty(&demands)) {
		struct demand *demand = apd_list_first(&demands, struct demand, link);

		apd_list_remove(&demand->link);
		demand->go(rt, demand, result);
	}
	thread->pumping = false;
}

static void loaded(struct apd_load *base, int result)
{
	struct thread_load *load = apd_container_of(base, struct thread_load, load);
	struct apd_runtime *rt = load->runtime;
	struct thread *thread = load->thread;

	apd_list_remove(&load->all);
	rt->loads--;
	thread->load = NULL;
	if (result < 0)
		load_failed(rt, thread, result);
	else
		take_loaded(thread, &load->load);
	if (load->load.found)
		apd_thread_view_finish(&load->load.view);
	free(load);
	apd_rt_thread_pump(rt, thread);
}

/* Asks storage for the thread. */
static void load(struct apd_runtime *rt, struct thread *thread)
{
	struct thread_load *load = apd_calloc(1, sizeof(*load));

	thread->phase = THREAD_LOADING;
	thread->load = load;
	load->runtime = rt;
	load->thread = thread;
	load->load.type = APD_LOAD_THREAD;
	load->load.id = thread->id;
	load->load.done = loaded;
	apd_list_append(&rt->all_loads, &load->all);
	rt->loads++;
	rt->storage->ops->load(rt->storage, &load->load);
}

void apd_rt_loads_free(struct apd_runtime *rt)
{
	struct thread_load *load, *tmp;

	apd_list_each_safe (load, tmp, &rt->all_loads, all)
		free(load);
}

/* True while the end of a run is about to change the thread's row. */
static bool row_on_its_way(const struct thread *thread)
{
	const struct apd_run *run = thread->active;

	return run && run->phase == RUN_FINISHING && run->save && run->save->kind == SAVE_FINAL &&
		(run->save->thread_row || run->save->deletes);
}

/*
 * The next demand that is to be taken on now, or NULL; with what it is told. While an end
 * cannot be stored nobody knows when the row will be free.
 */
static struct demand *next_demand(const struct thread *thread, int *ret_result)
{
	struct demand *demand;

	*ret_result = 0;
	if (apd_list_empty(&thread->demands) || thread->held || thread->deletion ||
		(thread->phase != THREAD_THERE && thread->phase != THREAD_ABSENT))
		return NULL;
	demand = apd_list_first(&thread->demands, struct demand, link);
	if (demand->changes_row && row_on_its_way(thread)) {
		if (thread->active->save->tries == 0)
			return NULL;
		*ret_result = -EAGAIN;
	}
	return demand;
}

void apd_rt_thread_pump(struct apd_runtime *rt, struct thread *thread)
{
	struct demand *demand;
	int result;
	bool reads;

	if (thread->pumping)
		return;
	if (rt->destroying) {
		apd_rt_thread_settle(rt, thread);
		return;
	}
	thread->pumping = true;
	while ((demand = next_demand(thread, &result))) {
		apd_list_remove(&demand->link);
		demand->go(rt, demand, result);
	}
	if (thread->deletion && !apd_rt_thread_busy(thread) && !thread->held)
		apd_rt_thread_delete_now(rt, thread);
	thread->pumping = false;
	reads = thread->phase == THREAD_UNKNOWN && !thread->gone && !thread->held &&
		!apd_list_empty(&thread->demands);
	/* It cannot go with demands waiting. */
	apd_rt_thread_settle(rt, thread);
	if (reads)
		load(rt, thread);
}

void apd_rt_demand_add(struct apd_runtime *rt, struct thread *thread, struct demand *demand)
{
	apd_list_append(&thread->demands, &demand->link);
	apd_rt_thread_pump(rt, thread);
}

void apd_rt_demand_add_first(struct apd_runtime *rt, struct thread *thread, struct demand *demand)
{
	apd_list_prepend(&thread->demands, &demand->link);
	apd_rt_thread_pump(rt, thread);
}

void apd_rt_thread_hold(struct thread *thread)
{
	thread->held = true;
}

void apd_rt_thread_unhold(struct apd_runtime *rt, struct thread *thread)
{
	thread->held = false;
	/* Only who has its turn can have waited for this. */
	if (thread->active && thread->active->phase == RUN_FINISHING)
		apd_rt_run_finish_go(rt, thread->active);
	apd_rt_thread_pump(rt, thread);
}

void apd_rt_demands_drop(struct apd_runtime *rt)
{
	struct apd_list threads;
	struct thread *thread;
	size_t at = 0;

	/* Which threads stay in the map is not known while they are walked. */
	apd_list_init(&threads);
	while ((thread = apd_map_next(&rt->threads, &at)))
		apd_list_splice(&threads, &thread->demands);
	while (!apd_list_empty(&threads)) {
		struct demand *demand = apd_list_first(&threads, struct demand, link);

		apd_list_remove(&demand->link);
		demand->drop(rt, demand);
	}
}
