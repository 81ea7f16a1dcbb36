/* The pool: its beginning, what it does at the end of each turn of the loop, its end. */
#include "host/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

/* A worker that does not read gets no more than this; what waits for it is memory of ours. */
#define UNREAD_MAX (512u << 20)

/* Tells the runtime whose queues are worth trying; what it causes is for the next round. */
static void notify(struct apd_pool *pool)
{
	struct apd_list now;

	apd_list_init(&now);
	apd_list_splice(&now, &pool->notify);
	while (!apd_list_empty(&now)) {
		struct apd_route *route = apd_list_first(&now, struct apd_route, notify);

		apd_list_remove(&route->notify);
		if (!pool->stopping)
			pool->sink->slots(pool->sink_data, apd_str(route->agent_id));
	}
}

/* Ends the runs that could not be sent. */
static void refuse(struct apd_pool *pool)
{
	while (!apd_list_empty(&pool->refused)) {
		struct apd_run_slot *slot =
			apd_list_first(&pool->refused, struct apd_run_slot, refused);

		apd_list_remove(&slot->refused);
		if (!pool->stopping)
			pool->sink->done(pool->sink_data, &slot->slot, AP_E_LIMIT,
				APD_STR("too_large"),
				APD_STR("The state of the thread and the request are larger than "
					"an agent can be given."));
	}
}

/* Starts what is missing. */
static void supply(struct apd_pool *pool)
{
	while (!apd_list_empty(&pool->supply)) {
		struct apd_generation *generation =
			apd_list_first(&pool->supply, struct apd_generation, supply);

		apd_list_remove(&generation->supply);
		apd_supply_check(generation);
	}
}

/* Sends all that was said to workers in this turn: one write for each. */
static void flush(struct apd_pool *pool)
{
	while (!apd_list_empty(&pool->dirty)) {
		struct apd_process *process =
			apd_list_first(&pool->dirty, struct apd_process, dirty);

		apd_list_remove(&process->dirty);
		apd_child_flush(&process->child);
		if (apd_child_backlog(&process->child) > UNREAD_MAX)
			apd_child_kill(&process->child, "it does not read its socket");
	}
}

static void end_turn(struct apd_pool *pool)
{
	refuse(pool);
	notify(pool);
	supply(pool);
	flush(pool);
	if (apd_list_empty(&pool->refused) && apd_list_empty(&pool->notify) &&
		apd_list_empty(&pool->supply) && apd_list_empty(&pool->dirty))
		uv_idle_stop(&pool->idle);
}

/* After the loop polled and ran what came. */
static void on_check(uv_check_t *check)
{
	end_turn(check->data);
}

/* Runs, before it polls, only while there is something to do; then the poll does not wait. */
static void on_idle(uv_idle_t *idle)
{
	end_turn(idle->data);
}

void apd_pool_kick(struct apd_pool *pool)
{
	if (!uv_is_closing((uv_handle_t *)&pool->idle))
		uv_idle_start(&pool->idle, on_idle);
}

static void init_handles(struct apd_pool *pool)
{
	apd_deadlines_init(&pool->deadlines, pool->loop);
	uv_check_init(pool->loop, &pool->check);
	uv_idle_init(pool->loop, &pool->idle);
	pool->check.data = pool->idle.data = pool;
	pool->open_handles = 2;
	uv_check_start(&pool->check, on_check);
}

static void scanned_at_start(struct apd_pool *pool)
{
	(void)pool;
}

/* Describes all plugins on a loop of its own, which ends when they all are described. */
static int first_scan(struct apd_pool *pool)
{
	struct apd_deadlines deadlines;
	uv_loop_t loop;
	int r = uv_loop_init(&loop);

	if (r < 0)
		return r;
	apd_deadlines_init(&deadlines, &loop);
	apd_scan_start(pool, &loop, &deadlines, scanned_at_start);
	while (pool->scan)
		uv_run(&loop, UV_RUN_ONCE);
	apd_deadlines_close(&deadlines);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return 0;
}

