/* State of kept threads: input, commits, what fails, what survives, and what is told of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fakes.h"

/* A world with thread 1 and a run of it in slot 0. */
static void begin(struct fake *f, struct fake_call *call, enum apd_run_mode mode)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);

	fake_init(f);
	f->agent.wants_transcript = true;
	fake_start(f);
	fake_thread_put(f, 1, NULL);
	fake_create(f, call, mode, &spec, "[{\"id\":\"m\"}]");
	fake_store(f, 0);
	fake_store_all(f);
	assert_int_equal(f->slots[0].invoked, 1);
}

static struct apd_checkpoint_row *point(struct fake *f, unsigned i)
{
	return fake_thread(f, 1)->points[i];
}

static void the_request_is_the_first_checkpoint(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake f;
	struct fake_call call;
	struct apd_run_row *row;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	/* It rode along with the creation. */
	assert_int_equal(f.stored_count, 1);
	assert_string_equal(fake_sources(&f, 1), "i");
	assert_true(apd_str_is(point(&f, 0)->patch, "{\"messages\":[{\"id\":\"m\"}]}"));
	assert_true(apd_id_eq(&point(&f, 0)->run_id, &f.stored->run_id));
	assert_string_equal(f.slots[0].transcript, "[{\"id\":\"m\"}]");
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	fake_call_finish(&call);
	spec.update = APD_STR("{\"k\":1}");
	fake_create(&f, &call, APD_MODE_WAIT, &spec, "[{\"id\":\"n\"}]");
	fake_store_all(&f);
	assert_string_equal(f.slots[0].values, "{\"k\":1}");
	assert_string_equal(f.slots[0].transcript, "[{\"id\":\"m\"},{\"id\":\"n\"}]");
	row = f.stored;
	assert_true(row->has_base);
	assert_true(apd_id_eq(&row->base_id, &point(&f, 0)->checkpoint_id));
	assert_int_equal(point(&f, 1)->step, 1);
	assert_true(apd_id_eq(&point(&f, 1)->parent_id, &point(&f, 0)->checkpoint_id));
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_commit_is_durable_before_it_is_told(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	begin(&f, &call, APD_MODE_STREAM);
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_commit_later(&f, 0, "{\"b\":2}");
	apd_runtime_flush(f.rt);
	assert_int_equal(f.slots[0].commit, 0);
	assert_string_equal(fake_events(call.log), "started");
	fake_store(&f, 0);
	/* One at a time. */
	assert_int_equal(f.slots[0].commit, 1);
	assert_string_equal(fake_sources(&f, 1), "il");
	assert_string_equal(fake_events(call.log), "started updates values checkpoint");
	fake_store(&f, 0);
	assert_int_equal(f.slots[0].commit, 2);
	assert_string_equal(fake_state(&f, 1), "{\"a\":1,\"b\":2,\"messages\":[{\"id\":\"m\"}]}");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_commit_that_fails_changes_nothing(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	begin(&f, &call, APD_MODE_STREAM);
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_commit_later(&f, 0, "{\"b\":2}");
	fake_store(&f, -EIO);
	assert_int_equal(f.slots[0].commit, 1);
	assert_int_equal(f.slots[0].committed, AP_E_UNAVAILABLE);
	fake_store(&f, 0);
	assert_int_equal(f.slots[0].committed, AP_OK);
	assert_string_equal(fake_events(call.log), "started updates values checkpoint");
	assert_string_equal(fake_state(&f, 1), "{\"b\":2,\"messages\":[{\"id\":\"m\"}]}");
	assert_true(apd_id_eq(&point(&f, 1)->parent_id, &point(&f, 0)->checkpoint_id));
	fake_commit(&f, 0, "[1]");
	assert_int_equal(f.slots[0].committed, AP_E_INVALID);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void the_end_waits_for_a_commit_on_its_way(void **unused)
{
	struct fake f;
	struct fake_call call;
	struct apd_run_row *row;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_commit_later(&f, 0, "{\"lost\":1}");
	fake_done(&f, 0, AP_OK);
	assert_int_equal(call.ended, 0);
	fake_store(&f, 0);
	fake_store_all(&f);
	assert_int_equal(call.ended, 1);
	row = fake_run(&f, &call.row->run_id);
	assert_true(row->at_checkpoint);
	assert_true(apd_id_eq(&row->checkpoint_id, &point(&f, 1)->checkpoint_id));
	assert_true(
		apd_str_is(row->output, "{\"values\":{\"a\":1},\"messages\":[{\"id\":\"m\"}]}"));
	fake_call_finish(&call);
	fake_finish(&f);
}

static void the_output_is_told_once_and_then_lies_in_storage(void **unused)
{
	struct fake f;
	struct fake_call call, late;
	struct apd_run_row *row;

	(void)unused;
	begin(&f, &call, APD_MODE_STREAM);
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	assert_non_null(call.row->output.ptr);
	row = apd_runtime_find_run(f.rt, &call.row->run_id);
	assert_int_equal(row->status, APD_RUN_SUCCESS);
	assert_true(row->at_checkpoint);
	assert_null(row->output.ptr);
	fake_call_init(&late);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_WAIT, &late.call), -ENOENT);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_STREAM, &late.call), 0);
	assert_int_equal(late.ended, 1);
	fake_call_finish(&late);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_lost_attempt_keeps_what_was_on_its_way(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	begin(&f, &call, APD_MODE_STREAM);
	f.agent.retry_safe = true;
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_commit_later(&f, 0, "{\"lost\":1}");
	apd_runtime_flush(f.rt);
	fake_lose(&f, 0);
	/* Not before it is known what became of the commit. */
	assert_int_equal(f.slots[0].invoked, 1);
	fake_store_all(&f);
	assert_int_equal(f.slots[0].invoked, 2);
	assert_string_equal(f.slots[0].values, "{\"a\":1}");
	assert_int_equal(f.slots[0].commit, 0);
	assert_string_equal(fake_sources(&f, 1), "il");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void the_chain_is_cut_by_whole_checkpoints(void **unused)
{
	char patch[4096];
	unsigned whole = 0;
	struct fake f;
	struct fake_call call;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	snprintf(patch, sizeof(patch), "{\"big\":\"%04000d\"}", 7);
	for (int i = 0; i < 12; i++) {
		fake_commit_later(&f, 0, patch);
		fake_store_all(&f);
	}
	for (unsigned i = 0; i < fake_thread(&f, 1)->n_points; i++) {
		whole += point(&f, i)->whole;
		if (point(&f, i)->whole)
			assert_non_null(memmem(point(&f, i)->patch.ptr, point(&f, i)->patch.len,
				"\"id\":\"m\"", 8));
	}
	assert_in_range(whole, 2, 6);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void ids_rise_when_the_clock_does_not(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake f;
	struct fake_call call;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	/* The next life begins with a clock that is an hour behind; the fake checks the order. */
	f.now -= 3600 * APD_NS_PER_S;
	fake_restart(&f);
	fake_call_finish(&call);
	fake_create(&f, &call, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(&f);
	fake_commit_later(&f, 0, "{}");
	fake_store_all(&f);
	assert_string_equal(fake_sources(&f, 1), "iil");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_start_that_fails_is_tried_again_with_its_input(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	f.n_slots = 0;
	fake_start(&f);
	fake_thread_put(&f, 1, NULL);
	fake_create(&f, &call, APD_MODE_BACKGROUND, &spec, "[{\"id\":\"m\"}]");
	fake_store_all(&f);
	assert_string_equal(fake_sources(&f, 1), "");
	f.n_slots = 1;
	apd_runtime_sink.slots(f.rt, APD_STR("a"));
	fake_store(&f, -EIO);
	assert_int_equal(f.slots[0].invoked, 0);
	fake_sleep(&f, 2 * APD_NS_PER_S);
	fake_store_all(&f);
	assert_int_equal(f.slots[0].invoked, 1);
	assert_string_equal(fake_sources(&f, 1), "i");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void who_is_cancelled_while_it_starts_has_begun_or_not(void **unused)
{
	(void)unused;
	for (int fails = 0; fails < 2; fails++) {
		struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
		struct fake f;
		struct fake_call call;

		fake_init(&f);
		f.n_slots = 0;
		fake_start(&f);
		fake_thread_put(&f, 1, NULL);
		fake_create(&f, &call, APD_MODE_BACKGROUND, &spec, "[{\"id\":\"m\"}]");
		fake_store_all(&f);
		f.n_slots = 1;
		apd_runtime_sink.slots(f.rt, APD_STR("a"));
		apd_runtime_flush(f.rt);
		apd_runtime_cancel_run(f.rt, &call.row->run_id, false, NULL);
		fake_store(&f, fails ? -EIO : 0);
		fake_store_all(&f);
		assert_false(f.slots[0].used);
		assert_int_equal(f.stored->status, APD_RUN_INTERRUPTED);
		assert_int_equal(f.stored->at_checkpoint, !fails);
		assert_string_equal(fake_sources(&f, 1), fails ? "" : "i");
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

static void a_rollback_after_a_restart_reads_what_was_before(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake f;
	struct fake_call call, stream, next;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	f.agent.retry_safe = true;
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_store_all(&f);
	fake_restart(&f);
	assert_int_equal(f.slots[0].attempt, 2);
	assert_string_equal(f.slots[0].values, "{\"a\":1}");
	fake_call_init(&stream);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &f.stored->run_id, APD_MODE_STREAM, &stream.call), 0);
	apd_runtime_cancel_run(f.rt, &f.stored->run_id, true, NULL);
	fake_done(&f, 0, AP_E_CANCELLED);
	fake_store_all(&f);
	assert_int_equal(stream.ended, 1);
	assert_string_equal(fake_events(stream.log), "started values ended");
	assert_string_equal(fake_sources(&f, 1), "");
	fake_create(&f, &next, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(&f);
	assert_string_equal(f.slots[0].values, "{}");
	assert_string_equal(f.slots[0].transcript, "[]");
	fake_call_finish(&call);
	fake_call_finish(&stream);
	fake_call_finish(&next);
	fake_finish(&f);
}

static void nobody_begins_before_what_a_rollback_left_is_read(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_ENQUEUE);
	struct fake f;
	struct fake_call call, next;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	f.agent.retry_safe = true;
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_store_all(&f);
	fake_restart(&f);
	fake_create(&f, &next, APD_MODE_BACKGROUND, &spec, NULL);
	fake_store_all(&f);
	apd_runtime_cancel_run(f.rt, &fake_thread(&f, 1)->points[0]->run_id, true, NULL);
	fake_done(&f, 0, AP_E_CANCELLED);
	fake_store(&f, 0);
	/* It is undone, and the read of what is left fails. */
	assert_string_equal(fake_sources(&f, 1), "");
	fake_store(&f, -EIO);
	assert_int_equal(f.slots[0].invoked, 1);
	fake_sleep(&f, 2 * APD_NS_PER_S);
	fake_store_all(&f);
	assert_int_equal(f.slots[0].invoked, 2);
	assert_string_equal(f.slots[0].values, "{}");
	fake_call_finish(&call);
	fake_call_finish(&next);
	fake_finish(&f);
}

static void a_restart_ends_what_cannot_be_tried_again(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	begin(&f, &call, APD_MODE_WAIT);
	fake_commit_later(&f, 0, "{\"a\":1}");
	fake_store_all(&f);
	fake_restart(&f);
	assert_int_equal(f.stored->status, APD_RUN_ERROR);
	assert_true(apd_id_eq(&f.stored->checkpoint_id, &point(&f, 1)->checkpoint_id));
	assert_int_equal(fake_thread(&f, 1)->row->rest, APD_THREAD_ERROR);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void is_done(void *data)
{
	*(bool *)data = true;
}

static void a_shutdown_leaves_the_state_for_the_next_life(void **unused)
{
	(void)unused;
	/* 0: executing; 1: its start is on its way; 2: its start fails. */
	for (int phase = 0; phase < 3; phase++) {
		struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
		struct fake f;
		struct fake_call call;
		bool done = false;

		fake_init(&f);
		f.agent.retry_safe = f.agent.wants_transcript = true;
		f.n_slots = phase == 0;
		fake_start(&f);
		fake_thread_put(&f, 1, NULL);
		fake_create(&f, &call, APD_MODE_BACKGROUND, &spec, "[{\"id\":\"m\"}]");
		fake_store_all(&f);
		f.n_slots = 1;
		apd_runtime_sink.slots(f.rt, APD_STR("a"));
		apd_runtime_flush(f.rt);
		assert_true(f.slots[0].used);
		apd_runtime_shutdown(f.rt, is_done, &done);
		if (phase == 0)
			fake_done(&f, 0, AP_E_CANCELLED);
		fake_store(&f, phase == 2 ? -EIO : 0);
		fake_store_all(&f);
		assert_true(done);
		assert_int_equal(f.stored->status, APD_RUN_PENDING);
		assert_int_equal(f.stored->started_us, 0);
		assert_int_equal(f.stored->has_base, phase != 2);
		fake_restart(&f);
		assert_int_equal(f.slots[0].invoked, 1);
		assert_string_equal(f.slots[0].transcript, "[{\"id\":\"m\"}]");
		assert_string_equal(fake_sources(&f, 1), "i");
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

static void a_webhook_rides_with_the_end(void **unused)
{
	(void)unused;
	/* 0: on a thread; 1: on none; 2: after a restart; 3: rolled back. */
	for (int way = 0; way < 4; way++) {
		struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
		struct fake f;
		struct fake_call call;

		fake_init(&f);
		f.agent.retry_safe = true;
		fake_start(&f);
		fake_thread_put(&f, 1, NULL);
		spec.has_thread = way != 1;
		spec.webhook = APD_STR("http://hook/1");
		fake_create(&f, &call, APD_MODE_WAIT, &spec, NULL);
		fake_store_all(&f);
		if (way == 2)
			fake_restart(&f);
		if (way == 3)
			apd_runtime_cancel_run(f.rt, &f.stored->run_id, true, NULL);
		fake_done(&f, 0, AP_OK);
		assert_int_equal(f.hooks, 0);
		fake_store_all(&f);
		assert_int_equal(f.hooks, way != 3);
		assert_int_equal(f.hooks_told, way != 3);
		if (way != 3) {
			assert_true(apd_str_is(f.hook->url, "http://hook/1"));
			assert_non_null(memmem(
				f.hook->body.ptr, f.hook->body.len, "\"status\":\"success\"", 18));
			assert_non_null(
				memmem(f.hook->body.ptr, f.hook->body.len, "\"values\":{}", 11));
		}
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_is_the_first_checkpoint),
		cmocka_unit_test(a_commit_is_durable_before_it_is_told),
		cmocka_unit_test(a_commit_that_fails_changes_nothing),
		cmocka_unit_test(the_end_waits_for_a_commit_on_its_way),
		cmocka_unit_test(the_output_is_told_once_and_then_lies_in_storage),
		cmocka_unit_test(a_lost_attempt_keeps_what_was_on_its_way),
		cmocka_unit_test(the_chain_is_cut_by_whole_checkpoints),
		cmocka_unit_test(ids_rise_when_the_clock_does_not),
		cmocka_unit_test(a_start_that_fails_is_tried_again_with_its_input),
		cmocka_unit_test(who_is_cancelled_while_it_starts_has_begun_or_not),
		cmocka_unit_test(a_rollback_after_a_restart_reads_what_was_before),
		cmocka_unit_test(nobody_begins_before_what_a_rollback_left_is_read),
		cmocka_unit_test(a_restart_ends_what_cannot_be_tried_again),
		cmocka_unit_test(a_shutdown_leaves_the_state_for_the_next_life),
		cmocka_unit_test(a_webhook_rides_with_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
