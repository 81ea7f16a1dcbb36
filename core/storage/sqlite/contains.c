/* JSON containment as an SQL function; the filter is scanned once a statement. */
#include "storage/sqlite/contains.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_scan.h"
#include "storage/sqlite/db.h"

/* A scanned filter with the copy of the text that it points into. */
struct filter {
	struct apd_json json;
	char text[];
};

static void free_scan(void *data)
{
	struct apd_json *json = data;

	apd_json_finish(json);
	free(json);
}

static void free_filter(void *data)
{
	struct filter *filter = data;

	apd_json_finish(&filter->json);
	free(filter);
}

/* The text of an argument, absent for NULL. */
static struct apd_str text_of(sqlite3_value *value)
{
	const char *ptr = (const char *)sqlite3_value_text(value);

	return (struct apd_str){ptr, ptr ? (size_t)sqlite3_value_bytes(value) : 0};
}

/* Scans the filter, or finds what an earlier row has scanned; NULL if it is no JSON. */
static struct filter *filter_of(sqlite3_context *context, sqlite3_value *value)
{
	struct filter *filter = sqlite3_get_auxdata(context, 1);
	struct apd_str text;

	if (filter)
		return filter;
	text = text_of(value);
	filter = apd_calloc(1, sizeof(*filter) + text.len + 1);
	if (text.len)
		memcpy(filter->text, text.ptr, text.len);
	if (apd_json_scan(&filter->json, (struct apd_str){filter->text, text.len}) < 0) {
		free_filter(filter);
		return NULL;
	}
	sqlite3_set_auxdata(context, 1, filter, free_filter);
	/* SQLite may have dropped it at once, for want of memory. */
	return sqlite3_get_auxdata(context, 1);
}

static void contains(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	struct apd_json *metadata = sqlite3_user_data(context);
	struct apd_str text = text_of(argv[0]);
	struct filter *filter = filter_of(context, argv[1]);

	(void)argc;
	if (!filter) {
		sqlite3_result_error(context, "the filter is not JSON", -1);
		return;
	}
	if (apd_json_scan(metadata, text.ptr ? text : APD_STR("{}")) < 0)
		sqlite3_result_int(context, 0);
	else
		sqlite3_result_int(context, apd_json_contains(metadata, 0, &filter->json, 0));
}

int apd_contains_register(sqlite3 *db)
{
	struct apd_json *json = apd_calloc(1, sizeof(*json));

	/* SQLite frees the scan with the connection, or now if it refuses. */
	return apd_db_errno(sqlite3_create_function_v2(db, "apd_contains", 2,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY, json, contains, NULL, NULL,
		free_scan));
}
