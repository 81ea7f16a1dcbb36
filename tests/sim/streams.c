/* Readers of streams: cursors that read at their own speed, and check every event. */
#include "sim.h"

#include <stdlib.h>

#include "host/event_cost.h"

static void on_news(struct apd_watch *watch)
{
	struct client *c = apd_container_of(watch, struct client, watch);

	SIM_CHECK(c->world, c->watching, "a watch was told after it was taken off");
	c->news = true;
}

void stream_begin(struct client *c, uint64_t after)
{
	c->log = apd_event_log_ref(c->call.log);
	apd_event_reader_init(&c->reader, c->log, after);
	c->reading = true;
	c->taken_ns = c->world->now;
	c->watching = true;
	c->watch.news = on_news;
	c->watch.channels = 1u << AP_CHANNEL_CUSTOM | 1u << AP_CHANNEL_MESSAGES;
	apd_runtime_watch(c->world->rt, c->log, &c->watch);
}

void stream_end(struct client *c)
{
	if (c->watching)
		apd_runtime_unwatch(c->world->rt, &c->watch);
	if (c->reading) {
		apd_event_reader_finish(&c->reader);
		apd_event_log_unref(c->log);
	}
	c->watching = c->reading = false;
}

/* An agent's event: each has a number, and none may be left out. */
static void check_emitted(struct client *c, const struct apd_event *event)
{
	struct world *w = c->world;
	const char *n = strstr(event->data.ptr, "\"n\":");

	if (event->channel == AP_CHANNEL_MESSAGES)
		c->open += strstr(event->data.ptr, "\"event\":\"message-start\"") ? 1 : -1;
	if (c->whole)
		SIM_CHECK(w, c->open == 0 || c->open == 1, "run %lu: messages open: %d",
			c->run->serial, c->open);
	if (n)
		c->read_bytes += (int64_t)apd_event_cost(event->ns, event->node, event->data);
	if (!n)
		return; /* the host's own: it closes what was left open */
	if (c->whole || c->next_n)
		SIM_CHECK(w, strtoull(n + 4, NULL, 10) == c->next_n,
			"run %lu: event %lu came for %lu", c->run->serial, strtoul(n + 4, NULL, 10),
			c->next_n);
	c->next_n = strtoull(n + 4, NULL, 10) + 1;
}

/* A state that is told is durable: that of a checkpoint of the thread. */
static void check_values(struct client *c, const struct apd_event *event)
{
	const struct thr *thr = c->run->thr;

	/* What was undone or deleted since cannot be looked up. */
	if (!thr || !thr->exists || c->run->over || c->run->slot == NULL ||
		c->run->slot->stop == APD_STOP_ROLLBACK)
		return;
	for (size_t i = thr->n_points; i-- > c->run->base_n;)
		if (model_is(thr->points[i].model, event->state))
			return;
	sim_fail(c->world, "run %lu: values that are of no checkpoint", c->run->serial);
}

static void check_event(struct client *c, const struct apd_event *event)
{
	struct world *w = c->world;

	w->events++;
	SIM_CHECK(w, c->last_seq == 0 || event->seq == c->last_seq + 1, "event %lu after %lu",
		event->seq, c->last_seq);
	c->last_seq = event->seq;
	if (!apd_id_eq(&event->run_id, &c->run->id)) {
		SIM_CHECK(w, c->run->thr, "another run's event in an ephemeral log");
		return;
	}
	SIM_CHECK(w, !c->saw_end, "run %lu: an event behind its end", c->run->serial);
	switch (event->kind) {
	case APD_EVENT_STARTED:
		SIM_CHECK(w, event->attempt > c->attempt, "run %lu: attempt %u after %u",
			c->run->serial, event->attempt, c->attempt);
		SIM_CHECK(w, !c->whole || c->open == 0, "run %lu: a message stays open",
			c->run->serial);
		c->attempt = event->attempt;
		c->next_n = 0;
		c->read_bytes = c->taken_bytes = 0;
		SIM_CHECK(w, event->state, "no state at the start");
		break;
	case APD_EVENT_EMITTED:
		check_emitted(c, event);
		break;
	case APD_EVENT_VALUES:
		SIM_CHECK(w, event->state && (c->run->thr || event->state->n_values),
			"values without values");
		check_values(c, event);
		break;
	case APD_EVENT_UPDATES:
	case APD_EVENT_CHECKPOINT:
		SIM_CHECK(w, event->data.len, "a commit without data");
		break;
	case APD_EVENT_ENDED:
		c->saw_end = true;
		SIM_CHECK(w, !c->whole || c->open == 0, "run %lu: a message stays open at its end",
			c->run->serial);
		SIM_CHECK(w, !c->whole || !c->attempt || c->next_n == c->run->emitted,
			"run %lu: %lu events of %lu", c->run->serial, c->next_n, c->run->emitted);
		SIM_CHECK(w, !c->run->over || c->run->status == event->status,
			"run %lu ends as %d in the log", c->run->serial, (int)event->status);
		/* A promised end is durable before it is in the log. */
		SIM_CHECK(w,
			c->run->behind || c->run->over || c->run->rollback_asked ||
				c->run->undone || c->run->delete_asked ||
				(c->run->row && c->run->row->row->status == event->status),
			"run %lu's end is in the log and not durable", c->run->serial);
		break;
	}
}

/* Events were evicted: the reader knows, and goes on from the oldest. */
static void missed(struct client *c)
{
	c->world->missed++;
	c->whole = false;
	c->next_n = 0;
	c->last_seq = 0;
	c->open = 0;
}

void stream_read(struct client *c, unsigned most)
{
	const struct apd_event *event;
	struct world *w = c->world;
	uint64_t before = c->last_seq;

	c->stalled |= w->now - c->taken_ns >= w->config.stall_ns;
	for (unsigned i = 0; i < most; i++) {
		switch (apd_event_reader_next(&c->reader, &event)) {
		case APD_READ_EVENT:
			check_event(c, event);
			continue;
		case APD_READ_MISSED:
			missed(c);
			continue;
		case APD_READ_NONE:
			SIM_CHECK(w, !c->saw_end || c->run->thr,
				"run %lu's log goes on behind its end", c->run->serial);
			c->news = false;
			break;
		case APD_READ_END:
			SIM_CHECK(w, c->saw_end || !c->whole || w->stopping,
				"run %lu's log ends without its end", c->run->serial);
			c->news = false;
			break;
		}
		break;
	}
	if (c->last_seq != before)
		c->taken_ns = w->now;
	c->taken_bytes = c->read_bytes;
	if (c->creator && !c->finished)
		apd_runtime_taken(w->rt, &c->call, c->last_seq);
	/* The stream closes when it has seen the end, as that of a real client. */
	if (c->finished && (c->saw_end || !c->news))
		client_free(c);
}

void streams_step(struct world *w)
{
	struct client *c;
	size_t at;

	if (w->n_clients == 0)
		return;
	at = sim_below(w, (unsigned)w->n_clients);
	/* One that reads, if there is one nearby. */
	for (int i = 0; i < 8 && !w->clients[at]->reading; i++)
		at = (at + 1) % w->n_clients;
	c = w->clients[at];
	if (!c->reading || (c->slow && sim_chance(w, 90)))
		return;
	stream_read(c, 1 + sim_below(w, 20));
}

void streams_read_all(struct world *w)
{
	for (size_t i = w->n_clients; i-- > 0;)
		if (i < w->n_clients && w->clients[i]->reading)
			stream_read(w->clients[i], 100000);
}
