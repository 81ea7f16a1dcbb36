/* Rows to and from statements. */
#ifndef APD_STORAGE_SQLITE_ROW_SQL_H
#define APD_STORAGE_SQLITE_ROW_SQL_H

#include <sqlite3.h>

#include "storage/row.h"

/* The columns in the order of the two functions below; ..._LISTED leaves the output out. */
#define APD_RUN_COLUMNS_BUT_OUTPUT                                                      \
	"run_id, thread_id, agent_id, status, flags, attempt, created_us, updated_us, " \
	"started_us, "                                                                  \
	"ended_us, metadata, request, error, "
#define APD_RUN_COLUMNS        APD_RUN_COLUMNS_BUT_OUTPUT "output"
#define APD_RUN_COLUMNS_LISTED APD_RUN_COLUMNS_BUT_OUTPUT "NULL"
#define APD_RUN_N_COLUMNS      14

/* Binds the columns from parameter 1 on; the row must stay until the statement is reset. */
void apd_run_row_bind(sqlite3_stmt *stmt, const struct apd_run_row *row);

/*
 * Makes a row with one reference of the statement's current one. Returns 0,
 * -EBADMSG when the columns are not what the schema promises, or -ENOMEM.
 */
int apd_run_row_read(sqlite3_stmt *stmt, struct apd_run_row **ret_row);

/*
 * Reads all rows of a bound statement in which the texts stay under a number of
 * bytes together, and resets it. Returns 0 with an array that the caller frees,
 * -E2BIG beyond the bytes, or another negative errno.
 */
int apd_run_rows_read(
	sqlite3_stmt *stmt, size_t max_bytes, struct apd_run_row ***ret_rows, size_t *ret_n);

/* Gives the references and the array back. */
void apd_run_rows_free(struct apd_run_row **rows, size_t n);

#endif
