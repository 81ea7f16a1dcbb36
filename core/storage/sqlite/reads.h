/*
 * Reading on a connection: its prepared statements, and what takes several of
 * them. For one thread at a time. What is read between begin and end is of one
 * moment.
 */
#ifndef APD_STORAGE_SQLITE_READS_H
#define APD_STORAGE_SQLITE_READS_H

#include <sqlite3.h>

#include "base/json_scan.h"
#include "storage/storage.h"

enum apd_read_stmt {
	APD_READ_BEGIN,
	APD_READ_END,
	APD_READ_ACTIVE, /* all runs that are pending */
	APD_READ_RUN, /* run_id */
	APD_READ_RUN_LISTED, /* run_id: without the output */
	APD_READ_THREAD, /* thread_id */
	APD_READ_THREAD_BY_TID, /* tid */
	APD_READ_BUSY, /* tid: a row if a run of it is pending */
	APD_READ_HEAD, /* tid: the newest checkpoint's number, and the newest run's */
	APD_READ_RUN_BY_RID, /* number, tid: without the output, and behind it the one before */
	APD_READ_RUNS_EPHEMERAL, /* thread_id: without the output, newest first */
	APD_READ_CHECKPOINT, /* number */
	APD_READ_CHECKPOINT_BY_ID, /* checkpoint_id, tid: its number, and that of the one before it */
	APD_READ_OUTBOX, /* limit: the longest due first */
	APD_READ_THREADS, /* offset: numbers of all threads, newest first */
	APD_READ_THREADS_AT_REST, /* rest, offset: the same of those */
	APD_READ_THREADS_BUSY, /* the same of busy ones */
	APD_READ_RUN_TAG, /* hash */
	APD_READ_RUN_TAG_MANY,
	APD_READ_RUN_TAG_COUNT, /* hash, at most */
	APD_READ_THREAD_TAG,
	APD_READ_THREAD_TAG_MANY,
	APD_READ_THREAD_TAG_COUNT,
	APD_READ_COUNT,
};

struct apd_reads {
	sqlite3 *db;
	sqlite3_stmt *stmts[APD_READ_COUNT];
	struct apd_json json; /* for scanning what is read */
	struct apd_json json2;
	int64_t deadline_ns; /* 0: there is none */
};

/* Opens a connection of its own. Returns 0 or a negative errno. */
int apd_reads_open(struct apd_reads *reads, const char *path);
void apd_reads_close(struct apd_reads *reads);

/* The statement, prepared when it is first asked for. Reset it after use. 0 or a negative errno. */
int apd_reads_stmt(struct apd_reads *reads, enum apd_read_stmt which, sqlite3_stmt **ret_stmt);

/* A transaction around several reads. end() is harmless after a begin() that failed. */
int apd_reads_begin(struct apd_reads *reads);
void apd_reads_end(struct apd_reads *reads);

/* -ETIME past the deadline, else 0. */
int apd_reads_check_time(const struct apd_reads *reads);

/* chain.c: states */

/* A state with how it came to be. */
struct apd_chain {
	struct apd_checkpoint_row *head; /* NULL: there are no checkpoints */
	struct apd_state *state;
	size_t weight; /* of what was read */
};

/*
 * Reads the state at a checkpoint, or at the newest one for NULL (without any:
 * the empty state). 0 with references, -ESRCH: no such checkpoint, -EBADMSG: its
 * chain is broken, or another negative errno.
 */
int apd_chain_read(struct apd_reads *reads, const struct apd_id *thread_id, int64_t tid,
	const struct apd_id *at, struct apd_chain *ret_chain);

/*
 * The number of a thread's newest checkpoint; 0 in ret_cid: there is none.
 * Returns 0 or a negative errno.
 */
int apd_chain_head(struct apd_reads *reads, int64_t tid, int64_t *ret_cid);

/* The numbers of a checkpoint and of the one before it in its thread; -ESRCH: no such checkpoint. */
int apd_chain_find(struct apd_reads *reads, int64_t tid, const struct apd_id *id, int64_t *ret_cid,
	int64_t *ret_prev);

/* Steps to the row of a checkpoint; reset the statement. -EBADMSG if it is not the thread's. */
int apd_chain_row(struct apd_reads *reads, int64_t tid, int64_t cid, sqlite3_stmt **ret_stmt);

/* The state after one more checkpoint. 0 with a reference, or -EBADMSG. */
int apd_chain_step(struct apd_reads *reads, struct apd_state *before,
	const struct apd_checkpoint_row *row, struct apd_state **ret_state);

/* view.c: threads and runs as they are shown; each in a transaction of the caller's */

/* Makes the view of the thread that is the statement's current row. 0 or a negative errno. */
int apd_view_read(struct apd_reads *reads, sqlite3_stmt *thread, struct apd_thread_view *ret_view);

/* Whether a run of the thread is pending. 1, 0 or a negative errno. */
int apd_view_busy(struct apd_reads *reads, int64_t tid);

/* Answers a load. Returns 0 or a negative errno. */
int apd_view_load(struct apd_reads *reads, struct apd_load *load);

int apd_view_get_thread(
	struct apd_reads *reads, const struct apd_id *thread_id, struct apd_thread_view *ret_view);
int apd_view_get_run(struct apd_reads *reads, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row);

/* tag_walk.c: rows that may contain a filter */

/* How to find candidates of a kind. */
enum apd_tag_kind {
	APD_TAG_RUNS,
	APD_TAG_THREADS,
};

/* Newest first, those with the rarest tag of a filter merged with those that have too many tags. */
struct apd_tag_walk {
	sqlite3_stmt *rare;
	sqlite3_stmt *many;
	bool has_rare; /* the statement is at a row that was not given */
	bool has_many;
	bool common; /* even the rarest tag is so common that other ways may be shorter */
};

/* Starts a walk: 1; 0 where the filter has no tags, and nothing was started; a negative errno. */
int apd_tag_walk_begin(struct apd_tag_walk *walk, struct apd_reads *reads, enum apd_tag_kind kind,
	const struct apd_json *filter);

/* The next one's id (of a run) or number (of a thread): 1, 0 at the end, or a negative errno. */
int apd_tag_walk_next(struct apd_tag_walk *walk, struct apd_id *ret_id, int64_t *ret_tid);

void apd_tag_walk_end(struct apd_tag_walk *walk);

#endif
