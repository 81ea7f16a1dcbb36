/* Opening: the directory, its lock, modes of files, and the schema's versions. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/sqlite/migrate.h"

/* Tries to open a directory; the sentence is in `error`. */
static int try_open(struct fixture *f, const char *dir, struct apd_buf *error)
{
	struct apd_sqlite_config config = {.dir = dir, .mailbox = &f->mailbox};
	struct apd_storage *storage = NULL;
	int r = apd_sqlite_open(&config, &storage, error);

	if (r == 0)
		apd_sqlite_close(storage);
	else
		assert_null(storage);
	return r;
}

static void assert_says(struct apd_buf *error, const char *part)
{
	if (!strstr(error->data, part))
		fail_msg("\"%s\" is not in: %s", part, error->data);
	apd_buf_clear(error);
}

/* Runs SQL on the closed database. */
static void edit(const struct fixture *f, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(f, "apd.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void second_daemon_is_refused(void **state)
{
	struct fixture *f = *state;
	struct apd_buf error = {0};
	char pid[32];

	assert_int_equal(try_open(f, f->dir, &error), -EWOULDBLOCK);
	snprintf(pid, sizeof(pid), "(process %ld)", (long)getpid());
	assert_non_null(strstr(error.data, f->dir));
	assert_says(&error, pid);
	fixture_close(f);
	assert_int_equal(try_open(f, f->dir, &error), 0);
	fixture_open(f);
	apd_buf_finish(&error);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void files_are_private(void **state)
{
	static const char *const names[] = {"apd.db", "apd.db-wal", "apd.db-shm", "lock"};
	struct fixture *f = *state;
	struct apd_buf dir = {0}, error = {0};
	mode_t mask = umask(0);

	apd_buf_addf(&dir, "%s/a/b", f->dir);
	assert_int_equal(try_open(f, dir.data, &error), 0);
	umask(mask);
	assert_int_equal(mode_of(dir.data), 0700);
	fixture_put_thread(f, &(struct apd_id){{1}});
	for (size_t i = 0; i < APD_COUNT(names); i++)
		assert_int_equal(mode_of(fixture_path(f, names[i])), 0600);
	apd_buf_clear(&dir);
	apd_buf_addf(&dir, "rm -r %s/a", f->dir);
	assert_int_equal(system(dir.data), 0);
	apd_buf_finish(&dir);
	apd_buf_finish(&error);
}

static void closing_leaves_one_file(void **state)
{
	struct fixture *f = *state;

	fixture_put_thread(f, &(struct apd_id){{1}});
	assert_int_equal(access(fixture_path(f, "apd.db-wal"), F_OK), 0);
	fixture_close(f);
	assert_int_not_equal(access(fixture_path(f, "apd.db-wal"), F_OK), 0);
	fixture_open(f);
}

static void directory_is_a_file(void **state)
{
	struct fixture *f = *state;
	struct apd_buf error = {0};
	const char *path = fixture_path(f, "apd.db");

	assert_int_equal(try_open(f, path, &error), -ENOTDIR);
	assert_says(&error, path);
	apd_buf_finish(&error);
}

static void newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	struct apd_buf error = {0}, sql = {0};

	fixture_close(f);
	apd_buf_addf(&sql, "PRAGMA user_version=%u", apd_schema_version + 1);
	edit(f, sql.data);
	assert_int_equal(try_open(f, f->dir, &error), -EPROTO);
	assert_non_null(strstr(error.data, "apd.db"));
	assert_says(&error, "newer than");
	apd_buf_clear(&sql);
	apd_buf_addf(&sql, "PRAGMA user_version=%u", apd_schema_version);
	edit(f, sql.data);
	fixture_open(f);
	apd_buf_finish(&error);
	apd_buf_finish(&sql);
}

static void foreign_database_is_refused(void **state)
{
	struct fixture *f = *state;
	struct apd_buf error = {0};
	struct apd_id id = {{1}};

	fixture_put_thread(f, &id);
	fixture_close(f);
	edit(f, "PRAGMA application_id=5");
	assert_int_equal(try_open(f, f->dir, &error), -EPROTO);
	assert_says(&error, "not a database of apd");
	edit(f, "PRAGMA application_id=0");
	assert_int_equal(try_open(f, f->dir, &error), -EPROTO);
	apd_buf_clear(&error);
	edit(f, "PRAGMA application_id=0x61706401");
	fixture_open(f);
	assert_true(fixture_has_thread(f, &id));
	apd_buf_finish(&error);
}

static void garbage_is_refused(void **state)
{
	struct fixture *f = *state;
	struct apd_buf error = {0};
	FILE *file;

	fixture_close(f);
	file = fopen(fixture_path(f, "apd.db"), "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database. ", file);
	fclose(file);
	assert_int_equal(try_open(f, f->dir, &error), -EBADMSG);
	assert_says(&error, "apd.db");
	unlink(fixture_path(f, "apd.db"));
	fixture_open(f);
	apd_buf_finish(&error);
}

/* Counts in C what the SQL of a step has made. */
static int fill_two(sqlite3 *db)
{
	return sqlite3_exec(db, "UPDATE a SET y = y + 10", NULL, NULL, NULL) == SQLITE_OK ? 0
											  : -EIO;
}

static int fill_badly(sqlite3 *db)
{
	return fill_two(db) == 0 ? -ENOSPC : 0;
}

/* A schema of three versions, one whose third step is wrong, and one that cannot be filled. */
#define STEP_1 "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)"
#define STEP_2 "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1"
static const struct apd_schema_step steps[] = {
	{STEP_1, NULL},
	{STEP_2, fill_two},
	{"CREATE TABLE b (z INTEGER) STRICT; INSERT INTO b SELECT x + y FROM a", NULL},
};
static const struct apd_schema_step bad_steps[] = {
	{STEP_1, NULL},
	{STEP_2, fill_two},
	{"CREATE TABLE b (z INTEGER) STRICT; INSERT INTO b VALUES ('no number')", NULL},
};
static const struct apd_schema_step unfilled_steps[] = {
	{STEP_1, NULL},
	{STEP_2, fill_badly},
};

static int number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int n = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		n = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static void migrates_from_every_version(void **state)
{
	struct apd_buf error = {0};

	(void)state;
	for (unsigned from = 0; from <= APD_COUNT(steps); from++) {
		sqlite3 *db;

		assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
		assert_int_equal(apd_schema_migrate(db, "x", steps, from, &error), 0);
		assert_int_equal(number(db, "PRAGMA user_version"), from);
		assert_int_equal(apd_schema_migrate(db, "x", steps, 3, &error), 0);
		assert_int_equal(number(db, "PRAGMA user_version"), 3);
		assert_int_equal(number(db, "PRAGMA application_id"), APD_APPLICATION_ID);
		assert_int_equal(number(db, "SELECT z FROM b"), 13);
		assert_int_equal(apd_schema_migrate(db, "x", steps, 2, &error), -EPROTO);
		apd_buf_clear(&error);
		assert_int_equal(number(db, "PRAGMA user_version"), 3);
		sqlite3_close(db);
	}
	apd_buf_finish(&error);
}

static void failed_step_leaves_the_version_before(void **state)
{
	struct apd_buf error = {0};
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_true(apd_schema_migrate(db, "x.db", bad_steps, 3, &error) < 0);
	assert_non_null(strstr(error.data, "x.db: "));
	assert_says(&error, "from version 2 to 3");
	assert_int_equal(number(db, "PRAGMA user_version"), 2);
	assert_int_equal(number(db, "SELECT count(*) FROM b"), -1);
	assert_int_equal(apd_schema_migrate(db, "x.db", steps, 3, &error), 0);
	assert_int_equal(number(db, "SELECT z FROM b"), 13);
	sqlite3_close(db);
	apd_buf_finish(&error);
}

static void step_that_cannot_be_filled_is_taken_back(void **state)
{
	struct apd_buf error = {0};
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(apd_schema_migrate(db, "x.db", unfilled_steps, 2, &error), -ENOSPC);
	assert_says(&error, "from version 1 to 2");
	assert_int_equal(number(db, "PRAGMA user_version"), 1);
	assert_int_equal(number(db, "SELECT y FROM a"), -1);
	assert_int_equal(apd_schema_migrate(db, "x.db", steps, 3, &error), 0);
	sqlite3_close(db);
	apd_buf_finish(&error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(second_daemon_is_refused),
		TEST(files_are_private),
		TEST(closing_leaves_one_file),
		TEST(directory_is_a_file),
		TEST(newer_schema_is_refused),
		TEST(foreign_database_is_refused),
		TEST(garbage_is_refused),
		cmocka_unit_test(migrates_from_every_version),
		cmocka_unit_test(failed_step_leaves_the_version_before),
		cmocka_unit_test(step_that_cannot_be_filled_is_taken_back),
	};

	return cmocka_run_group_tests_name("storage_open", tests, NULL, NULL);
}
