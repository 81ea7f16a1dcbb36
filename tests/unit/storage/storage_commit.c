/* Commits: what batches do, together or not at all, in order, and that it lasts. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_round_trip(void **state)
{
	struct fixture *f = *state;
	struct apd_run_row *row, *back;

	row = fixture_row(f,
		(struct row_spec){.metadata = "{\"a\":[1]}",
			.error = "{\"code\":\"x\"}",
			.output = "{\"values\":{}}",
			.status = APD_RUN_ERROR,
			.flags = APD_RUN_ROW_BACKGROUND});
	row->started_us = 42;
	row->ended_us = 43;
	row->attempt = UINT32_MAX;
	apd_run_row_ref(row);
	assert_int_equal(fixture_put(f, row), 0);
	assert_int_equal(apd_sqlite_get_run(f->storage, &row->run_id, true, &back), 0);
	assert_true(apd_id_eq(&back->run_id, &row->run_id));
	assert_true(apd_id_eq(&back->thread_id, &row->thread_id));
	assert_int_equal(back->status, APD_RUN_ERROR);
	assert_int_equal(back->flags, APD_RUN_ROW_BACKGROUND | APD_RUN_ROW_EPHEMERAL);
	assert_int_equal(back->attempt, UINT32_MAX);
	assert_int_equal(back->created_us, row->created_us);
	assert_int_equal(back->updated_us, row->updated_us);
	assert_int_equal(back->started_us, 42);
	assert_int_equal(back->ended_us, 43);
	assert_true(apd_str_is(back->agent_id, "echo"));
	assert_true(apd_str_eq(back->request, row->request));
	assert_true(apd_str_is(back->metadata, "{\"a\":[1]}"));
	assert_true(apd_str_is(back->error, "{\"code\":\"x\"}"));
	assert_true(apd_str_is(back->output, "{\"values\":{}}"));
	apd_run_row_unref(back);
	apd_run_row_unref(row);
}

static void absent_stays_absent(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);
	struct apd_run_row *back;

	assert_int_equal(fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &id})), 0);
	assert_int_equal(apd_sqlite_get_run(f->storage, &id, true, &back), 0);
	assert_null(back->error.ptr);
	assert_null(back->output.ptr);
	assert_null(back->result_text);
	assert_true(apd_str_is(back->metadata, "{}"));
	apd_run_row_unref(back);
}

static void put_replaces(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), thread = fixture_id(f);
	struct row_spec spec = {
		.run_id = &id, .thread = &thread, .created_us = 7, .metadata = "{\"b\":2}"};
	struct apd_run_row *back;

	assert_int_equal(fixture_put_thread(f, &thread), 0);
	assert_int_equal(fixture_put(f, fixture_row(f, spec)), 0);
	spec.status = APD_RUN_SUCCESS;
	spec.output = "{\"values\":{\"n\":1}}";
	spec.ended_us = 9;
	assert_int_equal(fixture_put(f, fixture_row(f, spec)), 0);
	assert_int_equal(apd_sqlite_get_run(f->storage, &id, true, &back), 0);
	assert_int_equal(back->status, APD_RUN_SUCCESS);
	assert_int_equal(back->ended_us, 9);
	assert_int_equal(back->created_us, 7);
	assert_true(apd_str_is(back->output, "{\"values\":{\"n\":1}}"));
	assert_true(apd_str_is(back->metadata, "{\"b\":2}"));
	apd_run_row_unref(back);
}

static void deletes_count_what_is_missing(void **state)
{
	struct fixture *f = *state;
	struct apd_id here = fixture_id(f), gone = fixture_id(f), thread = fixture_id(f);
	struct call *call = call_create(f);

	assert_int_equal(fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &here})), 0);
	apd_batch_delete_run(&call->batch, &here);
	apd_batch_delete_run(&call->batch, &gone);
	apd_batch_delete_thread(&call->batch, &thread);
	call->batch.missing = 77;
	call_send(call);
	assert_int_equal(call_wait(call), 0);
	assert_int_equal(call->batch.missing, 2);
	assert_int_equal(fixture_has(f, &here), -ENOENT);
	call_destroy(call);
}

static void threads(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f), other = fixture_id(f);
	struct apd_id kept = fixture_id(f), ephemeral = fixture_id(f), foreign = fixture_id(f);
	struct call *call = call_create(f);

	assert_false(fixture_has_thread(f, &thread));
	assert_int_equal(fixture_put_thread(f, &thread), 0);
	assert_int_equal(fixture_put_thread(f, &thread), 0);
	assert_int_equal(fixture_put_thread(f, &other), 0);
	assert_true(fixture_has_thread(f, &thread));
	fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &kept, .thread = &thread}));
	fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &foreign, .thread = &other}));
	fixture_put(f,
		fixture_row(f,
			(struct row_spec){.run_id = &ephemeral,
				.thread = &thread,
				.flags = APD_RUN_ROW_EPHEMERAL}));
	apd_batch_delete_thread(&call->batch, &thread);
	call_send(call);
	assert_int_equal(call_wait(call), 0);
	assert_int_equal(call->batch.missing, 0);
	call_destroy(call);
	assert_false(fixture_has_thread(f, &thread));
	assert_true(fixture_has_thread(f, &other));
	assert_int_equal(fixture_has(f, &kept), -ENOENT);
	assert_int_equal(fixture_has(f, &ephemeral), 0);
	assert_int_equal(fixture_has(f, &foreign), 0);
}

/* A row that the schema refuses. */
static struct apd_run_row *bad_row(struct fixture *f)
{
	return fixture_row(f, (struct row_spec){.status = (enum apd_run_status)9});
}

