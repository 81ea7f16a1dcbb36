/* Several runs on one thread: who is refused, who waits, who makes way, and what a rollback leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fakes.h"

/* True if the row's error has the code. */
static bool has_code(const struct apd_run_row *row, const char *code)
{
	char start[64];

	snprintf(start, sizeof(start), "{\"code\":\"%s\",", code);
	return row && row->error.ptr && strncmp(row->error.ptr, start, strlen(start)) == 0;
}

/* Thread 1 with one run in slot 0, which has committed. */
static void begin(struct fake *f, struct fake_call *call)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);

	fake_init(f);
	f->n_slots = 2;
	f->agent.max_queue = 5;
	fake_start(f);
	fake_thread_put(f, 1, NULL);
	fake_create(f, call, APD_MODE_STREAM, &spec, "[{\"id\":\"m\"}]");
	fake_store_all(f);
	assert_int_equal(f->slots[0].invoked, 1);
	fake_commit_later(f, 0, "{\"a\":1}");
	fake_store_all(f);
	assert_int_equal(f->slots[0].committed, AP_OK);
}

static void add(struct fake *f, struct fake_call *call, enum apd_multitask multitask)
{
	struct apd_run_spec spec = fake_spec(1, multitask);

	fake_create(f, call, APD_MODE_BACKGROUND, &spec, NULL);
	fake_store_all(f);
}

static void finish(struct fake *f, struct fake_call *calls, int n)
{
	for (int i = 0; i < n; i++)
		fake_call_finish(&calls[i]);
	fake_finish(f);
}

static void a_second_run_is_refused(void **unused)
{
	struct fake f;
	struct fake_call calls[2];

	(void)unused;
	begin(&f, &calls[0]);
	add(&f, &calls[1], APD_MULTITASK_REJECT);
	assert_int_equal(calls[1].code, APD_PROBLEM_THREAD_BUSY);
	finish(&f, calls, 2);
}

static void runs_that_are_queued_come_in_order(void **unused)
{
	struct fake f;
	struct fake_call calls[4];

	(void)unused;
	begin(&f, &calls[0]);
	for (int i = 1; i < 4; i++)
		add(&f, &calls[i], APD_MULTITASK_ENQUEUE);
	/* They exist, and none has begun though a slot is free. */
	assert_int_equal(calls[3].accepted, 1);
	assert_int_equal(fake_run(&f, &calls[1].row->run_id)->started_us, 0);
	assert_false(f.slots[1].used);
	assert_string_equal(fake_sources(&f, 1), "il");
	fake_done(&f, 0, AP_OK);
	/* Not before the end of the one before is durable. */
	assert_false(f.slots[1].used || f.slots[0].used);
	fake_store(&f, 0);
	fake_store_all(&f);
	assert_int_equal(fake_run(&f, &calls[1].row->run_id)->attempt, 1);
	assert_int_equal(fake_run(&f, &calls[2].row->run_id)->attempt, 0);
	/* One of those that wait is cancelled at once, and leaves no trace in the thread. */
	apd_runtime_cancel_run(f.rt, &calls[2].row->run_id, false, NULL);
	fake_store_all(&f);
	assert_true(has_code(fake_run(&f, &calls[2].row->run_id), "cancelled"));
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	assert_int_equal(fake_run(&f, &calls[3].row->run_id)->attempt, 1);
	assert_string_equal(fake_sources(&f, 1), "ilii");
	finish(&f, calls, 4);
}

static void who_waits_counts_as_queued(void **unused)
{
	struct apd_runtime_stats stats;
	struct fake f;
	struct fake_call calls[4];

	(void)unused;
	begin(&f, &calls[0]);
	f.agent.max_queue = 2;
	for (int i = 1; i < 4; i++)
		add(&f, &calls[i], APD_MULTITASK_ENQUEUE);
	assert_int_equal(calls[3].code, APD_PROBLEM_QUEUE_FULL);
	apd_runtime_stats(f.rt, &stats);
	assert_int_equal(stats.queued, 2);
	finish(&f, calls, 4);
}

