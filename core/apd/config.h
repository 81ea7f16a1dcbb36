/*
 * The configuration: apd.yaml over the defaults, flags over both. Errors name
 * file, line and key.
 */
#ifndef APD_APD_CONFIG_H
#define APD_APD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "host/pool.h"

/* Strings that live as long as the configuration. */
struct apd_config_strings {
	char **items;
	size_t count;
};

struct apd_config {
	const char *listen; /* HOST:PORT */
	const char *data_dir;
	const char *default_agent; /* or NULL */
	const char *worker_path; /* apd-worker */

	const char **plugin_dirs; /* NULL-terminated */
	int serve; /* 0: all agents found, 1: listed ones */
	bool watch;
	struct apd_agent_config *agents;
	size_t n_agents;

	uint32_t workers_max;
	int isolation; /* enum apd_isolation */
	uint64_t worker_memory;
	uint32_t worker_files, worker_processes;
	const char *worker_user; /* or NULL */
	const char **worker_read_paths, **worker_write_paths; /* NULL-terminated, or NULL */
	uint64_t max_message, max_emit, max_commit, max_log_line;
	bool worker_debug;

	int64_t run_timeout_ns, grace_ns, drain_ns, create_ns, idle_ns, shutdown_grace_ns;
	uint32_t max_attempts, queue_per_agent, queue;

	uint32_t http_threads, max_connections;
	uint64_t max_body, max_bodies, max_header;
	int64_t send_timeout_ns, idle_timeout_ns, stall_timeout_ns, heartbeat_ns;
	const char **cors_origins; /* NULL-terminated, or NULL */

	int durability; /* 0: full, 1: normal */
	uint32_t reader_threads;
	int64_t read_budget_ns;

	uint64_t ring_bytes, events_max_bytes;
	int64_t linger_ns, events_stall_ns;

	int64_t retention_ephemeral_ns;
	int64_t retention_threads_ns; /* 0: for ever */
	int log_level; /* enum apd_log_level */

	const char *webhook_secret, *webhook_ca_file; /* or NULL */
	bool webhook_allow_private;
	const char **webhook_allow; /* NULL-terminated, or NULL */
	uint32_t webhook_max_in_flight, webhook_max_per_host;
	int64_t webhook_timeout_ns, webhook_retry_ns, webhook_give_up_ns;

	struct apd_config_strings strings; /* what the pointers above point to */
};

/* Fills in the defaults. */
void apd_config_init(struct apd_config *config);
void apd_config_finish(struct apd_config *config);

/*
 * Reads a YAML file over what is there. 0, or -1 with a sentence in error:
 * "apd.yaml:12: workers.maxx: unknown key, did you mean \"max\"?".
 */
int apd_config_load(struct apd_config *config, const char *path, struct apd_buf *error);

/* The same for text; name stands for the file in errors. */
int apd_config_parse(
	struct apd_config *config, const char *name, struct apd_str text, struct apd_buf *error);

/* Keeps a copy of a string for as long as the configuration lives. */
const char *apd_config_keep(struct apd_config *config, struct apd_str s);

/* Adds a directory behind the others in a NULL-terminated list of the configuration. */
void apd_config_add(struct apd_config *config, const char ***list, struct apd_str s);

/* Splits HOST:PORT ("[::1]:8000", ":8000", "8000"); -1 with a sentence in error. */
int apd_config_listen(struct apd_config *config, const char **ret_host, uint16_t *ret_port,
	struct apd_buf *error);

/* What the host's part of it says. Points into the configuration. */
void apd_config_host(const struct apd_config *config, struct apd_host_config *ret_host);

#endif
