/* The parts of the engine, each with its thread, and what they share. */
#ifndef APD_STORAGE_SQLITE_INTERNAL_H
#define APD_STORAGE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "base/json_scan.h"
#include "storage/sqlite/engine.h"
#include "storage/sqlite/reads.h"

/* What the writer knows of a thread. */
struct apd_thread_place {
	struct apd_id thread_id;
	int64_t tid; /* 0: nothing is known here */
	int64_t cid; /* its newest checkpoint's; 0: there is none */
	int64_t rid; /* its newest run's; 0: there is none */
	bool changed; /* the last two are not in the database yet */
};

/* Threads that were looked up lately. All zero is empty. */
struct apd_thread_cache {
	struct apd_thread_place places[1024];
};

/* The statements that write; prepared once on the writer's connection. */
struct apd_write_stmts {
	sqlite3_stmt *begin;
	sqlite3_stmt *commit;
	sqlite3_stmt *rollback;
	sqlite3_stmt *save;
	sqlite3_stmt *undo;
	sqlite3_stmt *release;
	sqlite3_stmt *run_put;
	sqlite3_stmt *run_delete;
	sqlite3_stmt *run_find;
	sqlite3_stmt *run_prev;
	sqlite3_stmt *run_relink;
	sqlite3_stmt *run_tag_put;
	sqlite3_stmt *run_tag_delete;
	sqlite3_stmt *thread_find;
	sqlite3_stmt *thread_insert;
	sqlite3_stmt *thread_update;
	sqlite3_stmt *thread_metadata;
	sqlite3_stmt *thread_delete;
	sqlite3_stmt *thread_tag_put;
	sqlite3_stmt *thread_tag_delete;
	sqlite3_stmt *head_insert;
	sqlite3_stmt *head_update;
	sqlite3_stmt *head_delete;
	sqlite3_stmt *checkpoint_put;
	sqlite3_stmt *checkpoint_look;
	sqlite3_stmt *checkpoint_delete;
	sqlite3_stmt *checkpoint_copy;
	sqlite3_stmt *outbox_put;
	sqlite3_stmt *outbox_delete;
	sqlite3_stmt *purge_put;
	sqlite3_stmt *purge_find;
	sqlite3_stmt *purge_first;
	sqlite3_stmt *purge_update;
	sqlite3_stmt *purge_run;
	sqlite3_stmt *purge_end;
	sqlite3_stmt *sweep_run;
	sqlite3_stmt *sweep_thread;
	sqlite3_stmt *sweep_last_use;
	sqlite3_stmt *sweep_later;
};

/* Prepares the statements. Returns 0 or a negative errno. */
int apd_write_prepare(struct apd_write_stmts *stmts, sqlite3 *db);

/* What turns batches into statements. */
struct apd_apply {
	sqlite3 *db;
	struct apd_write_stmts stmts;
	struct apd_thread_cache threads;
	struct apd_thread_place *changed[APD_BATCH_OPS]; /* by the batch that is being applied */
	unsigned n_changed;
	bool deletes_thread; /* that batch does */
	int64_t next_tid;
	struct apd_json json; /* for scanning metadata */
	bool deleted_threads; /* something may be left to purge */
};

/* Prepares all. Returns 0 or a negative errno. */
int apd_apply_init(struct apd_apply *apply, sqlite3 *db);
void apd_apply_finish(struct apd_apply *apply);

/*
 * Applies all batches of a list in one transaction. Returns 0 when it is
 * durable, with each batch's result in order in `results`, or the negative errno
 * for which nothing of any was applied.
 */
int apd_apply_batches(struct apd_apply *apply, struct apd_list *batches, int *results);

/* apply_run.c: runs, within a transaction; 0 or a negative errno. */
int apd_apply_run_put(struct apd_apply *apply, const struct apd_run_row *row);
int apd_apply_run_delete(struct apd_apply *apply, const struct apd_id *run_id, uint32_t *missing);

