/*
 * What must hold: cheap checks after every step, dear ones now and then, the whole truth at
 * rest.
 */
#include "sim.h"

void checks_cheap(struct world *w)
{
	struct apd_runtime_stats stats;
	size_t capacity = APD_COUNT(w->active);

	apd_runtime_stats(w->rt, &stats);
	SIM_CHECK(w, stats.queued <= 2 * (w->config.max_queue + capacity), "%lu runs wait",
		stats.queued);
	SIM_CHECK(w, stats.executing <= capacity, "%lu runs execute", stats.executing);
	/* Every log may keep its newest segment, whatever the limit. */
	SIM_CHECK(w, stats.logs_bytes <= w->config.events_max_bytes + stats.threads * 10000,
		"logs hold %lu bytes", stats.logs_bytes);
	SIM_CHECK(w, apd_runtime_next_timer(w->rt) >= w->now, "a timer is overdue");
}

/* Whether a run that was accepted waits for this one to make room. */
static bool is_overtaken(const struct world *w, const struct srun *run)
{
	const struct row *row;

	if (!run->thr || w->recovering || w->stopping)
		return false;
	apd_list_each (row, &w->rows, link)
		if (row->run->thr == run->thr && row->run->serial > run->serial &&
			row->row->status == APD_RUN_PENDING && row->run->told &&
			row->run->born == w->restarts && !ledger_may_be_stopped(row->run) &&
			(row->run->multitask == APD_MULTITASK_INTERRUPT ||
				row->run->multitask == APD_MULTITASK_ROLLBACK))
			return true;
	return false;
}

/* A run gets its credit in time, and hears in time that it has to stop. */
static void check_slots(struct world *w)
{
	int64_t longest = w->config.stall_ns * 3 + APD_NS_PER_S;

	for (size_t i = 0; i < w->n_active; i++) {
		struct slot *slot = w->active[i];

		SIM_CHECK(w, slot->blocked_ns < 0 || w->now - slot->blocked_ns < longest,
			"run %lu has waited for credit too long", slot->run->serial);
		SIM_CHECK(w, slot->stop || slot->run->cancelled_in != w->restarts + 1,
			"run %lu was cancelled and not told to stop", slot->run->serial);
		SIM_CHECK(w, slot->stop || !is_overtaken(w, slot->run),
			"run %lu has to make room and was not told to stop", slot->run->serial);
	}
}

/* A thread is busy because of runs that the runtime knows of, and rests as it should. */
static void check_threads(struct world *w)
{
	struct thr *thr;
	struct row *row;

	apd_list_each (row, &w->rows, link)
		SIM_CHECK(w,
			row->row->status != APD_RUN_PENDING || w->recovering || w->stopping ||
				apd_runtime_find_run(w->rt, &row->run->id),
			"run %lu is pending and nobody knows of it", row->run->serial);
	apd_list_each (thr, &w->thrs, link) {
		const struct point *head = thr_head(thr);

		thr_check(w, thr);
		SIM_CHECK(w, !head || model_is(head->model, head->state),
			"thread %u changed by itself", thr->number);
	}
}

void checks_full(struct world *w)
{
	const char *wrong = apd_runtime_inspect(w->rt);

	SIM_CHECK(w, !wrong, "%s", wrong);
	check_slots(w);
	check_threads(w);
	for (size_t i = 0; i < w->n_clients; i++) {
		const struct client *c = w->clients[i];

		SIM_CHECK(w, c->reading || !c->finished, "a client lives too long");
		SIM_CHECK(w,
			!c->log || !c->reading ||
				apd_event_log_bytes(c->log) <= w->config.ring_bytes + 8000,
			"a log of %zu bytes", apd_event_log_bytes(c->log));
	}
}

void checks_at_rest(struct world *w)
{
	struct apd_runtime_stats stats;
	struct tcall *call;
	struct row *row;

	checks_full(w);
	apd_runtime_stats(w->rt, &stats);
	SIM_CHECK(w, stats.queued == 0, "%lu runs wait for ever", stats.queued);
	SIM_CHECK(w, stats.executing == 0, "%lu slots are held for ever", stats.executing);
	SIM_CHECK(w, stats.runs == 0, "%lu runs stay in memory", stats.runs);
	SIM_CHECK(w, stats.threads == 0, "%lu threads stay in memory", stats.threads);
	SIM_CHECK(w, stats.logs_bytes == 0, "%lu bytes of events stay", stats.logs_bytes);
	SIM_CHECK(w, apd_list_empty(&w->changes), "a deletion was never answered");
	apd_list_each (call, &w->tcalls, link)
		sim_fail(w, "a call about thread %u was never answered", call->thr->number);
	for (size_t i = 0; i < w->n_clients; i++)
		SIM_CHECK(w, w->clients[i]->finished, "a client of run %lu waits for ever",
			w->clients[i]->run->serial);
	apd_list_each (row, &w->rows, link)
		SIM_CHECK(w, row->row->status != APD_RUN_PENDING, "run %lu never ended",
			row->run->serial);
	for (int i = 0; i < N_AGENTS; i++)
		for (int k = 0; k < MAX_WORKERS; k++)
			for (int s = 0; s < MAX_SLOTS; s++)
				SIM_CHECK(w, w->agents[i].workers[k].slots[s].state == SLOT_FREE,
					"a slot is never given back");
}
