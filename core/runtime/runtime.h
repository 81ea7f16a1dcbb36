/*
 * The runtime: everything about runs, threads, queues, deadlines, cancellation
 * and events is decided here. A pure state machine: one thread, no I/O, no
 * clock and no randomness of its own. Inputs are the functions below and the
 * host's sink; outputs go through storage, host and the callbacks of calls and
 * watches. The daemon and the simulator run the same object file.
 *
 * All functions are for the runtime's thread. Callbacks are called on it, never
 * from within the function whose argument they came with unless it says so, and
 * may call back into the runtime.
 */
#ifndef APD_RUNTIME_RUNTIME_H
#define APD_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/problem.h"
#include "base/text.h"
#include "host/host.h"
#include "runtime/event_log.h"
#include "storage/storage.h"

struct apd_runtime;

struct apd_runtime_config {
	uint32_t max_queue; /* runs that wait, in all */
	uint32_t credit_bytes; /* the window of one run's events */
	size_t ring_bytes; /* of one thread's log */
	size_t events_max_bytes; /* of all logs together */
	int64_t linger_ns; /* an ended run's log stays so long */
	int64_t stall_ns; /* a creator that takes nothing for so long holds back no more */
	int64_t shutdown_grace_ns;
	int64_t retry_delay_ns; /* of a failed final batch: doubles to 60 times this */
	uint64_t seed; /* of ids and jitter; 0: random */
};

struct apd_runtime_deps {
	const struct apd_clock *clock;
	struct apd_storage *storage;
	struct apd_host *host;
	/* Rows were put into the outbox and are durable; called at a flush. May be NULL. */
	void (*outbox)(void *data);
	void *outbox_data;
};

struct apd_runtime *apd_runtime_create(
	const struct apd_runtime_config *config, const struct apd_runtime_deps *deps);

/* Frees everything, whatever state it is in; storage and host must have no callbacks under way. */
void apd_runtime_destroy(struct apd_runtime *runtime);

/* What the host calls; its data is the runtime. */
extern const struct apd_host_sink apd_runtime_sink;

/*
 * Reads what an earlier life left: queued runs are queued again; executing ones
 * are queued as the next attempt when their agent is RETRY_SAFE and has
 * attempts left, else end as error daemon_restarted. done(data, 0) once all of
 * this is decided (not: durable), or with a negative errno when storage cannot
 * be read. First of all calls.
 */
void apd_runtime_recover(
	struct apd_runtime *runtime, void (*done)(void *data, int result), void *data);

/* When run_timers() must be called at the latest, on the monotonic clock; INT64_MAX: no timer. */
int64_t apd_runtime_next_timer(const struct apd_runtime *runtime);

/* Does what is due. */
void apd_runtime_run_timers(struct apd_runtime *runtime);

/*
 * The end of a loop turn: invokes what can be invoked, hands one batch of
 * changes to storage, tells watches of news. Call it after any inputs, once for
 * all of them.
 */
void apd_runtime_flush(struct apd_runtime *runtime);

/* ---- runs ---- */

enum apd_run_mode {
	APD_MODE_BACKGROUND, /* accepted() when durable; nobody waits */
	APD_MODE_WAIT, /* ended() when it ended (durable, for a run bound to a thread) */
	APD_MODE_STREAM, /* accepted() with the log */
};

/* What becomes of a run on a thread that has one already. */
enum apd_multitask {
	APD_MULTITASK_REJECT, /* thread_busy */
	APD_MULTITASK_ENQUEUE, /* it waits its turn, first in first out */
	APD_MULTITASK_INTERRUPT, /* the others are stopped, keeping their commits; then it runs */
	APD_MULTITASK_ROLLBACK, /* the active one is stopped and undone; then it runs */
};