/* A run that was deleted, as it was linked. */
struct apd_deleted_run {
	struct apd_id thread_id;
	int64_t tid;
	int64_t rid;
	int64_t prev;
};

/*
 * Runs a statement that deletes one run and returns APD_RUN_DELETED. 1, 0 if
 * there is none, or a negative errno. What the run was linked to is the caller's.
 */
int apd_apply_run_delete_by(
	struct apd_apply *apply, sqlite3_stmt *stmt, struct apd_deleted_run *ret_deleted);

/* apply_thread.c: threads and their checkpoints, likewise. */

/* Finds a thread, which stays until the next one is looked up; -ENOENT if there is none. */
int apd_apply_find_thread(struct apd_apply *apply, const struct apd_id *thread_id,
	struct apd_thread_place **ret_place);

/* Notes that the newest checkpoint or run of a thread is another one. */
void apd_apply_set_changed(struct apd_apply *apply, struct apd_thread_place *place);

/* Writes what was noted; at the end of a batch. */
int apd_apply_write_heads(struct apd_apply *apply);

/* Forgets which threads there are, after a transaction or a part of it was taken back. */
void apd_apply_forget_threads(struct apd_apply *apply);

int apd_apply_thread_put(struct apd_apply *apply, const struct apd_thread_row *row, bool replaces);
int apd_apply_thread_delete(
	struct apd_apply *apply, const struct apd_id *thread_id, uint32_t *missing);
int apd_apply_thread_copy(struct apd_apply *apply, const struct apd_id *from_id,
	const struct apd_thread_row *to, uint32_t *missing);

/* The one before a checkpoint, and its id; -EBADMSG if it is not there. */
int apd_apply_look_at_checkpoint(
	struct apd_apply *apply, int64_t cid, int64_t *ret_prev, struct apd_id *ret_id);

/* Removes a checkpoint of which nothing speaks any more. */
int apd_apply_checkpoint_delete(struct apd_apply *apply, int64_t cid);

int apd_apply_checkpoint_put(struct apd_apply *apply, const struct apd_checkpoint_row *row);
int apd_apply_checkpoint_undo(
	struct apd_apply *apply, const struct apd_id *thread_id, const struct apd_id *after);

/* What the writer removes between two groups of batches. */
struct apd_chores {
	struct apd_sweep sweep;
	uint32_t runs_left; /* of the sweep */
	uint32_t threads_left;
	bool purge; /* there may be something left of deleted threads */
};

static inline bool apd_chores_due(const struct apd_chores *chores)
{
	return chores->runs_left || chores->threads_left || chores->purge;
}

/*
 * Does some milliseconds of them in one transaction, and notes what is left.
 * Returns 0 or a negative errno. [the writer]
 */
int apd_chores_step(struct apd_chores *chores, struct apd_apply *apply);

/*
 * Copies the WAL back into the database, so that commits never do. It is asked
 * by the writer and works beside it.
 */
struct apd_checkpointer {
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool wanted;
	bool stop;
	_Atomic bool pause; /* the writer is asked to stand aside between two groups */
	pthread_cond_t resume;
	_Atomic int64_t wal_pages; /* after the last commit */
	/* the writer's */
	int64_t next_at;
	/* the thread's */
	sqlite3 *db;
};

/* Starts the thread. Returns 0 or a negative errno. */
int apd_checkpointer_start(struct apd_checkpointer *cp, const char *path, bool full);
void apd_checkpointer_stop(struct apd_checkpointer *cp);

/* Notes the WAL's length in pages after a commit; wakes the thread when it is due. [the writer] */
void apd_checkpointer_committed(struct apd_checkpointer *cp, int64_t wal_pages);

/* Waits while the thread wants the writer to stand aside. [the writer, outside a transaction] */
void apd_checkpointer_give_way(struct apd_checkpointer *cp);

