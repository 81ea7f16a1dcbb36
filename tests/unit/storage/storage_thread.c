/* Threads: what batches do to them, and how they are read one by one. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>

#define BYTES "\0\xff\0x"

static struct apd_thread_view get(struct fixture *f, const struct apd_id *id)
{
	struct apd_thread_view view;

	assert_int_equal(f->storage->ops->get_thread(f->storage, id, &view), 0);
	return view;
}

static void round_trip(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);
	struct apd_thread_row row = {.thread_id = id,
		.created_us = 5,
		.updated_us = 7,
		.rest = APD_THREAD_INTERRUPTED,
		.metadata = APD_STR("{\"a\":[1, 2]}"),
		.interrupts = APD_STR("[{\"id\":\"q\"}]"),
		.continuation = APD_STR(BYTES)};
	struct apd_thread_view view;

	assert_int_equal(fixture_put_thread_row(f, row), 0);
	for (int i = 0; i < 2; i++) {
		view = get(f, &id);
		assert_true(apd_id_eq(&view.thread->thread_id, &id));
		assert_int_equal(view.thread->created_us, 5);
		assert_int_equal(view.thread->updated_us, 7);
		assert_int_equal(view.thread->rest, APD_THREAD_INTERRUPTED);
		assert_true(apd_str_is(view.thread->metadata, "{\"a\":[1, 2]}"));
		assert_true(apd_str_is(view.thread->interrupts, "[{\"id\":\"q\"}]"));
		assert_true(apd_str_eq(view.thread->continuation, APD_STR(BYTES)));
		assert_null(view.head);
		assert_false(view.busy);
		fixture_assert_state(view.state, "{}");
		apd_thread_view_finish(&view);
		fixture_reopen(f);
	}
	/* All is replaced but created_us; nothing stays nothing, and empty stays empty. */
	row = (struct apd_thread_row){.thread_id = id,
		.created_us = 99,
		.updated_us = 8,
		.metadata = APD_STR("{}"),
		.continuation = APD_STR("")};
	assert_int_equal(fixture_put_thread_row(f, row), 0);
	view = get(f, &id);
	assert_int_equal(view.thread->created_us, 5);
	assert_int_equal(view.thread->updated_us, 8);
	assert_int_equal(view.thread->rest, APD_THREAD_IDLE);
	assert_true(apd_str_is(view.thread->metadata, "{}"));
	assert_null(view.thread->interrupts.ptr);
	assert_non_null(view.thread->continuation.ptr);
	assert_int_equal(view.thread->continuation.len, 0);
	apd_thread_view_finish(&view);
}

static void what_is_only_replaced_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);
	struct apd_thread_row *row = apd_thread_row_create(&(struct apd_thread_row){
		.thread_id = id, .updated_us = 9, .metadata = APD_STR("{\"a\":1}")});
	struct apd_thread_view view;

	for (int there = 0; there < 2; there++) {
		struct call *call = call_create(f);

		apd_batch_replace_thread(&call->batch, row);
		assert_int_equal(call_finish(call), there ? 0 : -ENOENT);
		assert_int_equal(fixture_has_thread(f, &id), there);
		if (!there)
			assert_int_equal(fixture_put_thread(f, &id), 0);
	}
	view = get(f, &id);
	assert_int_equal(view.thread->updated_us, 9);
	apd_thread_view_finish(&view);
	apd_thread_row_unref(row);
}

static void nothing_is_there(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);
	struct apd_thread_view view;
	struct apd_history_read read = {.thread_id = id, .limit = 10};
	struct apd_load load = {.type = APD_LOAD_THREAD, .id = id};

	assert_int_equal(f->storage->ops->get_thread(f->storage, &id, &view), -ENOENT);
	assert_int_equal(fixture_history(f, &read), -ENOENT);
	assert_null(read.items);
	assert_int_equal(fixture_load(f, &load), 0);
	assert_false(load.found);
	load = (struct apd_load){.type = APD_LOAD_CHECKPOINT, .id = id};
	assert_int_equal(fixture_load(f, &load), 0);
	assert_false(load.found || load.found_at);
	assert_int_equal(fixture_delete_thread(f, &id), 1);
}

