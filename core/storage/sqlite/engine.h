/*
 * The embedded engine: one SQLite database in WAL mode, one thread that
 * writes, any number that read.
 */
#ifndef APD_STORAGE_SQLITE_ENGINE_H
#define APD_STORAGE_SQLITE_ENGINE_H

#include "base/mailbox.h"
#include "base/problem.h"
#include "storage/storage.h"

struct apd_sqlite_config {
	/* The data directory, made if missing (0700); apd.db and a lock file are in it. */
	const char *dir;
	bool full; /* synchronous=FULL, else NORMAL */
	unsigned reader_threads; /* for searches; the runtime's loads have one more to themselves */
	unsigned read_budget_ms; /* what one search may take */
	/* Where done() calls go: the runtime's mailbox. */
	struct apd_mailbox *mailbox;
};

/*
 * Opens or makes the database, migrates it forward, starts the writer and the
 * readers. Fails with a sentence that names file and reason in `error`:
 * -EWOULDBLOCK another daemon has the directory, -EPROTO the schema is newer
 * than this apd, or what the system said. [any]
 */
int apd_sqlite_open(const struct apd_sqlite_config *config, struct apd_storage **ret_storage,
	struct apd_buf *error);

/*
 * Commits what waits, stops the threads, checkpoints the WAL and closes; NULL is fine. Loads and
 * searches that still wait are answered -ECANCELED. done() calls of batches and loads may still be
 * posted to the mailbox meanwhile: drain it afterwards. No other thread may be in a read.
 */
void apd_sqlite_close(struct apd_storage *storage);

/* What the engine's table does, by name. */
void apd_sqlite_stats(struct apd_storage *storage, struct apd_storage_stats *ret_stats);

/*
 * Keyed reads: quick, blocking, on a connection of the calling thread's own
 * (made at its first call). What they give is in apd_storage_ops. [any]
 */
int apd_sqlite_get_run(struct apd_storage *storage, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row);
int apd_sqlite_get_thread(struct apd_storage *storage, const struct apd_id *thread_id,
	struct apd_thread_view *ret_view);
int apd_sqlite_read_outbox(struct apd_storage *storage, int64_t now_us, uint32_t limit,
	struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us);

/* A search on a reader thread: apd_storage_ops.search_runs. */
void apd_sqlite_search_runs(struct apd_storage *storage, struct apd_run_search *search);

/* Lets the writer remove what is old between batches: apd_storage_ops.sweep. [any] */
void apd_sqlite_sweep(struct apd_storage *storage, const struct apd_sweep *sweep);

#endif
