/* When processes are started: one always, more when slots are wanted, slowly after deaths. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

#define BACKOFF_FIRST_NS (APD_NS_PER_S / 2)
#define BACKOFF_LAST_NS  (60 * APD_NS_PER_S)

/*
 * So many starts in a row that came to nothing break the image, however long
 * they took: one whose create() hangs takes its whole time each.
 */
#define UNREADY_MAX 5

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

/* True if the generation may have a process now, however many are wanted. */
static bool may_start(const struct apd_generation *generation)
{
	const struct apd_ward *ward = generation->ward;

	if (ward->plugin->pool->stopping || generation->retired || generation->broken)
		return false;
	/* The failures of the one that serves are not those of the one that is to follow. */
	return !apd_deadline_is_set(&ward->backoff) || generation == ward->next;
}

void apd_supply_check(struct apd_generation *generation)
{
	struct apd_ward *ward = generation->ward;
	const struct apd_host_config *config = ward->plugin->pool->config;
	unsigned max = config->max_workers ? config->max_workers : 1;
	bool wanted = is_wanted(generation), fresh = generation->wants_fresh;
	struct supply supply = count(generation);
	int r;

	if (!may_start(generation))
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
	if (ward->processes >= 2 * max)
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
	struct apd_ward *ward = apd_container_of(deadline, struct apd_ward, backoff);

	if (ward->current)
		apd_supply_check(ward->current);
}

void apd_supply_init(struct apd_ward *ward)
{
	ward->backoff.expired = on_backoff;
}

/* The time until the next start: doubled with every failure, a quarter more or less by chance. */
static int64_t backoff_of(struct apd_ward *ward)
{
	unsigned doublings = ward->failures - 1 < 7 ? ward->failures - 1 : 7;
	int64_t delay = BACKOFF_FIRST_NS << doublings;

	if (delay > BACKOFF_LAST_NS)
		delay = BACKOFF_LAST_NS;
	return delay / 4 * 3 +
		(int64_t)(apd_id_random(&ward->plugin->pool->random) % (uint64_t)(delay / 2));
}

/* Serves the generation's agents as broken. Takes the sentence. */
static void break_generation(struct apd_generation *generation, struct apd_buf *why)
{
	apd_log(APD_LOG_ERROR, "host", "plugin %s is broken: %s", generation->plugin->path,
		why->data);
	free(generation->broken);
	generation->broken = apd_buf_steal(why);
	apd_generation_changed(generation);
}

void apd_supply_failed(struct apd_generation *generation, bool was_ready, const char *reason)
{
	struct apd_ward *ward = generation->ward;
	struct apd_buf why = {0};
	int64_t delay;

	if (generation->retired)
		return;
	if (generation == ward->next) {
		apd_buf_addf(&why, "its worker ended before it was ready: %s", reason);
		apd_ward_refuse(ward, why.data);
		apd_buf_finish(&why);
		return;
	}
	ward->failures++;
	if (!was_ready && ++ward->unready >= UNREADY_MAX && count(generation).ready == 0) {
		apd_buf_addf(&why, "its worker ended %u times before it was ready: %s",
			ward->unready, reason);
		break_generation(generation, &why);
		return;
	}
	delay = backoff_of(ward);
	apd_log(APD_LOG_INFO, "host", "plugin %s: the next worker may start in %.1f s",
		ward->plugin->path, (double)delay / APD_NS_PER_S);
	apd_deadline_set_in(&ward->plugin->pool->deadlines, &ward->backoff, delay);
}

void apd_supply_unconfined(struct apd_generation *generation, const char *reason)
{
	struct apd_buf why = {0};

	if (generation->retired)
		return;
	apd_buf_addf(&why, "its worker could not be confined: %s", reason);
	if (generation == generation->ward->next) {
		apd_ward_refuse(generation->ward, why.data);
		apd_buf_finish(&why);
		return;
	}
	generation->unconfined = true;
	break_generation(generation, &why);
}

void apd_supply_succeeded(struct apd_ward *ward)
{
	ward->failures = 0;
}
