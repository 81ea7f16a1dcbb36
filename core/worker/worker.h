/*
 * The worker: maps one plugin, runs its agents and speaks frames. It is the
 * whole of the apd-worker binary, and a library for `apd run --in-process` and
 * the authors' test kit. Links nothing but libc.
 */
#ifndef APD_WORKER_WORKER_H
#define APD_WORKER_WORKER_H

#include <stdbool.h>

/*
 * Serves frames on the socket until QUIT or the other end closes: reads SETUP,
 * confines the process (unless in_process), maps the plugin from plugin_fd,
 * says HELLO, and so on. Takes over both descriptors. Returns the process's exit status.
 */
int apd_worker_serve(int socket_fd, int plugin_fd, bool in_process);

#endif
