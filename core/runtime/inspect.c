/* Looking at the runtime from the inside. */
#include "runtime/inspect.h"

#include "runtime/internal.h"

/* Where the run stands on its thread. */
static const char *inspect_place(const struct apd_runtime *rt, const struct apd_run *run)
{
	const struct thread *thread = run->thread;
	bool waits = apd_list_linked(&run->turn_link);
	bool knocks = apd_list_linked(&run->demand.link);
	bool has_turn = thread->active == run;

	if (has_turn + waits + (run->phase == RUN_LOADING) != (run->phase != RUN_ENDED))
		return "a run stands nowhere on its thread, or twice";
	if (run->phase == RUN_LOADING && !knocks)
		return "a run waits for its thread and is not among what waits for it";
	if (waits && !thread->active && !(run->phase == RUN_FINISHING))
		return "a run waits for nobody's turn to end";
	if (waits && run->phase != RUN_WAITING && run->phase != RUN_CREATING &&
		run->phase != RUN_FINISHING)
		return "a run did something before its turn";
	/* A recovery that failed leaves all as it was. */
	if (has_turn && run->phase == RUN_WAITING && !knocks && rt->recover_result == 0)
		return "a run has its turn and waits";
	if (run->phase == RUN_FINISHING && !run->save && !run->commit && !thread->held && !knocks &&
		!run->stop.at.index && !(run->delete_thread && !apd_list_empty(&thread->turns)))
		return "an ending waits for nothing";
	if (run->commit && run->commit->run != run)
		return "a commit is another run's";
	return NULL;
}

/* What must be true of one run. */
static const char *inspect_run(struct apd_runtime *rt, struct apd_run *run)
{
	bool active = run->phase != RUN_ENDED;
	bool queued = apd_list_linked(&run->queue_link);
	const char *wrong;

	if (apd_map_get(&rt->runs, apd_id_key(&run->id)) != run)
		return "a run is not in the map";
	if (!run->thread)
		return "a run has no thread";
	if (run->thread->kept && (wrong = inspect_place(rt, run)))
		return wrong;
	if (!run->thread->kept && active != (run->thread->active == run))
		return "a thread's active run is another";
	if (run->phase == RUN_EXECUTING && !run->slot)
		return "a run executes without a slot";
	if (run->phase == RUN_STARTING && (!run->slot || (!run->save && !run->behind)))
		return "a run starts without a slot or a batch";
	if ((run->phase == RUN_QUEUED || !active) && run->slot)
		return "a run holds a slot that it does not use";
	if (run->slot && run->slot->run != run)
		return "a slot is another run's";
	if (queued != (run->phase == RUN_QUEUED) && !rt->shutting_down)
		return "a run is queued in the wrong phase";
	if (queued && !run->counted)
		return "a queued run is not counted";
	if (run->phase == RUN_FINISHING && !run->thread->kept && (!run->save || !run->final))
		return "an ending is not on its way";
	if (run->phase == RUN_EXECUTING && run->agent->timeout_ns > 0 && !run->stop.at.index)
		return "a run executes without a deadline";
	if (!active && !apd_list_empty(&run->calls) && !run->end_due)
		return "somebody waits for a run that ended";
	if (!active && !run->saving && !run->end_due && !apd_list_linked(&run->linger_link))
		return "an ended run is left behind";
	if (run->used < run->owed)
		return "more credit is owed than was used";
	return NULL;
}

/* What must be true of one kept thread that others can find. */
static const char *inspect_thread(const struct thread *thread)
{
	bool idle = apd_list_linked(&thread->idle_link);

	if (thread->gone || !thread->kept)
		return "a thread is in the map that should not be";
	if (!idle && !apd_rt_thread_busy(thread) && apd_list_empty(&thread->demands) &&
		!thread->held && !thread->load && !thread->deletion &&
		apd_list_empty(&thread->runs))
		return "a thread is in memory for nobody";
	if (idle && (apd_rt_thread_busy(thread) || !apd_list_empty(&thread->demands)))
		return "a thread is needed and may go";
	if (!apd_list_empty(&thread->demands) && !thread->held && !thread->load &&
		!thread->deletion && !thread->active)
		return "something waits for a thread for no reason";
	if ((thread->phase == THREAD_THERE) != (thread->row != NULL))
		return "a thread is there without its row, or the row without it";
	if ((thread->phase == THREAD_LOADING) != (thread->load != NULL))
		return "a thread is being read, or is not";
	return NULL;
}

static const char *inspect_threads(struct apd_runtime *rt)
{
	size_t at = 0, idle_bytes = 0;
	const struct thread *thread;
	const char *wrong;

	while ((thread = apd_map_next(&rt->threads, &at))) {
		wrong = inspect_thread(thread);
		if (wrong)
			return wrong;
		if (apd_list_linked(&thread->idle_link))
			idle_bytes += thread->idle_bytes;
	}
	return idle_bytes == rt->idle_bytes ? NULL : "the count of idle threads' bytes is off";
}

const char *apd_runtime_inspect(struct apd_runtime *rt)
{
	size_t runs = 0, executing = 0, waiting = 0, bytes = 0, saves = 0;
	const struct thread *last = NULL;
	struct apd_run *run;
	struct save *save;
	const char *wrong;

	apd_list_each (run, &rt->all, all) {
		wrong = inspect_run(rt, run);
		if (wrong)
			return wrong;
		runs++;
		executing += run->slot != NULL;
		waiting += run->counted;
		if (run->thread->log && run->thread != last &&
			(!run->thread->kept || run->thread->runs.next == &run->thread_link)) {
			last = run->thread;
			bytes += apd_event_log_bytes(run->thread->log);
		}
	}
	wrong = inspect_threads(rt);
	if (wrong)
		return wrong;
	apd_list_each (save, &rt->all_saves, all)
		saves++;
	if (runs != rt->runs.count)
		return "the map holds more runs than there are";
	if (executing != rt->executing)
		return "the count of slots is off";
	if (waiting != rt->waiting)
		return "the count of waiting runs is off";
	if (bytes != rt->logs_bytes)
		return "the count of log bytes is off";
	if (saves != rt->saves)
		return "the count of batches is off";
	if (rt->logs_bytes + rt->linger_bytes > rt->config.events_max_bytes &&
		!apd_list_empty(&rt->lingering))
		return "ended logs are over the limit";
	return NULL;
}
