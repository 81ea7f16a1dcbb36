/* Slots: what the runtime asks of the host. Nothing here calls the sink before the loop turns. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "host/parts.h"

/* A worker with so many bytes waiting to be sent gets no more runs. */
#define BACKLOG_MAX (8u << 20)

/* Slots kept for the next runs. */
#define FREE_MAX 1024

static struct apd_pool *pool_of(struct apd_host *host)
{
	return apd_container_of(host, struct apd_pool, host);
}

static struct apd_run_slot *slot_of(struct apd_slot *slot)
{
	return apd_container_of(slot, struct apd_run_slot, slot);
}

static struct apd_str key_of(const struct apd_run_slot *slot)
{
	return (struct apd_str){(const char *)&slot->run, sizeof(slot->run)};
}

static struct apd_buf *out_of(const struct apd_run_slot *slot)
{
	apd_process_dirty(slot->process);
	return &slot->process->child.out;
}

/* True if frames of the slot's run reach an agent that is in invoke(). */
static bool is_open(const struct apd_run_slot *slot)
{
	return slot->phase == APD_SLOT_INVOKED;
}

void apd_route_notify(struct apd_pool *pool, struct apd_route *route)
{
	route->wants = false;
	if (!pool->serving || pool->stopping || apd_list_linked(&route->notify))
		return;
	apd_list_append(&pool->notify, &route->notify);
	apd_pool_kick(pool);
}

void apd_generation_notify(struct apd_generation *generation)
{
	for (uint32_t i = 0; i < generation->n_instances; i++) {
		struct apd_route *route = generation->instances[i].route;

		if (route && route->wants)
			apd_route_notify(generation->plugin->pool, route);
	}
}

static struct apd_run_slot *make_slot(struct apd_pool *pool)
{
	struct apd_run_slot *slot;

	if (apd_list_empty(&pool->free_slots))
		return apd_calloc(1, sizeof(*slot));
	slot = apd_list_first(&pool->free_slots, struct apd_run_slot, link);
	apd_list_remove(&slot->link);
	pool->n_free_slots--;
	*slot = (struct apd_run_slot){0};
	return slot;
}

static void free_slot(struct apd_pool *pool, struct apd_run_slot *slot)
{
	slot->phase = APD_SLOT_FREE;
	if (pool->n_free_slots >= FREE_MAX) {
		free(slot);
		return;
	}
	apd_list_append(&pool->free_slots, &slot->link);
	pool->n_free_slots++;
}

void apd_slots_finish(struct apd_pool *pool)
{
	struct apd_run_slot *slot, *next;

	apd_list_each_safe (slot, next, &pool->free_slots, link)
		free(slot);
	apd_list_init(&pool->free_slots);
	pool->n_free_slots = 0;
}

struct apd_run_slot *apd_slot_find(const struct apd_process *process, uint32_t run)
{
	return apd_map_get(&process->runs, (struct apd_str){(const char *)&run, sizeof(run)});
}

static struct apd_agent *op_find(struct apd_host *host, struct apd_str agent_id)
{
	const struct apd_route *route = apd_map_get(&pool_of(host)->routes, agent_id);

	return route ? route->agent : NULL;
}

/* True if a run of the instance may begin in the process. */
static bool has_room(const struct apd_process *process, uint32_t instance, bool alone, bool once)
{
	uint32_t use = process->use[instance];

	if (process->state != APD_PROCESS_READY || process->fenced || process->alone ||
		use == APD_NO_INSTANCE || process->last_run == UINT32_MAX)
		return false;
	if (once)
		return !process->used && process->open == 0;
	if (alone)
		return process->open == 0;
	return use < process->generation->instances[instance].described->max_concurrency &&
		apd_child_backlog(&process->child) < BACKLOG_MAX;
}

/* Opens a slot in the process. */
static struct apd_slot *open_slot(
	struct apd_process *process, uint32_t instance, bool alone, bool once)
{
	struct apd_run_slot *slot = make_slot(process->pool);

