/* apd serve: the daemon. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apd/command.h"
#include "apd/engine.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/sqlite/engine.h"

enum { OPT_CONFIG, OPT_LISTEN, OPT_DATA_DIR, OPT_PLUGIN_DIR, OPT_HELP };

static const struct apd_option options[] = {
	[OPT_CONFIG] = {"--config", "-c", "FILE", "the configuration (YAML)"},
	[OPT_LISTEN] = {"--listen", NULL, "HOST:PORT",
		"where to serve (127.0.0.1:8000; port 0 picks one)"},
	[OPT_DATA_DIR] = {"--data-dir", NULL, "DIR", "where the database lies (./data)"},
	[OPT_PLUGIN_DIR] = {"--plugin-dir", NULL, "DIR",
		"where plugins lie; may stand several times"},
	[OPT_HELP] = {"--help", "-h", NULL, "prints this"},
	{0},
};

/* The daemon. */
struct daemon {
	struct apd_config config;
	struct apd_engine engine;
	struct apd_storage *storage;
	struct apd_webhook *webhook;
	struct apd_api *api;
	struct apd_http_server *server;
	uv_signal_t term, interrupt, hangup;
	uv_timer_t sweep;
	bool stopping;
};

/* Reads flags over the file: 0 to go on, 1 to exit with success, -1 with failure. */
static int read_arguments(struct daemon *daemon, int argc, char **argv)
{
	struct apd_arguments arguments = {options, argc, argv, 0};
	const char *value, *file = NULL, *listen = NULL, *data_dir = NULL;
	const char **dirs = NULL;
	int r;

	while ((r = apd_arguments_next(&arguments, &value)) != -1) {
		if (r == OPT_CONFIG) {
			file = value;
		} else if (r == OPT_LISTEN) {
			listen = value;
		} else if (r == OPT_DATA_DIR) {
			data_dir = value;
		} else if (r == OPT_PLUGIN_DIR) {
			apd_config_add(&daemon->config, &dirs, apd_str(value));
		} else if (r == OPT_HELP) {
			apd_arguments_help(options, "serve [OPTION]...",
				"Serves agents over HTTP until SIGTERM. Flags beat the file.");
			free((void *)dirs);
			return 1;
		} else {
			if (r == -2)
				fprintf(stderr, "apd serve: unexpected argument %s\n", value);
			free((void *)dirs);
			return -1;
		}
	}
	if (apd_command_config(&daemon->config, file, dirs) < 0)
		return -1;
	if (listen)
		daemon->config.listen = listen;
	if (data_dir)
		daemon->config.data_dir = data_dir;
	return 0;
}

static unsigned ms_of(int64_t ns)
{
	return (unsigned)(ns / APD_NS_PER_MS);
}

/* Opens the database. */
static int open_storage(struct daemon *daemon, struct apd_buf *error)
{
	const struct apd_config *config = &daemon->config;
	struct apd_sqlite_config settings = {
		.dir = config->data_dir,
		.full = config->durability == 0,
		.reader_threads = config->reader_threads,
		.read_budget_ms = ms_of(config->read_budget_ns),
		.mailbox = &daemon->engine.mailbox,
	};

	return apd_sqlite_open(&settings, &daemon->storage, error);
}

/* Starts what delivers webhooks. */
static int start_webhooks(struct daemon *daemon, struct apd_buf *error)
{
	const struct apd_config *config = &daemon->config;
	struct apd_webhook_config settings = {
		.secret = config->webhook_secret,
		.allow_private = config->webhook_allow_private,
		.allow = config->webhook_allow,
		.ca_file = config->webhook_ca_file,
		.max_in_flight = config->webhook_max_in_flight,
		.max_per_host = config->webhook_max_per_host,
		.timeout_ns = config->webhook_timeout_ns,
		.give_up_ns = config->webhook_give_up_ns,
		.retry_ns = config->webhook_retry_ns,
	};
	struct apd_webhook_deps deps = {daemon->storage, &daemon->engine.mailbox};

	daemon->webhook = apd_webhook_create(&settings, &deps, error);
	daemon->engine.webhook = daemon->webhook;
	return daemon->webhook ? 0 : -1;
}

/* Ends the delivery; storage is told of what was delivered while it is open. */
static void stop_webhooks(struct daemon *daemon)
{
	if (!daemon->webhook)
		return;
	apd_webhook_stop(daemon->webhook);
	while (apd_mailbox_drain(&daemon->engine.mailbox))
		;
}

/* Binds the address and starts the HTTP threads. */
static int start_server(struct daemon *daemon, struct apd_buf *error)
{
	struct apd_config *config = &daemon->config;
	struct apd_api_deps deps = {&daemon->engine.mailbox, daemon->engine.runtime,
		daemon->engine.pool, daemon->storage, APD_VERSION};
	struct apd_http_config settings = {
		.threads = config->http_threads,
		.max_connections = config->max_connections,
		.max_header = config->max_header,
		.max_body = config->max_body,
		.max_bodies = config->max_bodies,
		.send_timeout_ms = ms_of(config->send_timeout_ns),
		.idle_timeout_ms = ms_of(config->idle_timeout_ns),
		.stall_timeout_ms = ms_of(config->stall_timeout_ns),
		.heartbeat_ms = ms_of(config->heartbeat_ns),
		.cors_origins = config->cors_origins,
	};
	const struct apd_http_route *routes;
	size_t n_routes;

	if (apd_config_listen(config, &settings.host, &settings.port, error) < 0 ||
		apd_api_create(&deps, &daemon->api, error) < 0)
		return -1;
	routes = apd_api_routes(&n_routes);
	if (apd_http_server_create(
		    &settings, routes, n_routes, daemon->api, &daemon->server, error) < 0)
		return -1;
	apd_api_attach(daemon->api, daemon->server);
	apd_api_attach_webhooks(daemon->api, daemon->webhook);
	if (apd_http_server_start(daemon->server, error) < 0)
		return -1;
	printf(strchr(settings.host, ':') ? "listening on http://[%s]:%u\n"
					  : "listening on http://%s:%u\n",
		settings.host, apd_http_server_port(daemon->server));
	fflush(stdout);
	return 0;
}

