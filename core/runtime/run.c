/* Runs in memory: making and freeing them, and the rows that tell of them. */
#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>

#define POOL_MAX 4096

struct apd_run *apd_rt_run_create(struct apd_runtime *rt, const struct apd_id *id)
{
	struct apd_run *run;

	if (apd_list_empty(&rt->pool)) {
		run = apd_calloc(1, sizeof(*run));
	} else {
		run = apd_list_first(&rt->pool, struct apd_run, all);
		apd_list_remove(&run->all);
		rt->pool_count--;
		memset(run, 0, sizeof(*run));
	}
	run->id = *id;
	apd_list_init(&run->calls);
	apd_list_init(&run->commits);
	apd_list_append(&rt->all, &run->all);
	apd_map_put(&rt->runs, apd_id_key(&run->id), run);
	return run;
}

/* Lets the calls that are left go, without a word. */
static void forget_calls(struct apd_run *run)
{
	while (!apd_list_empty(&run->calls)) {
		struct apd_run_call *call = apd_list_first(&run->calls, struct apd_run_call, link);

		apd_list_remove(&call->link);
		call->run = NULL;
	}
}

void apd_rt_run_drop_asks(struct apd_run *run)
{
	apd_text_unref(run->asks);
	run->asks = NULL;
	apd_text_unref(run->continuation);
	run->continuation = NULL;
}

void apd_rt_run_strip(struct apd_runtime *rt, struct apd_run *run)
{
	apd_rt_timer_clear(rt, &run->stop);
	apd_rt_credit_let_go(rt, run);
	apd_rt_timer_clear(rt, &run->stall);
	apd_agent_unref(run->agent);
	run->agent = NULL;
	apd_state_unref(run->state);
	run->state = NULL;
	apd_rt_open_items_free(run->open);
	run->open = NULL;
	apd_rt_run_drop_asks(run);
	apd_text_unref(run->error);
	run->error = NULL;
	apd_rt_tip_finish(&run->base);
	apd_rt_commits_drop(run);
}

void apd_rt_run_free(struct apd_runtime *rt, struct apd_run *run)
{
	forget_calls(run);
	apd_rt_save_detach(rt, run);
	if (run->commit)
		run->commit->run = NULL;
	apd_rt_queue_remove(rt, run);
	apd_rt_queue_uncount(rt, run);
	apd_rt_run_strip(rt, run);
	apd_rt_logs_unlinger(rt, run);
	apd_list_remove(&run->linger_link);
	apd_list_remove(&run->tell_link);
	if (run->thread)
		apd_rt_thread_leave(rt, run);
	apd_run_row_unref(run->row);
	apd_run_row_unref(run->final);
	apd_text_unref(run->request);
	apd_map_remove(&rt->runs, apd_id_key(&run->id));
	apd_list_remove(&run->all);
	if (rt->pool_count < POOL_MAX) {
		apd_list_prepend(&rt->pool, &run->all);
		rt->pool_count++;
	} else {
		free(run);
	}
}

struct apd_run *apd_rt_run_find(struct apd_runtime *rt, const struct apd_id *id)
{
	struct apd_run *run = apd_map_get(&rt->runs, apd_id_key(id));

	return run && run->known && !run->gone ? run : NULL;
}

/* The flags of the run's row. */
static uint32_t row_flags(const struct apd_run *run)
{
	uint32_t flags = 0;

	if (!run->thread->kept)
		flags |= APD_RUN_ROW_EPHEMERAL;
	if (run->mode == APD_MODE_BACKGROUND)
		flags |= APD_RUN_ROW_BACKGROUND;
	if (run->keep_going)
		flags |= APD_RUN_ROW_CONTINUE;
	if (run->delete_thread)
		flags |= APD_RUN_ROW_DELETE_THREAD;
	return flags;
}

struct apd_run_row *apd_rt_run_make_row(struct apd_run *run, struct apd_text *result)
{
	struct apd_run_row *row = apd_run_row_create(apd_text_ref(run->request), result);