/* A run to be created. Ranges point into request, a text in the shape of apd_run_row.request. */
struct apd_run_spec {
	enum apd_run_mode mode;
	struct apd_text *request; /* the runtime takes a reference of its own */
	struct apd_str agent_id; /* resolved by the caller */
	struct apd_str input; /* JSON, or absent */
	struct apd_str messages; /* JSON array whose messages all have ids, or absent */
	struct apd_str config; /* JSON object, or absent */
	struct apd_str metadata; /* JSON object; "{}" if none was given */
	bool has_thread; /* else ephemeral */
	struct apd_id thread_id;
	bool create_thread; /* if_not_exists: create */
	bool keep_going; /* on_disconnect: continue */
	bool delete_thread; /* on_completion: delete */
	enum apd_multitask multitask;
	struct apd_str webhook; /* URL, unescaped and checked, or absent */
	/*
	 * command.resume: the answer, or a map from question id to answer; absent in
	 * a run that answers nothing. What the map says is decided when the run is
	 * created: an object whose keys all are ids of pending questions is a map.
	 */
	struct apd_str resume;
	struct apd_str update; /* command.update: JSON object, a patch before the run; or absent */
	struct apd_str jump; /* command.goto: JSON, or absent */
};

struct apd_run_call;

/* How a client hears of a run. Each may be NULL. */
struct apd_run_call_ops {
	/* The request was refused, or cannot be answered any more (shutdown). The last call. */
	void (*refused)(struct apd_run_call *call, const struct apd_problem *problem);
	/* The run exists: call->row, and call->log for reading its events. */
	void (*accepted)(struct apd_run_call *call);
	/* The run ended: call->row is final. The last call. */
	void (*ended)(struct apd_run_call *call);
};

/*
 * One client's interest in one run: embed it, fill in ops, keep it until its
 * last callback or apd_runtime_leave().
 */
struct apd_run_call {
	const struct apd_run_call_ops *ops;
	/* The runtime's; valid for reading within callbacks. */
	struct apd_run_row *row; /* borrowed: take a reference to keep it */
	struct apd_event_log *log; /* borrowed: take a reference to keep it */
	uint64_t log_seq; /* accepted(): the last event's number when the call joined; the
				       creator's is the one before the run's first */
	/* The runtime's alone. */
	struct apd_list link;
	struct apd_run *run;
	enum apd_run_mode mode;
	bool creator;
};

/* Creates a run. Refusals: agent_not_found, agent_unavailable, thread_required, thread_not_found,
 * thread_busy, not_interrupted (resume without a question), invalid_request (an answer that
 * fits no question or several; on_completion: delete where runs are queued), queue_full,
 * storage_unavailable, shutting_down. refused() may be called from within. */
void apd_runtime_create_run(
	struct apd_runtime *runtime, const struct apd_run_spec *spec, struct apd_run_call *call);

/*
 * Joins a run that the runtime knows: mode WAIT: ended() later, or from within
 * when it has ended and is durable; STREAM: accepted() from within with the log,
 * then ended(). 0, or -ENOENT when it is not in memory: ask storage.
 */
int apd_runtime_join_run(struct apd_runtime *runtime, const struct apd_id *run_id,
	enum apd_run_mode mode, struct apd_run_call *call);

/*
 * The client left: no callback follows. Where the call created the run by
 * WAIT or STREAM and on_disconnect is cancel, the run is cancelled. Harmless
 * after the last callback.
 */
void apd_runtime_leave(struct apd_runtime *runtime, struct apd_run_call *call);

/* The creating stream's connection took all events up to a number: returns credit. */
void apd_runtime_taken(struct apd_runtime *runtime, struct apd_run_call *call, uint64_t seq);

/* The run as it is told now, borrowed, or NULL when it is not in memory: ask storage. */
struct apd_run_row *apd_runtime_find_run(struct apd_runtime *runtime, const struct apd_id *run_id);

/*
 * Cancels a run: at once when it has not started, else STOP, the grace, then
 * without the agent. rollback: the run is gone afterwards, waiters get
 * "interrupted" once. With a call: ended() when it is over and durable. Already
 * ended: nothing happens (ended() from within, when it is durable). 0, or
 * -ENOENT: not in memory.
 */
int apd_runtime_cancel_run(struct apd_runtime *runtime, const struct apd_id *run_id, bool rollback,
	struct apd_run_call *call);

/* A change that a client waits for. Embed it. done() once: 0, -ENOENT: there is none, -EBUSY: the
 * run is active, or what storage said. */
