/*
 * The crew: the threads that run agents, and that listen to the daemon.
 *
 * A thread without a job listens: all wait on one epoll set, edge-triggered, so
 * that what comes wakes one of them, and the kernel picks the one that came
 * last. It reads what the daemon sent and then does the first job of it itself:
 * a lone run is invoked by the thread that read it, with no hand-over between.
 * One thread at least stays behind to listen. When there are more jobs than the
 * thread that found them can do at once it wakes one helper, who wakes the
 * next, so that quick jobs do not wake a crowd.
 */
#ifndef APD_WORKER_CREW_H
#define APD_WORKER_CREW_H

#include <pthread.h>
#include <stdbool.h>

#include "base/json_scan.h"
#include "base/list.h"

/* What a thread keeps from job to job. */
struct apd_crew_thread {
	struct apd_list link; /* in crew->threads */
	struct apd_crew *crew;
	pthread_t thread;
	int stop_fd; /* an eventfd for the run it executes; -1 until the first one */
	struct apd_json json;
	struct apd_json ns_json;
};

/* Something to do. Embed it; it is in no list when it is executed. */
struct apd_job {
	struct apd_list link;
	void (*execute)(struct apd_job *job, struct apd_crew_thread *thread);
};

struct apd_crew {
	pthread_mutex_t lock;
	struct apd_list jobs;
	struct apd_list threads;
	unsigned listening; /* threads that listen, or handle what they heard */
	unsigned starting; /* threads that were made and did not arrive */
	bool waking; /* a listener was told to help and did not come */
	bool closing;
	int epoll_fd;
	int wake_fd; /* an eventfd: jobs wait, or something is to be sent, or the crew closes */
	int timer_fd; /* what may leave later is due */
	/* Reads the socket: 0, or negative when nothing more will come. */
	int (*read)(void *data);
	/* Writes what waits to be sent. */
	void (*flush)(void *data);
	void *data;
};

/* Opens the descriptors. No thread runs yet. 0 or a negative errno. */
int apd_crew_init(
	struct apd_crew *crew, int (*read)(void *data), void (*flush)(void *data), void *data);

/* Starts to listen to the socket. On failure call _close. */
int apd_crew_start(struct apd_crew *crew, int socket);

/* Ends and joins all threads; no job may be left or in progress. */
void apd_crew_close(struct apd_crew *crew);
void apd_crew_finish(struct apd_crew *crew);

/*
 * Adds a job, at the front if it is urgent. The listener that adds it looks
 * for jobs next; every other thread must say call_help. [any]
 */
void apd_crew_add(struct apd_crew *crew, struct apd_job *job, bool urgent, bool call_help);

/* Adds all jobs of a list to the end, for a listener. */
void apd_crew_add_all(struct apd_crew *crew, struct apd_list *jobs);

/* Takes a job back: true if nobody had begun it. [any] */
bool apd_crew_take_back(struct apd_crew *crew, struct apd_job *job);

/* True if no job waits. [any] */
bool apd_crew_idle(struct apd_crew *crew);

#endif
