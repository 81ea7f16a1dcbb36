/*
 * The sender: frames on their way to the daemon. Whoever has something to say
 * appends it to one shared buffer; one thread at a time writes, and goes on
 * until the buffer is empty. So writes carry many frames when there are many.
 */
#ifndef APD_WORKER_SENDER_H
#define APD_WORKER_SENDER_H

#include <pthread.h>
#include <stdbool.h>

#include "host/frame.h"

struct apd_sender {
	pthread_mutex_t lock;
	int socket;
	int wake_fd; /* an eventfd that listeners watch, or -1: there are none yet */
	int timer_fd; /* a timerfd that they watch too */
	bool flushing; /* a thread is writing and will take what is appended */
	bool kicked; /* a listener was told to flush and did not begin */
	bool die; /* the process ends when the daemon is gone */
	bool broken; /* the daemon is gone: frames are dropped */
	bool timed; /* the timer is set */
	unsigned frames; /* in pending */
	int64_t flushed_ns; /* when the last write ended */
	struct apd_buf pending;
	struct apd_buf writing;
};

/* When a frame has to leave. */
enum apd_urgency {
	APD_SEND_LATER = 0, /* with what follows at once, else within a millisecond */
	APD_SEND_SOON, /* within some 50 us; more may follow at once */
	APD_SEND_NOW, /* somebody waits for it */
};

/* die: _exit(1) when the other end is closed. */
void apd_sender_init(struct apd_sender *sender, int socket, bool die);
void apd_sender_finish(struct apd_sender *sender);

/* From now on frames that are not urgent may be left to who watches these: an eventfd, and a
 * timerfd for those that may leave later. */
void apd_sender_watch(struct apd_sender *sender, int wake_fd, int timer_fd);

/* From now on the process does not end when the other end is closed; frames are dropped then. */
void apd_sender_spare(struct apd_sender *sender);

/* Appends a frame and sees to it that it leaves. May block while the socket is full. [any] */
void apd_sender_add(struct apd_sender *sender, enum apd_urgency urgency, uint16_t type,
	uint32_t run, uint32_t arg, const struct apd_str *fields, size_t n_fields);

/* Writes what waits, unless somebody is at it. For listeners, when wake_fd was readable. [any] */
void apd_sender_flush(struct apd_sender *sender);

#endif
