/* The daemon's end of a worker, for tests: starts one with a plugin and speaks frames with it. */
#ifndef TESTS_WORKER_DRIVER_H
#define TESTS_WORKER_DRIVER_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/types.h>

#include "ap/agent.h"
#include "base/alloc.h"
#include "host/frame.h"
#include "host/host.h"

#define CREDIT (256u << 10)

struct driver {
	int fd;
	pid_t pid; /* 0: a thread */
	pthread_t thread;
	int plugin_fd;
	int worker_fd; /* the thread's end */
	int status; /* of the thread */
	struct apd_frame_reader reader;
	/* The last message. */
	struct apd_frame frame;
	struct apd_str payload;
	/* LOG and MISUSE messages on the way, one a line. */
	struct apd_buf logs;
	struct apd_buf misuses;
};

/* Limits of every test, small enough to reach. */
struct apd_setup driver_setup(void);

/* Starts a worker (or, in_process, a thread in its place) and sends SETUP. */
void driver_start(
	struct driver *d, const char *plugin, const struct apd_setup *setup, bool in_process);

/* Starts it, takes HELLO and makes instance 0 of the agent. */
void driver_serve(struct driver *d, const char *plugin, const char *agent, bool in_process);

/* Sends a message. */
void driver_send(struct driver *d, uint16_t type, uint32_t run, uint32_t arg,
	const struct apd_str *fields, size_t n);

/* Sends an INVOKE on instance 0 with this much credit; input as JSON. */
void driver_invoke(struct driver *d, uint32_t run, const char *input, uint32_t credit);

/* The same with all of struct apd_invoke, and perhaps a resume. */
void driver_invoke_with(struct driver *d, uint32_t run, const char *input,
	const struct apd_invoke *what, struct apd_str resume, struct apd_str continuation);

/* Answers the commit that came last. */
void driver_committed(struct driver *d, ap_status status);

/* Waits for the next message but LOG and MISUSE: its type, or 0 at the end of the stream. */
int driver_next(struct driver *d);

/* Waits for a message that must be of this type; other types fail the test. */
void driver_expect(struct driver *d, int type);

/* The field with this number in the last message. */
struct apd_str driver_field(struct driver *d, size_t index);

/* Waits for COMMIT, checks its patch, and answers it. */
void driver_expect_commit(struct driver *d, const char *patch);

/* Waits for the DONE of a run and checks its status. */
void driver_expect_done(struct driver *d, uint32_t run, ap_status status);

/* Sends QUIT, reads the rest, and checks that the worker ended well. */
void driver_quit(struct driver *d);

/* Reads to the end of the stream and gives the wait status (or the thread's result). */
int driver_end(struct driver *d);

#endif
