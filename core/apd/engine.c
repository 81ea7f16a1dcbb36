/* The runtime's thread: one libuv loop, one flush a turn. */
#include "apd/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/worker.h"

/* What the shutdown may take beyond the grace of the runs: the writer's last batches. */
#define SHUTDOWN_SPARE_NS (2 * APD_NS_PER_S)

/* So often a turn begins anew for what was posted meanwhile; then sockets have their turn. */
#define ROUNDS_MAX 4

/*
 * Wakes the loop for its mailbox. Not by uv_async_send(): there the woken thread
 * spins until the waking one, which it may have displaced, is through. [any]
 */
static void wake(void *data)
{
	struct apd_engine *engine = data;
	uint64_t one = 1;

	while (write(engine->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
	struct apd_engine *engine = poll->data;
	uint64_t count;

	(void)status;
	(void)events;
	if (read(engine->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		apd_log(APD_LOG_WARN, "apd", "eventfd: %s", strerror(errno));
}

static void on_woken(uv_check_t *check)
{
	struct apd_engine *engine = check->data;

	apd_mailbox_awake(&engine->mailbox);
	apd_mailbox_drain(&engine->mailbox);
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer; /* the turn that it begins does the work */
}

/* Decides all that came in; what came meanwhile as well. */
static void decide(struct apd_engine *engine)
{
	for (unsigned round = 1;; round++) {
		apd_runtime_run_timers(engine->runtime);
		apd_runtime_flush(engine->runtime);
		if (apd_mailbox_rest(&engine->mailbox))
			return;
		if (round == ROUNDS_MAX) {
			wake(engine);
			return;
		}
		apd_mailbox_awake(&engine->mailbox);
		apd_mailbox_drain(&engine->mailbox);
	}
}

/* The end of a turn, before the loop waits: what came in is decided, what goes out leaves together. */
static void on_turn(uv_prepare_t *prepare)
{
	struct apd_engine *engine = prepare->data;
	int64_t next, now;

	decide(engine);
	next = apd_runtime_next_timer(engine->runtime);
	if (next == INT64_MAX) {
		uv_timer_stop(&engine->timer);
		return;
	}
	now = apd_clock_mono_ns();
	uv_update_time(&engine->loop);
	uv_timer_start(&engine->timer, on_timer,
		next <= now ? 0 : (uint64_t)((next - now + APD_NS_PER_MS - 1) / APD_NS_PER_MS), 0);
}

int apd_engine_init(struct apd_engine *engine, struct apd_buf *error)
{
	int r;

	memset(engine, 0, sizeof(*engine));
	apd_mailbox_init(&engine->mailbox, wake, engine);
	engine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = uv_loop_init(&engine->loop);
	if (r == 0 && engine->wake_fd < 0)
		r = UV_EMFILE;
	if (r == 0)
		r = uv_poll_init(&engine->loop, &engine->wake, engine->wake_fd);
	if (r == 0)
		r = uv_poll_start(&engine->wake, UV_READABLE, on_wake);
	if (r == 0)
		r = uv_timer_init(&engine->loop, &engine->timer);
	if (r < 0) {
		apd_buf_addf(error, "the event loop cannot be made: %s", uv_strerror(r));
		return -1;
	}
	engine->wake.data = engine;
	return 0;
}

/* Serves a plugin on a thread of this process. */
static int serve_in_process(int socket_fd, int plugin_fd)
{
	return apd_worker_serve(socket_fd, plugin_fd, true);
}

static void recovered(void *data, int result)
{
	struct apd_engine *engine = data;

	engine->ready = true;
	engine->failed = result;
	uv_stop(&engine->loop);
}

/* Passes a call of the host's on to the runtime, which is made after it. */
#define FORWARD(name, params, args)               \
	static void on_##name params              \
	{                                         \
		struct apd_engine *engine = data; \
                                                  \
		apd_runtime_sink.name args;       \
	}

FORWARD(emitted, (void *data, struct apd_slot *slot, const struct apd_emission *emission),
	(engine->runtime, slot, emission))
FORWARD(commit, (void *data, struct apd_slot *slot, const struct apd_commit *commit),
	(engine->runtime, slot, commit))
FORWARD(asked,
	(void *data, struct apd_slot *slot, const struct apd_ask *asks, size_t n,
		struct apd_str continuation),
	(engine->runtime, slot, asks, n, continuation))
FORWARD(done,
	(void *data, struct apd_slot *slot, ap_status status, struct apd_str code,
		struct apd_str message),
	(engine->runtime, slot, status, code, message))
FORWARD(lost, (void *data, struct apd_slot *slot, const char *reason),
	(engine->runtime, slot, reason))
FORWARD(slots, (void *data, struct apd_str agent_id), (engine->runtime, agent_id))

static const struct apd_host_sink sink = {
	on_emitted, on_commit, on_asked, on_done, on_lost, on_slots};

/* The outbox has news. What came before there was a webhook thread it reads at its start. */
static void on_outbox(void *data)
{
	struct apd_engine *engine = data;

	if (engine->webhook)
		apd_webhook_poke(engine->webhook);
}

/* The runtime's part of the configuration. */
static struct apd_runtime_config runtime_config(const struct apd_config *config)
{
	return (struct apd_runtime_config){
		.max_queue = config->queue,
		.credit_bytes = 256 * 1024,
		.ring_bytes = config->ring_bytes,
		.events_max_bytes = config->events_max_bytes,
		.linger_ns = config->linger_ns,
		.stall_ns = config->events_stall_ns,
		.shutdown_grace_ns = config->shutdown_grace_ns,
		.retry_delay_ns = 100 * APD_NS_PER_MS,
	};
}

int apd_engine_start(struct apd_engine *engine, const struct apd_config *config,
	struct apd_storage *storage, bool in_process, struct apd_buf *error)
{
	struct apd_runtime_config settings = runtime_config(config);
	struct apd_runtime_deps deps = {.clock = &apd_clock_system,
		.storage = storage,
		.outbox = on_outbox,
		.outbox_data = engine};

	apd_config_host(config, &engine->host_config);
	engine->host_config.in_process = in_process ? serve_in_process : NULL;
	engine->storage = storage;
	engine->shutdown_limit_ns = config->shutdown_grace_ns + SHUTDOWN_SPARE_NS;
	if (apd_pool_create(
		    &engine->host_config, &engine->loop, &sink, engine, &engine->pool, error) < 0)
		return -1;
	deps.host = apd_pool_host(engine->pool);
	engine->runtime = apd_runtime_create(&settings, &deps);
	/* The handle that was started last runs first: the pool sends what this turn decides. */
	uv_prepare_init(&engine->loop, &engine->turn);
	engine->turn.data = engine;
	uv_prepare_start(&engine->turn, on_turn);
	uv_check_init(&engine->loop, &engine->woken);
	engine->woken.data = engine;
	uv_check_start(&engine->woken, on_woken);
	apd_runtime_recover(engine->runtime, recovered, engine);
	while (!engine->ready)
		uv_run(&engine->loop, UV_RUN_ONCE);
	if (engine->failed < 0) {
		apd_buf_addf(error, "the runs of an earlier life cannot be read: %s",
			strerror(-engine->failed));
		return -1;
	}
	return 0;
}

static void over(void *data)
{
	struct apd_engine *engine = data;

	engine->over = true;
	uv_stop(&engine->loop);
}

static void on_limit(uv_timer_t *timer)
{
	struct apd_engine *engine = timer->data;

	apd_log(APD_LOG_ERROR, "apd",
		"the database does not take what is left; stopping without it");
	over(engine);
}

void apd_engine_shutdown(struct apd_engine *engine)
{
	uv_timer_t limit;

	uv_timer_init(&engine->loop, &limit);
	limit.data = engine;
	uv_timer_start(&limit, on_limit, (uint64_t)(engine->shutdown_limit_ns / APD_NS_PER_MS), 0);
	apd_runtime_shutdown(engine->runtime, over, engine);
	while (!engine->over)
		uv_run(&engine->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&engine->loop, UV_RUN_NOWAIT);
}

void apd_engine_stop_workers(struct apd_engine *engine)
{
	apd_pool_stop(engine->pool, 1000);
}

static void close_handle(uv_handle_t *handle, void *data)
{
	(void)data;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void apd_engine_finish(struct apd_engine *engine)
{
	apd_mailbox_drain(&engine->mailbox);
	if (engine->runtime) {
		uv_prepare_stop(&engine->turn);
		uv_check_stop(&engine->woken);
	}
	apd_runtime_destroy(engine->runtime);
	apd_pool_destroy(engine->pool);
	uv_walk(&engine->loop, close_handle, NULL);
	while (uv_run(&engine->loop, UV_RUN_DEFAULT) != 0)
		;
	if (uv_loop_close(&engine->loop) < 0)
		apd_log(APD_LOG_WARN, "apd", "the event loop did not end cleanly");
	close(engine->wake_fd);
}
