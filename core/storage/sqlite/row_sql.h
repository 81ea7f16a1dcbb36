/* Rows of runs to and from statements. */
#ifndef APD_STORAGE_SQLITE_ROW_SQL_H
#define APD_STORAGE_SQLITE_ROW_SQL_H

#include <sqlite3.h>

#include "storage/row.h"

/* The columns in the order of the two functions below; ..._LISTED leaves the output out. */
#define APD_RUN_COLUMNS_BUT_OUTPUT                                                           \
	"run_id, thread_id, tid, agent_id, status, flags, attempt, created_us, updated_us, " \
	"started_us, ended_us, checkpoint_id, base_id, metadata, request, error, "           \
	"interrupts, output_keys, "
#define APD_RUN_COLUMNS        APD_RUN_COLUMNS_BUT_OUTPUT "output"
#define APD_RUN_COLUMNS_LISTED APD_RUN_COLUMNS_BUT_OUTPUT "NULL"
#define APD_RUN_N_COLUMNS      19

/* The condition for a run to be there: what is left of a deleted thread is not. */
#define APD_RUN_IS_THERE "NOT EXISTS (SELECT 1 FROM purge WHERE purge.tid = run.tid)"

/* Some of them by their place. */
enum {
	APD_RUN_COLUMN_ID = 0,
	APD_RUN_COLUMN_THREAD_ID = 1,
	APD_RUN_COLUMN_TID = 2,
	APD_RUN_COLUMN_AGENT_ID = 3,
	APD_RUN_COLUMN_STATUS = 4,
	APD_RUN_COLUMN_METADATA = 13,
};

/*
 * Binds the columns from parameter 1 on; the row must stay until the statement
 * is reset. tid: its thread's, 0 for an ephemeral run.
 */
void apd_run_row_bind(sqlite3_stmt *stmt, const struct apd_run_row *row, int64_t tid);

/*
 * Makes a row with one reference of the statement's current one. Returns 0,
 * -EBADMSG when the columns are not what the schema promises, or -ENOMEM.
 */
int apd_run_row_read(sqlite3_stmt *stmt, struct apd_run_row **ret_row);

/* Gives a row a text of its own for the ranges of error, interrupts, output_keys and output. */
void apd_run_row_own_results(struct apd_run_row *row);

/* A growing array of rows. All zero is an empty one. */
struct apd_run_rows {
	struct apd_run_row **items;
	size_t n;
	size_t cap;
	size_t bytes; /* of the texts */
};

/* Adds the statement's current row. Returns -E2BIG when there are more than so many bytes now. */
int apd_run_rows_add(struct apd_run_rows *rows, sqlite3_stmt *stmt, size_t max_bytes);

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