struct apd_change {
	void (*done)(struct apd_change *change, int result);
	struct apd_batch batch; /* the runtime's */
	struct apd_runtime *runtime;
	struct apd_id id;
	int result; /* of a change that was refused at once: done() is called by the next flush */
};

/* Deletes an ended run. */
void apd_runtime_delete_run(
	struct apd_runtime *runtime, const struct apd_id *run_id, struct apd_change *change);

/* ---- threads ---- */

/*
 * What a client asks of a thread. Embed it, fill in done, keep it until then:
 * clients that leave meanwhile change nothing.
 */
struct apd_thread_call {
	/*
	 * Called once, never from within the function that took the call: problem is
	 * NULL when the change is durable. view is valid within the callback, and
	 * empty after a deletion.
	 */
	void (*done)(struct apd_thread_call *call, const struct apd_problem *problem);
	struct apd_thread_view view;
};

/*
 * Makes a thread. existing: one that is there already is no problem and comes
 * back untouched, else thread_exists. metadata: JSON object, borrowed for the
 * call.
 */
void apd_runtime_create_thread(struct apd_runtime *runtime, const struct apd_id *thread_id,
	struct apd_str metadata, bool existing, struct apd_thread_call *call);

/* What PATCH changes. Ranges point into text; absent ones change nothing. */
struct apd_thread_patch {
	struct apd_text *text; /* the runtime takes a reference of its own */
	struct apd_str metadata; /* JSON object: merged member by member, null removes one */
	struct apd_str values; /* JSON object: members replace whole keys */
	struct apd_str messages; /* JSON array, combined by id */
	bool has_checkpoint;
	struct apd_id checkpoint_id; /* to branch from */
};

/*
 * Changes a thread: thread_not_found, checkpoint_not_found, THREAD_ACTIVE (values
 * or messages while a run is active), invalid_request.
 */
void apd_runtime_patch_thread(struct apd_runtime *runtime, const struct apd_id *thread_id,
	const struct apd_thread_patch *patch, struct apd_thread_call *call);

/* Copies a thread with all that is durable of it; view is the copy. thread_not_found. */
void apd_runtime_copy_thread(
	struct apd_runtime *runtime, const struct apd_id *thread_id, struct apd_thread_call *call);

/*
 * Deletes a thread: stops its active run, ends those that wait, then all is
 * gone. thread_not_found.
 */
void apd_runtime_delete_thread(
	struct apd_runtime *runtime, const struct apd_id *thread_id, struct apd_thread_call *call);

/* ---- events ---- */

/* Wants to know when a log has news. Embed it. */
struct apd_watch {
	struct apd_list link;
	struct apd_event_log *log;
	/* The log has events that it did not have at the last flush, or was closed. */
	void (*news)(struct apd_watch *watch);
	uint32_t channels; /* what it reads, for ap_run_ops.listening(): bits 1u << ap_channel */
};

/* Begins to watch: news() from the next flush on at which there are any since log_seq of the call. */
void apd_runtime_watch(
	struct apd_runtime *runtime, struct apd_event_log *log, struct apd_watch *watch);
void apd_runtime_unwatch(struct apd_runtime *runtime, struct apd_watch *watch);

/* ---- shutdown and numbers ---- */

/*
 * Takes no new runs, refuses all waiting calls with shutting_down, closes the
 * logs, leaves queued runs queued, stops executing ones and after the grace
 * requeues them (RETRY_SAFE) or ends them as daemon_restarted. done(data) when
 * nothing executes and all is durable. Call run_timers() and flush() meanwhile.
 */
void apd_runtime_shutdown(struct apd_runtime *runtime, void (*done)(void *data), void *data);

struct apd_runtime_stats {
	uint64_t created, succeeded, failed, timed_out, interrupted; /* runs, since the start */
	uint64_t retried; /* attempts after the first */
	uint64_t queued; /* now */
	uint64_t executing; /* now */
	uint64_t runs; /* in memory now, lingering ones included */
	uint64_t threads; /* in memory now */
	uint64_t logs_bytes; /* of events now */
	uint64_t events; /* since the start */
	uint64_t commits; /* of agents, since the start */
	uint64_t storage_failures;
};
void apd_runtime_stats(const struct apd_runtime *runtime, struct apd_runtime_stats *ret_stats);

#endif
