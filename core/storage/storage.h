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
#include "storage/row.h"

struct apd_storage;

/* One change within a batch. */
enum apd_op_type {
	/* Inserts the row, or replaces the one with its run_id: all but thread_id, agent_id and
	   created_us, which never change. */
	APD_OP_RUN_PUT = 1,
	APD_OP_RUN_DELETE, /* by run_id */
	APD_OP_THREAD_PUT, /* inserts the thread; nothing if it exists */
	APD_OP_THREAD_DELETE, /* the thread and its runs but not ephemeral ones */
};

struct apd_op {
	enum apd_op_type type;
	struct apd_run_row *run; /* RUN_PUT: a reference of the batch's */
	struct apd_id id; /* RUN_DELETE, THREAD_*: which */
	int64_t wall_us; /* THREAD_PUT: created_at */
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
	 * -EIO, -ENOSPC, -EROFS, -EBUSY... when nothing of it was applied. May be
	 * called from within commit().
	 */
	void (*done)(struct apd_batch *batch, int result);
};

/* Adds an op; the batch must have room. RUN_PUT takes a reference of its own. */
void apd_batch_put_run(struct apd_batch *batch, struct apd_run_row *row);
void apd_batch_delete_run(struct apd_batch *batch, const struct apd_id *run_id);
void apd_batch_put_thread(struct apd_batch *batch, const struct apd_id *thread_id, int64_t wall_us);
void apd_batch_delete_thread(struct apd_batch *batch, const struct apd_id *thread_id);

/* Gives the batch's references back; the struct itself is the caller's. */
void apd_batch_finish(struct apd_batch *batch);

/* Something the runtime needs to know before it can decide. */
enum apd_load_type {
	APD_LOAD_ACTIVE_RUNS = 1, /* all runs with status pending, oldest first */
	APD_LOAD_THREAD, /* whether a thread exists */
};

struct apd_load {
	struct apd_list link; /* the engine's */
	enum apd_load_type type;
	struct apd_id id;
	/* Out. The rows are the caller's references; free() the array. */
	struct apd_run_row **runs;
	size_t n_runs;
	bool found;
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
	 * Reads one run: quick, blocking, for HTTP threads. 0 with a reference,
	 * -ENOENT, or another negative errno. [any]
	 */
	int (*get_run)(struct apd_storage *storage, const struct apd_id *run_id,
		struct apd_run_row **ret_row);

	/* Searches on a reader thread. [any] */
	void (*search_runs)(struct apd_storage *storage, struct apd_run_search *search);

	/*
	 * Removes ephemeral runs that ended before a time, at most `max` of them,
	 * in small steps between batches. Returns at once; a later call replaces
	 * one that is not through. [any]
	 */
	void (*sweep)(struct apd_storage *storage, int64_t ended_before_us, uint32_t max);

	/* [any] */
	void (*stats)(struct apd_storage *storage, struct apd_storage_stats *ret_stats);
};

struct apd_storage {
	const struct apd_storage_ops *ops;
};

#endif
