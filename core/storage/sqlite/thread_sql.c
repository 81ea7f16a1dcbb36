/* Rows of threads, checkpoints and the outbox to and from statements. */
#include "storage/sqlite/thread_sql.h"

#include <errno.h>

#include "storage/sqlite/db.h"

enum thread_column {
	THREAD_TID = APD_THREAD_COLUMN_TID,
	THREAD_ID,
	THREAD_CREATED_US,
	THREAD_UPDATED_US,
	THREAD_REST = APD_THREAD_COLUMN_REST,
	THREAD_METADATA = APD_THREAD_COLUMN_METADATA,
	THREAD_INTERRUPTS,
	THREAD_CONTINUATION,
};

void apd_thread_row_bind(sqlite3_stmt *stmt, const struct apd_thread_row *row, int64_t tid)
{
	bool plain = apd_str_is(row->metadata, "{}");

	sqlite3_bind_int64(stmt, THREAD_TID + 1, tid);
	apd_db_bind_id(stmt, THREAD_ID + 1, &row->thread_id);
	sqlite3_bind_int64(stmt, THREAD_CREATED_US + 1, row->created_us);
	sqlite3_bind_int64(stmt, THREAD_UPDATED_US + 1, row->updated_us);
	sqlite3_bind_int64(stmt, THREAD_REST + 1, row->rest);
	apd_db_bind_str(stmt, THREAD_METADATA + 1, plain ? APD_STR_ABSENT : row->metadata);
	apd_db_bind_str(stmt, THREAD_INTERRUPTS + 1, row->interrupts);
	apd_db_bind_bytes(stmt, THREAD_CONTINUATION + 1, row->continuation);
}

int apd_thread_row_read(sqlite3_stmt *stmt, struct apd_thread_row **ret_row)
{
	struct apd_thread_row from = {0};
	int64_t rest;

	if (!apd_db_column_id(stmt, THREAD_ID, &from.thread_id) ||
		!apd_db_column_int(
			stmt, THREAD_CREATED_US, INT64_MIN, INT64_MAX, &from.created_us) ||
		!apd_db_column_int(
			stmt, THREAD_UPDATED_US, INT64_MIN, INT64_MAX, &from.updated_us) ||
		!apd_db_column_int(stmt, THREAD_REST, APD_THREAD_IDLE, APD_THREAD_ERROR, &rest) ||
		!apd_db_column_object(stmt, THREAD_METADATA, &from.metadata) ||
		!apd_db_column_array(stmt, THREAD_INTERRUPTS, &from.interrupts) ||
		!apd_db_column_bytes(stmt, THREAD_CONTINUATION, &from.continuation))
		return -EBADMSG;
	from.rest = (enum apd_thread_rest)rest;
	*ret_row = apd_thread_row_create(&from);
	return 0;
}

enum checkpoint_column {
	CHECKPOINT_ID = APD_CHECKPOINT_COLUMN_ID,
	PARENT_ID,
	RUN_ID,
	STEP,
	SOURCE,
	CREATED_US,
	WHOLE,
	REMOVED,
	NAME,
	PATCH,
	TID = APD_CHECKPOINT_COLUMN_TID,
	PREV = APD_CHECKPOINT_COLUMN_PREV,
};

void apd_checkpoint_row_bind(
	sqlite3_stmt *stmt, const struct apd_checkpoint_row *row, int64_t tid, int64_t prev)
{
	apd_db_bind_id(stmt, CHECKPOINT_ID + 1, &row->checkpoint_id);
	if (row->has_parent)
		apd_db_bind_id(stmt, PARENT_ID + 1, &row->parent_id);
	else
		sqlite3_bind_null(stmt, PARENT_ID + 1);
	if (row->has_run)
		apd_db_bind_id(stmt, RUN_ID + 1, &row->run_id);
	else
		sqlite3_bind_null(stmt, RUN_ID + 1);
	sqlite3_bind_int64(stmt, STEP + 1, row->step);
	sqlite3_bind_int64(stmt, SOURCE + 1, row->source);
	sqlite3_bind_int64(stmt, CREATED_US + 1, row->created_us);
	sqlite3_bind_int64(stmt, WHOLE + 1, row->whole);
	apd_db_bind_str(stmt, REMOVED + 1, row->removed);
	apd_db_bind_str(stmt, NAME + 1, row->name);
	apd_db_bind_str(stmt, PATCH + 1, row->patch);
	sqlite3_bind_int64(stmt, TID + 1, tid);
	sqlite3_bind_int64(stmt, PREV + 1, prev);
}

