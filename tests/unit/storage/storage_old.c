/* What is old: databases of earlier versions, and what is to be removed. */
#include "fixture.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Version 1 as it was released. */
static const char version_1[] =
	"CREATE TABLE thread ("
	" thread_id BLOB NOT NULL PRIMARY KEY CHECK (length(thread_id) = 16),"
	" created_us INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE run ("
	" run_id BLOB NOT NULL PRIMARY KEY CHECK (length(run_id) = 16),"
	" thread_id BLOB NOT NULL CHECK (length(thread_id) = 16),"
	" agent_id TEXT NOT NULL,"
	" status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 4),"
	" flags INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" updated_us INTEGER NOT NULL,"
	" started_us INTEGER NOT NULL,"
	" ended_us INTEGER NOT NULL,"
	" metadata TEXT,"
	" request TEXT NOT NULL,"
	" error TEXT,"
	" output TEXT"
	") STRICT;"
	"CREATE INDEX run_thread ON run (thread_id, run_id);"
	"CREATE INDEX run_agent ON run (agent_id, run_id);"
	"CREATE INDEX run_status ON run (status, run_id) WHERE status <> 1;"
	"CREATE INDEX run_ephemeral ON run (ended_us) WHERE (flags & 1) AND ended_us > 0;"
	"PRAGMA user_version=1;"
	"PRAGMA application_id=0x61706401;"
	"PRAGMA journal_mode=WAL;";

/* Two threads; a run of the first that ended, one that is pending, and an ephemeral one. */
static const char rows_1[] =
	"INSERT INTO thread VALUES"
	" (x'02000000000000000000000000000000', 2000), (x'01000000000000000000000000000000', 1000);"
	"INSERT INTO run VALUES"
	" (x'11000000000000000000000000000000', x'01000000000000000000000000000000', 'echo', 1, 2, "
	"1,"
	"  10, 11, 12, 13, '{\"k\":1,\"t\":[\"x\"]}', '{\"agent_id\":\"echo\"}', NULL,"
	"  '{\"values\":{\"a\":1}}'),"
	" (x'12000000000000000000000000000000', x'01000000000000000000000000000000', 'echo', 0, 2, "
	"0,"
	"  20, 21, 0, 0, NULL, '{\"agent_id\":\"echo\"}', NULL, NULL),"
	" (x'13000000000000000000000000000000', x'03000000000000000000000000000000', 'other', 2, "
	"1, 1,"
	"  30, 31, 32, 33, '{\"k\":1}', '{\"agent_id\":\"other\"}', '{\"code\":\"x\"}', NULL);";

static struct apd_id id_of(uint8_t first)
{
	return (struct apd_id){{first}};
}

