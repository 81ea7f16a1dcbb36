/*
 * An execution of a run: what is behind an ap_run. Its memory is never given
 * back, and is used again late, so that a plugin which keeps an ap_run after
 * invoke() returned is caught instead of crashing in somebody else's run.
 */
#ifndef APD_WORKER_EXEC_H
#define APD_WORKER_EXEC_H

#include <pthread.h>
#include <stdatomic.h>

#include "ap/agent.h"
#include "base/buf.h"
#include "host/host.h"
#include "host/message_order.h"
#include "worker/state.h"

/* In `halt`: why the run must stop (enum apd_stop_reason), and whether it is inside invoke(). */
#define APD_HALT_REASON 0xffu
#define APD_HALT_OVER   0x100u /* not inside invoke(): not yet, or not any more */

/* A commit that waits for the daemon's answer; on the stack of who waits. */
struct apd_commit_wait {
	struct apd_list link;
	uint32_t number;
	ap_status status;
	bool answered;
};

struct apd_exec {
	ap_run run; /* what the agent sees */
	struct apd_list free_link;
	struct apd_exec *next; /* in its bucket */
	struct apd_job invoke_job;
	struct apd_job stop_job;
	struct apd_instance *instance;
	struct apd_buf payload; /* of INVOKE: the strings of `run` lie in it */

	/* Read without the lock. */
	_Atomic uint32_t halt;
	_Atomic uint32_t ops; /* calls of ops that wait or work */
	_Atomic int64_t credit;
	_Atomic uint32_t listening;

	pthread_mutex_t lock; /* for the following, and for changes of halt and credit */
	pthread_cond_t changed;
	struct apd_worker *worker; /* NULL once that is gone */
	uint32_t number;
	bool stop_fd_set;
	bool stop_posted; /* the agent's stop() was brought about */
	bool stop_pending; /* it is due or in progress */
	struct apd_list commits; /* of struct apd_commit_wait */

	pthread_mutex_t op_lock; /* for the following: one op at a time checks and sends */
	struct apd_crew_thread *thread; /* lends its scanners */
	struct apd_message_order order;
	struct apd_buf message; /* of fail() */
	char code[64];
	uint32_t n_commits;
	uint32_t relaxed; /* of struct apd_invoke */
	bool asked;
};

/* The table behind every ap_run. */
extern const ap_run_ops apd_exec_ops;

/*
 * Makes an execution of an INVOKE message, whose payload is copied, and adds its
 * job to the list. 0, or -EBADMSG. For the reader.
 */
int apd_exec_create(struct apd_worker *worker, const struct apd_frame *frame,
	struct apd_str payload, struct apd_list *jobs);

/* What the daemon says to a run; numbers of runs that are over are ignored. For the reader. */
void apd_exec_stop(struct apd_worker *worker, uint32_t number, uint32_t reason);
void apd_exec_credit(struct apd_worker *worker, uint32_t number, uint32_t bytes);
void apd_exec_listening(struct apd_worker *worker, uint32_t number, uint32_t channels);
void apd_exec_committed(
	struct apd_worker *worker, uint32_t number, uint32_t commit, ap_status status);

/* Stops all runs and lets no op wait any more: the daemon is gone. */
void apd_exec_stop_all(struct apd_worker *worker);

/* Waits until no run is left, at most so many ms (negative: for ever). True if none is. */
bool apd_exec_wait_all(struct apd_worker *worker, int timeout_ms);

/* Cuts the executions of the past off from a worker that is about to go. */
void apd_exec_forget(struct apd_worker *worker);

/* Shared by the files of the ops. */

/*
 * Every op but check() begins with enter and, if that gave AP_OK, ends with leave.
 * Gives AP_E_MISUSE, and names it, when the run is over or the agent is in stop().
 */
ap_status apd_exec_enter(struct apd_exec *exec, const char *op);
void apd_exec_leave(struct apd_exec *exec);

/* What check() gives for a reason to halt. */
ap_status apd_exec_status(uint32_t halt);

/* Makes stop_fd readable. Locked. */
void apd_exec_signal_stop(struct apd_exec *exec);

/* Tells the author why an op gave AP_E_INVALID or AP_E_LIMIT: a log line of the run. */
void apd_exec_explain(struct apd_exec *exec, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

ap_status apd_exec_check(const ap_run *run);
ap_status apd_exec_emit(ap_run *run, const ap_event *event);
ap_status apd_exec_commit(ap_run *run, const ap_step *step);
ap_status apd_exec_interrupt(
	ap_run *run, const ap_question *const *questions, size_t n, ap_str continuation);

/* The run that this thread is inside of, or NULL. */
extern _Thread_local struct apd_exec *apd_exec_current;
/* True while this thread is inside an agent's stop(). */
extern _Thread_local bool apd_exec_in_stop;

#endif
