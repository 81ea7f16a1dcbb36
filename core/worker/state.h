/* The worker: everything that one plugin in one process (or one thread of it) needs. */
#ifndef APD_WORKER_STATE_H
#define APD_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ap/agent.h"
#include "host/frame.h"
#include "worker/chores.h"
#include "worker/crew.h"
#include "worker/mapped.h"
#include "worker/sender.h"
#include "worker/traces.h"

/* Runs are found by number; numbers rise, so their low bits spread them. */
#define APD_EXEC_BUCKETS 256

struct apd_exec;

/* What create() made for one agent of the operator's configuration. Set before it is found. */
struct apd_instance {
	const ap_agent *agent;
	void *self;
};

struct apd_worker {
	int socket;
	int plugin_fd;
	bool in_process;
	struct apd_setup setup;
	char *file; /* the plugin's name, for messages */
	struct apd_traces traces; /* unless in_process */

	pthread_mutex_t read_lock; /* for the reader */
	struct apd_frame_reader reader;
	struct apd_sender sender;
	struct apd_crew crew;
	struct apd_chores chores;
	struct apd_mapped mapped;
	ap_host host;

	pthread_mutex_t lock; /* for what follows, up to the empty line */
	pthread_cond_t ended; /* the last run did */
	struct apd_instance **instances; /* by number; NULL where there is none */
	size_t n_instances;
	struct apd_exec *execs[APD_EXEC_BUCKETS];
	unsigned n_execs;

	_Atomic bool lost; /* the daemon is gone and this is not a process of its own */
	_Atomic bool quitting; /* QUIT came */
	_Atomic int64_t log_credit;
	_Atomic uint64_t log_dropped;
	_Atomic unsigned misuses;
};

/* The instance with a number, or NULL. [any] */
struct apd_instance *apd_instance_find(struct apd_worker *worker, uint32_t number);

/*
 * Tells the daemon that the plugin broke its contract: "commit() after invoke()
 * returned". After some dozens of times it keeps quiet. [any]
 */
void apd_misuse(struct apd_worker *worker, uint32_t run, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Fills in the table that the plugin gets. */
void apd_host_table_init(ap_host *host, struct apd_worker *worker);

/* Sends a log line, cut to the limit, if there is credit; else counts it. run: or 0. [any] */
void apd_host_log(struct apd_worker *worker, uint32_t run, ap_level level, struct apd_str message);

/* Gives credit for log lines, and tells of those that were dropped before. [any] */
void apd_host_log_credit(struct apd_worker *worker, uint32_t bytes);

/* Reads what is in the socket and acts on it: 0, or negative when the daemon is gone. [any] */
int apd_inbox_read(void *worker);

/* Acts on the messages that were read before. Negative if they break the protocol. */
int apd_inbox_drain(struct apd_worker *worker);

#endif
