/* The schema. */
#include "storage/sqlite/migrate.h"

#include <errno.h>

#include "storage/sqlite/db.h"

/*
 * Runs are a table with a rowid: they are wide, and a table keeps up to a page
 * of a row in place where WITHOUT ROWID keeps a quarter. Metadata stands before
 * the wide columns, so that a scan over it does not follow their overflow pages.
 * The order of searches is that of run_id, which is the order of creation and,
 * unlike created_us, knows no clock that jumps back; every index ends with it.
 * run_status leaves out success, which is most runs and found as fast by date.
 */
static const char version_1[] =
	"CREATE TABLE thread ("
	" thread_id BLOB NOT NULL PRIMARY KEY CHECK (length(thread_id) = 16),"
	" created_us INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE run ("
	" run_id BLOB NOT NULL PRIMARY KEY CHECK (length(run_id) = 16),"
	" thread_id BLOB NOT NULL CHECK (length(thread_id) = 16),"
	" agent_id TEXT NOT NULL,"
	" status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 4),"
	" flags INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" updated_us INTEGER NOT NULL,"
	" started_us INTEGER NOT NULL," /* 0: not yet, as in memory */
	" ended_us INTEGER NOT NULL,"
	" metadata TEXT," /* NULL: {} */
	" request TEXT NOT NULL,"
	" error TEXT,"
	" output TEXT"
	") STRICT;"
	"CREATE INDEX run_thread ON run (thread_id, run_id);"
	"CREATE INDEX run_agent ON run (agent_id, run_id);"
	"CREATE INDEX run_status ON run (status, run_id) WHERE status <> 1;"
	"CREATE INDEX run_ephemeral ON run (ended_us) WHERE (flags & 1) AND ended_us > 0;";

const char *const apd_schema_steps[] = {
	version_1,
};
const unsigned apd_schema_version = sizeof(apd_schema_steps) / sizeof(apd_schema_steps[0]);

/* Takes one step and notes the version it leads to, together or not at all. */
static int take_step(sqlite3 *db, const char *sql, unsigned version)
{
	struct apd_buf all = {0};
	int r;

	apd_buf_addf(&all,
		"BEGIN IMMEDIATE;%s;PRAGMA user_version=%u;PRAGMA application_id=%u;COMMIT", sql,
		version, APD_APPLICATION_ID);
	r = apd_db_exec(db, all.data);
	apd_buf_finish(&all);
	return r;
}

/* Refuses what is newer than this apd or was made by another program. */
static int check_origin(
	sqlite3 *db, const char *path, int64_t version, unsigned n, struct apd_buf *error)
{
	int64_t application = 0, tables = 0;
	int r;

	r = apd_db_int(db, "PRAGMA application_id", &application);
	if (r == 0)
		r = apd_db_int(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (r < 0) {
		apd_buf_addf(error, "%s: %s", path, sqlite3_errmsg(db));
		return r;
	}
	if (application != APD_APPLICATION_ID && (application || version || tables)) {
		apd_buf_addf(error, "%s: this is not a database of apd's", path);
		return -EPROTO;
	}
	if (version < 0 || version > n) {
		apd_buf_addf(error,
			"%s: its schema has version %lld, newer than the %u that this apd knows; "
			"use the apd that wrote it, or a later one",
			path, (long long)version, n);
		return -EPROTO;
	}
	return 0;
}

int apd_schema_migrate(
	sqlite3 *db, const char *path, const char *const *steps, unsigned n, struct apd_buf *error)
{
	int64_t version = 0;
	int r;

	r = apd_db_int(db, "PRAGMA user_version", &version);
	if (r < 0) {
		apd_buf_addf(error, "%s: %s", path, sqlite3_errmsg(db));
		return r;
	}
	r = check_origin(db, path, version, n, error);
	if (r < 0)
		return r;
	for (unsigned i = (unsigned)version; i < n; i++) {
		r = take_step(db, steps[i], i + 1);
		if (r < 0) {
			apd_buf_addf(error, "%s: cannot bring its schema from version %u to %u: %s",
				path, i, i + 1, sqlite3_errmsg(db));
			apd_db_exec(db, "ROLLBACK");
			return r;
		}
	}
	return 0;
}
