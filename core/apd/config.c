/* The configuration's defaults and its strings. */
#include "apd/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define MIB (1024u * 1024u)

void apd_config_init(struct apd_config *config)
{
	*config = (struct apd_config){
		.listen = "127.0.0.1:8000",
		.data_dir = "./data",
		.watch = true,
		.workers_max = 8,
		.isolation = APD_ISOLATE_PROCESS,
		.max_message = 64 * MIB,
		.max_emit = 1 * MIB,
		.max_commit = 16 * MIB,
		.max_log_line = 8192,
		.run_timeout_ns = 15 * 60 * APD_NS_PER_S,
		.grace_ns = 10 * APD_NS_PER_S,
		.drain_ns = 30 * APD_NS_PER_S,
		.create_ns = 30 * APD_NS_PER_S,
		.idle_ns = 60 * APD_NS_PER_S,
		.shutdown_grace_ns = 5 * APD_NS_PER_S,
		.max_attempts = 3,
		.queue_per_agent = 1000,
		.queue = 10000,
		.max_connections = 20000,
		.max_body = 16 * MIB,
		.max_bodies = 256 * MIB,
		.max_header = 8192,
		.send_timeout_ns = 30 * APD_NS_PER_S,
		.idle_timeout_ns = 75 * APD_NS_PER_S,
		.stall_timeout_ns = 60 * APD_NS_PER_S,
		.heartbeat_ns = 5 * APD_NS_PER_S,
		.reader_threads = 2,
		.read_budget_ns = 250 * APD_NS_PER_MS,
		.ring_bytes = 4 * MIB,
		.events_max_bytes = 256 * MIB,
		.linger_ns = 60 * APD_NS_PER_S,
		.events_stall_ns = 5 * APD_NS_PER_S,
		.retention_ephemeral_ns = 24 * 3600 * APD_NS_PER_S,
		.log_level = APD_LOG_INFO,
		.webhook_max_in_flight = 64,
		.webhook_max_per_host = 8,
		.webhook_timeout_ns = 15 * APD_NS_PER_S,
		.webhook_retry_ns = 5 * APD_NS_PER_S,
		.webhook_give_up_ns = 24 * 3600 * APD_NS_PER_S,
	};
}

void apd_config_finish(struct apd_config *config)
{
	for (size_t i = 0; i < config->n_agents; i++) {
		free((void *)config->agents[i].env);
		free((void *)config->agents[i].read_paths);
		free((void *)config->agents[i].write_paths);
	}
	free(config->worker_read_paths);
	free(config->worker_write_paths);
	free(config->agents);
	free(config->plugin_dirs);
	free(config->cors_origins);
	free(config->webhook_allow);
	for (size_t i = 0; i < config->strings.count; i++)
		free(config->strings.items[i]);
	free(config->strings.items);
	*config = (struct apd_config){0};
}

const char *apd_config_keep(struct apd_config *config, struct apd_str s)
{
	struct apd_config_strings *strings = &config->strings;

	strings->items =
		apd_realloc(strings->items, (strings->count + 1) * sizeof(*strings->items));
	return strings->items[strings->count++] = apd_strndup(s.ptr, s.len);
}

void apd_config_add(struct apd_config *config, const char ***list, struct apd_str s)
{
	size_t n = 0;

	while (*list && (*list)[n])
		n++;
	*list = apd_realloc((void *)*list, (n + 2) * sizeof(**list));
	(*list)[n] = apd_config_keep(config, s);
	(*list)[n + 1] = NULL;
}

int apd_config_load(struct apd_config *config, const char *path, struct apd_buf *error)
{
	struct apd_buf text = {0};
	FILE *file = fopen(path, "re");
	int r = -1;
	size_t n;

	if (!file) {
		apd_buf_addf(error, "%s: %s", path, strerror(errno));
		return -1;
	}
	do {
		n = fread(apd_buf_reserve(&text, 4096), 1, 4096, file);
		text.len += n;
	} while (n > 0 && text.len <= MIB);
	if (ferror(file))
		apd_buf_addf(error, "%s: %s", path, strerror(errno));
	else if (text.len > MIB)
		apd_buf_addf(error, "%s: larger than 1 MiB", path);
	else
		r = apd_config_parse(config, path, apd_buf_str(&text), error);
	fclose(file);
	apd_buf_finish(&text);
	return r;
}

int apd_config_listen(
	struct apd_config *config, const char **ret_host, uint16_t *ret_port, struct apd_buf *error)
{
	const char *colon = strrchr(config->listen, ':');
	const char *digits = colon ? colon + 1 : config->listen;
	struct apd_str host = {config->listen, colon ? (size_t)(colon - config->listen) : 0};
	char *end;
	long port;

	if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
		host.ptr++;
		host.len -= 2;
	}
	errno = 0;
	port = strtol(digits, &end, 10);
	if (errno || digits[0] < '0' || digits[0] > '9' || *end || port > 65535) {
		apd_buf_addf(error, "listen: \"%s\" is not HOST:PORT", config->listen);
		return -1;
	}
	*ret_host = host.len ? apd_config_keep(config, host) : "127.0.0.1";
	*ret_port = (uint16_t)port;
	return 0;
}

void apd_config_host(const struct apd_config *config, struct apd_host_config *ret_host)
{
	static const char *const nowhere[] = {NULL};

	*ret_host = (struct apd_host_config){
		.plugin_dirs = config->plugin_dirs ? config->plugin_dirs : nowhere,
		.worker_path = config->worker_path,
		.agents = config->agents,
		.n_agents = config->n_agents,
		.default_agent = config->default_agent,
		.serve_listed_only = config->serve == 1,
		.isolation = (enum apd_isolation)config->isolation,
		.max_workers = config->workers_max,
		.max_queue = config->queue_per_agent,
		.max_attempts = config->max_attempts,
		.emit_max = (uint32_t)config->max_emit,
		.commit_max = (uint32_t)config->max_commit,
		.log_max = (uint32_t)config->max_log_line,
		.message_max = config->max_message,
		.memory_max = config->worker_memory,
		.files_max = config->worker_files,
		.processes_max = config->worker_processes,
		.user = config->worker_user,
		.read_paths = config->worker_read_paths,
		.write_paths = config->worker_write_paths,
		.timeout_ns = config->run_timeout_ns,
		.grace_ns = config->grace_ns,
		.drain_ns = config->drain_ns,
		.hello_ns = 5 * APD_NS_PER_S,
		.create_ns = config->create_ns,
		.idle_ns = config->idle_ns,
		.watch = config->watch,
		.debug = config->worker_debug,
	};
}
