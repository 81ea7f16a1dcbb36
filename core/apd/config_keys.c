/* The keys of apd.yaml, as tables. */
#include "apd/config_keys.h"

#include "apd/config.h"
#include "base/log.h"

#define AT(member)       offsetof(struct apd_config, member)
#define AGENT_AT(member) offsetof(struct apd_agent_config, member)
#define MIB              (1024LL * 1024)
#define GIB              (1024 * MIB)
#define MS               1000000LL
#define SECOND           (1000 * MS)
#define DAY              (86400 * SECOND)

static const char *const serve_words[] = {"all", "listed", NULL};
static const char *const isolation_words[] = {"process", "run", NULL};
static const char *const durability_words[] = {"full", "normal", NULL};
static const char *const level_words[] = {"debug", "info", "warn", "error", NULL};

static const struct config_key plugins_keys[] = {
	{"dirs", CONFIG_STRINGS, AT(plugin_dirs), 0, 0, NULL, NULL},
	{"serve", CONFIG_WORD, AT(serve), 0, 0, serve_words, NULL},
	{"watch", CONFIG_BOOL, AT(watch), 0, 0, NULL, NULL},
	{0},
};

static const struct config_key workers_paths_keys[] = {
	{"read", CONFIG_STRINGS, AT(worker_read_paths), 0, 0, NULL, NULL},
	{"write", CONFIG_STRINGS, AT(worker_write_paths), 0, 0, NULL, NULL},
	{0},
};

static const struct config_key workers_keys[] = {
	{"max", CONFIG_COUNT, AT(workers_max), 1, 1024, NULL, NULL},
	{"isolation", CONFIG_WORD, AT(isolation), 0, 0, isolation_words, NULL},
	{"memory", CONFIG_BYTES, AT(worker_memory), 0, 1024 * GIB, NULL, NULL},
	{"files", CONFIG_COUNT, AT(worker_files), 0, 1000000, NULL, NULL},
	{"processes", CONFIG_COUNT, AT(worker_processes), 0, 1000000, NULL, NULL},
	{"user", CONFIG_STRING, AT(worker_user), 0, 0, NULL, NULL},
	{"paths", CONFIG_SECTION, 0, 0, 0, NULL, workers_paths_keys},
	{"idle", CONFIG_DURATION, AT(idle_ns), SECOND, 365 * DAY, NULL, NULL},
	{"drain", CONFIG_DURATION, AT(drain_ns), 0, DAY, NULL, NULL},
	{"create_timeout", CONFIG_DURATION, AT(create_ns), 100 * MS, DAY, NULL, NULL},
	{"max_message", CONFIG_BYTES, AT(max_message), MIB, GIB, NULL, NULL},
	{"max_emit", CONFIG_BYTES, AT(max_emit), 1024, GIB, NULL, NULL},
	{"max_commit", CONFIG_BYTES, AT(max_commit), 1024, GIB, NULL, NULL},
	{"max_log_line", CONFIG_BYTES, AT(max_log_line), 80, MIB, NULL, NULL},
	{"debug", CONFIG_BOOL, AT(worker_debug), 0, 0, NULL, NULL},
	{0},
};

static const struct config_key runs_keys[] = {
	{"timeout", CONFIG_DURATION, AT(run_timeout_ns), MS, 365 * DAY, NULL, NULL},
	{"grace", CONFIG_DURATION, AT(grace_ns), MS, DAY, NULL, NULL},
	{"shutdown_grace", CONFIG_DURATION, AT(shutdown_grace_ns), 0, DAY, NULL, NULL},
	{"max_attempts", CONFIG_COUNT, AT(max_attempts), 1, 100, NULL, NULL},
	{"queue_per_agent", CONFIG_COUNT, AT(queue_per_agent), 1, 10000000, NULL, NULL},
	{"queue", CONFIG_COUNT, AT(queue), 1, 10000000, NULL, NULL},
	{0},
};

static const struct config_key cors_keys[] = {
	{"origins", CONFIG_STRINGS, AT(cors_origins), 0, 0, NULL, NULL},
	{0},
};

static const struct config_key http_keys[] = {
	{"threads", CONFIG_COUNT, AT(http_threads), 0, 256, NULL, NULL},
	{"max_connections", CONFIG_COUNT, AT(max_connections), 16, 1000000, NULL, NULL},
	{"max_body", CONFIG_BYTES, AT(max_body), 1024, GIB, NULL, NULL},
	{"max_bodies", CONFIG_BYTES, AT(max_bodies), 1024, 1024 * GIB, NULL, NULL},
	{"max_header", CONFIG_BYTES, AT(max_header), 1024, MIB, NULL, NULL},
	{"send_timeout", CONFIG_DURATION, AT(send_timeout_ns), 100 * MS, DAY, NULL, NULL},
	{"idle_timeout", CONFIG_DURATION, AT(idle_timeout_ns), 100 * MS, DAY, NULL, NULL},
	{"stall_timeout", CONFIG_DURATION, AT(stall_timeout_ns), 100 * MS, DAY, NULL, NULL},
	{"heartbeat", CONFIG_DURATION, AT(heartbeat_ns), 100 * MS, DAY, NULL, NULL},
	{"cors", CONFIG_SECTION, 0, 0, 0, NULL, cors_keys},
	{0},
};

static const struct config_key storage_keys[] = {
	{"durability", CONFIG_WORD, AT(durability), 0, 0, durability_words, NULL},
	{"reader_threads", CONFIG_COUNT, AT(reader_threads), 1, 64, NULL, NULL},
	{"read_budget", CONFIG_DURATION, AT(read_budget_ns), MS, DAY, NULL, NULL},
	{0},
};

