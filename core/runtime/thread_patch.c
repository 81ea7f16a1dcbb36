/* Changing a thread: its metadata, its state, and branching from an older checkpoint. */
#include "runtime/internal.h"

#include <errno.h>

/* True if the state changes, and not only the metadata. */
static bool changes_state(const struct apd_thread_patch *patch)
{
	return patch->values.ptr || patch->messages.ptr || patch->has_checkpoint;
}

static void patch_saved(struct apd_batch *batch, int result)
{
	struct thread_work *work = apd_container_of(batch, struct thread_work, batch);
	struct apd_runtime *rt = work->runtime;
	struct thread *thread = work->thread;

	apd_rt_work_saved(work, result);
	/* A rollback may have the state be read again: that reads the row as well. */
	if (result < 0) {
		apd_rt_work_fail(work, result);
	} else if (thread->phase != THREAD_THERE) {
		apd_rt_demand_add_first(rt, thread, &work->demand);
	} else {
		if (work->row)
			apd_rt_thread_set_row(thread, apd_thread_row_ref(work->row));
		if (work->tip.state)
			apd_rt_thread_set_tip(thread, &work->tip);
		apd_rt_work_answer(work);
	}
	if (result == -ENOENT && !apd_rt_thread_busy(thread))
		apd_rt_thread_forget(thread);
	apd_rt_thread_unhold(rt, thread);
}

/* Only the answer was left to be given. */
static void patch_reread(struct apd_runtime *rt, struct demand *demand, int result)
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

/* Makes the checkpoint behind the tip: 0, or -EINVAL. */
static int make_checkpoint(
	struct apd_runtime *rt, struct thread_work *work, const struct thread_tip *tip)
{
	const struct apd_thread_patch *patch = &work->patch;
	struct apd_str values = patch->values.ptr ? patch->values : APD_STR("{}");
	struct checkpoint_plan plan = {
		.source = patch->has_checkpoint ? APD_SOURCE_FORK : APD_SOURCE_UPDATE,
		.change = {.patch = &rt->json, .gen = &rt->gen, .wall_us = runtime_wall(rt)}};
	struct checkpoint_made made;
	size_t weight;

	if (apd_json_scan(&rt->json, values) < 0 || apd_json_type(&rt->json, 0) != APD_JSON_OBJECT)
		return -EINVAL;
	if (patch->messages.ptr) {
		if (apd_json_scan(&rt->json2, patch->messages) < 0)
			return -EINVAL;
		plan.change.messages = &rt->json2;
	}
	if (apd_rt_checkpoint_make(rt, work->thread, tip, &plan, &made) < 0)
		return -EINVAL;
	weight = apd_checkpoint_weight(made.row);
	work->tip = (struct thread_tip){
		made.row, made.state, made.row->whole ? weight : tip->chain + weight};
	return 0;
}

/* Hands the change to storage; tip: what it is based on. Nothing else changes the row meanwhile. */
static void patch_save(
	struct apd_runtime *rt, struct thread_work *work, const struct thread_tip *tip)
{
	struct thread *thread = work->thread;
	int r = 0;

	if (changes_state(&work->patch))
		r = make_checkpoint(rt, work, tip);
	if (r == 0 && work->patch.metadata.ptr)
		r = apd_rt_thread_row_merge(rt, thread->row, work->patch.metadata, &work->row);
	if (r < 0) {
		apd_rt_work_refuse(work, APD_PROBLEM_INVALID_REQUEST,
			"Expected objects for metadata and values, and messages in an array.");
	} else if (!work->row && !work->tip.head) {
		apd_rt_work_answer(work);
	} else {
		if (work->tip.head)
			apd_batch_put_checkpoint(&work->batch, work->tip.head);
		if (work->row)
			apd_batch_replace_thread(&work->batch, work->row);
		work->demand.go = patch_reread;
		apd_rt_work_submit(work, patch_saved);
		return;
	}
	apd_rt_thread_unhold(rt, thread);
}

/* The older checkpoint has been read. */
static void base_loaded(struct apd_load *load, int result)
{
	struct thread_work *work = apd_container_of(load, struct thread_work, load);
	struct apd_runtime *rt = work->runtime;
	struct thread *thread = work->thread;
	struct thread_tip tip = {load->view.head, load->view.state, load->chain};

	rt->loads--;
	if (result == 0 && load->found && load->found_at) {
		patch_save(rt, work, &tip);
	} else {
		if (result < 0 || !load->found)
			apd_rt_work_fail(work, result < 0 ? -EIO : -ENOENT);
		else
			apd_rt_work_refuse(work, APD_PROBLEM_CHECKPOINT_NOT_FOUND,
				"The thread has no such checkpoint.");
		apd_rt_thread_unhold(rt, thread);
	}
	if (result == 0 && load->found)
		apd_thread_view_finish(&load->view);
}

static void load_base(struct apd_runtime *rt, struct thread_work *work)
{
	work->load.type = APD_LOAD_CHECKPOINT;
	work->load.id = work->thread->id;
	work->load.at = work->patch.checkpoint_id;
	work->load.done = base_loaded;
	rt->loads++;
	rt->storage->ops->load(rt->storage, &work->load);
}

static void patch_go(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct thread_work *work = apd_container_of(demand, struct thread_work, demand);
	struct thread *thread = work->thread;

	if (result == 0 && thread->phase == THREAD_ABSENT)
		result = -ENOENT;
	if (result < 0) {
		apd_rt_work_fail(work, result);
	} else if (changes_state(&work->patch) && apd_rt_thread_busy(thread)) {
		apd_rt_work_refuse(work, APD_PROBLEM_THREAD_ACTIVE,
			"The thread has an active run: its state cannot be changed now.");
	} else {
		apd_rt_thread_hold(thread);
		if (work->patch.has_checkpoint)
			load_base(rt, work);
		else
			patch_save(rt, work, &thread->tip);
	}
}

void apd_runtime_patch_thread(struct apd_runtime *rt, const struct apd_id *thread_id,
	const struct apd_thread_patch *patch, struct apd_thread_call *call)
{
	struct thread_work *work = apd_rt_work_create(rt, thread_id, call);

	if (!work->thread)
		return;
	work->patch = *patch;
	apd_text_ref(work->patch.text);
	work->demand.changes_row = true;
	work->demand.go = patch_go;
	apd_rt_demand_add(rt, work->thread, &work->demand);
}