/* Puts into a thread that is not there fail, each by itself, among others that do not. */
static void puts_need_their_thread(void **state)
{
	struct fixture *f = *state;
	struct apd_id here = fixture_id(f), gone = fixture_id(f);
	struct call *calls[30];

	fixture_put_thread(f, &here);
	fixture_put_thread(f, &gone);
	assert_int_equal(fixture_delete_thread(f, &gone), 0);
	for (size_t i = 0; i < APD_COUNT(calls); i++) {
		const struct apd_id *thread = i % 3 ? &here : &gone;

		calls[i] = call_create(f);
		if (i % 2) {
			struct apd_run_row *row =
				fixture_row(f, (struct row_spec){.thread = thread});

			apd_batch_put_run(&calls[i]->batch, row);
			apd_run_row_unref(row);
		} else {
			struct apd_checkpoint_row *row = fixture_checkpoint(
				f, (struct checkpoint_spec){.thread = thread, .patch = "{}"});

			apd_batch_put_checkpoint(&calls[i]->batch, row);
			apd_checkpoint_row_unref(row);
		}
	}
	for (size_t i = 0; i < APD_COUNT(calls); i++)
		call_send(calls[i]);
	for (size_t i = 0; i < APD_COUNT(calls); i++) {
		assert_int_equal(call_wait(calls[i]), i % 3 ? 0 : -ENOENT);
		call_destroy(calls[i]);
	}
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM checkpoint"), 10);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run"), 10);
}

/* A batch that fails takes its thread back, and what was remembered of it. */
static void failed_batch_takes_its_thread_back(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), other = fixture_id(f);
	struct call *call = call_create(f);
	struct apd_checkpoint_row *bad =
		fixture_checkpoint(f, (struct checkpoint_spec){.thread = &other, .patch = "{}"});
	struct checkpoint_spec spec = {.thread = &id, .patch = "{}"};

	call_put_thread(call, &id, 1);
	apd_batch_put_checkpoint(&call->batch, bad);
	apd_checkpoint_row_unref(bad);
	assert_int_equal(call_finish(call), -ENOENT);
	assert_false(fixture_has_thread(f, &id));
	assert_int_equal(fixture_put_checkpoint(f, spec, NULL), -ENOENT);
	assert_int_equal(fixture_put_thread(f, &id), 0);
	assert_int_equal(fixture_put_checkpoint(f, spec, NULL), 0);
}

static void busy_while_a_run_is_pending(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), run = fixture_id(f), second = fixture_id(f);
	struct row_spec spec = {.thread = &id, .run_id = &run};
	struct apd_thread_view view;

	fixture_put_thread_row(
		f, (struct apd_thread_row){.thread_id = id, .rest = APD_THREAD_ERROR});
	for (int i = 0; i < 3; i++) {
		spec.status = i % 2 ? APD_RUN_ERROR : APD_RUN_PENDING;
		assert_int_equal(fixture_put(f, fixture_row(f, spec)), 0);
		view = get(f, &id);
		assert_int_equal(apd_thread_view_status(&view),
			i % 2 ? APD_THREAD_STATUS_ERROR : APD_THREAD_STATUS_BUSY);
		apd_thread_view_finish(&view);
	}
	spec.run_id = &second;
	fixture_put(f, fixture_row(f, spec));
	spec.run_id = &run;
	spec.status = APD_RUN_SUCCESS;
	fixture_put(f, fixture_row(f, spec));
	view = get(f, &id);
	assert_true(view.busy);
	apd_thread_view_finish(&view);
	struct call *call = call_create(f);
	apd_batch_delete_run(&call->batch, &second);
	assert_int_equal(call_finish(call), 0);
	view = get(f, &id);
	assert_false(view.busy);
	apd_thread_view_finish(&view);
}

/* Puts a thread with three checkpoints, the ids of which it leaves, and an ended run. */
static void fill(
	struct fixture *f, const struct apd_id *id, struct apd_id ids[3], const struct apd_id *run)
{
	static const char *const patches[] = {
		"{\"a\":1}", "{\"b\":2,\"messages\":[{\"id\":\"m\",\"x\":1}]}", "{\"a\":3}"};

	assert_int_equal(fixture_put_thread(f, id), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fixture_put_checkpoint(f,
					 (struct checkpoint_spec){.thread = id,
						 .parent = i ? &ids[i - 1] : NULL,
						 .run = run,
						 .step = i,
						 .patch = patches[i]},
					 &ids[i]),
			0);
	assert_int_equal(fixture_put(f,
				 fixture_row(f,
					 (struct row_spec){.thread = id,
						 .run_id = run,
						 .metadata = "{\"k\":1}",
						 .status = APD_RUN_SUCCESS})),
		0);
}

