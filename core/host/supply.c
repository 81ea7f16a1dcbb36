/* When processes are started: one always, more when slots are wanted, slowly after deaths. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

#define BACKOFF_FIRST_NS (APD_NS_PER_S / 2)
#define BACKOFF_LAST_NS  (60 * APD_NS_PER_S)

/* Deaths before being ready, all within this time, break the image. */
#define DEATHS_WITHIN_NS (60 * APD_NS_PER_S)

/* A process that takes runs, or will when it is ready. */
static bool counts(const struct apd_process *process)
{
	return process->state < APD_PROCESS_ENDING && !process->fenced && !process->once;
}

/* What a generation has. */
struct supply {
	unsigned live; /* take runs or will, and those that a run has for itself */
	unsigned starting;
	unsigned fresh; /* ready and never used */
	unsigned ready;
	struct apd_process *spare; /* ready, used and empty, or NULL */
};

static struct supply count(const struct apd_generation *generation)
{
	struct supply supply = {0};
	struct apd_process *process;

	apd_list_each (process, &generation->processes, link) {
		if (process->once && process->state == APD_PROCESS_READY)
			supply.live++;
		if (!counts(process))
			continue;
		supply.live++;
		if (process->state < APD_PROCESS_READY)
			supply.starting++;
		else
			supply.ready++;
		if (process->state == APD_PROCESS_READY && process->open == 0) {
			if (process->used)
				supply.spare = process;
			else
				supply.fresh++;
		}
	}
	return supply;
}

/* True if a route of the generation waits for a slot. */
static bool is_wanted(const struct apd_generation *generation)
{
	for (uint32_t i = 0; i < generation->n_instances; i++) {
		const struct apd_route *route = generation->instances[i].route;

		if (route && route->wants)
			return true;
	}
	return false;
}

static void enqueue(struct apd_generation *generation)
{
	struct apd_pool *pool = generation->plugin->pool;

	if (generation->retired)
		return;
	if (!apd_list_linked(&generation->supply))
		apd_list_append(&pool->supply, &generation->supply);
	apd_pool_kick(pool);
}

void apd_supply_want(struct apd_generation *generation, bool fresh)
{
	generation->wants_fresh |= fresh;
	enqueue(generation);
}

void apd_supply_ahead(struct apd_generation *generation)
{
	generation->wants_ahead = true;
	enqueue(generation);
}

void apd_supply_check(struct apd_generation *generation)
{
	struct apd_plugin *plugin = generation->plugin;
	const struct apd_host_config *config = plugin->pool->config;
	unsigned max = config->max_workers ? config->max_workers : 1;
	bool wanted = is_wanted(generation), fresh = generation->wants_fresh;
	struct supply supply = count(generation);
	int r;

	if (plugin->pool->stopping || generation->retired || generation->image->broken ||
		apd_deadline_is_set(&plugin->backoff))
		return;
	if (!wanted)
		generation->wants_fresh = fresh = false;
	if (supply.live > 0 && !wanted && !(generation->wants_ahead && supply.fresh == 0))
		return;
	/* Who waits is told when these are ready, and asks again if they are not enough. */
	if (supply.starting > 0)
		return;
	if (supply.live >= max) {
		if (fresh && supply.fresh == 0 && supply.spare)
			apd_process_end(supply.spare);
		return;
	}
	/* Old generations and stuck runs have processes too: bound them all together. */
	if (plugin->processes >= 2 * max)
		return;
	generation->wants_fresh = generation->wants_ahead = false;
	r = apd_process_start(generation);
	if (r < 0) {
		char why[APD_WHY_SIZE];

		snprintf(
			why, sizeof(why), "cannot start %s: %s", config->worker_path, strerror(-r));
		apd_supply_failed(generation, false, why);
	}
}

/* The time of a backoff is over. */
static void on_backoff(struct apd_deadline *deadline)
{
	struct apd_plugin *plugin = apd_container_of(deadline, struct apd_plugin, backoff);

	if (plugin->current)
		apd_supply_check(plugin->current);
}

void apd_supply_init(struct apd_plugin *plugin)
{
	plugin->backoff.expired = on_backoff;
}

/* Notes a death before being ready; true if it is the fifth within a minute. */
static bool is_hopeless(struct apd_plugin *plugin)
{
	const size_t n = APD_COUNT(plugin->deaths);
	int64_t now = apd_clock_mono_ns();

	memmove(plugin->deaths + 1, plugin->deaths, (n - 1) * sizeof(plugin->deaths[0]));
	plugin->deaths[0] = now;
	return plugin->deaths[n - 1] && now - plugin->deaths[n - 1] < DEATHS_WITHIN_NS;
}

/* The time until the next start: doubled with every failure, a quarter more or less by chance. */
static int64_t backoff_of(struct apd_plugin *plugin)
{
	unsigned doublings = plugin->failures - 1 < 7 ? plugin->failures - 1 : 7;
	int64_t delay = BACKOFF_FIRST_NS << doublings;

	if (delay > BACKOFF_LAST_NS)
		delay = BACKOFF_LAST_NS;
	return delay / 4 * 3 +
		(int64_t)(apd_id_random(&plugin->pool->random) % (uint64_t)(delay / 2));
}

void apd_supply_failed(struct apd_generation *generation, bool was_ready, const char *reason)
{
	struct apd_plugin *plugin = generation->plugin;
	struct apd_buf broken = {0};
	int64_t delay;

	if (generation->retired)
		return;
	plugin->failures++;
	if (!was_ready && is_hopeless(plugin) && count(generation).ready == 0) {
		apd_buf_addf(&broken, "its worker ended %zu times before it was ready: %s",
			APD_COUNT(plugin->deaths), reason);
		apd_log(APD_LOG_ERROR, "host", "plugin %s is broken until its file changes: %s",
			plugin->path, broken.data);
		free(generation->image->broken);
		generation->image->broken = apd_buf_steal(&broken);
		apd_generation_changed(generation);
		return;
	}
	delay = backoff_of(plugin);
	apd_log(APD_LOG_INFO, "host", "plugin %s: the next worker may start in %.1f s",
		plugin->path, (double)delay / APD_NS_PER_S);
	apd_deadline_set_in(&plugin->pool->deadlines, &plugin->backoff, delay);
}

void apd_supply_succeeded(struct apd_plugin *plugin)
{
	plugin->failures = 0;
}
