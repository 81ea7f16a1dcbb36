/*
 * The real host: plugin directories, the agent registry and worker processes,
 * on the runtime's libuv loop.
 */
#ifndef APD_HOST_POOL_H
#define APD_HOST_POOL_H

#include <uv.h>

#include "base/buf.h"
#include "host/host.h"

/* One entry under `agents:` in the configuration. */
struct apd_agent_config {
	const char *agent_id;
	const char *plugin; /* the plugin's name or file name */
	const char *agent; /* the agent's id in it; NULL: its only one */
	const char *settings; /* JSON object, or NULL for {} */
	const char *metadata; /* JSON object, or NULL */
	int64_t timeout_ns; /* 0: the default, as in all below */
	int64_t grace_ns;
	uint32_t max_queue;
	uint32_t max_attempts;
	int isolation; /* enum apd_isolation, -1: the default */
	/* What its workers may not do; see confinement.h. */
	uint64_t memory_max; /* bytes */
	uint32_t files_max, processes_max;
	const char *user;
	const char *const *read_paths; /* NULL-terminated, as the next; both NULL: the default */
	const char *const *write_paths;
	/* "NAME" to pass on or "NAME=value" to set; NULL-terminated, or NULL */
	const char *const *env;
};

struct apd_host_config {
	const char *const *plugin_dirs; /* NULL-terminated, in order */
	const char *worker_path; /* apd-worker */
	const struct apd_agent_config *agents;
	size_t n_agents;
	const char *default_agent; /* or NULL */
	bool serve_listed_only; /* plugins.serve: listed */
	enum apd_isolation isolation;
	uint32_t max_workers; /* a plugin and confinement */
	uint32_t max_queue; /* an agent */
	uint32_t max_attempts;
	uint32_t emit_max, commit_max, log_max; /* bytes */
	size_t message_max; /* bytes of one message from a worker */
	uint64_t memory_max; /* of a worker, bytes; 0: no limit */
	uint32_t files_max, processes_max; /* 0: no limit of ours */
	const char *user; /* workers' user; NULL: apd's own */
	const char *const *read_paths; /* NULL-terminated; both NULL: workers see all paths */
	const char *const *write_paths;
	int64_t timeout_ns, grace_ns, drain_ns, idle_ns;
	int64_t hello_ns; /* from the start of a worker to its HELLO */
	int64_t create_ns; /* from there until its instances are made */
	bool watch; /* look at the directories again when their files change */
	bool debug;
	/*
	 * NULL, or what serves a plugin within this process (apd run --in-process):
	 * called on a thread of its own in place of a spawned apd-worker, with the
	 * worker's end of the socket and the plugin's file; returns when it is done.
	 */
	int (*in_process)(int socket_fd, int plugin_fd);
};

struct apd_pool;

/*
 * Reads the directories and describes every plugin in throw-away workers
 * (blocking, in parallel, up to 5 s each), before the loop runs. The config
 * must outlive the pool. A broken plugin is not a failure: its agents are
 * served as broken. Fails with a sentence in error when the configuration
 * names what is not there.
 */
int apd_pool_create(const struct apd_host_config *config, uv_loop_t *loop,
	const struct apd_host_sink *sink, void *sink_data, struct apd_pool **ret_pool,
	struct apd_buf *error);

/* The host that the runtime uses; lives as long as the pool. */
struct apd_host *apd_pool_host(struct apd_pool *pool);

/* The agents served now: a reference for the caller. [any] */
struct apd_agent_set *apd_pool_agents(struct apd_pool *pool);

/* Looks at the directories again; what changed becomes a new generation. [runtime] */
void apd_pool_reload(struct apd_pool *pool);

/*
 * Ends all workers: QUIT, then SIGKILL after timeout_ms. Runs the loop until
 * they are gone. The sink is not called any more. [runtime]
 */
void apd_pool_stop(struct apd_pool *pool, unsigned timeout_ms);
void apd_pool_destroy(struct apd_pool *pool);

struct apd_pool_stats {
	uint64_t workers; /* alive now */
	uint64_t spawned; /* since the start */
	uint64_t crashes; /* deaths that were not asked for */
	uint64_t killed; /* by us, for not stopping */
	uint64_t log_dropped;
};
/* Numbers for /metrics. [any] */
void apd_pool_stats(struct apd_pool *pool, struct apd_pool_stats *ret_stats);

#endif