/* Opens a database of version 1. */
static void open_version_1(struct fixture *f)
{
	sqlite3 *db;

	fixture_close(f);
	unlink(fixture_path(f, "apd.db"));
	assert_int_equal(sqlite3_open(fixture_path(f, "apd.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, rows_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	fixture_open(f);
}

static void version_1_survives(void **state)
{
	struct fixture *f = *state;
	struct apd_id first = id_of(1), second = id_of(2), third = id_of(3), ended = id_of(0x11);
	struct apd_load active = {.type = APD_LOAD_ACTIVE_RUNS};
	struct apd_thread_search threads = {.query = {.status = -1, .limit = 10}};
	struct apd_run_search runs = {
		.query = {.status = -1, .limit = 10, .metadata = APD_STR("{\"k\":1.0}")}};
	struct apd_run_row *row;

	open_version_1(f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(apd_sqlite_get_run(f->storage, &ended, true, &row), 0);
		assert_int_equal(row->status, APD_RUN_SUCCESS);
		assert_int_equal(row->flags, APD_RUN_ROW_BACKGROUND);
		assert_int_equal(row->ended_us, 13);
		assert_true(apd_str_is(row->metadata, "{\"k\":1,\"t\":[\"x\"]}"));
		assert_true(apd_str_is(row->output, "{\"values\":{\"a\":1}}"));
		assert_false(row->at_checkpoint || row->has_base);
		apd_run_row_unref(row);
		assert_int_equal(fixture_search_threads(f, &threads), 0);
		assert_int_equal(threads.n_views, 2);
		assert_true(apd_id_eq(&threads.views[0].thread->thread_id, &second));
		assert_int_equal(apd_thread_view_status(&threads.views[0]), APD_THREAD_STATUS_IDLE);
		assert_true(apd_id_eq(&threads.views[1].thread->thread_id, &first));
		assert_int_equal(threads.views[1].thread->created_us, 1000);
		assert_int_equal(apd_thread_view_status(&threads.views[1]), APD_THREAD_STATUS_BUSY);
		fixture_views_free(threads.views, threads.n_views);
		assert_int_equal(fixture_search(f, &runs), 0);
		assert_int_equal(runs.n_rows, 2);
		assert_int_equal(runs.rows[0]->run_id.bytes[0], 0x13);
		assert_int_equal(runs.rows[1]->run_id.bytes[0], 0x11);
		fixture_rows_free(runs.rows, runs.n_rows);
		assert_int_equal(fixture_load(f, &active), 0);
		assert_int_equal(active.n_runs, 1);
		fixture_rows_free(active.runs, active.n_runs);
		fixture_reopen(f);
	}
	assert_false(fixture_has_thread(f, &third));
	/* They can be worked with. */
	assert_int_equal(
		fixture_put_checkpoint(
			f, (struct checkpoint_spec){.thread = &first, .patch = "{\"a\":1}"}, NULL),
		0);
	assert_int_equal(fixture_delete_thread(f, &first), 0);
	assert_int_equal(fixture_has(f, &ended), -ENOENT);
	assert_true(fixture_has_thread(f, &second));
}

/* What a database of version 1 becomes is what a new one is. */
static void version_1_has_the_same_schema(void **state)
{
	static const char sum[] = "SELECT sum(length(sql)) FROM sqlite_schema";
	struct fixture *f = *state;
	int64_t fresh = fixture_sql(f, sum);

	open_version_1(f);
	assert_int_equal(fixture_sql(f, sum), fresh);
	assert_int_equal(fixture_sql(f,
				 "SELECT count(*) FROM pragma_integrity_check"
				 " WHERE integrity_check <> 'ok'"),
		0);
}

/* Puts a thread with many checkpoints and runs. */
static void put_many(struct fixture *f, const struct apd_id *thread, int n)
{
	fixture_put_thread(f, thread);
	for (int i = 0; i < n; i++) {
		fixture_put_checkpoint(
			f, (struct checkpoint_spec){.thread = thread, .patch = "{\"a\":1}"}, NULL);
		fixture_put(f,
			fixture_row(
				f, (struct row_spec){.thread = thread, .metadata = "{\"k\":1}"}));
	}
}

/* Waits until nothing is left of deleted threads; commits meanwhile, which nothing keeps waiting. */
static void wait_for_purge(struct fixture *f)
{
	while (fixture_sql(f, "SELECT count(*) FROM purge") > 0)
		assert_int_equal(fixture_put(f, fixture_row(f, (struct row_spec){0})), 0);
}

static void purge_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f), kept = fixture_id(f);

	put_many(f, &kept, 3);
	put_many(f, &thread, 40);
	assert_int_equal(fixture_delete_thread(f, &thread), 0);
	put_many(f, &thread, 2); /* made again at once */
	wait_for_purge(f);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM checkpoint"), 5);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run WHERE tid <> 0"), 5);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run_tag"), 5);
}

/* A daemon that ends in the middle goes on with it in its next life, and takes no number twice. */
static void purge_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f), next = fixture_id(f);

	put_many(f, &thread, 5);
	fixture_close(f);
	/* As if it was deleted, and nothing purged yet. */
	fixture_sql(f,
		"INSERT INTO purge SELECT tid, cid, rid FROM thread JOIN head"
		" USING (tid); DELETE FROM thread; DELETE FROM head");
	fixture_open(f);
	put_many(f, &next, 2);
	wait_for_purge(f);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM checkpoint"), 2);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run WHERE tid <> 0"), 2);
	assert_true(fixture_has_thread(f, &next));
	assert_false(fixture_has_thread(f, &thread));
}