/* Has a worker started for every plugin as soon as the loop runs. */
static void begin(struct apd_pool *pool)
{
	struct apd_plugin *plugin;
	struct apd_ward *ward;

	pool->serving = true;
	apd_list_each (plugin, &pool->plugins, link) {
		apd_list_each (ward, &plugin->wards, link) {
			if (ward->current)
				apd_supply_want(ward->current, false);
		}
	}
}

/* Becomes the parent of what workers leave behind, where they are processes. */
static int adopt(struct apd_pool *pool, struct apd_buf *error)
{
	int r;

	if (pool->config->in_process)
		return 0;
	r = apd_strays_init(&pool->strays, pool->loop, pool);
	if (pool->strays.signal.loop)
		pool->open_handles++;
	if (r < 0)
		apd_buf_addf(error, "cannot look after workers: %s", strerror(-r));
	return r;
}

/* Resolves what the configuration says of confinement: 0, or -errno and a sentence. */
static int confine(struct apd_pool *pool, struct apd_buf *error)
{
	const struct apd_host_config *config = pool->config;
	size_t n = config->n_agents + 1;
	struct apd_buf why = {0};

	pool->confinements = apd_calloc(n, sizeof(*pool->confinements));
	pool->confined = apd_calloc(n, sizeof(*pool->confined));
	for (size_t i = 0; i < n; i++) {
		const struct apd_agent_config *entry = i ? &config->agents[i - 1] : NULL;
		size_t same = 0;
		int r = apd_confinement_init(&pool->confinements[i], config, entry, &why);

		if (r < 0) {
			if (entry)
				apd_buf_addf(error, "agents.%s.%s", entry->agent_id, why.data);
			else
				apd_buf_addf(error, "workers.%s", why.data);
			apd_buf_finish(&why);
			return r;
		}
		pool->n_confinements++;
		while (!apd_confinement_eq(&pool->confinements[same], &pool->confinements[i]))
			same++;
		pool->confined[i] = &pool->confinements[same];
	}
	return 0;
}

int apd_pool_create(const struct apd_host_config *config, uv_loop_t *loop,
	const struct apd_host_sink *sink, void *sink_data, struct apd_pool **ret_pool,
	struct apd_buf *error)
{
	struct apd_pool *pool = apd_calloc(1, sizeof(*pool));
	int r;

	pool->host.ops = &apd_pool_ops;
	pool->config = config;
	pool->loop = loop;
	pool->sink = sink;
	pool->sink_data = sink_data;
	apd_list_init(&pool->plugins);
	apd_list_init(&pool->all);
	apd_list_init(&pool->notify);
	apd_list_init(&pool->supply);
	apd_list_init(&pool->dirty);
	apd_list_init(&pool->refused);
	apd_list_init(&pool->free_slots);
	apd_id_gen_init_random(&pool->random);
	pthread_mutex_init(&pool->mutex, NULL);
	init_handles(pool);
	r = adopt(pool, error);
	if (r == 0)
		r = confine(pool, error);
	if (r == 0) {
		apd_watches_renew(pool); /* first, so that no change is missed */
		r = first_scan(pool);
		if (r < 0)
			apd_buf_addf(error, "cannot look for plugins: %s", strerror(-r));
	}
	if (r == 0)
		r = apd_registry_resolve(pool, error);
	if (r < 0) {
		apd_pool_destroy(pool);
		return r;
	}
	begin(pool);
	*ret_pool = pool;
	return 0;
}

struct apd_host *apd_pool_host(struct apd_pool *pool)
{
	return &pool->host;
}

struct apd_agent_set *apd_pool_agents(struct apd_pool *pool)
{
	struct apd_agent_set *set;

	pthread_mutex_lock(&pool->mutex);
	set = apd_agent_set_ref(pool->set);
	pthread_mutex_unlock(&pool->mutex);
	return set;
}

/* A reload has described what is new. */
static void reloaded(struct apd_pool *pool)
{
	if (pool->stopping)
		return;
	apd_registry_resolve(pool, NULL);
	begin(pool);
	if (pool->scan_again) {
		pool->scan_again = false;
		apd_pool_reload(pool);
	}
}

