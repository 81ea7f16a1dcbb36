/* What becomes of commits when the disk is full, refuses, or loses what was synced. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_vfs.h"
#include "storage/sqlite/db.h"

/* A group of batches meets a fault: all of them fail, nothing is applied, and later ones work. */
static void group_fails(struct fixture *f, enum fault fault, int expected)
{
	struct apd_id ids[20];
	struct call *calls[20];
	struct apd_storage_stats stats;

	fault_vfs_set(fault);
	for (size_t i = 0; i < APD_COUNT(ids); i++) {
		struct apd_run_row *row = fixture_row(f, (struct row_spec){0});

		ids[i] = row->run_id;
		calls[i] = call_create(f);
		apd_batch_put_run(&calls[i]->batch, row);
		apd_batch_delete_run(&calls[i]->batch, &row->thread_id);
		apd_run_row_unref(row);
		call_send(calls[i]);
	}
	for (size_t i = 0; i < APD_COUNT(ids); i++) {
		assert_int_equal(call_wait(calls[i]), expected);
		assert_int_equal(calls[i]->batch.missing, 0);
	}
	fault_vfs_set(FAULT_NONE);
	apd_sqlite_stats(f->storage, &stats);
	assert_int_equal(stats.failures, APD_COUNT(ids));
	assert_int_equal(stats.commits, 0);
	for (size_t i = 0; i < APD_COUNT(ids); i++) {
		assert_int_equal(fixture_has(f, &ids[i]), -ENOENT);
		calls[i]->place = 0;
		call_send(calls[i]);
		assert_int_equal(call_wait(calls[i]), 0);
		assert_int_equal(calls[i]->batch.missing, 1);
		call_destroy(calls[i]);
	}
	fixture_reopen(f);
	for (size_t i = 0; i < APD_COUNT(ids); i++)
		assert_int_equal(fixture_has(f, &ids[i]), 0);
}

static void full(void **state)
{
	group_fails(*state, FAULT_FULL, -ENOSPC);
}

static void write_fails(void **state)
{
	group_fails(*state, FAULT_WRITE, -EIO);
}

/* Runs what must end the process in a process of its own; its exit status. */
static int in_child(struct fixture *f, void (*body)(struct fixture *))
{
	int status;
	pid_t pid;

	fixture_close(f);
	pid = fork();
	if (pid == 0) {
		fixture_open(f);
		body(f);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	fixture_open(f);
	return WEXITSTATUS(status);
}

static void commit_without_fsync(struct fixture *f)
{
	fault_vfs_set(FAULT_FSYNC);
	fixture_put(f, fixture_row(f, (struct row_spec){0}));
}

static void failed_fsync_ends_the_process(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);

	fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &id}));
	assert_int_equal(in_child(f, commit_without_fsync), 74);
	assert_int_equal(fixture_has(f, &id), 0);
}

/* A real limit of the system's: files may not grow beyond 256 KiB. */
static void fill_up(struct fixture *f)
{
	static char output[16 << 10];
	struct rlimit limit = {256 << 10, 256 << 10};
	int r = 0;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		_exit(1);
	memset(output, ' ', sizeof(output) - 1);
	output[0] = '{';
	output[sizeof(output) - 2] = '}';
	for (int i = 0; r == 0 && i < 100; i++)
		r = fixture_put(f, fixture_row(f, (struct row_spec){.output = output}));
	if (r == 0)
		_exit(2);
	/* Reads go on. */
	_exit(fixture_has(f, &(struct apd_id){{0}}) == -ENOENT ? 42 : 3);
}

static void file_limit(void **state)
{
	assert_int_equal(in_child(*state, fill_up), 42);
}

/* Another program at the database makes the writer wait, but nothing fail. */
static void other_writers_are_waited_for(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);
	struct call *call = call_create(f);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(f, "apd.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	call_put_thread(call, &id, 1);
	call_send(call);
	assert_false(fixture_has_thread(f, &id));
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(call_wait(call), 0);
	assert_true(fixture_has_thread(f, &id));
	call_destroy(call);
	sqlite3_close(db);
}

static void errors_have_their_errno(void **state)
{
	(void)state;
	assert_int_equal(apd_db_errno(SQLITE_OK), 0);
	assert_int_equal(apd_db_errno(SQLITE_ROW), 0);
	assert_int_equal(apd_db_errno(SQLITE_DONE), 0);
	assert_int_equal(apd_db_errno(SQLITE_FULL), -ENOSPC);
	assert_int_equal(apd_db_errno(SQLITE_IOERR_READ), -EIO);
	assert_int_equal(apd_db_errno(SQLITE_READONLY_DBMOVED), -EROFS);
	assert_int_equal(apd_db_errno(SQLITE_BUSY_SNAPSHOT), -EBUSY);
	assert_int_equal(apd_db_errno(SQLITE_INTERRUPT), -ETIME);
	assert_int_equal(apd_db_errno(SQLITE_CORRUPT_VTAB), -EBADMSG);
	assert_int_equal(apd_db_errno(SQLITE_TOOBIG), -E2BIG);
	assert_int_equal(apd_db_errno(SQLITE_INTERNAL), -EIO);
}

static void reads_go_on_while_writes_fail(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), other = fixture_id(f);

	fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &id}));
	fault_vfs_set(FAULT_FULL);
	assert_int_equal(
		fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &other})), -ENOSPC);
	assert_int_equal(fixture_has(f, &id), 0);
	assert_false(fixture_has_thread(f, &other));
	fault_vfs_set(FAULT_NONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(full),
		TEST(write_fails),
		TEST(failed_fsync_ends_the_process),
		TEST(file_limit),
		TEST(other_writers_are_waited_for),
		cmocka_unit_test(errors_have_their_errno),
		TEST(reads_go_on_while_writes_fail),
	};

	fault_vfs_install();
	return cmocka_run_group_tests_name("storage_fault", tests, NULL, NULL);
}
