/* Connections and SQLite's errors. */
#include "storage/sqlite/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/sqlite/contains.h"

#define WRITER_CACHE_KIB 16384
#define READER_CACHE_KIB 4096

/* Passes what SQLite has to say on to the log. */
static void log_sqlite(void *data, int rc, const char *message)
{
	enum apd_log_level level = APD_LOG_WARN;

	(void)data;
	switch (rc & 0xff) {
	case SQLITE_NOTICE:
		level = APD_LOG_INFO;
		break;
	case SQLITE_INTERRUPT: /* a time budget */
	case SQLITE_CONSTRAINT: /* told to the batch */
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
		level = APD_LOG_DEBUG;
		break;
	}
	apd_log(level, "storage", "sqlite: %s (%d)", message, rc);
}

/* Memory statistics take a lock of the whole process at every allocation; a "file:" directory is
 * a directory. */
static void setup(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_URI, 0);
	sqlite3_config(SQLITE_CONFIG_LOG, log_sqlite, NULL);
}

void apd_db_setup(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, setup);
}

int apd_db_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_INTERRUPT:
		return -ETIME;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_ERROR:
		return -EINVAL;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	default:
		return -EIO;
	}
}

void apd_db_check_fsync(int rc)
{
	if (rc != SQLITE_IOERR_FSYNC && rc != SQLITE_IOERR_DIR_FSYNC)
		return;
	apd_log(APD_LOG_ERROR, "storage",
		"fsync failed: the process ends, and what is durable is read from disk at the next "
		"start");
	_exit(74); /* EX_IOERR */
}

/* Runs one PRAGMA whose value is a number. */
static int pragma(sqlite3 *db, const char *name, long long value)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "PRAGMA %s=%lld", name, value);
	return apd_db_exec(db, sql);
}

/* Tunes a connection for its role. */
static int tune(sqlite3 *db, enum apd_db_role role, bool full)
{
	int r;

	r = pragma(db, "cache_size", role == APD_DB_WRITER ? -WRITER_CACHE_KIB : -READER_CACHE_KIB);
	if (r == 0)
		r = apd_db_exec(db, "PRAGMA trusted_schema=OFF");
	if (role == APD_DB_READER)
		return r ? r : apd_contains_register(db);
	if (r == 0)
		r = pragma(db, "synchronous", full ? 2 : 1);
	if (r == 0)
		r = pragma(db, "wal_autocheckpoint", 0);
	if (r == 0)
		r = pragma(db, "journal_size_limit", APD_DB_WAL_LIMIT);
	/* Some distributions build SQLite so that a deletion writes zeros: twice the I/O. */
	if (r == 0)
		r = apd_db_exec(db, "PRAGMA secure_delete=FAST");
	return r;
}

int apd_db_open(const char *path, enum apd_db_role role, bool full, sqlite3 **ret_db)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
		(role == APD_DB_READER ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	sqlite3 *db = NULL;
	int r;

	r = sqlite3_open_v2(path, &db, flags, NULL);
	if (r != SQLITE_OK) {
		int err = db ? sqlite3_system_errno(db) : 0;

		sqlite3_close(db);
		return err ? -err : apd_db_errno(r);
	}
	sqlite3_busy_timeout(db, APD_DB_BUSY_TIMEOUT_MS);
	r = tune(db, role, full);
	if (r < 0) {
		sqlite3_close(db);
		return r;
	}
	*ret_db = db;
	return 0;
}

void apd_db_close(sqlite3 *db)
{
	sqlite3_stmt *stmt;

	if (!db)
		return;
	while ((stmt = sqlite3_next_stmt(db, NULL)))
		sqlite3_finalize(stmt);
	sqlite3_close(db);
}

int apd_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);

	if (rc != SQLITE_OK)
		return apd_db_errno(rc);
	*ret_stmt = stmt;
	return 0;
}

int apd_db_run(sqlite3_stmt *stmt)
{
	int rc;

	do
		rc = sqlite3_step(stmt);
	while (rc == SQLITE_ROW);
	sqlite3_reset(stmt);
	apd_db_check_fsync(rc);
	return apd_db_errno(rc);
}

int apd_db_exec(sqlite3 *db, const char *sql)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	apd_db_check_fsync(rc);
	return apd_db_errno(rc);
}

int apd_db_int(sqlite3 *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc != SQLITE_OK)
		return apd_db_errno(rc);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_DONE ? -ENODATA : apd_db_errno(rc);
}
