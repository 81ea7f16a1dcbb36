/* Rows of runs to and from statements. */
#include "storage/sqlite/row_sql.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "storage/sqlite/db.h"

enum column {
	RUN_ID = APD_RUN_COLUMN_ID,
	THREAD_ID = APD_RUN_COLUMN_THREAD_ID,
	TID = APD_RUN_COLUMN_TID,
	AGENT_ID = APD_RUN_COLUMN_AGENT_ID,
	STATUS = APD_RUN_COLUMN_STATUS,
	FLAGS,
	ATTEMPT,
	CREATED_US,
	UPDATED_US,
	STARTED_US,
	ENDED_US,
	CHECKPOINT_ID,
	BASE_ID,
	METADATA = APD_RUN_COLUMN_METADATA,
	REQUEST,
	ERROR,
	INTERRUPTS,
	OUTPUT_KEYS,
	OUTPUT,
};

void apd_run_row_bind(sqlite3_stmt *stmt, const struct apd_run_row *row, int64_t tid)
{
	bool plain = apd_str_is(row->metadata, "{}");

	apd_db_bind_id(stmt, RUN_ID + 1, &row->run_id);
	apd_db_bind_id(stmt, THREAD_ID + 1, &row->thread_id);
	sqlite3_bind_int64(stmt, TID + 1, tid);
	apd_db_bind_str(stmt, AGENT_ID + 1, row->agent_id);
	sqlite3_bind_int64(stmt, STATUS + 1, row->status);
	sqlite3_bind_int64(stmt, FLAGS + 1, row->flags);
	sqlite3_bind_int64(stmt, ATTEMPT + 1, row->attempt);
	sqlite3_bind_int64(stmt, CREATED_US + 1, row->created_us);
	sqlite3_bind_int64(stmt, UPDATED_US + 1, row->updated_us);
	sqlite3_bind_int64(stmt, STARTED_US + 1, row->started_us);
	sqlite3_bind_int64(stmt, ENDED_US + 1, row->ended_us);
	if (row->at_checkpoint)
		apd_db_bind_id(stmt, CHECKPOINT_ID + 1, &row->checkpoint_id);
	else
		sqlite3_bind_null(stmt, CHECKPOINT_ID + 1);
	if (row->has_base)
		apd_db_bind_id(stmt, BASE_ID + 1, &row->base_id);
	else
		sqlite3_bind_null(stmt, BASE_ID + 1);
	apd_db_bind_str(stmt, METADATA + 1, plain ? APD_STR_ABSENT : row->metadata);
	apd_db_bind_str(stmt, REQUEST + 1, row->request);
	apd_db_bind_str(stmt, ERROR + 1, row->error);
	apd_db_bind_str(stmt, INTERRUPTS + 1, row->interrupts);
	apd_db_bind_str(stmt, OUTPUT_KEYS + 1, row->output_keys);
	apd_db_bind_str(stmt, OUTPUT + 1, row->at_checkpoint ? APD_STR_ABSENT : row->output);
}

/* Reads the columns that are numbers. */
static bool read_numbers(sqlite3_stmt *stmt, struct apd_run_row *row)
{
	int64_t status, flags, attempt;

	if (!apd_db_column_int(stmt, STATUS, APD_RUN_PENDING, APD_RUN_INTERRUPTED, &status) ||
		!apd_db_column_int(stmt, FLAGS, 0, UINT32_MAX, &flags) ||
		!apd_db_column_int(stmt, ATTEMPT, 0, UINT32_MAX, &attempt))
		return false;
	for (int i = CREATED_US; i <= ENDED_US; i++)
		if (sqlite3_column_type(stmt, i) != SQLITE_INTEGER)
			return false;
	row->status = (enum apd_run_status)status;
	row->flags = (uint32_t)flags;
	row->attempt = (uint32_t)attempt;
	row->created_us = sqlite3_column_int64(stmt, CREATED_US);
	row->updated_us = sqlite3_column_int64(stmt, UPDATED_US);
	row->started_us = sqlite3_column_int64(stmt, STARTED_US);
	row->ended_us = sqlite3_column_int64(stmt, ENDED_US);
	return true;
}

