/* Asks a throw-away worker what is in a plugin file, so that a bad one crashes nothing else. */
#ifndef APD_HOST_DESCRIBE_H
#define APD_HOST_DESCRIBE_H

#include "host/confinement.h"
#include "host/deadline.h"
#include "host/description.h"
#include "host/pool.h"
#include "host/strays.h"

/* A worker gets so long to describe its plugin. */
#define APD_DESCRIBE_NS 5000000000LL

/*
 * Called when the worker is gone, from the loop: the description, which is the
 * callee's, or NULL and a sentence that says why there is none; unconfined: it
 * is not the file's fault.
 */
typedef void apd_described_cb(
	void *data, struct apd_description *description, const char *why, bool unconfined);

struct apd_describe;

/*
 * Starts to describe the plugin in the sealed file, whose name must live until
 * the callback. Returns 0, or a negative errno when no worker could be started:
 * then the callback is not called. *ret_describe is valid until the callback.
 */
int apd_describe_start(const struct apd_host_config *config, struct apd_strays *strays,
	const struct apd_confinement *confinement, uv_loop_t *loop, struct apd_deadlines *deadlines,
	int memfd, const char *name, apd_described_cb *done, void *data,
	struct apd_describe **ret_describe);

/* Kills the worker; the callback comes all the same, soon and from the loop. */
void apd_describe_cancel(struct apd_describe *describe);

#endif
