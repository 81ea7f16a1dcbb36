/* The daemon itself: /ok, /info, /metrics, /openapi.json. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/alloc.h"
#include "base/json_text.h"
#include "webhook/webhook.h"

void api_ok(struct apd_http_request *request, void *data)
{
	struct apd_buf out = {0};

	(void)data;
	apd_buf_lit(&out, "{\"ok\":true}");
	apd_http_reply_json(request, 200, &out);
}

void api_info(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_buf out = {0};

	apd_buf_lit(&out, "{\"name\":\"apd\"");
	apd_json_member_str(&out, "version", apd_str(api->deps.version));
	apd_json_member_str(&out, "protocol", APD_STR("0.1.6"));
	apd_buf_lit(&out,
		",\"flags\":{\"agents\":true,\"runs\":true,\"threads\":true,"
		"\"store\":false,\"assistants\":false,\"crons\":false}}");
	apd_http_reply_json(request, 200, &out);
}

void api_openapi(struct apd_http_request *request, void *data)
{
	struct apd_buf out = {0};

	(void)data;
	apd_buf_add_str(&out, apd_api_openapi());
	apd_http_reply_json(request, 200, &out);
}

/* ---- metrics ---- */

/* A request for numbers on its way through the runtime's thread. */
struct metrics {
	struct apd_api *api;
	struct apd_http_request *request;
	struct apd_mailbox *home;
	struct apd_task out, back;
	struct apd_runtime_stats runtime;
};

/* Adds one metric without labels. */
static void add(
	struct apd_buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	apd_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type,
		name, value);
}

static void add_counter(struct apd_buf *out, const char *name, const char *help, uint64_t value)
{
	add(out, name, "counter", help, value);
}

static void add_gauge(struct apd_buf *out, const char *name, const char *help, uint64_t value)
{
	add(out, name, "gauge", help, value);
}

static void add_runtime(struct apd_buf *out, const struct apd_runtime_stats *stats)
{
	add_counter(out, "apd_runs_created_total", "Runs created.", stats->created);
	apd_buf_lit(out,
		"# HELP apd_runs_ended_total Runs ended, by status.\n"
		"# TYPE apd_runs_ended_total counter\n");
	apd_buf_addf(
		out, "apd_runs_ended_total{status=\"success\"} %" PRIu64 "\n", stats->succeeded);
	apd_buf_addf(out, "apd_runs_ended_total{status=\"error\"} %" PRIu64 "\n", stats->failed);
	apd_buf_addf(
		out, "apd_runs_ended_total{status=\"timeout\"} %" PRIu64 "\n", stats->timed_out);
	apd_buf_addf(out, "apd_runs_ended_total{status=\"interrupted\"} %" PRIu64 "\n",
		stats->interrupted);
	add_counter(out, "apd_runs_retried_total", "Attempts after the first.", stats->retried);
	add_gauge(out, "apd_runs_queued", "Runs that wait for a slot.", stats->queued);
	add_gauge(out, "apd_runs_executing", "Runs that an agent executes.", stats->executing);
	add_gauge(out, "apd_runs_in_memory", "Runs held in memory.", stats->runs);
	add_gauge(out, "apd_threads_in_memory", "Threads held in memory.", stats->threads);
	add_gauge(out, "apd_event_log_bytes", "Bytes of all event logs.", stats->logs_bytes);
	add_counter(out, "apd_events_total", "Events logged.", stats->events);
	add_counter(out, "apd_commits_total", "Commits of agents.", stats->commits);
	add_counter(out, "apd_storage_failures_total", "Batches that storage refused.",
		stats->storage_failures);
}

static void add_pool(struct apd_buf *out, struct apd_pool *pool)
{
	struct apd_pool_stats stats;

	apd_pool_stats(pool, &stats);
	add_gauge(out, "apd_workers", "Worker processes alive.", stats.workers);
	add_counter(out, "apd_workers_spawned_total", "Worker processes started.", stats.spawned);
	add_counter(out, "apd_worker_crashes_total", "Workers that died unasked.", stats.crashes);
	add_counter(
		out, "apd_workers_killed_total", "Workers killed for not stopping.", stats.killed);
	add_counter(out, "apd_agent_log_dropped_total", "Log lines of agents dropped.",
		stats.log_dropped);
}

