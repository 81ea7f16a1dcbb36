/* Batches on their way to storage: making, handing over, trying again. */
#include "runtime/internal.h"

#include <stdlib.h>

#define POOL_MAX 1024

/* A batch is tried again after the configured delay, doubling up to so many times that. */
#define RETRY_FACTOR_MAX 60

/* Where the run was cancelled since, its end has waited for this. */
static void requeue_saved(
	struct apd_runtime *rt, struct save *save, struct apd_run *run, int result)
{
	if (result < 0 && run) {
		apd_rt_save_retry(rt, save);
		return;
	}
	apd_rt_save_free(rt, save);
	if (run && run->phase == RUN_FINISHING)
		apd_rt_run_finish_go(rt, run);
}

/* Gives the result to who cares for it. */
static void save_done(struct apd_batch *batch, int result)
{
	struct save *save = apd_container_of(batch, struct save, batch);
	struct apd_runtime *rt = save->runtime;

	if (result < 0)
		rt->stats.storage_failures++;
	switch (save->kind) {
	case SAVE_CREATE:
		apd_rt_create_saved(rt, save, save->run, result);
		return;
	case SAVE_START:
		apd_rt_start_saved(rt, save, save->run, result);
		return;
	case SAVE_FINAL:
		apd_rt_final_saved(rt, save, save->run, result);
		return;
	case SAVE_COMMIT:
		apd_rt_commit_saved(rt, save, save->run, result);
		return;
	case SAVE_BEHIND:
		apd_rt_behind_saved(rt, save, result);
		return;
	case SAVE_REQUEUE:
		requeue_saved(rt, save, save->run, result);
		return;
	}
}

struct save *apd_rt_save_create(struct apd_runtime *rt, enum save_kind kind, struct apd_run *run)
{
	struct save *save;

	if (apd_list_empty(&rt->save_pool)) {
		save = apd_malloc(sizeof(*save));
	} else {
		save = apd_list_first(&rt->save_pool, struct save, all);
		apd_list_remove(&save->all);
		rt->save_pool_count--;
	}
	save->runtime = rt;
	save->kind = kind;
	save->run = run;
	save->start = NULL;
	save->thread_row = NULL;
	save->made = (struct checkpoint_made){0};
	save->with_start = save->outbox = save->deletes = false;
	save->n_runs = 0;
	save->tries = 0;
	save->retry = (struct timer){0};
	save->batch.link = (struct apd_list){0};
	save->batch.n_ops = 0;
	save->batch.missing = 0;
	save->batch.lazy = kind == SAVE_BEHIND;
	save->batch.done = save_done;
	apd_list_append(&rt->all_saves, &save->all);
	rt->saves++;
	if (run)
		run->save = save;
	return save;
}

void apd_rt_save_submit(struct apd_runtime *rt, struct save *save)
{
	apd_list_append(&rt->outbox, &save->batch.link);
}

static void try_again(struct apd_runtime *rt, struct timer *timer)
{
	struct save *save = apd_container_of(timer, struct save, retry);

	if (save->kind == SAVE_BEHIND) {
		apd_rt_behind_skip_deleted(rt, save);
		if (save->n_runs == 0) {
			apd_rt_save_free(rt, save);
			return;
		}
	}
	apd_rt_save_submit(rt, save);
}

void apd_rt_save_retry(struct apd_runtime *rt, struct save *save)
{
	int64_t factor = save->tries < 6 ? 1 << save->tries : RETRY_FACTOR_MAX;
	int64_t delay;

	if (factor > RETRY_FACTOR_MAX)
		factor = RETRY_FACTOR_MAX;
	delay = rt->config.retry_delay_ns * factor;
	/* A little jitter, so that what failed together is not tried together for ever. */
	delay += (int64_t)(apd_id_random(&rt->gen) % (uint64_t)(delay / 8 + 1));
	save->tries++;
	save->batch.missing = 0;
	apd_rt_timer_set(rt, &save->retry, runtime_now(rt) + delay, try_again);
}

void apd_rt_save_free(struct apd_runtime *rt, struct save *save)
{
	apd_rt_timer_clear(rt, &save->retry);
	if (save->run && save->run->save == save)
		save->run->save = NULL;
	apd_batch_finish(&save->batch);
	apd_run_row_unref(save->start);
	apd_thread_row_unref(save->thread_row);
	apd_checkpoint_row_unref(save->made.row);
	apd_state_unref(save->made.state);
	apd_list_remove(&save->all);
	rt->saves--;
	if (rt->save_pool_count < POOL_MAX) {
		apd_list_prepend(&rt->save_pool, &save->all);
		rt->save_pool_count++;
	} else {
		free(save);
	}
}

void apd_rt_save_detach(struct apd_runtime *rt, struct apd_run *run)
{
	struct save *save = run->save;

	if (!save)
		return;
	run->save = NULL;
	save->run = NULL;
	if (save->retry.at.index)
		apd_rt_save_free(rt, save);
}

void apd_rt_behind_submit(struct apd_runtime *rt)
{
	if (rt->behind)
		apd_rt_save_submit(rt, rt->behind);
	rt->behind = NULL;
}

void apd_rt_saves_flush(struct apd_runtime *rt)
{
	apd_rt_behind_submit(rt);
	while (!apd_list_empty(&rt->outbox)) {
		struct apd_batch *batch = apd_list_first(&rt->outbox, struct apd_batch, link);

		apd_list_remove(&batch->link);
		rt->storage->ops->commit(rt->storage, batch);
	}
}