/* Owns the connection that writes. */
struct apd_writer {
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct apd_list waiting;
	unsigned n_waiting;
	bool idle; /* it sleeps until it is woken */
	bool dozing; /* only lazy batches wait: it sleeps until they have waited enough */
	bool urgent; /* something waits that is not lazy, or there is enough of it */
	bool stop;
	struct apd_sweep sweep;
	bool sweep_asked;
	/* the thread's */
	sqlite3 *db;
	struct apd_apply apply;
	struct apd_chores chores;
	struct apd_list taken;
	struct apd_mailbox *mailbox;
	struct apd_checkpointer *checkpointer;
	int failing; /* why the last transaction failed, or 0 */
	uint64_t n_failed; /* transactions, since one succeeded */
	_Atomic uint64_t commits;
	_Atomic uint64_t batches;
	_Atomic uint64_t failures;
};

/* Starts the thread, which uses the connection from then on. Returns 0 or a negative errno. */
int apd_writer_start(struct apd_writer *writer, sqlite3 *db, struct apd_mailbox *mailbox,
	struct apd_checkpointer *checkpointer);

/* Commits what waits and ends the thread. The connection stays open. */
void apd_writer_stop(struct apd_writer *writer);

void apd_writer_commit(struct apd_writer *writer, struct apd_batch *batch);
void apd_writer_sweep(struct apd_writer *writer, const struct apd_sweep *sweep);

/* Prepared searches of a connection, made as they are needed. */
struct apd_search_cache {
	sqlite3_stmt *stmts[2 * 2 * 6];
};

/* Runs a search; the caller limits its time. Returns 0 or a negative errno. */
int apd_search_run(
	struct apd_search_cache *cache, struct apd_reads *reads, struct apd_run_search *search);

/* The same for threads and for a history. */
int apd_search_threads(struct apd_reads *reads, struct apd_thread_search *search);
int apd_read_history(struct apd_reads *reads, struct apd_history_read *read);

/* What waits for a reader, and the threads that serve it. */
struct apd_reader_queue {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct apd_list jobs;
	bool stop;
};

struct apd_reader {
	struct apd_readers *readers;
	struct apd_reader_queue *queue;
	pthread_t thread;
	struct apd_reads reads;
	struct apd_search_cache cache;
};

/*
 * Reader threads: one for the runtime's loads alone, so that no search keeps a
 * run waiting, and the others for searches.
 */
struct apd_readers {
	struct apd_reader_queue loads;
	struct apd_reader_queue searches;
	struct apd_mailbox *mailbox;
	unsigned budget_ms;
	unsigned n; /* threads that run */
	struct apd_reader *items;
};

int apd_readers_start(
	struct apd_readers *readers, const char *path, const struct apd_sqlite_config *config);

/* Ends the threads; what still waits is answered -ECANCELED. */
void apd_readers_stop(struct apd_readers *readers);

void apd_readers_load(struct apd_readers *readers, struct apd_load *load);
void apd_readers_search_runs(struct apd_readers *readers, struct apd_run_search *search);
void apd_readers_search_threads(struct apd_readers *readers, struct apd_thread_search *search);
void apd_readers_read_history(struct apd_readers *readers, struct apd_history_read *read);

/* Connections of other threads for keyed reads, one each. */
struct apd_keyed {
	uint64_t serial; /* no two storages of a process have the same */
	const char *path;
	pthread_mutex_t mutex;
	struct apd_list connections;
};

void apd_keyed_init(struct apd_keyed *keyed, const char *path);

/* Closes all connections; no thread may be reading. */
void apd_keyed_finish(struct apd_keyed *keyed);

int apd_keyed_get_run(struct apd_keyed *keyed, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row);
int apd_keyed_get_thread(
	struct apd_keyed *keyed, const struct apd_id *thread_id, struct apd_thread_view *ret_view);
int apd_keyed_read_outbox(struct apd_keyed *keyed, int64_t now_us, uint32_t limit,
	struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us);

struct apd_sqlite {
	struct apd_storage base;
	char *path;
	int lock_fd;
	struct apd_checkpointer checkpointer;
	struct apd_writer writer;
	struct apd_readers readers;
	struct apd_keyed keyed;
};

#endif
