/*
 * Storage: what survives. A table of functions that an engine fills in; the
 * SQLite engine is in sqlite/, the simulator has a fake one. All of it is
 * asynchronous but the reads at the end, which block and are for the HTTP and
 * reader threads.
 */
#ifndef APD_STORAGE_STORAGE_H
#define APD_STORAGE_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/list.h"
#include "base/text.h"
#include "storage/outbox.h"
#include "storage/row.h"
#include "storage/thread.h"

struct apd_storage;

/* One change within a batch. */
enum apd_op_type {
	/* Inserts the row, or replaces the one with its run_id: all but thread_id, agent_id and
	   created_us, which never change. */
	APD_OP_RUN_PUT = 1,
	APD_OP_RUN_DELETE, /* by run_id */
	/* Inserts the thread, or replaces all of the row with its thread_id but created_us. */
	APD_OP_THREAD_PUT,
	/* The thread, its checkpoints and its runs but not ephemeral ones: gone for every reader at
	   once, and nothing of them is found by a later thread of the same id. */
	APD_OP_THREAD_DELETE,
	/* A new thread (`thread`) with the checkpoints of another (`id`). Missing if there is none. */
	APD_OP_THREAD_COPY,
	APD_OP_CHECKPOINT_PUT, /* inserts it; its thread must exist */
	APD_OP_CHECKPOINTS_UNDO, /* removes those of thread `id` that are newer than `after` */
	APD_OP_OUTBOX_PUT, /* inserts it, or replaces attempts and next_us */
	APD_OP_OUTBOX_DELETE, /* by id */
};

struct apd_op {
	enum apd_op_type type;
	/* References of the batch's; which one, the type tells. */
	struct apd_run_row *run;
	struct apd_thread_row *thread;
	struct apd_checkpoint_row *checkpoint;
	struct apd_outbox_row *outbox;
	struct apd_id id; /* RUN_DELETE, THREAD_DELETE, THREAD_COPY, UNDO, OUTBOX_DELETE: which */
	struct apd_id after; /* UNDO; all zero: all of them */
	bool replaces; /* THREAD_PUT: only where the thread exists, else -ENOENT for the batch */
};

#define APD_BATCH_OPS 6 /* room in a batch */

/*
 * Changes that are applied together or not at all. Made and freed by the
 * caller of commit(); the engine only borrows it until done() is called.
 */
struct apd_batch {
	struct apd_list link; /* the engine's while it has the batch */
	struct apd_op ops[APD_BATCH_OPS];
	uint32_t n_ops;
	bool lazy; /* nobody waits for it: it may wait some milliseconds for company */
	uint32_t missing; /* out: deletes that found nothing, which is no error */
	/*
	 * Called once on the thread of the runtime: 0 when the batch is durable,
	 * -EIO, -ENOSPC, -EROFS, -EBUSY... when nothing of it was applied; -ENOENT
	 * when it puts a run or a checkpoint of a kept thread, or replaces one, that
	 * does not exist.
	 * May be called from within commit().
	 */
	void (*done)(struct apd_batch *batch, int result);
};

/* Add an op; the batch must have room. A row's op takes a reference of its own. */
void apd_batch_put_run(struct apd_batch *batch, struct apd_run_row *row);
void apd_batch_delete_run(struct apd_batch *batch, const struct apd_id *run_id);
void apd_batch_put_thread(struct apd_batch *batch, struct apd_thread_row *row);
/* The same for a thread that must be there: one that was swept away does not come back. */
void apd_batch_replace_thread(struct apd_batch *batch, struct apd_thread_row *row);
void apd_batch_delete_thread(struct apd_batch *batch, const struct apd_id *thread_id);
void apd_batch_copy_thread(
	struct apd_batch *batch, const struct apd_id *from_id, struct apd_thread_row *to);
void apd_batch_put_checkpoint(struct apd_batch *batch, struct apd_checkpoint_row *row);
/* after: NULL for all. */
void apd_batch_undo_checkpoints(
	struct apd_batch *batch, const struct apd_id *thread_id, const struct apd_id *after);
void apd_batch_put_outbox(struct apd_batch *batch, struct apd_outbox_row *row);
void apd_batch_delete_outbox(struct apd_batch *batch, const struct apd_id *id);

/* Gives the batch's references back; the struct itself is the caller's. */
void apd_batch_finish(struct apd_batch *batch);

/* Something the runtime needs to know before it can decide. */
enum apd_load_type {
	APD_LOAD_ACTIVE_RUNS = 1, /* all runs with status pending, oldest first */
	APD_LOAD_THREAD, /* a thread as it is */
	APD_LOAD_CHECKPOINT, /* the same, with head and state of an older checkpoint (`at`) */
};

struct apd_load {
	struct apd_list link; /* the engine's */
	enum apd_load_type type;
	struct apd_id id; /* the thread's */
	struct apd_id at; /* LOAD_CHECKPOINT */
	/* Out. The rows are the caller's references; free() the array. */
	struct apd_run_row **runs;
	size_t n_runs;
	bool found; /* the thread */
	bool found_at; /* LOAD_CHECKPOINT: the checkpoint, which is the view's head then */
	struct apd_thread_view view; /* when found: the caller's */
	size_t chain; /* weights of the checkpoints that were read for the state */
	struct apd_id
		newest; /* the thread's newest checkpoint, which the next id must exceed; or zero */
	/*
	 * Called once on the thread of the runtime: 0 or a negative errno. May be
	 * called from within load().
	 */
	void (*done)(struct apd_load *load, int result);
};