static void an_interrupt_keeps_what_was_committed(void **unused)
{
	struct fake f;
	struct fake_call calls[4];

	(void)unused;
	begin(&f, &calls[0]);
	add(&f, &calls[1], APD_MULTITASK_ENQUEUE);
	add(&f, &calls[2], APD_MULTITASK_INTERRUPT);
	add(&f, &calls[3], APD_MULTITASK_ENQUEUE);
	assert_int_equal(f.slots[0].reason, APD_STOP_CANCEL);
	assert_true(has_code(fake_run(&f, &calls[1].row->run_id), "superseded"));
	/* Work done in the grace is kept as well. */
	fake_commit_later(&f, 0, "{\"b\":2}");
	fake_store_all(&f);
	assert_int_equal(f.slots[0].committed, AP_OK);
	fake_done(&f, 0, AP_E_CANCELLED);
	fake_store_all(&f);
	assert_true(has_code(fake_run(&f, &calls[0].row->run_id), "cancelled"));
	assert_string_equal(f.slots[0].values, "{\"a\":1,\"b\":2}");
	assert_int_equal(fake_run(&f, &calls[2].row->run_id)->attempt, 1);
	assert_int_equal(fake_run(&f, &calls[3].row->run_id)->attempt, 0);
	assert_int_equal(fake_thread(&f, 1)->row->rest, APD_THREAD_IDLE);
	finish(&f, calls, 4);
}

static void a_refused_interrupt_stops_nobody(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_INTERRUPT);
	struct fake f;
	struct fake_call calls[2];

	(void)unused;
	begin(&f, &calls[0]);
	fake_create(&f, &calls[1], APD_MODE_BACKGROUND, &spec, NULL);
	fake_store(&f, -EIO);
	assert_int_equal(calls[1].code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(f.slots[0].stopped, 0);
	finish(&f, calls, 2);
}

static void a_rollback_leaves_the_thread_as_it_was(void **unused)
{
	struct fake f;
	struct fake_call calls[2], first;
	char state[256];

	(void)unused;
	begin(&f, &first);
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	snprintf(state, sizeof(state), "%s", fake_state(&f, 1));
	add(&f, &calls[0], APD_MULTITASK_REJECT);
	fake_commit_later(&f, 0, "{\"a\":9,\"c\":3}");
	fake_store_all(&f);
	add(&f, &calls[1], APD_MULTITASK_ROLLBACK);
	assert_int_equal(f.slots[0].reason, APD_STOP_ROLLBACK);
	fake_commit_later(&f, 0, "{\"d\":4}");
	fake_store_all(&f);
	assert_int_equal(f.slots[0].committed, AP_E_CANCELLED);
	f.n_slots = 0;
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	assert_string_equal(fake_state(&f, 1), state);
	assert_null(fake_run(&f, &calls[0].row->run_id));
	/* The next one begins there. */
	f.n_slots = 1;
	apd_runtime_sink.slots(f.rt, APD_STR("a"));
	fake_store_all(&f);
	assert_string_equal(f.slots[0].values, "{\"a\":1}");
	fake_call_finish(&first);
	finish(&f, calls, 2);
}

static void a_rollback_in_each_phase(void **unused)
{
	(void)unused;
	/* 0: queued behind another; 1: waits for a slot; 2: its start is on its way. */
	for (int phase = 0; phase < 3; phase++) {
		struct fake f;
		struct fake_call calls[2];

		begin(&f, &calls[0]);
		f.n_slots = 1;
		if (phase > 0) {
			f.n_slots = 0;
			fake_done(&f, 0, AP_OK);
			fake_store_all(&f);
		}
		add(&f, &calls[1], APD_MULTITASK_ENQUEUE);
		if (phase == 2) {
			f.n_slots = 1;
			apd_runtime_sink.slots(f.rt, APD_STR("a"));
			apd_runtime_flush(f.rt);
			assert_true(f.slots[0].used);
		}
		apd_runtime_cancel_run(f.rt, &calls[1].row->run_id, true, NULL);
		fake_store_all(&f);
		assert_null(fake_run(&f, &calls[1].row->run_id));
		assert_string_equal(fake_sources(&f, 1), "il");
		assert_null(apd_runtime_find_run(f.rt, &calls[1].row->run_id));
		finish(&f, calls, 2);
	}
}

static void an_end_is_not_undone(void **unused)
{
	struct fake f;
	struct fake_call calls[2];

	(void)unused;
	begin(&f, &calls[0]);
	fake_done(&f, 0, AP_OK);
	/* Its end is on its way. */
	add(&f, &calls[1], APD_MULTITASK_ROLLBACK);
	assert_int_equal(calls[0].row->status, APD_RUN_SUCCESS);
	assert_int_equal(calls[1].accepted, 1);
	assert_string_equal(fake_sources(&f, 1), "ili");
	finish(&f, calls, 2);
}

