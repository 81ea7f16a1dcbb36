/* Starts worker processes. */
#ifndef APD_HOST_SPAWN_H
#define APD_HOST_SPAWN_H

#include <sys/types.h>

/* What a process starts with. All descriptors are 10 or above: see apd_fd_raise(). */
struct apd_spawn {
	const char *program;
	const char *title; /* its argv[0] */
	const char *const *env; /* NULL-terminated "NAME=value"s */
	int socket;
	int plugin;
	int output;
};

/*
 * Moves a descriptor to a number of 10 or above, so that it cannot be in the
 * way of those a worker starts with. Closes the old one. Returns the new one
 * or a negative errno. [any]
 */
int apd_fd_raise(int fd);

/*
 * Starts the program in a process group of its own. posix_spawn shares the
 * daemon's memory until exec: 0.5 ms however large the daemon is. [any]
 */
int apd_spawn_process(const struct apd_spawn *spawn, pid_t *ret_pid, int *ret_pidfd);

#endif
