/* Rows of threads, checkpoints and the outbox to and from statements. */
#ifndef APD_STORAGE_SQLITE_THREAD_SQL_H
#define APD_STORAGE_SQLITE_THREAD_SQL_H

#include <sqlite3.h>

#include "storage/outbox.h"
#include "storage/thread.h"

/* The columns in the order of the functions below. */
#define APD_THREAD_COLUMNS \
	"tid, thread_id, created_us, updated_us, rest, metadata, interrupts, continuation"
#define APD_CHECKPOINT_COLUMNS_BUT_TID                                                 \
	"checkpoint_id, parent_id, run_id, step, source, created_us, whole, removed, " \
	"name, patch"
#define APD_CHECKPOINT_COLUMNS APD_CHECKPOINT_COLUMNS_BUT_TID ", tid, prev"
#define APD_OUTBOX_COLUMNS     "id, run_id, created_us, next_us, attempts, url, body"

/* Some of the thread's by their place. */
enum {
	APD_THREAD_COLUMN_TID = 0,
	APD_THREAD_COLUMN_REST = 4,
	APD_THREAD_COLUMN_METADATA = 5,
};

/* Some of the checkpoint's. */
enum {
	APD_CHECKPOINT_COLUMN_ID = 0,
	APD_CHECKPOINT_COLUMN_TID = 10,
	APD_CHECKPOINT_COLUMN_PREV = 11,
};

/* Bind the columns from parameter 1 on; the row must stay until the statement is reset. */
void apd_thread_row_bind(sqlite3_stmt *stmt, const struct apd_thread_row *row, int64_t tid);
void apd_checkpoint_row_bind(
	sqlite3_stmt *stmt, const struct apd_checkpoint_row *row, int64_t tid, int64_t prev);
void apd_outbox_row_bind(sqlite3_stmt *stmt, const struct apd_outbox_row *row);

/*
 * Make a row with one reference of the statement's current one. Return 0, or
 * -EBADMSG when the columns are not what the schema promises. A checkpoint does
 * not know its thread's id, only the number.
 */
int apd_thread_row_read(sqlite3_stmt *stmt, struct apd_thread_row **ret_row);
int apd_checkpoint_row_read(
	sqlite3_stmt *stmt, const struct apd_id *thread_id, struct apd_checkpoint_row **ret_row);
int apd_outbox_row_read(sqlite3_stmt *stmt, struct apd_outbox_row **ret_row);

#endif
