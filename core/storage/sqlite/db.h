/* Connections: how one is opened, tuned and asked, and what its errors mean. */
#ifndef APD_STORAGE_SQLITE_DB_H
#define APD_STORAGE_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/id.h"
#include "base/str.h"

/* What a connection is for. */
enum apd_db_role {
	APD_DB_WRITER,
	APD_DB_CHECKPOINTER,
	APD_DB_READER, /* cannot write */
};

#define APD_DB_PAGE_SIZE       4096
#define APD_DB_WAL_LIMIT       (64LL << 20)
#define APD_DB_BUSY_TIMEOUT_MS 5000

/*
 * Sets SQLite up for the process; to be called before the first connection, any
 * number of times. Has no effect if something else has started SQLite already,
 * which costs speed only. [any]
 */
void apd_db_setup(void);

/* Opens an existing file; only one thread may use the connection. Returns 0 or a negative errno. */
int apd_db_open(const char *path, enum apd_db_role role, bool full, sqlite3 **ret_db);

/* Closes a connection whose statements are finalised; NULL is fine. */
void apd_db_close(sqlite3 *db);

/* The negative errno of what SQLite returned; 0 for OK, ROW and DONE. */
int apd_db_errno(int rc);

/*
 * Ends the process if rc says that an fsync failed. After that nobody knows
 * what is on the disk, and a second fsync would lie; recovery tells the truth.
 */
void apd_db_check_fsync(int rc);

/* Prepares a statement that lives as long as its connection. Returns 0 or a negative errno. */
int apd_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt);

/* Runs a statement that gives no rows, and resets it. Returns 0 or a negative errno. */
int apd_db_run(sqlite3_stmt *stmt);

/* Runs SQL text without parameters. Returns 0 or a negative errno. */
int apd_db_exec(sqlite3 *db, const char *sql);

/* The integer that a statement gives, for example of a PRAGMA. Returns 0 or a negative errno. */
int apd_db_int(sqlite3 *db, const char *sql, int64_t *ret_value);

/* Binds an id, borrowed until the next bind or the end of the step. */
void apd_db_bind_id(sqlite3_stmt *stmt, int i, const struct apd_id *id);

/* Binds a text, NULL when it is absent; borrowed likewise. */
void apd_db_bind_str(sqlite3_stmt *stmt, int i, struct apd_str s);

/* Binds bytes, NULL when they are absent; borrowed likewise. */
void apd_db_bind_bytes(sqlite3_stmt *stmt, int i, struct apd_str s);

/* Reads a column of 16 bytes; false if it is something else. */
bool apd_db_column_id(sqlite3_stmt *stmt, int column, struct apd_id *ret_id);

/* The same for a column that may be NULL. */
bool apd_db_column_id_or_null(sqlite3_stmt *stmt, int column, bool *ret_has, struct apd_id *ret_id);

/* Reads a text column, absent for NULL; borrowed until the next step. False if it is neither. */
bool apd_db_column_text(sqlite3_stmt *stmt, int column, struct apd_str *ret_text);

/* The same for bytes. */
bool apd_db_column_bytes(sqlite3_stmt *stmt, int column, struct apd_str *ret_bytes);

/*
 * Reads a text column that holds a JSON object or NULL, or likewise an array. Only the brackets are
 * looked at: what is within was checked when it came.
 */
bool apd_db_column_object(sqlite3_stmt *stmt, int column, struct apd_str *ret_text);
bool apd_db_column_array(sqlite3_stmt *stmt, int column, struct apd_str *ret_text);

/* Reads a column that is a number within bounds. */
bool apd_db_column_int(
	sqlite3_stmt *stmt, int column, int64_t least, int64_t most, int64_t *ret_value);

#endif
