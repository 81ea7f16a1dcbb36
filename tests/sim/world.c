/* The world: chance, time, and what happens next. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t sim_random(struct world *w)
{
	uint64_t a = w->random[0], b = w->random[1];

	w->random[0] = b;
	a ^= a << 23;
	w->random[1] = a ^ b ^ a >> 18 ^ b >> 5;
	return w->random[1] + b;
}

unsigned sim_below(struct world *w, unsigned n)
{
	return (unsigned)((sim_random(w) >> 32) * n >> 32);
}

bool sim_chance(struct world *w, unsigned percent)
{
	return percent && sim_below(w, 100) < percent;
}

void sim_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "seed %lu, step %lu: ", w->seed, w->step);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nreplay: apd-sim --seed %lu --steps %lu --story\n", w->seed, w->step + 1);
	abort();
}

void sim_story(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->story)
		return;
	printf("%8lu %10.3f  ", w->step, (double)w->now / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static int64_t mono_ns(const struct apd_clock *clock)
{
	return apd_container_of(clock, struct world, clock)->now;
}

static int64_t wall_us(const struct apd_clock *clock)
{
	return 1700000000000000 + mono_ns(clock) / 1000;
}

static void recovered(void *data, int result)
{
	struct world *w = data;

	SIM_CHECK(w, result == 0 || w->failures > 0, "the recovery failed");
	w->recovering = false;
	w->stillborn = result < 0;
}

/* The webhook thread is told that there is something to deliver. */
static void outbox(void *data)
{
	struct world *w = data;

	w->hooks_due = 0;
}

/* A new life of the daemon on what is durable. */
static void be_born(struct world *w)
{
	struct apd_runtime_deps deps = {.clock = &w->clock,
		.storage = &w->storage,
		.host = &w->host,
		.outbox = outbox,
		.outbox_data = w};

	struct row *row;

	apd_list_each (row, &w->rows, link)
		row->run->attempt_floor = row->row->attempt;
	w->config.seed = sim_random(w) | 1;
	w->rt = apd_runtime_create(&w->config, &deps);
	w->recovering = true;
	w->stopping = w->stopped = w->stillborn = false;
	apd_runtime_recover(w->rt, recovered, w);
}

/* Runs that nobody was promised anything about are gone with the daemon, as are unborn ones. */
static void forget_unpromised(struct world *w)
{
	for (size_t i = w->n_live; i-- > 0;)
		if (!w->live[i]->row)
			ledger_retire(w, w->live[i]);
}

static void die(struct world *w)
{
	clients_hang_up(w);
	storage_crash(w);
	host_crash(w);
	apd_runtime_destroy(w->rt);
	clients_crash(w);
	clients_forget_changes(w, &w->changes);
	clients_forget_changes(w, &w->answered_changes);
	calls_crash(w);
	for (size_t i = 0; i < w->n_live; i++)
		SIM_CHECK(w,
			!w->live[i]->told || w->live[i]->behind || w->live[i]->row ||
				w->live[i]->delete_asked || w->live[i]->rollback_asked ||
				w->live[i]->undone,
			"run %lu was promised and is lost", w->live[i]->serial);
	forget_unpromised(w);
	w->restarts++;
}

/* Power failure, kill -9: only what is durable stays. What is under way is never answered. */
static void crash(struct world *w)
{
	sim_story(w, "world: the daemon is killed");
	w->crashes++;
	die(w);
	be_born(w);
}

static void shut_down(void *data)
{
	struct world *w = data;

	w->stopped = true;
}

/* SIGTERM. */
static void shutdown_begin(struct world *w)
{
	if (w->stopping || w->recovering)
		return;
	sim_story(w, "world: the daemon is told to end");
	w->stopping = true;
	apd_runtime_shutdown(w->rt, shut_down, w);
}

static void shutdown_end(struct world *w)
{
	sim_story(w, "world: the daemon ended");
	SIM_CHECK(w, w->n_active == 0, "it ended and runs execute");
	SIM_CHECK(w, apd_list_empty(&w->batches), "it ended and changes are not durable");
	for (size_t i = 0; i < w->n_clients; i++)
		SIM_CHECK(w, w->clients[i]->finished, "a client of run %lu was left waiting",
			w->clients[i]->run->serial);
	SIM_CHECK(w, apd_list_empty(&w->tcalls), "it ended and did not answer");
	die(w);
	be_born(w);
}

void world_init(struct world *w, uint64_t seed, bool story)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->random[0] = seed * 0x9e3779b97f4a7c15u + 1;
	w->random[1] = ~seed;
	for (int i = 0; i < 16; i++)
		sim_random(w);
	w->story = story;
	w->clock = (struct apd_clock){mono_ns, wall_us};
	w->now = APD_NS_PER_S;
	w->usual_fail_percent = sim_chance(w, 60) ? sim_below(w, 12) : 0;
	w->fail_percent = w->usual_fail_percent;
	w->calm = sim_chance(w, 50);
	w->sync_storage = sim_chance(w, 30);
	w->config = (struct apd_runtime_config){.max_queue = 5 + sim_below(w, 40),
		.credit_bytes = 1000 + sim_below(w, 9000),
		.ring_bytes = 40000,
		.events_max_bytes = 20000 + sim_below(w, 400000),
		.linger_ns = (int64_t)sim_below(w, 4000) * APD_NS_PER_MS,
		.stall_ns = (1 + (int64_t)sim_below(w, 1000)) * APD_NS_PER_MS,
		.shutdown_grace_ns = (int64_t)sim_below(w, 2000) * APD_NS_PER_MS,
		.retry_delay_ns = (1 + (int64_t)sim_below(w, 100)) * APD_NS_PER_MS};
	storage_init(w);
	apd_list_init(&w->changes);
	apd_list_init(&w->tcalls);
	apd_list_init(&w->answered);
	apd_list_init(&w->answered_changes);
	threads_init(w);
	host_init(w);
	be_born(w);
}

