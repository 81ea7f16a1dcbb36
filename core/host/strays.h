/*
 * What workers leave behind: processes that left their worker's process group,
 * by setsid() or as daemons, end with their worker too. The daemon is the
 * subreaper of all that its workers start, so whoever loses its parent becomes
 * a child of the daemon; a variable in the worker's environment, which children
 * inherit, tells whose it is. All of it is for the loop's thread.
 */
#ifndef APD_HOST_STRAYS_H
#define APD_HOST_STRAYS_H

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/list.h"

/* "APD_WORKER=12345678-", which is this daemon's; and with a worker's eight digits and a NUL. */
#define APD_STRAY_OURS 20
#define APD_STRAY_MARK (APD_STRAY_OURS + 9)

struct apd_strays {
	uv_signal_t signal; /* SIGCHLD */
	struct apd_list kin; /* the workers that live */
	struct apd_id_gen random;
	char mark[APD_STRAY_OURS + 1];
	unsigned marks; /* made so far */
	bool humble; /* we cannot get more rights either, so that this tells nobody from others */
	struct apd_buf scratch;
	/* Those that were killed, until they are gone: their own children come to us then. */
	pid_t *doomed;
	size_t n_doomed, room;
	bool blind; /* the log says that the kernel does not list children */
};

/* A worker among those that live. */
struct apd_kin {
	struct apd_list link;
	struct apd_strays *strays; /* NULL: it is no process of ours */
	pid_t pid;
	char mark[APD_STRAY_MARK]; /* goes into its environment */
};

/*
 * Becomes the parent of orphans from now on; data is the handle's, for closing
 * it, which is due if the handle has a loop then. 0 or a negative errno.
 */
int apd_strays_init(struct apd_strays *strays, uv_loop_t *loop, void *data);

/* Starts to close the handle; orphans are init's from now on. */
void apd_strays_close(struct apd_strays *strays, uv_close_cb closed);

/* Makes the mark that the next worker is started with. */
void apd_kin_init(struct apd_kin *kin, struct apd_strays *strays);

/* It was started. */
void apd_kin_add(struct apd_kin *kin, pid_t pid);

/* It is gone and has been waited for: kills what it left. */
void apd_kin_remove(struct apd_kin *kin);

/* All workers are gone: kills what is left of any, and waits for it, a second at most. */
void apd_strays_end(struct apd_strays *strays);

#endif