/* What POST /runs/search asks for. Absent members do not filter. */
struct apd_run_query {
	const struct apd_id *thread_id;
	struct apd_str agent_id;
	int status; /* enum apd_run_status, or -1 */
	struct apd_str metadata; /* JSON object: containment */
	uint32_t limit;
	uint64_t offset;
};

/*
 * A search, run on a reader thread. Embed it. done() is called there: 0 with
 * the rows (the caller's references; free() the array), -ETIME past the time
 * budget, -E2BIG when the rows weigh more than 64 MiB (ask for fewer), -EINVAL
 * for a filter that is no JSON, or another negative errno. The rows are newest
 * first by run_id, which is the order of creation, and come without their output. The query's
 * ranges must live until then.
 */
struct apd_run_search {
	struct apd_list link; /* the engine's */
	struct apd_run_query query;
	struct apd_run_row **rows;
	size_t n_rows;
	void (*done)(struct apd_run_search *search, int result);
};

/* What POST /threads/search asks for. Absent members do not filter. */
struct apd_thread_query {
	int status; /* enum apd_thread_status, or -1 */
	struct apd_str metadata; /* JSON object: containment */
	struct apd_str values; /* JSON object: containment in the values, messages not among them */
	uint32_t limit;
	uint64_t offset;
};

/*
 * A search of threads on a reader thread, as apd_run_search: newest first by
 * (created_us, thread_id). The views are the caller's: finish each, free() the
 * array.
 */
struct apd_thread_search {
	struct apd_list link; /* the engine's */
	struct apd_thread_query query;
	struct apd_thread_view *views;
	size_t n_views;
	void (*done)(struct apd_thread_search *search, int result);
};

struct apd_history_item {
	struct apd_checkpoint_row *row;
	struct apd_state *state; /* at it */
};

/*
 * A thread's checkpoints, newest first, read on a reader thread. done() is
 * called there: 0, -ENOENT: no such thread, -ESRCH: no such `before`, -ETIME,
 * -E2BIG, or another negative errno. The items' references are the caller's;
 * free() the array.
 */
struct apd_history_read {
	struct apd_list link; /* the engine's */
	struct apd_id thread_id;
	bool has_before;
	struct apd_id before; /* only older ones than this checkpoint */
	uint32_t limit;
	struct apd_history_item *items;
	size_t n_items;
	void (*done)(struct apd_history_read *read, int result);
};

/* What may be removed; 0: nothing of that kind. */
struct apd_sweep {
	int64_t runs_before_us; /* ephemeral runs that ended before this */
	int64_t threads_before_us; /* threads at rest since before this */
	uint32_t max; /* runs, and threads, of one call */
};

/* Numbers for /metrics, since the start. */
struct apd_storage_stats {
	uint64_t commits; /* transactions */
	uint64_t batches;
	uint64_t failures;
	uint64_t wal_bytes; /* now */
};

/* What an engine does. */
struct apd_storage_ops {
	/* Applies the batch; batches become durable in the order of the calls. [runtime] */
	void (*commit)(struct apd_storage *storage, struct apd_batch *batch);

	/* Reads; sees at least all batches whose done() was called before. [runtime] */
	void (*load)(struct apd_storage *storage, struct apd_load *load);

	/*
	 * Reads one run: quick, blocking, for HTTP threads. with_output: makes the
	 * output of a run whose output is a checkpoint's state. 0 with a reference,
	 * -ENOENT, or another negative errno. [any]
	 */
	int (*get_run)(struct apd_storage *storage, const struct apd_id *run_id, bool with_output,
		struct apd_run_row **ret_row);

	/*
	 * Reads one thread, blocking, for HTTP threads, in one transaction. 0 with a
	 * view to finish, -ENOENT, or another negative errno. [any]
	 */
	int (*get_thread)(struct apd_storage *storage, const struct apd_id *thread_id,
		struct apd_thread_view *ret_view);

	/* Search and read on a reader thread. [any] */
	void (*search_runs)(struct apd_storage *storage, struct apd_run_search *search);
	void (*search_threads)(struct apd_storage *storage, struct apd_thread_search *search);
	void (*read_history)(struct apd_storage *storage, struct apd_history_read *read);

	/*
	 * Reads the rows of the outbox that are due, the longest due first, at most
	 * `limit`; blocking, for the webhook thread. 0 with references in an array to
	 * free(), and when the next one is due after those (INT64_MAX: none is), or a
	 * negative errno. [any]
	 */
	int (*read_outbox)(struct apd_storage *storage, int64_t now_us, uint32_t limit,
		struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us);

	/*
	 * Removes what is old, in steps between batches that never keep one waiting
	 * for more than 20 ms. Returns at once; a later call replaces one that is not
	 * through. [any]
	 */
	void (*sweep)(struct apd_storage *storage, const struct apd_sweep *sweep);

	/* [any] */
	void (*stats)(struct apd_storage *storage, struct apd_storage_stats *ret_stats);
};

struct apd_storage {
	const struct apd_storage_ops *ops;
};

#endif
