/* The server as a whole: its threads, and their beginning and end. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "http/internal.h"

/* Copies a NULL-terminated list; NULL stays NULL. */
static char **copy_list(const char *const *list)
{
	size_t n = 0;
	char **copy;

	if (!list)
		return NULL;
	while (list[n])
		n++;
	copy = apd_calloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++)
		copy[i] = apd_strdup(list[i]);
	return copy;
}

static void free_list(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

/* How many threads a configuration means. */
static unsigned thread_count(const struct apd_http_config *config)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->threads)
		return config->threads;
	return cores > 0 ? (unsigned)cores : 1;
}

/* Makes a server with its threads prepared, but bound nowhere. */
static struct apd_http_server *server_alloc(const struct apd_http_config *config, void *data)
{
	struct apd_http_server *server = apd_calloc(1, sizeof(*server));
	pthread_condattr_t attr;

	server->config = *config;
	server->config.max_connections = apd_http_listen_limit(config->max_connections);
	server->config.cors_origins = NULL; /* the copies below are used */
	server->host = apd_strdup(config->host);
	server->config.host = server->host;
	server->cors_origins = copy_list(config->cors_origins);
	server->data = data;
	server->n_threads = thread_count(config);
	server->threads = apd_calloc(server->n_threads, sizeof(struct apd_http_thread));
	pthread_mutex_init(&server->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&server->quiet, &attr);
	pthread_condattr_destroy(&attr);
	return server;
}

int apd_http_server_create(const struct apd_http_config *config,
	const struct apd_http_route *routes, size_t n_routes, void *data,
	struct apd_http_server **ret_server, struct apd_buf *error)
{
	struct apd_http_server *server = server_alloc(config, data);
	unsigned n = 0;
	int r = 0;

	/* All of them, so that destroy() finds each prepared. */
	for (; n < server->n_threads; n++) {
		int failed = apd_http_thread_init(&server->threads[n], server, n);

		if (failed < 0)
			r = failed;
	}
	if (r < 0)
		apd_buf_addf(error, "cannot prepare the HTTP threads: %s", strerror(-r));
	if (r == 0)
		r = apd_http_routes_create(routes, n_routes, &server->routes, error);
	if (r == 0)
		r = apd_http_listen_bind(server, error);
	if (r < 0) {
		apd_http_server_destroy(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

uint16_t apd_http_server_port(const struct apd_http_server *server)
{
	return server->port;
}

unsigned apd_http_server_threads(const struct apd_http_server *server)
{
	return server->n_threads;
}

struct apd_mailbox *apd_http_server_mailbox(struct apd_http_server *server, unsigned thread)
{
	return &server->threads[thread].mailbox;
}

int apd_http_server_start(struct apd_http_server *server, struct apd_buf *error)
{
	for (unsigned i = 0; i < server->n_threads; i++) {
		int r = apd_http_thread_start(&server->threads[i]);

		if (r < 0) {
			apd_buf_addf(error, "cannot start to serve on %s port %u: %s", server->host,
				server->port, strerror(-r));
			apd_http_server_stop(server, 0);
			return r;
		}
	}
	return 0;
}

static void wake_all(struct apd_http_server *server)
{
	for (unsigned i = 0; i < server->n_threads; i++)
		if (server->threads[i].running)
			apd_http_thread_wake(&server->threads[i]);
}

void apd_http_server_drain(struct apd_http_server *server)
{
	atomic_store_explicit(&server->draining, true, memory_order_release);
	wake_all(server);
}

/* Waits until no thread has a request in flight, or for so long. */
static void wait_quiet(struct apd_http_server *server, unsigned running, unsigned timeout_ms)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * APD_NS_PER_MS;
	if (until.tv_nsec >= APD_NS_PER_S) {
		until.tv_sec++;
		until.tv_nsec -= APD_NS_PER_S;
	}
	pthread_mutex_lock(&server->lock);
	while (r != ETIMEDOUT && server->n_quiet < running)
		r = pthread_cond_timedwait(&server->quiet, &server->lock, &until);
	pthread_mutex_unlock(&server->lock);
}

void apd_http_server_stop(struct apd_http_server *server, unsigned timeout_ms)
{
	unsigned running = 0;

	for (unsigned i = 0; i < server->n_threads; i++)
		running += server->threads[i].running;
	apd_http_server_drain(server);
	wait_quiet(server, running, timeout_ms);
	atomic_store_explicit(&server->stopping, true, memory_order_release);
	wake_all(server);
	for (unsigned i = 0; i < server->n_threads; i++) {
		struct apd_http_thread *thread = &server->threads[i];

		if (!thread->running)
			continue;
		pthread_join(thread->id, NULL);
		thread->running = false;
		apd_mailbox_drain(&thread->mailbox);
		apd_http_streams_end(thread);
	}
}

void apd_http_server_destroy(struct apd_http_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->n_threads; i++)
		apd_http_thread_finish(&server->threads[i]);
	apd_http_routes_destroy(server->routes);
	free_list(server->cors_origins);
	pthread_cond_destroy(&server->quiet);
	pthread_mutex_destroy(&server->lock);
	free(server->threads);
	free(server->host);
	free(server);
}

static uint64_t load(const apd_http_counter *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void apd_http_server_stats(const struct apd_http_server *server, struct apd_http_stats *ret_stats)
{
	struct apd_http_stats stats = {0};

	for (unsigned i = 0; i < server->n_threads; i++) {
		const struct apd_http_thread *thread = &server->threads[i];

		stats.requests += load(&thread->n_requests);
		for (unsigned digit = 1; digit < APD_COUNT(stats.responses); digit++)
			stats.responses[digit] += load(&thread->n_responses[digit]);
		stats.streams += load(&thread->n_streams);
		stats.suspended += load(&thread->n_suspended);
	}
	stats.connections = load(&server->connections);
	stats.body_bytes = load(&server->body_bytes);
	*ret_stats = stats;
}