static void batch_is_atomic(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f), run = fixture_id(f);
	struct apd_run_row *good = fixture_row(f, (struct row_spec){.run_id = &run});
	struct apd_run_row *bad = bad_row(f);
	struct call *call = call_create(f);

	call_put_thread(call, &thread, 1);
	apd_batch_put_run(&call->batch, good);
	apd_batch_delete_run(&call->batch, &thread);
	apd_batch_put_run(&call->batch, bad);
	apd_run_row_unref(good);
	apd_run_row_unref(bad);
	call_send(call);
	assert_int_equal(call_wait(call), -EINVAL);
	assert_int_equal(call->batch.missing, 0);
	call_destroy(call);
	assert_false(fixture_has_thread(f, &thread));
	assert_int_equal(fixture_has(f, &run), -ENOENT);
}

#define MANY 3000

/* Sends MANY batches of one row, every hundredth bad, and waits. */
static void send_many(struct fixture *f, struct call **calls, struct apd_id *ids)
{
	for (int i = 0; i < MANY; i++) {
		struct apd_run_row *row =
			i % 100 == 50 ? bad_row(f) : fixture_row(f, (struct row_spec){0});

		ids[i] = row->run_id;
		calls[i] = call_create(f);
		apd_batch_put_run(&calls[i]->batch, row);
		apd_run_row_unref(row);
	}
	for (int i = 0; i < MANY; i++)
		call_send(calls[i]);
	call_wait(calls[MANY - 1]);
}

static void bad_one_fails_alone(void **state)
{
	static struct call *calls[MANY];
	static struct apd_id ids[MANY];
	struct fixture *f = *state;
	struct apd_storage_stats stats;

	send_many(f, calls, ids);
	apd_sqlite_stats(f->storage, &stats);
	assert_int_equal(stats.batches, MANY);
	assert_int_equal(stats.failures, MANY / 100);
	/* How many groups it took is the scheduler's, but it cannot be one a batch. */
	assert_true(stats.commits >= MANY / 1024 && stats.commits < MANY);
	assert_true(stats.wal_bytes > 0);
	for (int i = 0; i < MANY; i++) {
		bool bad = i % 100 == 50;

		assert_int_equal(calls[i]->place, i + 1);
		assert_int_equal(calls[i]->result, bad ? -EINVAL : 0);
		assert_int_equal(fixture_has(f, &ids[i]), bad ? -ENOENT : 0);
		call_destroy(calls[i]);
	}
}

static void empty_batch(void **state)
{
	struct call *call = call_create(*state);

	call_send(call);
	assert_int_equal(call_wait(call), 0);
	call_destroy(call);
}

/* Whoever is called back may send the same batch again, or another. */
static unsigned chain_left;

static void chain_done(struct apd_batch *batch, int result)
{
	struct call *call = apd_container_of(batch, struct call, batch);

	assert_int_equal(result, 0);
	if (--chain_left)
		call_send(call);
	else
		call->place = 1;
}

static void batch_is_sent_again_from_done(void **state)
{
	struct fixture *f = *state;
	struct call *call = call_create(f);
	struct apd_id thread = fixture_id(f);

	chain_left = 20;
	call->batch.done = chain_done;
	call_put_thread(call, &thread, 1);
	call_send(call);
	assert_int_equal(call_wait(call), 0);
	assert_int_equal(chain_left, 0);
	call_destroy(call);
}

