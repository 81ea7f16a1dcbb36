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
	}
}

void checks_full(struct world *w)
{
	const char *wrong = apd_runtime_inspect(w->rt);

	SIM_CHECK(w, !wrong, "%s", wrong);
	check_slots(w);
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
	struct row *row;

	checks_full(w);
	apd_runtime_stats(w->rt, &stats);
	SIM_CHECK(w, stats.queued == 0, "%lu runs wait for ever", stats.queued);
	SIM_CHECK(w, stats.executing == 0, "%lu slots are held for ever", stats.executing);
	SIM_CHECK(w, stats.runs == 0, "%lu runs stay in memory", stats.runs);
	SIM_CHECK(w, stats.threads == 0, "%lu threads stay in memory", stats.threads);
	SIM_CHECK(w, stats.logs_bytes == 0, "%lu bytes of events stay", stats.logs_bytes);
	SIM_CHECK(w, w->changes == 0, "%u deletions were never answered", w->changes);
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
