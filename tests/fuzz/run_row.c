/*
 * Stored runs of any content: a row is refused or becomes a run, and a run
 * whose parts are JSON is JSON.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "storage/sqlite/row_sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of the input. */
struct input {
	const uint8_t *data;
	size_t size;
};

static struct input take(struct input *in, size_t n)
{
	struct input part = {in->data, n < in->size ? n : in->size};

	in->data += part.size;
	in->size -= part.size;
	return part;
}

static uint64_t take_number(struct input *in, size_t bytes)
{
	struct input part = take(in, bytes);
	uint64_t n = 0;

	for (size_t i = 0; i < part.size; i++)
		n = n << 8 | part.data[i];
	return n;
}

/* A value of any type. */
static void bind_any(sqlite3_stmt *stmt, int i, struct input *in)
{
	struct input part;

	switch (take_number(in, 1) % 5) {
	case 0:
		sqlite3_bind_null(stmt, i);
		break;
	case 1:
		sqlite3_bind_int64(stmt, i, (int64_t)take_number(in, 8));
		break;
	case 2:
		sqlite3_bind_double(stmt, i, (double)take_number(in, 4) / 7);
		break;
	case 3:
		part = take(in, take_number(in, 2) % 600);
		sqlite3_bind_blob64(stmt, i, part.data, part.size, SQLITE_TRANSIENT);
		break;
	default:
		part = take(in, take_number(in, 2) % 600);
		sqlite3_bind_text64(
			stmt, i, (const char *)part.data, part.size, SQLITE_TRANSIENT, SQLITE_UTF8);
	}
}

/* A value that fits, so that the others are looked at. */
static void bind_good(sqlite3_stmt *stmt, int i)
{
	switch (i) {
	case 1:
	case 2:
		sqlite3_bind_zeroblob(stmt, i, 16);
		break;
	case 4:
		sqlite3_bind_text(stmt, i, "echo", -1, SQLITE_STATIC);
		break;
	case 15:
		sqlite3_bind_text(stmt, i, "{\"input\":1}", -1, SQLITE_STATIC);
		break;
	case 12:
	case 13:
	case 14:
	case 16:
	case 17:
	case 18:
	case 19:
		sqlite3_bind_null(stmt, i);
		break;
	default:
		sqlite3_bind_int64(stmt, i, 1);
	}
}

/* True for an object (or nothing) without members of these names and not nested deeply. */
static bool is_plain_object(struct apd_str text, const char *const *names)
{
	struct apd_json json = {0};
	size_t nested = 0;
	bool good;

	if (!text.ptr)
		return true;
	for (size_t i = 0; i < text.len; i++)
		nested += text.ptr[i] == '{' || text.ptr[i] == '[';
	good = nested < APD_JSON_MAX_DEPTH - 2 && apd_json_scan(&json, text) == 0 &&
		apd_json_type(&json, 0) == APD_JSON_OBJECT;
	for (; good && *names; names++)
		good = !apd_json_member(&json, 0, apd_str(*names));
	apd_json_finish(&json);
	return good;
}

/* True for an array (or nothing) that is not nested deeply. */
static bool is_array(struct apd_str text)
{
	struct apd_json json = {0};
	size_t nested = 0;
	bool good;

	if (!text.ptr)
		return true;
	for (size_t i = 0; i < text.len; i++)
		nested += text.ptr[i] == '{' || text.ptr[i] == '[';
	good = nested < APD_JSON_MAX_DEPTH - 2 && apd_json_scan(&json, text) == 0 &&
		apd_json_type(&json, 0) == APD_JSON_ARRAY;
	apd_json_finish(&json);
	return good;
}

static void must_be_json(const struct apd_buf *out)
{
	struct apd_json json = {0};

	if (apd_json_scan(&json, apd_buf_str(out)) < 0) {
		fprintf(stderr, "%s at %u:%u of %s\n", json.error, json.error_line,
			json.error_column, out->data);
		abort();
	}
	apd_json_finish(&json);
}

/* Writes the row both ways, and judges it when its parts are as the runtime makes them. */
static void write_row(const struct apd_run_row *row)
{
	static const char *const run_names[] = {"run_id", "thread_id", "status", "created_at",
		"updated_at", "started_at", "ended_at", "attempt", "error", "interrupts", NULL};
	static const char *const result_names[] = {"run", NULL};
	bool good = is_plain_object(row->request, run_names) &&
		is_plain_object(row->error, run_names + 10) && is_array(row->interrupts) &&
		is_plain_object(row->output, result_names);
	struct apd_buf out = {0};

	apd_run_row_add_json(&out, row);
	if (good)
		must_be_json(&out);
	apd_buf_clear(&out);
	apd_run_row_add_result_json(&out, row);
	if (good)
		must_be_json(&out);
	apd_buf_finish(&out);
}

/* A statement that gives back what is bound. */
static sqlite3_stmt *make_statement(void)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;

	if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
		sqlite3_prepare_v2(db,
			"SELECT ?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,"
			"?15,?16,?17,?18,?19",
			-1, &stmt, NULL) != SQLITE_OK)
		abort();
	return stmt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static sqlite3_stmt *stmt;
	struct input in = {data, size};
	uint64_t good = take_number(&in, 3);
	struct apd_run_row *row;

	if (!stmt)
		stmt = make_statement();
	for (int i = 1; i <= APD_RUN_N_COLUMNS; i++) {
		if (good >> i & 1)
			bind_good(stmt, i);
		else
			bind_any(stmt, i, &in);
	}
	if (sqlite3_step(stmt) == SQLITE_ROW && apd_run_row_read(stmt, &row) == 0) {
		write_row(row);
		apd_run_row_unref(row);
	}
	sqlite3_reset(stmt);
	return 0;
}
