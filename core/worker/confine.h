/* What a worker process gives up before it maps a plugin. */
#ifndef APD_WORKER_CONFINE_H
#define APD_WORKER_CONFINE_H

#include "base/buf.h"
#include "host/frame.h"

/* The lists of SETUP, as they came. */
struct apd_grants {
	struct apd_str groups; /* uint32_t each */
	struct apd_str read_paths; /* a NUL behind each */
	struct apd_str write_paths;
};

/*
 * Becomes the setup's user, ties the process to its parent, sets limits, gives
 * up new privileges and all paths but the granted ones. Called while there is
 * one thread. 0, or a negative errno with the step that failed and a sentence.
 */
int apd_confine(const struct apd_setup *setup, const struct apd_grants *grants, int socket_fd,
	int plugin_fd, const char **ret_step, struct apd_buf *error);

#endif