/* SIGTERM and SIGINT: stop cleanly. */
static void on_stop(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	apd_log(APD_LOG_INFO, "apd", "stopping on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
	daemon->stopping = true;
	uv_stop(handle->loop);
}

/* SIGHUP: look at the plugins again. */
static void on_hangup(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	(void)number;
	apd_log(APD_LOG_INFO, "apd", "SIGHUP: looking at the plugins again");
	apd_pool_reload(daemon->engine.pool);
}

/* Once a minute: forget what is old enough, a few at a time. */
static void on_sweep(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	int64_t runs_us = daemon->config.retention_ephemeral_ns / 1000;
	int64_t threads_us = daemon->config.retention_threads_ns / 1000;
	int64_t now = apd_clock_wall_us();

	daemon->storage->ops->sweep(daemon->storage,
		&(struct apd_sweep){.runs_before_us = now - runs_us,
			.threads_before_us = threads_us ? now - threads_us : 0,
			.max = 1000});
}

/* Watches for signals and the time to sweep. */
static void watch(struct daemon *daemon)
{
	uv_loop_t *loop = &daemon->engine.loop;

	uv_signal_init(loop, &daemon->term);
	uv_signal_init(loop, &daemon->interrupt);
	uv_signal_init(loop, &daemon->hangup);
	uv_timer_init(loop, &daemon->sweep);
	daemon->term.data = daemon->interrupt.data = daemon->hangup.data = daemon;
	daemon->sweep.data = daemon;
	uv_signal_start(&daemon->term, on_stop, SIGTERM);
	uv_signal_start(&daemon->interrupt, on_stop, SIGINT);
	uv_signal_start(&daemon->hangup, on_hangup, SIGHUP);
	uv_timer_start(&daemon->sweep, on_sweep, 1000, 60000);
}

/* The HTTP threads are gone: does what they and the runtime still have for each other. */
static void drain(struct daemon *daemon)
{
	size_t n;

	do {
		n = apd_mailbox_drain(&daemon->engine.mailbox);
		for (unsigned i = 0; i < apd_http_server_threads(daemon->server); i++)
			n += apd_mailbox_drain(apd_http_server_mailbox(daemon->server, i));
	} while (n);
}

/*
 * Stops in the order in which nothing that was told is lost: no new requests,
 * runs to their end or back into the queue, webhooks, answers out, workers, database.
 */
static void stop(struct daemon *daemon)
{
	if (daemon->server)
		apd_http_server_drain(daemon->server);
	if (daemon->engine.runtime)
		apd_engine_shutdown(&daemon->engine);
	stop_webhooks(daemon);
	if (daemon->server) {
		apd_http_server_stop(daemon->server, 1000);
		drain(daemon);
	}
	if (daemon->engine.pool)
		apd_engine_stop_workers(&daemon->engine);
	if (daemon->storage)
		apd_sqlite_close(daemon->storage);
	/* Searches and deletions that storage has just answered. */
	if (daemon->server)
		drain(daemon);
	apd_engine_finish(&daemon->engine);
	apd_webhook_destroy(daemon->webhook);
	apd_http_server_destroy(daemon->server);
	apd_api_destroy(daemon->api);
}

/* Brings everything up; -1 with a sentence in error. */
static int start(struct daemon *daemon, struct apd_buf *error)
{
	if (open_storage(daemon, error) < 0 ||
		apd_engine_start(&daemon->engine, &daemon->config, daemon->storage, false, error) <
			0)
		return -1;
	watch(daemon);
	if (start_webhooks(daemon, error) < 0)
		return -1;
	return start_server(daemon, error);
}

int apd_command_serve(int argc, char **argv)
{
	struct daemon daemon = {0};
	struct apd_buf error = {0};
	int r;

	apd_config_init(&daemon.config);
	r = read_arguments(&daemon, argc, argv);
	if (r != 0) {
		apd_config_finish(&daemon.config);
		return r < 0 ? 2 : 0;
	}
	apd_log_set_level((enum apd_log_level)daemon.config.log_level);
	r = apd_engine_init(&daemon.engine, &error);
	if (r == 0)
		r = start(&daemon, &error);
	if (r < 0)
		fprintf(stderr, "apd: %s\n", error.data);
	while (r == 0 && !daemon.stopping)
		uv_run(&daemon.engine.loop, UV_RUN_DEFAULT);
	stop(&daemon);
	apd_buf_finish(&error);
	apd_config_finish(&daemon.config);
	return r < 0 ? 1 : 0;
}
