/*
 * An agent as it is served: what its plugin says of it and what the operator
 * configured. Immutable and reference-counted; a new generation is a new one.
 */
#ifndef APD_HOST_AGENT_H
#define APD_HOST_AGENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "base/text.h"
#include "schema/schema.h"

enum apd_agent_state {
	APD_AGENT_READY = 1,
	APD_AGENT_STARTING, /* described, no worker has said HELLO yet */
	APD_AGENT_BROKEN, /* `reason` says why */
};

/* How much of a plugin shares a process. */
enum apd_isolation {
	APD_ISOLATE_PROCESS =
		0, /* up to workers.max processes a plugin, runs side by side in them */
	APD_ISOLATE_RUN, /* a process for every run */
};

struct apd_agent {
	_Atomic unsigned refs;
	/* All strings end with a NUL and live as long as the agent. */
	struct apd_str agent_id; /* the operator's name, else the plugin's */
	struct apd_str name;
	struct apd_str description; /* absent if there is none */
	struct apd_str version;
	struct apd_str capabilities; /* JSON object {"ap.io.messages":true,...} */
	struct apd_str metadata; /* JSON object: the plugin's, the operator's, and plugin, version,
					generation, state and reason */
	struct apd_str input_schema; /* JSON text; absent if there is none, as the others */
	struct apd_str output_schema;
	struct apd_str state_schema;
	struct apd_str config_schema;
	const struct apd_schema *input; /* compiled, or NULL for any */
	const struct apd_schema *output;
	const struct apd_schema *config;
	bool messages; /* has the capability ap.io.messages */
	bool needs_thread; /* AP_AGENT_NEEDS_THREAD */
	bool retry_safe; /* AP_AGENT_RETRY_SAFE */
	bool wants_transcript;
	uint32_t max_concurrency; /* runs at once in one instance; UINT32_MAX: no limit */
	uint32_t max_queue; /* runs that may wait for it */
	int64_t timeout_ns; /* of a run */
	int64_t grace_ns; /* between STOP and the end without the agent */
	uint32_t max_attempts;
	enum apd_agent_state state;
	struct apd_str reason; /* why it is broken, else absent */
};

struct apd_agent *apd_agent_ref(struct apd_agent *agent);
void apd_agent_unref(struct apd_agent *agent);

/* The agents of one moment, sorted by agent_id. Immutable, reference-counted. */
struct apd_agent_set {
	_Atomic unsigned refs;
	size_t count;
	struct apd_agent **agents;
	struct apd_agent *
		fallback; /* for runs that name none: default_agent, else the only one, else NULL */
};

struct apd_agent_set *apd_agent_set_ref(struct apd_agent_set *set);
void apd_agent_set_unref(struct apd_agent_set *set);

/* The agent of an id, borrowed from the set, or NULL. */
struct apd_agent *apd_agent_set_find(const struct apd_agent_set *set, struct apd_str agent_id);

#endif