static void nothing_queues_where_the_thread_goes(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_ENQUEUE);
	struct fake f;
	struct fake_call calls[4];

	(void)unused;
	begin(&f, &calls[0]);
	add(&f, &calls[1], APD_MULTITASK_ENQUEUE);
	spec.delete_thread = true;
	fake_create(&f, &calls[2], APD_MODE_BACKGROUND, &spec, NULL);
	assert_int_equal(calls[2].code, APD_PROBLEM_INVALID_REQUEST);
	apd_runtime_cancel_run(f.rt, &calls[1].row->run_id, false, NULL);
	fake_store_all(&f);
	fake_call_finish(&calls[2]);
	fake_create(&f, &calls[2], APD_MODE_BACKGROUND, &spec, NULL);
	fake_store_all(&f);
	assert_int_equal(calls[2].accepted, 1);
	add(&f, &calls[3], APD_MULTITASK_ENQUEUE);
	assert_int_equal(calls[3].code, APD_PROBLEM_INVALID_REQUEST);
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	assert_true(f.slots[0].flags & AP_RUN_EPHEMERAL);
	assert_string_equal(fake_state(&f, 1), "{\"a\":1,\"messages\":[{\"id\":\"m\"}]}");
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	/* The run stays readable, its output with it. */
	assert_string_equal(fake_state(&f, 1), "none");
	assert_true(f.stored->flags & APD_RUN_ROW_EPHEMERAL);
	assert_false(f.stored->at_checkpoint);
	assert_true(apd_str_is(
		f.stored->output, "{\"values\":{\"a\":1},\"messages\":[{\"id\":\"m\"}]}"));
	finish(&f, calls, 4);
}

static void a_cancelled_run_behind_others_takes_no_thread_with_it(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_ENQUEUE);
	struct fake f;
	struct fake_call calls[2];

	(void)unused;
	begin(&f, &calls[0]);
	spec.delete_thread = true;
	fake_create(&f, &calls[1], APD_MODE_BACKGROUND, &spec, NULL);
	fake_store_all(&f);
	apd_runtime_cancel_run(f.rt, &calls[1].row->run_id, false, NULL);
	fake_store_all(&f);
	assert_int_equal(f.threads_deleted, 0);
	finish(&f, calls, 2);
}

static void a_restart_keeps_the_order_and_the_strategies(void **unused)
{
	(void)unused;
	for (int interrupt = 0; interrupt < 2; interrupt++) {
		struct fake f;
		struct fake_call calls[3];

		begin(&f, &calls[0]);
		f.agent.retry_safe = true;
		add(&f, &calls[1], APD_MULTITASK_ENQUEUE);
		add(&f, &calls[2], interrupt ? APD_MULTITASK_INTERRUPT : APD_MULTITASK_ENQUEUE);
		if (interrupt) {
			/* Of those that it took the place of, one was not over yet. */
			assert_int_equal(
				fake_run(&f, &calls[0].row->run_id)->status, APD_RUN_PENDING);
		}
		fake_restart(&f);
		if (interrupt) {
			assert_true(has_code(fake_run(&f, &calls[0].row->run_id), "cancelled"));
			assert_int_equal(fake_run(&f, &calls[2].row->run_id)->attempt, 1);
		} else {
			/* The one that began is tried again first, from its last commit. */
			assert_int_equal(f.slots[0].attempt, 2);
			assert_string_equal(f.slots[0].values, "{\"a\":1}");
			assert_string_equal(fake_sources(&f, 1), "il");
			fake_done(&f, 0, AP_OK);
			fake_store_all(&f);
			assert_int_equal(fake_run(&f, &calls[1].row->run_id)->attempt, 1);
			assert_int_equal(fake_run(&f, &calls[2].row->run_id)->attempt, 0);
		}
		finish(&f, calls, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_run_is_refused),
		cmocka_unit_test(runs_that_are_queued_come_in_order),
		cmocka_unit_test(who_waits_counts_as_queued),
		cmocka_unit_test(an_interrupt_keeps_what_was_committed),
		cmocka_unit_test(a_refused_interrupt_stops_nobody),
		cmocka_unit_test(a_rollback_leaves_the_thread_as_it_was),
		cmocka_unit_test(a_rollback_in_each_phase),
		cmocka_unit_test(an_end_is_not_undone),
		cmocka_unit_test(nothing_queues_where_the_thread_goes),
		cmocka_unit_test(a_cancelled_run_behind_others_takes_no_thread_with_it),
		cmocka_unit_test(a_restart_keeps_the_order_and_the_strategies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