void apd_pool_reload(struct apd_pool *pool)
{
	if (pool->stopping)
		return;
	if (pool->scan) {
		pool->scan_again = true;
		return;
	}
	apd_watches_renew(pool);
	apd_scan_start(pool, pool->loop, &pool->deadlines, reloaded);
}

/* Calls fn for every process that lives, of all generations. */
static void for_processes(struct apd_pool *pool, void (*fn)(struct apd_process *process))
{
	struct apd_process *process, *next;

	apd_list_each_safe (process, next, &pool->all, all)
		fn(process);
}

static void kill_process(struct apd_process *process)
{
	if (process->state == APD_PROCESS_ENDING)
		process->killed = true;
	apd_child_kill(&process->child, "apd is stopping");
}

/* The time for quitting is over. */
static void on_too_late(struct apd_deadline *deadline)
{
	struct apd_pool *pool = apd_container_of(deadline, struct apd_pool, too_late);

	for_processes(pool, kill_process);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct apd_pool *pool = handle->data;

	pool->open_handles--;
}

static void close_handles(struct apd_pool *pool)
{
	uv_close((uv_handle_t *)&pool->check, on_handle_closed);
	uv_close((uv_handle_t *)&pool->idle, on_handle_closed);
	if (pool->strays.signal.loop)
		apd_strays_close(&pool->strays, on_handle_closed);
	apd_watches_close(pool);
	apd_deadlines_close(&pool->deadlines);
	while (pool->open_handles || pool->deadlines.open)
		uv_run(pool->loop, UV_RUN_ONCE);
}

void apd_pool_stop(struct apd_pool *pool, unsigned timeout_ms)
{
	if (pool->stopping)
		return;
	pool->stopping = true;
	apd_scan_cancel(pool);
	for_processes(pool, apd_process_end);
	pool->too_late.expired = on_too_late;
	apd_deadline_set_in(&pool->deadlines, &pool->too_late, timeout_ms * APD_NS_PER_MS);
	while (pool->processes || pool->scan)
		uv_run(pool->loop, UV_RUN_ONCE);
	if (pool->strays.signal.loop)
		apd_strays_end(&pool->strays);
	close_handles(pool);
}

static void free_plugins(struct apd_pool *pool)
{
	struct apd_plugin *plugin, *next;

	apd_list_each_safe (plugin, next, &pool->plugins, link) {
		apd_wards_destroy(plugin);
		apd_image_unref(plugin->image);
		free(plugin->refusal);
		free(plugin->path);
		free(plugin);
	}
}

static void free_routes(struct apd_pool *pool)
{
	struct apd_route *route;

	for (size_t at = 0; (route = apd_map_next(&pool->routes, &at));) {
		apd_agent_unref(route->agent);
		free(route->agent_id);
		free(route);
	}
	apd_map_finish(&pool->routes);
}

void apd_pool_destroy(struct apd_pool *pool)
{
	if (!pool)
		return;
	apd_pool_stop(pool, 0);
	free_plugins(pool);
	free_routes(pool);
	for (size_t i = 0; i < pool->n_confinements; i++)
		apd_confinement_finish(&pool->confinements[i]);
	free(pool->confinements);
	free(pool->confined);
	free(pool->watches);
	apd_slots_finish(pool);
	apd_agent_set_unref(pool->set);
	apd_json_finish(&pool->json);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

void apd_pool_stats(struct apd_pool *pool, struct apd_pool_stats *ret_stats)
{
	*ret_stats = (struct apd_pool_stats){
		.workers = atomic_load_explicit(&pool->alive, memory_order_relaxed),
		.spawned = atomic_load_explicit(&pool->spawned, memory_order_relaxed),
		.crashes = atomic_load_explicit(&pool->crashes, memory_order_relaxed),
		.killed = atomic_load_explicit(&pool->killed, memory_order_relaxed),
		.log_dropped = atomic_load_explicit(&pool->log_dropped, memory_order_relaxed),
	};
}
