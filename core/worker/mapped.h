/* A plugin that was mapped into this process, and what the host found in it. */
#ifndef APD_WORKER_MAPPED_H
#define APD_WORKER_MAPPED_H

#include <stdbool.h>

#include "ap/agent.h"
#include "base/buf.h"

/*
 * Until the ABI is frozen (SDK page, section 4.7) host and plugin must have the
 * same minor version.
 */
#ifndef AP_ABI_DRAFT
#define AP_ABI_DRAFT 1
#endif

/* An agent of the plugin; info has the fields that the plugin knows, the others are zero. */
struct apd_mapped_agent {
	const ap_agent *agent;
	ap_agent_info info;
};

struct apd_mapped {
	ap_plugin plugin; /* as in apd_mapped_agent */
	struct apd_mapped_agent *agents;
	size_t n_agents;
};

/*
 * Maps the plugin from its descriptor, for good: nothing is ever unmapped. Only
 * constructors of the file run. 0, or -EINVAL with a sentence in error that names
 * the field, what was wanted and what was found; *ret_step says how far it got.
 */
int apd_mapped_open(
	struct apd_mapped *mapped, int plugin_fd, const char **ret_step, struct apd_buf *error);

/* Frees what the host noted, not what is mapped. */
void apd_mapped_finish(struct apd_mapped *mapped);

/* The agent with an id, or NULL. */
const struct apd_mapped_agent *apd_mapped_find(const struct apd_mapped *mapped, struct apd_str id);

/* Adds the description for HELLO: a JSON object. */
void apd_mapped_describe(const struct apd_mapped *mapped, struct apd_buf *out);

/* Copies a data struct as its maker built it; fields that it does not have become zero. */
void apd_struct_copy(void *to, size_t to_size, const void *from, uint32_t from_size);

#endif
