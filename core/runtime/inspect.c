/* Looking at the runtime from the inside. */
#include "runtime/inspect.h"

#include "runtime/internal.h"

/* What must be true of one run. */
static const char *inspect_run(struct apd_runtime *rt, struct apd_run *run)
{
	bool active = run->phase != RUN_ENDED;
	bool queued = apd_list_linked(&run->queue_link);

	if (apd_map_get(&rt->runs, apd_id_key(&run->id)) != run)
		return "a run is not in the map";
	if (!run->thread)
		return "a run has no thread";
	if (active != (run->thread->active == run) && !(run->thread->kept && !active))
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
	if (run->phase == RUN_FINISHING && (!run->save || !run->final))
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