static void closing_commits_what_waits(void **state)
{
	static struct call *calls[MANY];
	static struct apd_id ids[MANY];
	struct fixture *f = *state;

	for (int i = 0; i < MANY; i++) {
		struct apd_run_row *row = fixture_row(f, (struct row_spec){0});

		ids[i] = row->run_id;
		calls[i] = call_create(f);
		apd_batch_put_run(&calls[i]->batch, row);
		apd_run_row_unref(row);
		call_send(calls[i]);
	}
	fixture_reopen(f);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(calls[i]->place, i + 1);
		assert_int_equal(calls[i]->result, 0);
		assert_int_equal(fixture_has(f, &ids[i]), 0);
		call_destroy(calls[i]);
	}
}

/* In a process of its own: commits rows, tells the id of each durable one, until it is killed. */
static void commit_for_ever(struct fixture *f, int fd)
{
	for (;;) {
		struct apd_id id = fixture_id(f);

		if (fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &id})) < 0)
			_exit(1);
		if (write(fd, &id, sizeof(id)) != sizeof(id))
			_exit(1);
	}
}

static void told_is_durable(void **state)
{
	struct fixture *f = *state;
	struct apd_id ids[50];
	int fds[2], status;
	pid_t pid;

	fixture_close(f);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		fixture_open(f);
		commit_for_ever(f, fds[1]);
	}
	close(fds[1]);
	for (size_t i = 0; i < APD_COUNT(ids); i++)
		assert_int_equal(read(fds[0], &ids[i], sizeof(ids[i])), sizeof(ids[i]));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(fds[0]);
	fixture_open(f);
	for (size_t i = 0; i < APD_COUNT(ids); i++)
		assert_int_equal(fixture_has(f, &ids[i]), 0);
}

/* Batches that nobody waits for gather in one transaction, and one that is waited for takes them along. */
static void lazy_batches_gather(void **state)
{
	struct fixture *f = *state;
	struct apd_storage_stats before, after;
	struct call *calls[40];

	for (int round = 0; round < 2; round++) {
		apd_sqlite_stats(f->storage, &before);
		for (size_t i = 0; i < APD_COUNT(calls); i++) {
			struct apd_run_row *row = fixture_row(f, (struct row_spec){0});

			calls[i] = call_create(f);
			apd_batch_put_run(&calls[i]->batch, row);
			apd_run_row_unref(row);
			calls[i]->batch.lazy = round == 0 || i + 1 < APD_COUNT(calls);
			call_send(calls[i]);
		}
		for (size_t i = APD_COUNT(calls); i-- > 0;)
			assert_int_equal(call_wait(calls[i]), 0);
		for (size_t i = 1; i < APD_COUNT(calls); i++)
			assert_true(calls[i]->place > calls[i - 1]->place);
		for (size_t i = 0; i < APD_COUNT(calls); i++)
			call_destroy(calls[i]);
		apd_sqlite_stats(f->storage, &after);
		assert_true(after.commits - before.commits < APD_COUNT(calls) / 2);
	}
}

/* Rows of half a megabyte, a hundred and fifty in all: more than the WAL may keep. */
static void wal_starts_anew(void **state)
{
	struct fixture *f = *state;
	struct apd_storage_stats stats;
	char *output = malloc((512 << 10) + 1);
	uint64_t most = 0;
	unsigned restarts = 0;

	memset(output, ' ', 512 << 10);
	output[0] = '{';
	output[(512 << 10) - 1] = '}';
	output[512 << 10] = '\0';
	for (uint64_t i = 0, before = 0; i < 600 && restarts < 2; i++, before = stats.wal_bytes) {
		struct apd_run_row *row = fixture_row(f, (struct row_spec){.output = output});

		assert_int_equal(fixture_put(f, row), 0);
		apd_sqlite_stats(f->storage, &stats);
		most = stats.wal_bytes > most ? stats.wal_bytes : most;
		restarts += stats.wal_bytes < before;
	}
	assert_int_equal(restarts, 2);
	assert_true(most < 200 << 20);
	free(output);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(run_round_trip),
		TEST(absent_stays_absent),
		TEST(put_replaces),
		TEST(deletes_count_what_is_missing),
		TEST(threads),
		TEST(batch_is_atomic),
		TEST(bad_one_fails_alone),
		TEST(empty_batch),
		TEST(lazy_batches_gather),
		TEST(batch_is_sent_again_from_done),
		TEST(closing_commits_what_waits),
		TEST(told_is_durable),
		TEST(wal_starts_anew),
	};

	return cmocka_run_group_tests_name("storage_commit", tests, NULL, NULL);
}
