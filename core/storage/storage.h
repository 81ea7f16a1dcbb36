/*
 * Storage: what survives. A table of functions that an engine fills in; the
 * SQLite engine is in sqlite/, the simulator has a fake one. All of it is
 * asynchronous but the reads at the end, which block and are for the HTTP and
 * reader threads.
 */
#ifndef APD_STORAGE_STORAGE_H
#define APD_STORAGE_STORAGE_H

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
	APD_OP_RUN_DELETE,    /* by run_id */
	APD_OP_THREAD_PUT,    /* inserts the thread; nothing if it exists */
	APD_OP_THREAD_DELETE, /* the thread and its runs but not ephemeral ones */
};

struct apd_op {
	enum apd_op_type type;
	struct apd_run_row *run; /* RUN_PUT: a reference of the batch's */
	struct apd_id id;        /* RUN_DELETE, THREAD_*: which */
	int64_t wall_us;         /* THREAD_PUT: created_at */
};

/*
 * Changes that are applied together or not at all. Made and freed by the
 * caller of commit(); the engine only borrows it until done() is called.
 */
struct apd_batch {
	struct apd_list link; /* the engine's while it has the batch */
	struct apd_op ops[6];
	uint32_t n_ops;
	uint32_t missing; /* out: RUN_DELETE and THREAD_DELETE that found nothing, which is no error */
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
	APD_LOAD_THREAD,          /* whether a thread exists */
};

struct apd_load {
	struct apd_list link; /* the engine's */
	enum apd_load_type type;
	struct apd_id id;
	/* Out. The rows are the caller's references; free() the array. */
	struct apd_run_row **runs;
	size_t n_runs;
	bool found;
	/* Called once on the thread of the runtime: 0 or a negative errno. May be called from within load(). */
	void (*done)(struct apd_load *load, int result);
};

/* What the runtime asks of an engine. [the runtime's thread] */
struct apd_storage_ops {
	/* Applies the batch; batches become durable in the order of the calls. */
	void (*commit)(struct apd_storage *storage, struct apd_batch *batch);

	/* Reads; sees at least all batches whose done() was called before. */
	void (*load)(struct apd_storage *storage, struct apd_load *load);
};

struct apd_storage {
	const struct apd_storage_ops *ops;
};

/* What POST /runs/search asks for. Absent members do not filter. */
struct apd_run_query {
	const struct apd_id *thread_id;
	struct apd_str agent_id;
	int status;              /* enum apd_run_status, or -1 */
	struct apd_str metadata; /* JSON object: containment */
	uint32_t limit;
	uint64_t offset;
};

#endif
