/* The SQLite engine: its parts put together and taken apart. */
#include "storage/sqlite/engine.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/dir.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/migrate.h"

static struct apd_sqlite *sqlite_of(struct apd_storage *storage)
{
	return apd_container_of(storage, struct apd_sqlite, base);
}

static void commit(struct apd_storage *storage, struct apd_batch *batch)
{
	apd_writer_commit(&sqlite_of(storage)->writer, batch);
}

static void load(struct apd_storage *storage, struct apd_load *load_job)
{
	apd_readers_load(&sqlite_of(storage)->readers, load_job);
}

static void search_threads(struct apd_storage *storage, struct apd_thread_search *search)
{
	apd_readers_search_threads(&sqlite_of(storage)->readers, search);
}

static void read_history(struct apd_storage *storage, struct apd_history_read *read)
{
	apd_readers_read_history(&sqlite_of(storage)->readers, read);
}

static const struct apd_storage_ops sqlite_ops = {
	.commit = commit,
	.load = load,
	.get_run = apd_sqlite_get_run,
	.get_thread = apd_sqlite_get_thread,
	.search_runs = apd_sqlite_search_runs,
	.search_threads = search_threads,
	.read_history = read_history,
	.read_outbox = apd_sqlite_read_outbox,
	.sweep = apd_sqlite_sweep,
	.stats = apd_sqlite_stats,
};

/* Turns to WAL mode, which the file remembers; not every file system can. */
static int use_wal(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	int rc, r;

	r = apd_db_prepare(db, "PRAGMA journal_mode=WAL", &stmt);
	if (r < 0)
		return r;
	rc = sqlite3_step(stmt);
	r = apd_db_errno(rc);
	if (rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") != 0)
		r = -EOPNOTSUPP;
	sqlite3_finalize(stmt);
	return r;
}

/* Opens the connection that writes, on a file at this apd's schema. */
static int open_db(const char *path, bool full, sqlite3 **ret_db, struct apd_buf *error)
{
	sqlite3 *db;
	int r;

	r = apd_db_open(path, APD_DB_WRITER, full, &db);
	if (r < 0) {
		apd_buf_addf(error, "%s: cannot open the database: %s", path, strerror(-r));
		return r;
	}
	/* WAL mode comes last, so that what is not apd's stays as it is. */
	r = apd_schema_migrate(db, path, apd_schema_steps, apd_schema_version, error);
	if (r == 0) {
		r = use_wal(db);
		if (r < 0)
			apd_buf_addf(error, "%s: cannot use a write-ahead log here: %s", path,
				strerror(-r));
	}
	if (r < 0) {
		apd_db_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

/* Starts the threads. */
static int start(struct apd_sqlite *sqlite, const struct apd_sqlite_config *config, sqlite3 *db,
	struct apd_buf *error)
{
	int r;

	r = apd_checkpointer_start(&sqlite->checkpointer, sqlite->path, config->full);
	if (r == 0)
		r = apd_readers_start(&sqlite->readers, sqlite->path, config);
	if (r == 0)
		r = apd_writer_start(&sqlite->writer, db, config->mailbox, &sqlite->checkpointer);
	if (r < 0)
		apd_buf_addf(error, "%s: cannot start its threads: %s", sqlite->path, strerror(-r));
	return r;
}

/* Ends the threads that run and closes every connection but the writer's. */
static void stop(struct apd_sqlite *sqlite)
{
	apd_writer_stop(&sqlite->writer);
	apd_readers_stop(&sqlite->readers);
	apd_checkpointer_stop(&sqlite->checkpointer);
	apd_keyed_finish(&sqlite->keyed);
}

int apd_sqlite_open(const struct apd_sqlite_config *config, struct apd_storage **ret_storage,
	struct apd_buf *error)
{
	struct apd_sqlite *sqlite = apd_calloc(1, sizeof(*sqlite));
	struct apd_buf path = {0};
	sqlite3 *db;
	int r;

	apd_db_setup();
	apd_buf_addf(&path, "%s/apd.db", config->dir);
	sqlite->path = apd_buf_steal(&path);
	sqlite->base.ops = &sqlite_ops;
	r = apd_dir_claim(config->dir, sqlite->path, &sqlite->lock_fd, error);
	if (r < 0)
		goto fail;
	r = open_db(sqlite->path, config->full, &db, error);
	if (r < 0)
		goto fail_dir;
	apd_keyed_init(&sqlite->keyed, sqlite->path);
	r = start(sqlite, config, db, error);
	if (r < 0)
		goto fail_start;
	*ret_storage = &sqlite->base;
	return 0;

fail_start:
	stop(sqlite);
	apd_db_close(db);
fail_dir:
	apd_dir_release(sqlite->lock_fd);
fail:
	free(sqlite->path);
	free(sqlite);
	return r;
}

void apd_sqlite_close(struct apd_storage *storage)
{
	struct apd_sqlite *sqlite;
	sqlite3 *db;
	int rc;

	if (!storage)
		return;
	sqlite = sqlite_of(storage);
	db = sqlite->writer.db;
	stop(sqlite);
	rc = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	apd_db_check_fsync(rc);
	/* Nothing is lost by it: the next start reads the WAL. */
	if (rc != SQLITE_OK)
		apd_log(APD_LOG_WARN, "storage", "%s: the last checkpoint failed: %s", sqlite->path,
			sqlite3_errmsg(db));
	apd_db_close(db);
	apd_dir_release(sqlite->lock_fd);
	free(sqlite->path);
	free(sqlite);
}

void apd_sqlite_stats(struct apd_storage *storage, struct apd_storage_stats *ret_stats)
{
	struct apd_sqlite *sqlite = sqlite_of(storage);
	struct apd_writer *writer = &sqlite->writer;
	int64_t pages = atomic_load_explicit(&sqlite->checkpointer.wal_pages, memory_order_relaxed);

	ret_stats->commits = atomic_load_explicit(&writer->commits, memory_order_relaxed);
	ret_stats->batches = atomic_load_explicit(&writer->batches, memory_order_relaxed);
	ret_stats->failures = atomic_load_explicit(&writer->failures, memory_order_relaxed);
	/* A frame is a page with a header of 24 bytes. */
	ret_stats->wal_bytes = (uint64_t)pages * (APD_DB_PAGE_SIZE + 24);
}

int apd_sqlite_get_run(struct apd_storage *storage, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row)
{
	return apd_keyed_get_run(&sqlite_of(storage)->keyed, run_id, with_output, ret_row);
}

int apd_sqlite_get_thread(struct apd_storage *storage, const struct apd_id *thread_id,
	struct apd_thread_view *ret_view)
{
	return apd_keyed_get_thread(&sqlite_of(storage)->keyed, thread_id, ret_view);
}

int apd_sqlite_read_outbox(struct apd_storage *storage, int64_t now_us, uint32_t limit,
	struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us)
{
	return apd_keyed_read_outbox(
		&sqlite_of(storage)->keyed, now_us, limit, ret_rows, ret_n, ret_next_us);
}

void apd_sqlite_search_runs(struct apd_storage *storage, struct apd_run_search *search)
{
	apd_readers_search_runs(&sqlite_of(storage)->readers, search);
}

void apd_sqlite_sweep(struct apd_storage *storage, const struct apd_sweep *sweep)
{
	apd_writer_sweep(&sqlite_of(storage)->writer, sweep);
}
