/*
 * A child: one apd-worker (or, in-process, a thread in its place) with its
 * socket, its output and its death on a libuv loop. It knows how to speak
 * frames, not what they mean. All of it is for the loop's thread.
 */
#ifndef APD_HOST_CHILD_H
#define APD_HOST_CHILD_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "host/deadline.h"
#include "host/frame.h"
#include "host/output.h"
#include "host/strays.h"

struct apd_child;

/* What its owner does with it. */
struct apd_child_ops {
	/*
	 * A whole message came. NULL, or a static sentence that says how it breaks
	 * the protocol: then the child is killed.
	 */
	const char *(*frame)(
		struct apd_child *child, const struct apd_frame *frame, struct apd_str payload);
	/* It is gone, and why: "SIGSEGV", "exit status 3", ... Nothing comes from it any more. */
	void (*dead)(struct apd_child *child, const char *reason);
	/* The loop has let go of it, some time after dead(): its memory may be freed. */
	void (*closed)(struct apd_child *child);
	/* Everything that waited to be sent was sent after all; may be NULL. */
	void (*drained)(struct apd_child *child);
};

/* What a child is started with; borrowed for the call but for name. */
struct apd_child_spec {
	const char *program; /* apd-worker */
	const char *name; /* of the plugin, for the log; must outlive the child */
	const char *const *env; /* or NULL */
	int plugin_fd; /* the sealed file; stays the caller's */
	size_t message_max;
	_Atomic uint64_t *log_dropped;
	int (*in_process)(int socket_fd, int plugin_fd); /* or NULL */
	struct apd_strays *strays; /* for a process */
};

struct apd_child_thread;

struct apd_child {
	const struct apd_child_ops *ops;
	struct apd_deadlines *deadlines;
	pid_t pid; /* 0: a thread */
	struct apd_kin kin;
	struct apd_child_thread *thread; /* or NULL */
	bool thread_joined;
	int socket;
	int death_fd; /* readable when it is gone: a pidfd, or a thread's eventfd */
	int output_fd; /* -1: none */
	uv_poll_t socket_poll, death_poll, output_poll;
	unsigned open_handles;
	struct apd_frame_reader reader;
	struct apd_buf out; /* frames to be sent, from out_at on */
	size_t out_at;
	bool blocked; /* the socket took no more: waits for it to be writable */
	bool polls_write; /* the loop watches for that */
	bool shut; /* the other end is closed; there may be frames to read */
	bool muted; /* nothing is read and sent any more */
	bool gone; /* dead() was called */
	char why[160]; /* why it is being killed, or empty */
	struct apd_deadline give_up;
	struct apd_output output;
};

/* Starts it. On failure nothing is left and no op is ever called. 0 or a negative errno. */
int apd_child_start(struct apd_child *child, uv_loop_t *loop, struct apd_deadlines *deadlines,
	const struct apd_child_spec *spec, const struct apd_child_ops *ops);

/* Sends what was added to `out`, as much as the socket takes; the rest follows by itself. */
void apd_child_flush(struct apd_child *child);

/* How many bytes wait to be sent. */
static inline size_t apd_child_backlog(const struct apd_child *child)
{
	return child->out.len - child->out_at;
}

/*
 * Kills it and all of its process group for a reason, which dead() will give
 * unless there was an earlier one; NULL: give what the kernel says.
 */
void apd_child_kill(struct apd_child *child, const char *why);

/* Shared by the child's files: it is gone; lets go of everything. */
void apd_child_bury(struct apd_child *child, const char *reason);

/* Reads what is in the socket and hands the messages on: how many bytes, 0: end, or -errno. */
ssize_t apd_child_read(struct apd_child *child);

/* Reads what is in the output pipe: how many bytes, or 0 or less for no more. */
ssize_t apd_child_read_output(struct apd_child *child);

/* Called when death_fd is readable. */
void apd_child_on_death(uv_poll_t *poll, int status, int events);

/* Starts the thread that takes a process's place; takes over the socket. */
int apd_child_start_thread(struct apd_child *child, const struct apd_child_spec *spec, int socket);

#endif
