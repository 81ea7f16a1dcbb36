/* Leading a database forward to a version of its schema. */
#include "storage/sqlite/migrate.h"

#include <errno.h>

#include "storage/sqlite/db.h"

/* Takes one step and notes the version it leads to, together or not at all. */
static int take_step(sqlite3 *db, const struct apd_schema_step *step, unsigned version)
{
	struct apd_buf all = {0};
	int r;

	apd_buf_addf(&all, "BEGIN IMMEDIATE;%s", step->sql);
	r = apd_db_exec(db, all.data);
	if (r == 0 && step->fill)
		r = step->fill(db);
	apd_buf_clear(&all);
	apd_buf_addf(&all, "PRAGMA user_version=%u;PRAGMA application_id=%u;COMMIT", version,
		APD_APPLICATION_ID);
	if (r == 0)
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

int apd_schema_migrate(sqlite3 *db, const char *path, const struct apd_schema_step *steps,
	unsigned n, struct apd_buf *error)
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
		r = take_step(db, &steps[i], i + 1);
		if (r < 0) {
			apd_buf_addf(error, "%s: cannot bring its schema from version %u to %u: %s",
				path, i, i + 1, sqlite3_errmsg(db));
			apd_db_exec(db, "ROLLBACK");
			return r;
		}
	}
	return 0;
}