static const struct config_key events_keys[] = {
	{"ring_bytes", CONFIG_BYTES, AT(ring_bytes), MIB, GIB, NULL, NULL},
	{"max_bytes", CONFIG_BYTES, AT(events_max_bytes), MIB, 1024 * GIB, NULL, NULL},
	{"linger", CONFIG_DURATION, AT(linger_ns), 0, 365 * DAY, NULL, NULL},
	{"stall", CONFIG_DURATION, AT(events_stall_ns), MS, DAY, NULL, NULL},
	{0},
};

static const struct config_key retention_keys[] = {
	{"ephemeral_runs", CONFIG_DURATION, AT(retention_ephemeral_ns), 0, 36500 * DAY, NULL, NULL},
	{"threads", CONFIG_DURATION, AT(retention_threads_ns), 0, 36500 * DAY, NULL, NULL},
	{0},
};

static const struct config_key log_keys[] = {
	{"level", CONFIG_WORD, AT(log_level), APD_LOG_DEBUG, 0, level_words, NULL},
	{0},
};

static const struct config_key webhooks_keys[] = {
	{"secret", CONFIG_SECRET, AT(webhook_secret), 0, 0, NULL, NULL},
	{"secret_file", CONFIG_SECRET_FILE, AT(webhook_secret), 0, 0, NULL, NULL},
	{"ca_file", CONFIG_STRING, AT(webhook_ca_file), 0, 0, NULL, NULL},
	{"allow_private", CONFIG_BOOL, AT(webhook_allow_private), 0, 0, NULL, NULL},
	{"allow", CONFIG_NETWORKS, AT(webhook_allow), 0, 0, NULL, NULL},
	{"max_in_flight", CONFIG_COUNT, AT(webhook_max_in_flight), 1, 1000, NULL, NULL},
	{"max_per_host", CONFIG_COUNT, AT(webhook_max_per_host), 1, 1000, NULL, NULL},
	{"timeout", CONFIG_DURATION, AT(webhook_timeout_ns), 100 * MS, 3600 * SECOND, NULL, NULL},
	{"retry", CONFIG_DURATION, AT(webhook_retry_ns), MS, 3600 * SECOND, NULL, NULL},
	{"give_up_after", CONFIG_DURATION, AT(webhook_give_up_ns), 0, 365 * DAY, NULL, NULL},
	{0},
};

const struct config_key config_root[] = {
	{"listen", CONFIG_STRING, AT(listen), 0, 0, NULL, NULL},
	{"data_dir", CONFIG_STRING, AT(data_dir), 0, 0, NULL, NULL},
	{"default_agent", CONFIG_STRING, AT(default_agent), 0, 0, NULL, NULL},
	{"plugins", CONFIG_SECTION, 0, 0, 0, NULL, plugins_keys},
	{"agents", CONFIG_AGENTS, 0, 0, 0, NULL, NULL},
	{"workers", CONFIG_SECTION, 0, 0, 0, NULL, workers_keys},
	{"runs", CONFIG_SECTION, 0, 0, 0, NULL, runs_keys},
	{"http", CONFIG_SECTION, 0, 0, 0, NULL, http_keys},
	{"storage", CONFIG_SECTION, 0, 0, 0, NULL, storage_keys},
	{"events", CONFIG_SECTION, 0, 0, 0, NULL, events_keys},
	{"retention", CONFIG_SECTION, 0, 0, 0, NULL, retention_keys},
	{"webhooks", CONFIG_SECTION, 0, 0, 0, NULL, webhooks_keys},
	{"log", CONFIG_SECTION, 0, 0, 0, NULL, log_keys},
	{0},
};

static const struct config_key agent_paths_keys[] = {
	{"read", CONFIG_STRINGS, AGENT_AT(read_paths), 0, 0, NULL, NULL},
	{"write", CONFIG_STRINGS, AGENT_AT(write_paths), 0, 0, NULL, NULL},
	{0},
};

const struct config_key config_agent[] = {
	{"plugin", CONFIG_STRING, AGENT_AT(plugin), 0, 0, NULL, NULL},
	{"agent", CONFIG_STRING, AGENT_AT(agent), 0, 0, NULL, NULL},
	{"settings", CONFIG_JSON, AGENT_AT(settings), 0, 0, NULL, NULL},
	{"metadata", CONFIG_JSON, AGENT_AT(metadata), 0, 0, NULL, NULL},
	{"timeout", CONFIG_DURATION, AGENT_AT(timeout_ns), MS, 365 * DAY, NULL, NULL},
	{"grace", CONFIG_DURATION, AGENT_AT(grace_ns), MS, DAY, NULL, NULL},
	{"queue", CONFIG_COUNT, AGENT_AT(max_queue), 1, 10000000, NULL, NULL},
	{"max_attempts", CONFIG_COUNT, AGENT_AT(max_attempts), 1, 100, NULL, NULL},
	{"isolation", CONFIG_WORD, AGENT_AT(isolation), 0, 0, isolation_words, NULL},
	{"memory", CONFIG_BYTES, AGENT_AT(memory_max), 0, 1024 * GIB, NULL, NULL},
	{"files", CONFIG_COUNT, AGENT_AT(files_max), 0, 1000000, NULL, NULL},
	{"processes", CONFIG_COUNT, AGENT_AT(processes_max), 0, 1000000, NULL, NULL},
	{"user", CONFIG_STRING, AGENT_AT(user), 0, 0, NULL, NULL},
	{"paths", CONFIG_SECTION, 0, 0, 0, NULL, agent_paths_keys},
	{"env", CONFIG_STRINGS, AGENT_AT(env), 0, 0, NULL, NULL},
	{0},
};