/* What decides about the age of a thread is its last use, whatever it was. */
static void old_threads_go(void **state)
{
	enum { OLD, YOUNG, CHECKPOINT, RUN, BUSY, PATCHED, QUESTIONS, N };
	static const int64_t updated[N] = {[OLD] = 10,
		[YOUNG] = 100,
		[CHECKPOINT] = 11,
		[RUN] = 12,
		[BUSY] = 13,
		[PATCHED] = 100,
		[QUESTIONS] = 14};
	struct fixture *f = *state;
	struct apd_sweep sweep = {.threads_before_us = 50, .max = 1000};
	struct apd_id ids[N];

	for (int i = 0; i < N; i++) {
		ids[i] = fixture_id(f);
		fixture_put_thread_row(f,
			(struct apd_thread_row){.thread_id = ids[i],
				.created_us = 5,
				.updated_us = i == PATCHED ? 5 : updated[i],
				.rest = i == QUESTIONS ? APD_THREAD_INTERRUPTED : APD_THREAD_IDLE,
				.metadata = APD_STR("{\"k\":1}")});
	}
	fixture_put_thread_row(f,
		(struct apd_thread_row){.thread_id = ids[PATCHED], .updated_us = updated[PATCHED]});
	for (int i = CHECKPOINT; i <= QUESTIONS; i++)
		fixture_put_checkpoint(f,
			(struct checkpoint_spec){.thread = &ids[i],
				.patch = "{}",
				.created_us = i == CHECKPOINT ? 60 : 20},
			NULL);
	/* The fixture's rows are updated 5 us after they are created. */
	fixture_put(f,
		fixture_row(f,
			(struct row_spec){
				.thread = &ids[RUN], .created_us = 55, .status = APD_RUN_SUCCESS}));
	fixture_put(f,
		fixture_row(f,
			(struct row_spec){.thread = &ids[BUSY],
				.created_us = 20,
				.status = APD_RUN_PENDING}));
	fixture_put(f,
		fixture_row(f,
			(struct row_spec){
				.thread = &ids[OLD], .created_us = 20, .status = APD_RUN_SUCCESS}));
	f->storage->ops->sweep(f->storage, &sweep);
	while (fixture_has_thread(f, &ids[OLD]) || fixture_has_thread(f, &ids[QUESTIONS]))
		fixture_put(f, fixture_row(f, (struct row_spec){0}));
	wait_for_purge(f);
	for (int i = 0; i < N; i++)
		assert_int_equal(fixture_has_thread(f, &ids[i]), i != OLD && i != QUESTIONS);
	/* What was looked at is not looked at again before it can be old. */
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM thread WHERE check_us < 50"), 0);
	sweep.threads_before_us = 61;
	f->storage->ops->sweep(f->storage, &sweep);
	while (fixture_has_thread(f, &ids[CHECKPOINT]) || fixture_has_thread(f, &ids[RUN]))
		fixture_put(f, fixture_row(f, (struct row_spec){0}));
	assert_true(fixture_has_thread(f, &ids[BUSY]));
	assert_true(fixture_has_thread(f, &ids[YOUNG]));
	assert_true(fixture_has_thread(f, &ids[PATCHED]));
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM thread_tag"), 2);
}

/* A sweep removes no more than it may, of each kind, and nothing of a kind it does not name. */
static void sweeps_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct apd_sweep sweep = {.threads_before_us = 50, .max = 7};
	struct apd_id id;

	for (int i = 0; i < 20; i++) {
		id = fixture_id(f);
		fixture_put_thread_row(f,
			(struct apd_thread_row){.thread_id = id, .created_us = 1, .updated_us = i});
		fixture_put(f, fixture_row(f, (struct row_spec){.ended_us = 10}));
	}
	f->storage->ops->sweep(f->storage, &sweep);
	while (fixture_sql(f, "SELECT count(*) FROM thread") > 13)
		fixture_put_thread(f, &id);
	wait_for_purge(f);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM thread"), 13);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run WHERE ended_us = 10"), 20);
	f->storage->ops->sweep(f->storage, &(struct apd_sweep){.runs_before_us = 50, .max = 9});
	while (fixture_sql(f, "SELECT count(*) FROM run WHERE ended_us = 10") > 11)
		fixture_put_thread(f, &id);
	fixture_reopen(f);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run WHERE ended_us = 10"), 11);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM thread"), 13);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(version_1_survives),
		TEST(version_1_has_the_same_schema),
		TEST(purge_leaves_nothing),
		TEST(purge_goes_on_after_a_restart),
		TEST(old_threads_go),
		TEST(sweeps_are_bounded),
	};

	return cmocka_run_group_tests_name("storage_old", tests, NULL, NULL);
}
