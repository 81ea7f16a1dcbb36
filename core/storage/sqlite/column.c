/* Values to and from statements, one at a time. */
#include "storage/sqlite/db.h"

void apd_db_bind_id(sqlite3_stmt *stmt, int i, const struct apd_id *id)
{
	sqlite3_bind_blob(stmt, i, id->bytes, sizeof(id->bytes), SQLITE_STATIC);
}

void apd_db_bind_str(sqlite3_stmt *stmt, int i, struct apd_str s)
{
	sqlite3_bind_text64(stmt, i, s.ptr, s.len, SQLITE_STATIC, SQLITE_UTF8);
}

void apd_db_bind_bytes(sqlite3_stmt *stmt, int i, struct apd_str s)
{
	sqlite3_bind_blob64(stmt, i, s.ptr, s.len, SQLITE_STATIC);
}

bool apd_db_column_id(sqlite3_stmt *stmt, int column, struct apd_id *ret_id)
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

bool apd_db_column_id_or_null(sqlite3_stmt *stmt, int column, bool *ret_has, struct apd_id *ret_id)
{
	*ret_has = sqlite3_column_type(stmt, column) != SQLITE_NULL;
	return !*ret_has || apd_db_column_id(stmt, column, ret_id);
}

/* Reads a column of one type or NULL. */
static bool read_range(sqlite3_stmt *stmt, int column, int type, struct apd_str *ret_range)
{
	int actual = sqlite3_column_type(stmt, column);
	const char *ptr;

	if (actual == SQLITE_NULL) {
		*ret_range = APD_STR_ABSENT;
		return true;
	}
	if (actual != type)
		return false;
	ptr = type == SQLITE_TEXT ? (const char *)sqlite3_column_text(stmt, column)
				  : sqlite3_column_blob(stmt, column);
	*ret_range = (struct apd_str){ptr, (size_t)sqlite3_column_bytes(stmt, column)};
	/* SQLite has no address for a blob without bytes. */
	if (!ptr && type == SQLITE_BLOB && ret_range->len == 0)
		*ret_range = APD_STR("");
	return ret_range->ptr;
}

bool apd_db_column_text(sqlite3_stmt *stmt, int column, struct apd_str *ret_text)
{
	return read_range(stmt, column, SQLITE_TEXT, ret_text);
}

bool apd_db_column_bytes(sqlite3_stmt *stmt, int column, struct apd_str *ret_bytes)
{
	return read_range(stmt, column, SQLITE_BLOB, ret_bytes);
}

/* Reads a text that begins and ends with a pair of brackets, or NULL. */
static bool read_bracketed(
	sqlite3_stmt *stmt, int column, const char *brackets, struct apd_str *ret_text)
{
	if (!apd_db_column_text(stmt, column, ret_text))
		return false;
	return !ret_text->ptr ||
		(ret_text->len >= 2 && ret_text->ptr[0] == brackets[0] &&
			ret_text->ptr[ret_text->len - 1] == brackets[1]);
}

bool apd_db_column_object(sqlite3_stmt *stmt, int column, struct apd_str *ret_text)
{
	return read_bracketed(stmt, column, "{}", ret_text);
}

bool apd_db_column_array(sqlite3_stmt *stmt, int column, struct apd_str *ret_text)
{
	return read_bracketed(stmt, column, "[]", ret_text);
}

bool apd_db_column_int(
	sqlite3_stmt *stmt, int column, int64_t least, int64_t most, int64_t *ret_value)
{
	if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER)
		return false;
	*ret_value = sqlite3_column_int64(stmt, column);
	return *ret_value >= least && *ret_value <= most;
}
