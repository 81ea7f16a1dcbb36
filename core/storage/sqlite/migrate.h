/* The schema and its way forward from every version that was ever released. */
#ifndef APD_STORAGE_SQLITE_MIGRATE_H
#define APD_STORAGE_SQLITE_MIGRATE_H

#include <sqlite3.h>

#include "base/buf.h"

/* Marks a database as apd's ("apd" and a version of the file's kind). */
#define APD_APPLICATION_ID 0x61706401

/* One step: SQL, and then what SQL cannot say. */
struct apd_schema_step {
	const char *sql;
	int (*fill)(sqlite3 *db); /* 0 or a negative errno; may be NULL */
};

/* Step i leads from version i to version i + 1. Steps are never changed once released. */
extern const struct apd_schema_step apd_schema_steps[];
extern const unsigned apd_schema_version;

/*
 * Brings a database to version n, each step in a transaction of its own. Returns
 * 0; -EPROTO for a newer version or a database that is not apd's, untouched; or
 * another negative errno with the database at the version it reached. `error`
 * gets a sentence.
 */
int apd_schema_migrate(sqlite3 *db, const char *path, const struct apd_schema_step *steps,
	unsigned n, struct apd_buf *error);

#endif