static void add_http(struct apd_buf *out, const struct apd_http_server *server)
{
	struct apd_http_stats stats;

	apd_http_server_stats(server, &stats);
	add_counter(out, "apd_http_requests_total", "Requests received.", stats.requests);
	apd_buf_lit(out,
		"# HELP apd_http_responses_total Answers, by class of status.\n"
		"# TYPE apd_http_responses_total counter\n");
	for (unsigned class = 1; class < APD_COUNT(stats.responses); class ++)
		apd_buf_addf(out, "apd_http_responses_total{class=\"%uxx\"} %" PRIu64 "\n", class,
			stats.responses[class]);
	add_gauge(out, "apd_http_connections", "Connections open.", stats.connections);
	add_gauge(out, "apd_http_streams", "Streams open.", stats.streams);
	add_gauge(out, "apd_http_waiting_requests", "Requests waiting for an answer.",
		stats.suspended);
	add_gauge(out, "apd_http_body_bytes", "Bytes of bodies in flight.", stats.body_bytes);
}

static void add_storage(struct apd_buf *out, struct apd_storage *storage)
{
	struct apd_storage_stats stats;

	storage->ops->stats(storage, &stats);
	add_counter(out, "apd_storage_commits_total", "Transactions committed.", stats.commits);
	add_counter(out, "apd_storage_batches_total", "Batches tried.", stats.batches);
	add_gauge(out, "apd_storage_wal_bytes", "Bytes of the write-ahead log.", stats.wal_bytes);
}

static void add_webhooks(struct apd_buf *out, const struct apd_webhook *webhook)
{
	struct apd_webhook_stats stats;

	apd_webhook_stats(webhook, &stats);
	add_counter(out, "apd_webhooks_delivered_total", "Webhooks delivered.", stats.delivered);
	add_counter(out, "apd_webhooks_failed_attempts_total",
		"Attempts to deliver a webhook that failed.", stats.failed_attempts);
	add_counter(out, "apd_webhooks_given_up_total", "Webhooks that will not be delivered.",
		stats.given_up);
	add_gauge(out, "apd_webhooks_in_flight", "Webhooks on their way.", stats.in_flight);
}

/* Adds what the kernel says of this process. */
static void add_process(struct apd_buf *out)
{
	unsigned long pages = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file)
		return;
	if (fscanf(file, "%lu %lu", &pages, &resident) == 2)
		add_gauge(out, "process_resident_memory_bytes", "Resident memory of the daemon.",
			(uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE));
	fclose(file);
}

/* [http] All numbers are there. */
static void answer_metrics(struct apd_task *task)
{
	struct metrics *metrics = apd_container_of(task, struct metrics, back);
	struct apd_buf out = {0};

	apd_buf_addf(&out,
		"# HELP apd_info What runs.\n# TYPE apd_info gauge\n"
		"apd_info{version=\"%s\"} 1\n",
		metrics->api->deps.version);
	add_runtime(&out, &metrics->runtime);
	add_pool(&out, metrics->api->deps.pool);
	add_http(&out, metrics->api->server);
	add_storage(&out, metrics->api->deps.storage);
	add_webhooks(&out, metrics->api->webhook);
	add_process(&out);
	apd_http_reply(metrics->request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
	free(metrics);
}

/* [runtime] Its numbers are its own. */
static void ask_metrics(struct apd_task *task)
{
	struct metrics *metrics = apd_container_of(task, struct metrics, out);

	apd_runtime_stats(metrics->api->deps.runtime, &metrics->runtime);
	apd_mailbox_post(metrics->home, &metrics->back);
}

static void metrics_gone(void *data)
{
	(void)data; /* the numbers come soon and are dropped then */
}

void api_metrics(struct apd_http_request *request, void *data)
{
	struct metrics *metrics = apd_calloc(1, sizeof(*metrics));

	metrics->api = data;
	metrics->request = request;
	metrics->home = apd_http_request_mailbox(request);
	metrics->out.run = ask_metrics;
	metrics->back.run = answer_metrics;
	apd_http_request_suspend(request, metrics_gone, metrics);
	apd_mailbox_post(metrics->api->deps.runtime_mailbox, &metrics->out);
}
