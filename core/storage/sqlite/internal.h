/* The parts of the engine, each with its thread, and what they share. */
#ifndef APD_STORAGE_SQLITE_INTERNAL_H
#define APD_STORAGE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "storage/sqlite/engine.h"

/* What a batch's operations become; prepared once on the writer's connection. */
struct apd_apply {
	sqlite3 *db;
	sqlite3_stmt *begin;
	sqlite3_stmt *commit;
	sqlite3_stmt *rollback;
	sqlite3_stmt *save;
	sqlite3_stmt *undo;
	sqlite3_stmt *release;
	sqlite3_stmt *run_put;
	sqlite3_stmt *run_delete;
	sqlite3_stmt *thread_put;
	sqlite3_stmt *thread_delete;
	sqlite3_stmt *thread_delete_runs;
	sqlite3_stmt *sweep;
};

/* Prepares the statements. Returns 0 or a negative errno. */
int apd_apply_init(struct apd_apply *apply, sqlite3 *db);

/*
 * Applies all batches of a list in one transaction. Returns 0 when it is
 * durable, with each batch's result in order in `results`, or the negative errno
 * for which nothing of any was applied.
 */
int apd_apply_batches(struct apd_apply *apply, struct apd_list *batches, int *results);

/* Removes at most n ended ephemeral runs; how many, or a negative errno. */
int apd_apply_sweep(struct apd_apply *apply, int64_t ended_before_us, uint32_t n);

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
	int64_t sweep_before_us;
	uint32_t sweep_left;
	/* the thread's */
	sqlite3 *db;
	struct apd_apply apply;
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
void apd_writer_sweep(struct apd_writer *writer, int64_t ended_before_us, uint32_t max);

/* Prepared searches of a connection, made as they are needed. */
struct apd_search_cache {
	sqlite3_stmt *stmts[2 * 2 * 2 * 6];
};

/* Runs a search; the caller limits its time. Returns 0 or a negative errno. */
int apd_search_run(struct apd_search_cache *cache, sqlite3 *db, struct apd_run_search *search);

/* What waits for a reader, and the threads that serve it. */
struct apd_reader_queue {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct apd_list jobs; /* links of loads or of searches */
	bool stop;
};

struct apd_reader {
	struct apd_readers *readers;
	struct apd_reader_queue *queue;
	void (*serve)(struct apd_reader *reader, struct apd_list *job, int refusal);
	pthread_t thread;
	sqlite3 *db;
	struct apd_search_cache cache;
	int64_t deadline_ns;
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
void apd_readers_search(struct apd_readers *readers, struct apd_run_search *search);

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

int apd_keyed_get_run(
	struct apd_keyed *keyed, const struct apd_id *run_id, struct apd_run_row **ret_row);

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
