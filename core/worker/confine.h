/* What a worker process gives up before it maps a plugin. */
#ifndef APD_WORKER_CONFINE_H
#define APD_WORKER_CONFINE_H

#include "base/buf.h"
#include "host/frame.h"

/*
 * Ties the process to its parent, sets the limits of the setup and gives up new
 * privileges. 0, or a negative errno with the step that failed and a sentence.
 */
int apd_confine(const struct apd_setup *setup, int socket_fd, int plugin_fd, const char **ret_step,
	struct apd_buf *error);

#endif
