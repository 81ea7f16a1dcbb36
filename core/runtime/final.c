/*
 * The end of a run on its way to storage: one batch with the run's row, what
 * becomes of its thread, and its webhook. All else waits for it.
 */
#include "runtime/internal.h"

#include <errno.h>

/* True if the thread goes with the run: it had its turn, and no other run is to come. */
static bool takes_thread(const struct apd_run *run)
{
	const struct apd_run *other;

	if (!run->delete_thread || run->rollback || run->thread->active != run)
		return false;
	apd_list_each (other, &run->thread->turns, turn_link)
		if (other->phase != RUN_FINISHING)
			return false;
	return true;
}

/* True while a batch of the run has to come back before its end can be made. */
static bool must_wait(struct apd_runtime *rt, struct apd_run *run)
{
	struct save *save = run->save;

	if (run->commit || !save)
		return run->commit;
	/* A start that failed is not tried again where it would be for nothing. */
	if (save->kind != SAVE_START || !save->retry.at.index || (run->invoked && !run->rollback))
		return true;
	apd_rt_start_give_up(rt, run);
	return false;
}

/*
 * True while another change of the thread's row is on its way, and this would be one; or while
 * others have yet to end on a thread that goes with this one: their rows go with it.
 */
static bool must_wait_for_thread(const struct apd_run *run)
{
	bool takes = takes_thread(run);

	return (run->thread->held && (run->began || takes)) ||
		(takes && !apd_list_empty(&run->thread->turns));
}

/* The state at the end of a run on a kept thread. */
static void take_state(struct apd_run *run)
{
	struct apd_state *state = NULL;

	if (run->rollback && run->base_known)
		state = run->base.state;
	else if (run->began && !run->rollback)
		state = run->thread->tip.state;
	if (state)
		apd_state_ref(state);
	apd_state_unref(run->state);
	run->state = state;
}

/* What becomes of the thread. */
static void put_thread(struct apd_runtime *rt, struct apd_run *run, struct save *save)
{
	if (save->deletes) {
		/* Its rows go with it, but this one stays readable. */
		apd_batch_delete_thread(&save->batch, &run->thread->id);
		run->final->flags |= APD_RUN_ROW_EPHEMERAL;
		return;
	}
	if (run->rollback && run->began)
		apd_batch_undo_checkpoints(&save->batch, &run->thread->id,
			apd_id_is_nil(&run->base_id) ? NULL : &run->base_id);
	save->thread_row = apd_rt_thread_row_ended(rt, run);
	if (save->thread_row)
		apd_batch_replace_thread(&save->batch, save->thread_row);
}

void apd_rt_run_finish_go(struct apd_runtime *rt, struct apd_run *run)
{
	bool kept = run->thread->kept;
	struct save *save;

	if (run->final)
		return;
	/* An ephemeral thread's start carries nothing that the end does not carry. */
	if (!kept)
		apd_rt_save_detach(rt, run);
	if (must_wait(rt, run) || (kept && must_wait_for_thread(run)))
		return;
	if (kept)
		take_state(run);
	save = apd_rt_save_create(rt, SAVE_FINAL, run);
	save->deletes = kept && takes_thread(run);
	run->final = apd_rt_output_row(rt, run, save->deletes);
	if (kept)
		put_thread(rt, run, save);
	if (run->rollback)
		apd_batch_delete_run(&save->batch, &run->id);
	else
		apd_batch_put_run(&save->batch, run->final);
	apd_rt_webhook_put(rt, run, save);
	apd_rt_save_submit(rt, save);
}

/* All may know that the run is over. */
static void final_told(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_run_row *row = run->final;

	run->final = NULL;
	apd_rt_run_ended(rt, run, row);
}

static void read_again(struct apd_runtime *rt, struct timer *timer);

/*
 * The end is durable, and the state is read again: a rollback after a restart. Before that
 * nobody has a turn, since there is nothing to begin on.
 */
static void rolled_back(struct apd_runtime *rt, struct demand *demand, int result)
{
	struct apd_run *run = apd_container_of(demand, struct apd_run, demand);

	if (result < 0 && !rt->shutting_down)
		apd_rt_timer_set(
			rt, &run->stop, runtime_now(rt) + rt->config.retry_delay_ns, read_again);
	else
		final_told(rt, run);
}

static void rolled_back_dropped(struct apd_runtime *rt, struct demand *demand)
{
	rolled_back(rt, demand, 0);
}

static void stay(struct demand *demand, struct thread *to)
{
	(void)demand;
	(void)to;
}

/* Asks for the state before the run. */
static void read_state(struct apd_runtime *rt, struct apd_run *run)
{
	run->demand = (struct demand){.go = rolled_back, .drop = rolled_back_dropped, .move = stay};
	apd_rt_demand_add_first(rt, run->thread, &run->demand);
}

static void read_again(struct apd_runtime *rt, struct timer *timer)
{
	struct apd_run *run = apd_container_of(timer, struct apd_run, stop);
	struct thread *thread = run->thread;

	/* Somebody else had it read meanwhile, or nobody will need it. */
	if (thread->phase == THREAD_THERE || thread->deletion || rt->shutting_down) {
		final_told(rt, run);
		apd_rt_thread_pump(rt, thread);
	} else {
		read_state(rt, run);
	}
}

/* The thread is as it was before the run. False when it has to be read first. */
static bool go_back(struct apd_runtime *rt, struct apd_run *run)
{
	if (!run->began)
		return true;
	if (run->base_known) {
		apd_rt_thread_set_tip(run->thread, &run->base);
		return true;
	}
	apd_rt_thread_forget(run->thread);
	if (rt->shutting_down || run->thread->deletion)
		return true;
	read_state(rt, run);
	return false;
}

/* An end that takes the thread with it may have waited for another one. */
static void let_active_end(struct apd_runtime *rt, struct thread *thread)
{
	if (thread->active && thread->active->phase == RUN_FINISHING)
		apd_rt_run_finish_go(rt, thread->active);
}

/* The thread of the run is not in storage: nothing of the run can be. */
static void thread_is_gone(struct apd_runtime *rt, struct apd_run *run)
{
	struct thread *thread = run->thread;

	run->gone = true;
	final_told(rt, run);
	let_active_end(rt, thread);
	if (!thread->gone && !apd_rt_thread_busy(thread) && !thread->deletion)
		apd_rt_thread_deleted(rt, thread);
	apd_rt_thread_pump(rt, thread);
}

void apd_rt_final_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	struct thread *thread = run->thread;
	bool deletes = save->deletes;

	if (result < 0 && !(result == -ENOENT && thread->kept)) {
		apd_rt_save_retry(rt, save);
		if (thread->kept)
			apd_rt_thread_pump(rt, thread);
		return;
	}
	rt->outbox_news |= save->outbox && result == 0;
	if (save->thread_row && result == 0)
		apd_rt_thread_set_row(thread, apd_thread_row_ref(save->thread_row));
	apd_rt_save_free(rt, save);
	if (result < 0) {
		thread_is_gone(rt, run);
		return;
	}
	if (run->rollback && thread->kept && !go_back(rt, run))
		return;
	final_told(rt, run);
	if (deletes)
		apd_rt_thread_deleted(rt, thread);
	if (thread->kept) {
		let_active_end(rt, thread);
		apd_rt_thread_pump(rt, thread);
	}
}