/* The thread is gone at once with all it had, and one of the same id has nothing of it. */
static void deleted_and_made_again(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), run = fixture_id(f), ids[3];
	struct apd_load active = {.type = APD_LOAD_ACTIVE_RUNS};
	struct apd_thread_view view;

	for (int round = 0; round < 5; round++) {
		struct apd_id pending = fixture_id(f);
		struct apd_run_search search = {.query = {.status = -1, .limit = 10}};
		struct apd_run_search tagged = {
			.query = {.status = -1, .limit = 10, .metadata = APD_STR("{\"k\":1}")}};

		run = fixture_id(f);
		fill(f, &id, ids, &run);
		fixture_put(f,
			fixture_row(f,
				(struct row_spec){.thread = &id,
					.run_id = &pending,
					.status = APD_RUN_PENDING}));
		view = get(f, &id);
		fixture_assert_state(
			view.state, "{\"a\":3,\"b\":2,\"messages\":[{\"id\":\"m\",\"x\":1}]}");
		assert_true(apd_id_eq(&view.head->checkpoint_id, &ids[2]));
		assert_true(view.busy);
		apd_thread_view_finish(&view);
		assert_int_equal(fixture_delete_thread(f, &id), 0);
		assert_false(fixture_has_thread(f, &id));
		assert_int_equal(fixture_has(f, &run), -ENOENT);
		assert_int_equal(fixture_has(f, &pending), -ENOENT);
		assert_int_equal(fixture_search(f, &search), 0);
		assert_int_equal(search.n_rows, 0);
		free(search.rows);
		assert_int_equal(fixture_search(f, &tagged), 0);
		assert_int_equal(tagged.n_rows, 0);
		free(tagged.rows);
		assert_int_equal(fixture_load(f, &active), 0);
		assert_int_equal(active.n_runs, 0);
		free(active.runs);
		if (round % 2)
			fixture_reopen(f);
		assert_int_equal(fixture_put_thread(f, &id), 0);
		view = get(f, &id);
		fixture_assert_state(view.state, "{}");
		assert_false(view.busy);
		apd_thread_view_finish(&view);
		if (round == 3)
			break;
		assert_int_equal(fixture_delete_thread(f, &id), 0);
	}
}

/* The run that takes its thread with it stays readable, and is an ephemeral one from then on. */
static void run_outlives_its_thread(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), run = fixture_id(f), ids[3];
	struct call *call = call_create(f);
	struct apd_run_row *row, *back;

	fill(f, &id, ids, &run);
	row = fixture_row(f,
		(struct row_spec){.thread = &id,
			.run_id = &run,
			.metadata = "{\"k\":1}",
			.flags = APD_RUN_ROW_EPHEMERAL | APD_RUN_ROW_DELETE_THREAD,
			.output = "{\"values\":{\"a\":3}}",
			.ended_us = 50,
			.status = APD_RUN_SUCCESS});
	apd_batch_delete_thread(&call->batch, &id);
	apd_batch_put_run(&call->batch, row);
	apd_run_row_unref(row);
	assert_int_equal(call_finish(call), 0);
	/* Something is left for as long as something is purged. */
	while (fixture_sql(f, "SELECT count(*) FROM purge") > 0)
		fixture_put(f, fixture_row(f, (struct row_spec){0}));
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM checkpoint"), 0);
	assert_int_equal(apd_sqlite_get_run(f->storage, &run, true, &back), 0);
	assert_true(apd_str_is(back->output, "{\"values\":{\"a\":3}}"));
	apd_run_row_unref(back);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run_tag"), 1);
	/* And it goes as those do. */
	apd_sqlite_sweep(f->storage, &(struct apd_sweep){.runs_before_us = 51, .max = 10});
	while (fixture_has(f, &run) == 0)
		fixture_put_thread(f, &id);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run_tag"), 0);
}