	slot->process = process;
	slot->instance = instance;
	slot->phase = APD_SLOT_ACQUIRED;
	apd_message_order_init(&slot->order);
	apd_list_append(&process->slots, &slot->link);
	process->use[instance]++;
	process->open++;
	process->alone = alone || once;
	process->once = once;
	if (once) {
		process->used = true;
		apd_supply_ahead(process->generation);
	}
	return &slot->slot;
}

static struct apd_slot *op_acquire(struct apd_host *host, struct apd_str agent_id, bool alone)
{
	struct apd_pool *pool = pool_of(host);
	struct apd_route *route = apd_map_get(&pool->routes, agent_id);
	struct apd_generation *generation = route ? route->generation : NULL;
	struct apd_process *process;
	bool once;

	if (!generation || pool->stopping || !pool->serving)
		return NULL;
	if (generation->broken || generation->instances[route->instance].broken)
		return NULL;
	once = generation->instances[route->instance].isolation == APD_ISOLATE_RUN;
	/* The first with room, so that the last ones become idle and end. */
	apd_list_each (process, &generation->processes, link) {
		if (has_room(process, route->instance, alone, once))
			return open_slot(process, route->instance, alone, once);
	}
	route->wants = true;
	apd_supply_want(generation, alone || once);
	return NULL;
}

/* Whether the run cannot be sent, because of its size. Room is left for what frames need. */
static bool is_too_large(const struct apd_str *fields, size_t n)
{
	size_t left = APD_TO_WORKER_MAX - (1u << 20);

	for (size_t i = 0; i < n; i++) {
		if (fields[i].len > left)
			return true;
		left -= fields[i].len;
	}
	return false;
}

/* Ends a run that never was sent, at the end of this turn. */
static void refuse(struct apd_run_slot *slot)
{
	struct apd_pool *pool = slot->process->pool;

	slot->phase = APD_SLOT_DONE;
	apd_list_append(&pool->refused, &slot->refused);
	apd_pool_kick(pool);
}

static void op_invoke(
	struct apd_host *host, struct apd_slot *base, const struct apd_invocation *what)
{
	struct apd_run_slot *slot = slot_of(base);
	struct apd_process *process = slot->process;
	char run_id[APD_ID_TEXT + 1], thread_id[APD_ID_TEXT + 1];
	const struct apd_invoke head = {
		.deadline_ns = what->deadline_ns,
		.attempt = what->attempt,
		.flags = what->flags,
		.listening = what->listening,
		.credit = what->credit,
		.relaxed = what->relaxed,
	};
	const struct apd_str fields[] = {
		{(const char *)&head, sizeof(head)},
		{run_id, APD_ID_TEXT},
		{thread_id, APD_ID_TEXT},
		what->agent_id,
		what->input,
		what->messages,
		what->transcript,
		what->config,
		what->metadata,
		what->values,
		what->resume,
		what->jump,
		what->continuation,
	};

	(void)host;
	if (slot->phase != APD_SLOT_ACQUIRED)
		return;
	if (is_too_large(fields, APD_COUNT(fields))) {
		refuse(slot);
		return;
	}
	apd_id_format(&what->run_id, run_id);
	apd_id_format(&what->thread_id, thread_id);
	slot->run = ++process->last_run;
	slot->credit = what->credit;
	slot->relaxed = what->relaxed;
	slot->phase = APD_SLOT_INVOKED;
	process->used = true;
	apd_map_put(&process->runs, key_of(slot), slot);
	apd_frame_add(out_of(slot), APD_FRAME_INVOKE, slot->run, slot->instance, fields,
		APD_COUNT(fields));
}

static void op_stop(struct apd_host *host, struct apd_slot *base, enum apd_stop_reason reason)
{
	struct apd_run_slot *slot = slot_of(base);

	(void)host;
	if (!is_open(slot))
		return;
	if (!slot->stopping)
		slot->process->stopping++;
	slot->stopping = true;
	apd_frame_add(out_of(slot), APD_FRAME_STOP, slot->run, reason, NULL, 0);
	apd_watch_reply(slot->process);
}

static void op_committed(
	struct apd_host *host, struct apd_slot *base, uint32_t number, ap_status status)
{
	struct apd_run_slot *slot = slot_of(base);
	const struct apd_str field = {(const char *)&status, sizeof(status)};