/* Copies a range to *at, which moves on. */
static struct apd_str copy(struct apd_str s, char **at)
{
	struct apd_str copied = {s.ptr ? *at : NULL, s.len};

	if (s.len)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return copied;
}

/* The columns that are numbers. */
static bool read_checkpoint_numbers(sqlite3_stmt *stmt, struct apd_checkpoint_row *row)
{
	int64_t source, whole;

	if (!apd_db_column_int(stmt, STEP, 0, INT64_MAX, &row->step) ||
		!apd_db_column_int(stmt, SOURCE, APD_SOURCE_INPUT, APD_SOURCE_FORK, &source) ||
		!apd_db_column_int(stmt, CREATED_US, INT64_MIN, INT64_MAX, &row->created_us) ||
		!apd_db_column_int(stmt, WHOLE, 0, 1, &whole))
		return false;
	row->source = (enum apd_checkpoint_source)source;
	row->whole = whole;
	return true;
}

int apd_checkpoint_row_read(
	sqlite3_stmt *stmt, const struct apd_id *thread_id, struct apd_checkpoint_row **ret_row)
{
	struct apd_str name, removed, patch;
	struct apd_checkpoint_row *row = apd_checkpoint_row_create(NULL, NULL);
	char *at;

	if (!apd_db_column_id(stmt, CHECKPOINT_ID, &row->checkpoint_id) ||
		!apd_db_column_id_or_null(stmt, PARENT_ID, &row->has_parent, &row->parent_id) ||
		!apd_db_column_id_or_null(stmt, RUN_ID, &row->has_run, &row->run_id) ||
		!read_checkpoint_numbers(stmt, row) || !apd_db_column_text(stmt, NAME, &name) ||
		!apd_db_column_array(stmt, REMOVED, &removed) ||
		!apd_db_column_object(stmt, PATCH, &patch) || !patch.ptr) {
		apd_checkpoint_row_unref(row);
		return -EBADMSG;
	}
	row->thread_id = *thread_id;
	row->text = apd_text_alloc(name.len + removed.len + patch.len);
	at = row->text->data;
	row->name = copy(name, &at);
	row->removed = copy(removed, &at);
	row->patch = copy(patch, &at);
	*ret_row = row;
	return 0;
}

enum outbox_column {
	OUTBOX_ID,
	OUTBOX_RUN_ID,
	OUTBOX_CREATED_US,
	OUTBOX_NEXT_US,
	OUTBOX_ATTEMPTS,
	OUTBOX_URL,
	OUTBOX_BODY,
};

void apd_outbox_row_bind(sqlite3_stmt *stmt, const struct apd_outbox_row *row)
{
	apd_db_bind_id(stmt, OUTBOX_ID + 1, &row->id);
	apd_db_bind_id(stmt, OUTBOX_RUN_ID + 1, &row->run_id);
	sqlite3_bind_int64(stmt, OUTBOX_CREATED_US + 1, row->created_us);
	sqlite3_bind_int64(stmt, OUTBOX_NEXT_US + 1, row->next_us);
	sqlite3_bind_int64(stmt, OUTBOX_ATTEMPTS + 1, row->attempts);
	apd_db_bind_str(stmt, OUTBOX_URL + 1, row->url);
	apd_db_bind_str(stmt, OUTBOX_BODY + 1, row->body);
}

int apd_outbox_row_read(sqlite3_stmt *stmt, struct apd_outbox_row **ret_row)
{
	struct apd_outbox_row *row = apd_outbox_row_create(NULL);
	struct apd_str url, body;
	int64_t attempts;
	char *at;

	if (!apd_db_column_id(stmt, OUTBOX_ID, &row->id) ||
		!apd_db_column_id(stmt, OUTBOX_RUN_ID, &row->run_id) ||
		!apd_db_column_int(
			stmt, OUTBOX_CREATED_US, INT64_MIN, INT64_MAX, &row->created_us) ||
		!apd_db_column_int(stmt, OUTBOX_NEXT_US, INT64_MIN, INT64_MAX, &row->next_us) ||
		!apd_db_column_int(stmt, OUTBOX_ATTEMPTS, 0, UINT32_MAX, &attempts) ||
		!apd_db_column_text(stmt, OUTBOX_URL, &url) || !url.ptr ||
		!apd_db_column_text(stmt, OUTBOX_BODY, &body) || !body.ptr) {
		apd_outbox_row_unref(row);
		return -EBADMSG;
	}
	row->attempts = (uint32_t)attempts;
	row->text = apd_text_alloc(url.len + body.len);
	at = row->text->data;
	row->url = copy(url, &at);
	row->body = copy(body, &at);
	*ret_row = row;
	return 0;
}