static void copies_are_independent(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), run = fixture_id(f), copy = fixture_id(f), ids[3];
	struct apd_history_read read = {.thread_id = copy, .limit = 10};
	struct apd_thread_row *row = apd_thread_row_create(&(struct apd_thread_row){
		.thread_id = copy, .created_us = 77, .metadata = APD_STR("{\"c\":1}")});
	struct apd_thread_view view;

	fill(f, &id, ids, &run);
	for (int i = 0; i < 2; i++) {
		/* Once of nothing. */
		struct apd_id none = fixture_id(f);
		struct call *call = call_create(f);

		apd_batch_copy_thread(&call->batch, i ? &id : &none, row);
		call_send(call);
		assert_int_equal(call_wait(call), 0);
		assert_int_equal(call->batch.missing, !i);
		assert_int_equal(fixture_has_thread(f, &copy), i);
		call_destroy(call);
	}
	apd_thread_row_unref(row);
	assert_int_equal(fixture_put_checkpoint(f,
				 (struct checkpoint_spec){.thread = &id,
					 .parent = &ids[2],
					 .step = 3,
					 .patch = "{\"new\":1}"},
				 NULL),
		0);
	fixture_delete_thread(f, &id);
	view = get(f, &copy);
	assert_int_equal(view.thread->created_us, 77);
	fixture_assert_state(view.state, "{\"a\":3,\"b\":2,\"messages\":[{\"id\":\"m\",\"x\":1}]}");
	apd_thread_view_finish(&view);
	assert_int_equal(fixture_history(f, &read), 0);
	assert_int_equal(read.n_items, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(apd_id_eq(&read.items[i].row->checkpoint_id, &ids[2 - i]));
		assert_true(apd_id_eq(&read.items[i].row->thread_id, &copy));
	}
	fixture_items_free(read.items, read.n_items);
	assert_int_equal(fixture_put_checkpoint(f,
				 (struct checkpoint_spec){.thread = &copy,
					 .parent = &ids[1],
					 .step = 2,
					 .source = APD_SOURCE_FORK,
					 .patch = "{}"},
				 NULL),
		0);
	view = get(f, &copy);
	fixture_assert_state(view.state, "{\"a\":1,\"b\":2,\"messages\":[{\"id\":\"m\",\"x\":1}]}");
	apd_thread_view_finish(&view);
}

static void undo(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), run = fixture_id(f), none = fixture_id(f), ids[3];
	static const char *const expected[] = {
		"{\"a\":1,\"b\":2,\"messages\":[{\"id\":\"m\",\"x\":1}]}", "{\"a\":1}", "{}"};

	fill(f, &id, ids, &run);
	for (int i = 0; i < 3; i++) {
		struct call *call = call_create(f);
		struct apd_thread_view view;

		apd_batch_undo_checkpoints(&call->batch, &id, i < 2 ? &ids[1 - i] : NULL);
		apd_batch_undo_checkpoints(&call->batch, &none, NULL);
		call_send(call);
		assert_int_equal(call_wait(call), 0);
		assert_int_equal(call->batch.missing, 0);
		call_destroy(call);
		view = get(f, &id);
		fixture_assert_state(view.state, expected[i]);
		assert_true(i < 2 ? apd_id_eq(&view.head->checkpoint_id, &ids[1 - i]) : !view.head);
		apd_thread_view_finish(&view);
	}
}

/* The output of a run at a checkpoint is made when it is asked for, of what was there then. */
static void output_of_a_checkpoint(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f), run = fixture_id(f), ids[3];
	static const struct {
		const char *keys;
		const char *output;
	} cases[] = {
		{NULL, "{\"values\":{\"a\":1,\"b\":2},\"messages\":[{\"id\":\"m\",\"x\":1}]}"},
		{"[\"b\"]", "{\"values\":{\"b\":2},\"messages\":[{\"id\":\"m\",\"x\":1}]}"},
		{"[\"none\", \"\\u0062\",\"a\"]",
			"{\"values\":{\"\\u0062\":2,\"a\":1},\"messages\":[{\"id\":\"m\",\"x\":1}]"
			"}"},
		{"[]", "{\"values\":{},\"messages\":[{\"id\":\"m\",\"x\":1}]}"},
	};

	fill(f, &id, ids, &run);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_run_row *row = fixture_row(f,
			(struct row_spec){.thread = &id,
				.run_id = &run,
				.error = "{\"code\":\"x\"}",
				.output = "{\"values\":{\"not\":\"stored\"}}",
				.status = APD_RUN_SUCCESS});
		struct apd_run_row *back;

		row->at_checkpoint = row->has_base = true;
		row->checkpoint_id = ids[1];
		row->base_id = ids[0];
		row->output_keys = apd_str(cases[i].keys);
		row->interrupts = APD_STR("[{\"id\":\"q\"}]");
		assert_int_equal(fixture_put(f, row), 0);
		assert_int_equal(apd_sqlite_get_run(f->storage, &run, false, &back), 0);
		assert_null(back->output.ptr);
		assert_true(back->at_checkpoint && back->has_base);
		assert_true(apd_id_eq(&back->checkpoint_id, &ids[1]));
		assert_true(apd_id_eq(&back->base_id, &ids[0]));
		assert_true(apd_str_eq(back->output_keys, apd_str(cases[i].keys)));
		apd_run_row_unref(back);
		assert_int_equal(apd_sqlite_get_run(f->storage, &run, true, &back), 0);
		assert_true(apd_str_is(back->output, cases[i].output));
		assert_true(apd_str_is(back->error, "{\"code\":\"x\"}"));
		assert_true(apd_str_is(back->interrupts, "[{\"id\":\"q\"}]"));
		apd_run_row_unref(back);
	}
	/* Where the checkpoint is gone, the answer is an error and not another state. */
	fixture_sql(f, "DELETE FROM checkpoint WHERE step = 1");
	assert_int_equal(apd_sqlite_get_run(f->storage, &run, true, &(struct apd_run_row *){NULL}),
		-EBADMSG);
}

