/*
 * The agent's events, and credit: a run may have so many bytes of events under
 * way. They are given back when they are in the log and, where the run was
 * created by a stream that keeps up, when that stream has taken them.
 */
#include "host/event_cost.h"
#include "runtime/internal.h"

/* Gives back what is owed once it is worth a frame, or when the agent may be waiting for it. */
static void give_back(struct apd_runtime *rt, struct apd_run *run)
{
	uint64_t window = rt->config.credit_bytes;

	if (!run->slot || run->phase != RUN_EXECUTING || run->owed == 0 ||
		(run->owed < window / 4 && run->used < window))
		return;
	run->used -= run->owed;
	rt->host->ops->credit(rt->host, run->slot, (uint32_t)run->owed);
	run->owed = 0;
}

/* The creating stream has taken nothing for too long: it holds back no more. */
static void stalled(struct apd_runtime *rt, struct timer *timer)
{
	struct apd_run *run = apd_container_of(timer, struct apd_run, stall);
	int64_t due = run->taken_ns + rt->config.stall_ns;

	if (due > runtime_now(rt))
		apd_rt_timer_set(rt, &run->stall, due, stalled);
	else
		apd_rt_credit_let_go(rt, run);
}

/* Watches for a stall while the agent may have to wait. */
static void watch_stall(struct apd_runtime *rt, struct apd_run *run)
{
	bool waits =
		run->holds && run->phase == RUN_EXECUTING && run->used >= rt->config.credit_bytes;

	if (!waits)
		apd_rt_timer_clear(rt, &run->stall);
	else if (!run->stall.at.index) {
		run->taken_ns = runtime_now(rt);
		apd_rt_timer_set(rt, &run->stall, run->taken_ns + rt->config.stall_ns, stalled);
	}
}

void apd_rt_sink_emitted(void *data, struct apd_slot *slot, const struct apd_emission *emission)
{
	struct apd_runtime *rt = data;
	struct apd_run *run = slot->run;
	struct apd_event event = {.kind = APD_EVENT_EMITTED,
		.channel = emission->channel,
		.ns = emission->ns,
		.node = emission->node,
		.data = emission->data};
	uint64_t cost = apd_event_cost(emission->ns, emission->node, emission->data);

	if (!run || run->phase != RUN_EXECUTING)
		return;
	if (run->thread->log) {
		apd_rt_open_items_take(rt, run, emission);
		apd_rt_log_append(rt, run, &event);
	}
	run->used += cost;
	if (!run->holds)
		run->owed += cost;
	give_back(rt, run);
	watch_stall(rt, run);
}

void apd_rt_credit_hold(struct apd_runtime *rt, struct apd_run *run)
{
	run->holds = true;
	apd_event_reader_init(&run->taken, apd_rt_thread_log(rt, run->thread), run->log_before);
}

void apd_rt_credit_reset(struct apd_runtime *rt, struct apd_run *run)
{
	run->used = 0;
	run->owed = 0;
	apd_rt_timer_clear(rt, &run->stall);
}

void apd_rt_credit_let_go(struct apd_runtime *rt, struct apd_run *run)
{
	if (!run->holds)
		return;
	run->holds = false;
	apd_event_reader_finish(&run->taken);
	apd_rt_timer_clear(rt, &run->stall);
	run->owed = run->used;
	give_back(rt, run);
}

/* Takes one event off; false when there is none up to the number. */
static bool take_one(struct apd_run *run, uint64_t seq)
{
	const struct apd_event *event;

	if (run->taken.next_seq > seq)
		return false;
	switch (apd_event_reader_next(&run->taken, &event)) {
	case APD_READ_EVENT:
		if (event->kind == APD_EVENT_EMITTED && event->attempt == run->attempt &&
			apd_id_eq(&event->run_id, &run->id))
			run->owed += apd_event_cost(event->ns, event->node, event->data);
		return true;
	case APD_READ_MISSED:
		/* Nobody can say any more what those cost: give back all. */
		run->owed = run->used;
		return true;
	default:
		return false;
	}
}

void apd_rt_credit_taken(struct apd_runtime *rt, struct apd_run *run, uint64_t seq)
{
	uint64_t before = run->taken.next_seq;

	if (!run->holds)
		return;
	while (take_one(run, seq))
		;
	if (run->owed > run->used)
		run->owed = run->used;
	if (run->taken.next_seq != before)
		run->taken_ns = runtime_now(rt);
	give_back(rt, run);
	watch_stall(rt, run);
}