/* Reads the columns that are ids. */
static bool read_ids(sqlite3_stmt *stmt, struct apd_run_row *row)
{
	return apd_db_column_id(stmt, RUN_ID, &row->run_id) &&
		apd_db_column_id(stmt, THREAD_ID, &row->thread_id) &&
		apd_db_column_id_or_null(
			stmt, CHECKPOINT_ID, &row->at_checkpoint, &row->checkpoint_id) &&
		apd_db_column_id_or_null(stmt, BASE_ID, &row->has_base, &row->base_id);
}

/* Reads the columns that are texts, which are SQLite's yet. */
static bool read_texts(sqlite3_stmt *stmt, struct apd_run_row *row)
{
	return apd_db_column_text(stmt, AGENT_ID, &row->agent_id) && row->agent_id.ptr &&
		apd_db_column_object(stmt, METADATA, &row->metadata) &&
		apd_db_column_object(stmt, REQUEST, &row->request) && row->request.ptr &&
		apd_db_column_object(stmt, ERROR, &row->error) &&
		apd_db_column_array(stmt, INTERRUPTS, &row->interrupts) &&
		apd_db_column_array(stmt, OUTPUT_KEYS, &row->output_keys) &&
		apd_db_column_object(stmt, OUTPUT, &row->output);
}

/* Copies a range to *at, which moves on, and makes it the range of the copy. */
static void move_str(struct apd_str *s, char **at)
{
	if (!s->ptr)
		return;
	memcpy(*at, s->ptr, s->len);
	s->ptr = *at;
	*at += s->len;
}

void apd_run_row_own_results(struct apd_run_row *row)
{
	struct apd_text *before = row->result_text;
	char *at;

	if (!row->error.ptr && !row->interrupts.ptr && !row->output_keys.ptr && !row->output.ptr)
		return;
	row->result_text = apd_text_alloc(
		row->error.len + row->interrupts.len + row->output_keys.len + row->output.len);
	at = row->result_text->data;
	move_str(&row->error, &at);
	move_str(&row->interrupts, &at);
	move_str(&row->output_keys, &at);
	move_str(&row->output, &at);
	apd_text_unref(before);
}

/* Gives the row texts of its own for the ranges that SQLite lends. */
static void own_texts(struct apd_run_row *row)
{
	char *at;

	row->request_text =
		apd_text_alloc(row->agent_id.len + row->request.len + row->metadata.len);
	at = row->request_text->data;
	move_str(&row->agent_id, &at);
	move_str(&row->request, &at);
	move_str(&row->metadata, &at);
	if (!row->metadata.ptr)
		row->metadata = APD_STR("{}");
	apd_run_row_own_results(row);
}

int apd_run_row_read(sqlite3_stmt *stmt, struct apd_run_row **ret_row)
{
	struct apd_run_row *row = apd_run_row_create(NULL, NULL);

	if (!read_ids(stmt, row) || !read_numbers(stmt, row) || !read_texts(stmt, row)) {
		apd_run_row_unref(row);
		return -EBADMSG;
	}
	own_texts(row);
	*ret_row = row;
	return 0;
}

int apd_run_rows_add(struct apd_run_rows *rows, sqlite3_stmt *stmt, size_t max_bytes)
{
	struct apd_run_row *row;
	int r = apd_run_row_read(stmt, &row);

	if (r < 0)
		return r;
	if (rows->n == rows->cap) {
		rows->cap = rows->cap ? rows->cap * 2 : 16;
		rows->items = apd_realloc(rows->items, rows->cap * sizeof(*rows->items));
	}
	rows->items[rows->n++] = row;
	rows->bytes += row->request_text->len + (row->result_text ? row->result_text->len : 0);
	return rows->bytes > max_bytes ? -E2BIG : 0;
}

int apd_run_rows_read(
	sqlite3_stmt *stmt, size_t max_bytes, struct apd_run_row ***ret_rows, size_t *ret_n)
{
	struct apd_run_rows rows = {0};
	int rc, r = 0;

	while (r == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		r = apd_run_rows_add(&rows, stmt, max_bytes);
	if (r == 0)
		r = apd_db_errno(rc);
	sqlite3_reset(stmt);
	if (r < 0) {
		apd_run_rows_free(rows.items, rows.n);
		return r;
	}
	*ret_rows = rows.items;
	*ret_n = rows.n;
	return 0;
}

void apd_run_rows_free(struct apd_run_row **rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		apd_run_row_unref(rows[i]);
	free(rows);
}