void world_finish(struct world *w)
{
	clients_hang_up(w);
	storage_crash(w);
	host_crash(w);
	apd_runtime_destroy(w->rt);
	clients_crash(w);
	clients_forget_changes(w, &w->changes);
	clients_forget_changes(w, &w->answered_changes);
	calls_crash(w);
	storage_finish(w);
	ledger_finish(w);
	threads_finish(w);
	apd_json_finish(&w->json);
	apd_json_finish(&w->json2);
	apd_buf_finish(&w->buf);
	apd_buf_finish(&w->buf2);
}

/* Time goes on: a little, or to where something is due. */
static void pass_time(struct world *w)
{
	int64_t next = apd_runtime_next_timer(w->rt);

	if (next != INT64_MAX && next > w->now && sim_chance(w, 15))
		w->now = next;
	else
		w->now += (int64_t)sim_below(w, 40) * APD_NS_PER_MS / 2;
	/* Outages are shorter than the time between them. */
	if (w->fail_percent == 100 && sim_chance(w, 4))
		storage_outage(w);
	host_timers(w);
	host_wake(w);
}

/* One thing from outside, or from below. */
static void happen(struct world *w)
{
	unsigned dice = sim_below(w, 1000);

	/* The daemon serves nobody before it has recovered. */
	if (w->recovering && dice >= 520 && dice < 992)
		dice = dice < 756 ? 500 : 710;

	if (dice < 300)
		agents_step(w);
	else if (dice < 520)
		storage_step(w, 1 + sim_below(w, 4));
	else if (dice < 600)
		w->stopping ? pass_time(w) : clients_create(w);
	else if (dice < 720)
		pass_time(w);
	else if (dice < 890)
		streams_step(w);
	else if (dice < 920)
		w->stopping ? streams_step(w) : calls_make(w);
	else if (dice < 940)
		w->stopping ? streams_step(w) : clients_join(w);
	else if (dice < 960)
		clients_cancel(w);
	else if (dice < 965)
		clients_look(w);
	else if (dice < 970)
		w->stopping ? pass_time(w) : clients_delete(w);
	else if (dice < 982)
		clients_leave(w);
	else if (dice < 990)
		streams_step(w);
	else if (dice < 991)
		threads_sweep(w);
	else if (dice < 992)
		streams_step(w);
	else if (dice < 995)
		worker_kill(
			w, &w->agents[sim_below(w, N_AGENTS)].workers[sim_below(w, 3)], "SIGKILL");
	else if (dice < 997)
		agents_change(w);
	else if (dice < 998)
		storage_outage(w);
	else if (sim_chance(w, w->calm ? 2 : 30))
		crash(w);
	else if (sim_chance(w, w->calm ? 2 : 20))
		shutdown_begin(w);
}

/* A turn of the loop: timers, then all that the inputs led to. */
static void turn(struct world *w)
{
	apd_runtime_run_timers(w->rt);
	apd_runtime_flush(w->rt);
	if (w->stopped)
		shutdown_end(w);
	else if (w->stillborn)
		crash(w);
}

void world_step(struct world *w)
{
	happen(w);
	/* Now and then several inputs come in one turn. */
	if (sim_chance(w, 20))
		happen(w);
	turn(w);
	/* Twice: a callback may have made work that waits for the next turn. */
	if (apd_runtime_next_timer(w->rt) <= w->now)
		turn(w);
	/* What became durable within a turn is told by the end of the next. */
	SIM_CHECK(w, w->hooks_due < 3, "nobody hears of the webhooks");
	w->hooks_due += w->hooks_due > 0;
	checks_cheap(w);
	if (w->step % 256 == 0)
		checks_full(w);
	w->step++;
}

/* Where nothing is on its way to storage, no agent waits for it. */
static void check_commits(struct world *w)
{
	if (!apd_list_empty(&w->batches) || !apd_list_empty(&w->loads))
		return;
	for (size_t i = 0; i < w->n_active; i++)
		SIM_CHECK(w, w->active[i]->waits == 0, "run %lu's commit is never answered",
			w->active[i]->run->serial);
}

void world_drain(struct world *w)
{
	struct apd_runtime_stats stats;
	int64_t next;

	sim_story(w, "world: comes to rest");
	w->fail_percent = 0;
	for (int i = 0; i < N_AGENTS; i++)
		w->agents[i].now = &w->agents[i].ready;
	for (int round = 0; round < 100000; round++) {
		for (int i = 0; i < N_AGENTS; i++)
			apd_runtime_sink.slots(w->rt, apd_str(w->agents[i].id));
		storage_step(w, 1000);
		agents_finish_all(w);
		streams_read_all(w);
		host_timers(w);
		host_wake(w);
		turn(w);
		next = apd_runtime_next_timer(w->rt);
		w->now = next > w->now && next != INT64_MAX ? next : w->now + 10 * APD_NS_PER_MS;
		apd_runtime_stats(w->rt, &stats);
		check_commits(w);
		if (next == INT64_MAX && stats.queued == 0 && apd_list_empty(&w->batches) &&
			apd_list_empty(&w->loads) && !w->recovering && w->n_active == 0 &&
			!w->stopping)
			break;
	}
	turn(w);
	checks_at_rest(w);
	/* Those that left no row will never be heard of again. */
	forget_unpromised(w);
	clients_forget_changes(w, &w->answered_changes);
	calls_forget_answered(w);
	threads_tidy(w);
	w->fail_percent = w->usual_fail_percent;
}
