/*
 * What worker processes may not do: an entry of the configuration over the
 * defaults, with names looked up. The worker itself gives these things up,
 * before it maps its plugin (worker/confine.c).
 */
#ifndef APD_HOST_CONFINEMENT_H
#define APD_HOST_CONFINEMENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "host/pool.h"

struct apd_confinement {
	uint64_t memory_max; /* 0: no limit, as below */
	uint32_t files_max;
	uint32_t processes_max;
	uint32_t files_soft; /* the soft limit of open files where there is no files_max */
	const char *user; /* NULL: apd's own */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	int n_groups;
	const char *const *read_paths; /* NULL-terminated, or NULL; either set: only these */
	const char *const *write_paths;
	char **env; /* "NAME=value"s, NULL-terminated */
};

/*
 * Resolves what the entry (NULL: none) says over the defaults. 0, or a negative
 * errno and a sentence that begins with the key when this apd, on this machine,
 * cannot do it. Borrows from both. Looks up users: may block. [any]
 */
int apd_confinement_init(struct apd_confinement *confinement, const struct apd_host_config *config,
	const struct apd_agent_config *entry, struct apd_buf *error);
void apd_confinement_finish(struct apd_confinement *confinement);

/* True if a process may serve agents of either. [any] */
bool apd_confinement_eq(const struct apd_confinement *a, const struct apd_confinement *b);

/* Adds the SETUP frame that every worker begins with; file: the plugin's name. [any] */
void apd_setup_add(struct apd_buf *out, const struct apd_host_config *config,
	const struct apd_confinement *confinement, const char *file, bool describe);

/* True if a worker that FAILED in this step could not be confined: its plugin is not to blame. */
bool apd_setup_is_confinement(struct apd_str step);

#endif
