/* Rows to and from statements. */
#include "storage/sqlite/row_sql.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "storage/sqlite/db.h"

enum column {
	RUN_ID,
	THREAD_ID,
	AGENT_ID,
	STATUS,
	FLAGS,
	ATTEMPT,
	CREATED_US,
	UPDATED_US,
	STARTED_US,
	ENDED_US,
	METADATA,
	REQUEST,
	ERROR,
	OUTPUT,
};

void apd_run_row_bind(sqlite3_stmt *stmt, const struct apd_run_row *row)
{
	bool plain = apd_str_is(row->metadata, "{}");

	apd_db_bind_id(stmt, RUN_ID + 1, &row->run_id);
	apd_db_bind_id(stmt, THREAD_ID + 1, &row->thread_id);
	apd_db_bind_str(stmt, AGENT_ID + 1, row->agent_id);
	sqlite3_bind_int64(stmt, STATUS + 1, row->status);
	sqlite3_bind_int64(stmt, FLAGS + 1, row->flags);
	sqlite3_bind_int64(stmt, ATTEMPT + 1, row->attempt);
	sqlite3_bind_int64(stmt, CREATED_US + 1, row->created_us);
	sqlite3_bind_int64(stmt, UPDATED_US + 1, row->updated_us);
	sqlite3_bind_int64(stmt, STARTED_US + 1, row->started_us);
	sqlite3_bind_int64(stmt, ENDED_US + 1, row->ended_us);
	apd_db_bind_str(stmt, METADATA + 1, plain ? APD_STR_ABSENT : row->metadata);
	apd_db_bind_str(stmt, REQUEST + 1, row->request);
	apd_db_bind_str(stmt, ERROR + 1, row->error);
	apd_db_bind_str(stmt, OUTPUT + 1, row->output);
}

/* Reads a column of 16 bytes. */
static bool read_id(sqlite3_stmt *stmt, enum column column, struct apd_id *ret_id)
{
	const void *blob;

	if (sqlite3_column_type(stmt, column) != SQLITE_BLOB)
		return false;
	blob = sqlite3_column_blob(stmt, column);
	if (!blob || sqlite3_column_bytes(stmt, column) != sizeof(ret_id->bytes))
		return false;
	memcpy(ret_id->bytes, blob, sizeof(ret_id->bytes));
	return true;
}

/* Reads a text column, absent for NULL; borrowed until the next step. */
static bool read_text(sqlite3_stmt *stmt, enum column column, struct apd_str *ret_text)
{
	int type = sqlite3_column_type(stmt, column);
	const char *ptr;

	if (type == SQLITE_NULL) {
		*ret_text = APD_STR_ABSENT;
		return true;
	}
	if (type != SQLITE_TEXT)
		return false;
	ptr = (const char *)sqlite3_column_text(stmt, column);
	if (!ptr)
		return false;
	*ret_text = (struct apd_str){ptr, (size_t)sqlite3_column_bytes(stmt, column)};
	return true;
}

/* Reads a text column that holds a JSON object or NULL. What is within was checked when it came. */
static bool read_object(sqlite3_stmt *stmt, enum column column, struct apd_str *ret_text)
{
	if (!read_text(stmt, column, ret_text))
		return false;
	return !ret_text->ptr ||
		(ret_text->len >= 2 && ret_text->ptr[0] == '{' &&
			ret_text->ptr[ret_text->len - 1] == '}');
}

/* Reads the columns that are numbers. */
static bool read_numbers(sqlite3_stmt *stmt, struct apd_run_row *row)
{
	int64_t status = sqlite3_column_int64(stmt, STATUS);
	int64_t flags = sqlite3_column_int64(stmt, FLAGS);
	int64_t attempt = sqlite3_column_int64(stmt, ATTEMPT);

	for (int i = STATUS; i <= ENDED_US; i++)
		if (sqlite3_column_type(stmt, i) != SQLITE_INTEGER)
			return false;
	if (status < APD_RUN_PENDING || status > APD_RUN_INTERRUPTED || flags < 0 ||
		flags > UINT32_MAX || attempt < 0 || attempt > UINT32_MAX)
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

/* Copies a range to *at, which moves on, and makes it the range of the copy. */
static void move_str(struct apd_str *s, char **at)
{
	if (!s->ptr)
		return;
	memcpy(*at, s->ptr, s->len);
	s->ptr = *at;
	*at += s->len;
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
	if (!row->error.ptr && !row->output.ptr)
		return;
	row->result_text = apd_text_alloc(row->error.len + row->output.len);
	at = row->result_text->data;
	move_str(&row->error, &at);
	move_str(&row->output, &at);
}

int apd_run_row_read(sqlite3_stmt *stmt, struct apd_run_row **ret_row)
{
	struct apd_run_row *row = apd_run_row_create(NULL, NULL);

	if (!read_id(stmt, RUN_ID, &row->run_id) || !read_id(stmt, THREAD_ID, &row->thread_id) ||
		!read_numbers(stmt, row) || !read_text(stmt, AGENT_ID, &row->agent_id) ||
		!row->agent_id.ptr || !read_object(stmt, METADATA, &row->metadata) ||
		!read_object(stmt, REQUEST, &row->request) || !row->request.ptr ||
		!read_object(stmt, ERROR, &row->error) ||
		!read_object(stmt, OUTPUT, &row->output)) {
		apd_run_row_unref(row);
		return -EBADMSG;
	}
	own_texts(row);
	*ret_row = row;
	return 0;
}

/* A growing array of rows. */
struct rows {
	struct apd_run_row **items;
	size_t n;
	size_t cap;
	size_t bytes;
};

/* Adds the statement's current row. */
static int add_row(struct rows *rows, sqlite3_stmt *stmt, size_t max_bytes)
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
	struct rows rows = {0};
	int rc, r = 0;

	while (r == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		r = add_row(&rows, stmt, max_bytes);
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