	(void)host;
	if (!is_open(slot) || number == 0)
		return;
	if (slot->open_commits)
		slot->open_commits--;
	apd_frame_add(out_of(slot), APD_FRAME_COMMITTED, slot->run, number, &field, 1);
}

static void op_credit(struct apd_host *host, struct apd_slot *base, uint32_t bytes)
{
	struct apd_run_slot *slot = slot_of(base);

	(void)host;
	if (!is_open(slot) || bytes == 0)
		return;
	slot->credit += bytes;
	apd_frame_add(out_of(slot), APD_FRAME_CREDIT, slot->run, bytes, NULL, 0);
}

static void op_listening(struct apd_host *host, struct apd_slot *base, uint32_t channels)
{
	struct apd_run_slot *slot = slot_of(base);

	(void)host;
	if (is_open(slot))
		apd_frame_add(out_of(slot), APD_FRAME_LISTENING, slot->run, channels, NULL, 0);
}

void apd_slot_ended(struct apd_run_slot *slot)
{
	if (!is_open(slot))
		return;
	apd_map_remove(&slot->process->runs, key_of(slot));
	if (slot->stopping)
		slot->process->stopping--;
	slot->stopping = false;
	slot->phase = APD_SLOT_DONE;
}

/* Takes the slot out of its process, which may have to end then. */
static void close_slot(struct apd_run_slot *slot)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): one that was freed is in no list. */
	struct apd_process *process = slot->process;

	apd_slot_ended(slot);
	apd_message_order_finish(&slot->order);
	apd_list_remove(&slot->refused);
	apd_list_remove(&slot->link);
	process->open--;
}

/* What comes next for a process that lost a run. */
static void settle(struct apd_process *process)
{
	if (process->state == APD_PROCESS_DEAD)
		return;
	if (process->open == 0 && process->fenced)
		apd_process_fence_kill(process);
	else if (process->open == 0 &&
		(process->once || process->generation->retired || process->last_run == UINT32_MAX))
		apd_process_end(process);
	else if (!process->fenced) {
		if (process->open == 0)
			apd_watch_idle(process);
		if (process->open == 0)
			process->alone = false;
		apd_generation_notify(process->generation);
	}
}

static void op_abandon(struct apd_host *host, struct apd_slot *base)
{
	struct apd_run_slot *slot = slot_of(base);
	struct apd_process *process = slot->process;
	struct apd_pool *pool = pool_of(host);

	close_slot(slot);
	free_slot(pool, slot);
	process->fenced = true;
	settle(process);
	if (process->open == 0)
		return;
	if (!apd_deadline_is_set(&process->drain))
		apd_deadline_set_in(&pool->deadlines, &process->drain, pool->config->drain_ns);
	apd_supply_want(process->generation, false);
}

static void op_release(struct apd_host *host, struct apd_slot *base)
{
	struct apd_run_slot *slot = slot_of(base);
	struct apd_process *process = slot->process;

	/* A run that goes on cannot have its slot given to another. */
	if (is_open(slot)) {
		op_abandon(host, base);
		return;
	}
	process->use[slot->instance]--;
	close_slot(slot);
	free_slot(pool_of(host), slot);
	settle(process);
}

void apd_slots_lost(struct apd_process *process, const char *reason)
{
	struct apd_pool *pool = process->pool;

	/* From the front again each time: the runtime may give others of these back meanwhile. */
	while (!apd_list_empty(&process->slots)) {
		struct apd_run_slot *slot =
			apd_list_first(&process->slots, struct apd_run_slot, link);

		close_slot(slot);
		if (!pool->stopping)
			pool->sink->lost(pool->sink_data, &slot->slot, reason);
		free_slot(pool, slot);
	}
}

const struct apd_host_ops apd_pool_ops = {
	.find = op_find,
	.acquire = op_acquire,
	.invoke = op_invoke,
	.stop = op_stop,
	.committed = op_committed,
	.credit = op_credit,
	.listening = op_listening,
	.release = op_release,
	.abandon = op_abandon,
};