	row->run_id = run->id;
	row->thread_id = run->thread->id;
	row->status = run->status;
	row->flags = row_flags(run);
	row->attempt = run->attempt;
	row->created_us = run->created_us;
	row->updated_us = run->updated_us;
	row->started_us = run->started_us;
	row->ended_us = run->ended_us;
	row->agent_id = run->agent_id;
	row->request = run->body;
	row->metadata = run->metadata;
	row->has_base = run->began;
	row->base_id = run->base_id;
	return row;
}

void apd_rt_run_set_row(struct apd_run *run, struct apd_run_row *row)
{
	apd_run_row_unref(run->row);
	run->row = row;
}

struct apd_run_row *apd_rt_run_told_row(struct apd_run *run)
{
	/* A write-behind run's row is out of date when an attempt began since. */
	if (run->row && run->behind && run->phase != RUN_ENDED &&
		(run->row->attempt != run->attempt || run->row->started_us != run->started_us))
		apd_rt_run_set_row(run, NULL);
	if (!run->row)
		run->row = apd_rt_run_make_row(run, NULL);
	return run->row;
}

void apd_rt_run_settle(struct apd_runtime *rt, struct apd_run *run)
{
	if (run->phase != RUN_ENDED || run->accept_due || run->end_due || run->saving ||
		apd_list_linked(&run->linger_link))
		return;
	if (run->thread->log && !run->gone && !rt->shutting_down)
		apd_rt_logs_linger(rt, run);
	else
		apd_list_append(&rt->dead, &run->linger_link);
}

void apd_rt_runs_bury(struct apd_runtime *rt)
{
	while (!apd_list_empty(&rt->dead)) {
		struct apd_run *run = apd_list_first(&rt->dead, struct apd_run, linger_link);

		apd_list_remove(&run->linger_link);
		apd_rt_run_free(rt, run);
	}
}

struct apd_run_row *apd_runtime_find_run(struct apd_runtime *rt, const struct apd_id *run_id)
{
	struct apd_run *run = apd_rt_run_find(rt, run_id);

	return run ? apd_rt_run_told_row(run) : NULL;
}

/* A client's deletion is durable, or was refused. */
static void deleted(struct apd_batch *batch, int result)
{
	struct apd_change *change = apd_container_of(batch, struct apd_change, batch);
	struct apd_runtime *rt = change->runtime;
	struct apd_run *run = apd_rt_run_find(rt, &change->id);

	rt->changes--;
	if (result == 0 && batch->missing && !(run && run->phase == RUN_ENDED))
		result = -ENOENT;
	if (result == 0 && run && run->phase == RUN_ENDED) {
		run->gone = true;
		if (run->linger_ns) {
			apd_rt_logs_unlinger(rt, run);
			apd_list_append(&rt->dead, &run->linger_link);
		}
	}
	apd_batch_finish(&change->batch);
	change->done(change, result);
}

void apd_rt_changes_refuse(struct apd_runtime *rt)
{
	while (!apd_list_empty(&rt->refused)) {
		struct apd_batch *batch = apd_list_first(&rt->refused, struct apd_batch, link);
		struct apd_change *change = apd_container_of(batch, struct apd_change, batch);

		apd_list_remove(&batch->link);
		rt->changes--;
		change->done(change, change->result);
	}
}

void apd_runtime_delete_run(
	struct apd_runtime *rt, const struct apd_id *run_id, struct apd_change *change)
{
	struct apd_run *run = apd_map_get(&rt->runs, apd_id_key(run_id));

	change->runtime = rt;
	change->id = *run_id;
	change->batch = (struct apd_batch){.done = deleted};
	if (run && run->phase != RUN_ENDED) {
		change->result = run->known ? -EBUSY : -ENOENT;
		rt->changes++;
		apd_list_append(&rt->refused, &change->batch.link);
		return;
	}
	/* What is still on its way goes first, and must not come back later. */
	if (run)
		run->deleted = true;
	apd_rt_behind_submit(rt);
	apd_batch_delete_run(&change->batch, run_id);
	rt->changes++;
	apd_list_append(&rt->outbox, &change->batch.link);
}