/* A row of the outbox. */
static struct apd_outbox_row *outbox_row(struct fixture *f, int64_t next_us, const char *url)
{
	struct apd_outbox_row *row = apd_outbox_row_create(apd_text_create(apd_str(url)));

	row->id = fixture_id(f);
	row->run_id = fixture_id(f);
	row->created_us = ++f->now_us;
	row->next_us = next_us;
	row->url = apd_text_str(row->text);
	row->body = APD_STR("{\"b\":1}");
	return row;
}

static int put_outbox(struct fixture *f, struct apd_outbox_row *row)
{
	struct call *call = call_create(f);

	apd_batch_put_outbox(&call->batch, row);
	return call_finish(call);
}

/* Reads what is due and compares next_us of all, in order, and when the next one is due. */
static void assert_due(struct fixture *f, int64_t now_us, uint32_t limit, size_t n,
	const int64_t *next, int64_t after)
{
	struct apd_outbox_row **rows;
	int64_t next_us;
	size_t count;

	assert_int_equal(
		apd_sqlite_read_outbox(f->storage, now_us, limit, &rows, &count, &next_us), 0);
	assert_int_equal(count, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(rows[i]->next_us, next[i]);
		assert_true(apd_str_is(rows[i]->url, "http://x/"));
		assert_true(apd_str_is(rows[i]->body, "{\"b\":1}"));
		apd_outbox_row_unref(rows[i]);
	}
	free(rows);
	assert_int_equal(next_us, after);
}

static void outbox(void **state)
{
	static const int64_t times[] = {30, 10, 20, 40};
	struct fixture *f = *state;
	struct apd_outbox_row *rows[4];
	struct call *call = call_create(f);

	assert_due(f, 100, 10, 0, NULL, INT64_MAX);
	for (size_t i = 0; i < 4; i++) {
		rows[i] = outbox_row(f, times[i], "http://x/");
		assert_int_equal(put_outbox(f, rows[i]), 0);
	}
	assert_due(f, 9, 10, 0, NULL, 10);
	assert_due(f, 30, 10, 3, (int64_t[]){10, 20, 30}, 40);
	assert_due(f, 30, 2, 2, (int64_t[]){10, 20}, 30);
	assert_due(f, 100, 4, 4, (int64_t[]){10, 20, 30, 40}, INT64_MAX);
	assert_due(f, 100, 0, 0, NULL, 10);
	/* Another try replaces nothing but its time and number. */
	struct apd_outbox_row *again = outbox_row(f, 50, "http://other/");
	again->id = rows[1]->id;
	again->attempts = 3;
	assert_int_equal(put_outbox(f, again), 0);
	assert_due(f, 100, 4, 4, (int64_t[]){20, 30, 40, 50}, INT64_MAX);
	assert_int_equal(fixture_sql(f, "SELECT attempts FROM outbox WHERE next_us = 50"), 3);
	apd_batch_delete_outbox(&call->batch, &rows[1]->id);
	apd_batch_delete_outbox(&call->batch, &rows[1]->id);
	call_send(call);
	assert_int_equal(call_wait(call), 0);
	assert_int_equal(call->batch.missing, 1);
	call_destroy(call);
	fixture_reopen(f);
	assert_due(f, 100, 9, 3, (int64_t[]){20, 30, 40}, INT64_MAX);
	for (size_t i = 0; i < 4; i++)
		apd_outbox_row_unref(rows[i]);
	apd_outbox_row_unref(again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(round_trip),
		TEST(what_is_only_replaced_does_not_come_back),
		TEST(nothing_is_there),
		TEST(puts_need_their_thread),
		TEST(failed_batch_takes_its_thread_back),
		TEST(busy_while_a_run_is_pending),
		TEST(deleted_and_made_again),
		TEST(run_outlives_its_thread),
		TEST(copies_are_independent),
		TEST(undo),
		TEST(output_of_a_checkpoint),
		TEST(outbox),
	};

	return cmocka_run_group_tests_name("storage_thread", tests, NULL, NULL);
}
