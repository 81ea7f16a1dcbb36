/* Runs from their creation to their execution: promises, order, queues, credit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fakes.h"

static void write_behind_waits_for_nothing(void **unused)
{
	struct fake f;
	struct fake_call call, late;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_WAIT, NULL, "[{\"id\":\"m\",\"type\":\"human\"}]");
	assert_int_equal(f.slots[0].invoked, 1);
	assert_int_equal(f.slots[0].listening, 0);
	assert_true(apd_list_empty(&f.batches));
	fake_commit(&f, 0, "{\"answer\":42}");
	assert_int_equal(f.slots[0].committed, AP_OK);
	fake_done(&f, 0, AP_OK);
	assert_int_equal(call.ended, 1);
	assert_int_equal(call.row->status, APD_RUN_SUCCESS);
	assert_true(apd_str_is(call.row->output,
		"{\"values\":{\"answer\":42},\"messages\":[{\"id\":\"m\",\"type\":\"human\"}]}"));
	assert_false(f.slots[0].used);
	/* It can be found until it is stored, and be joined. */
	assert_ptr_equal(apd_runtime_find_run(f.rt, &call.row->run_id), call.row);
	fake_call_init(&late);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_STREAM, &late.call), 0);
	assert_string_equal(fake_events(late.log), "ended");
	fake_call_finish(&late);
	fake_store(&f, 0);
	assert_ptr_equal(f.stored, call.row);
	/* It stays while its log does. */
	assert_non_null(apd_runtime_find_run(f.rt, &call.row->run_id));
	fake_sleep(&f, 61 * APD_NS_PER_S);
	assert_null(apd_runtime_find_run(f.rt, &call.row->run_id));
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_background_run_is_durable_before_it_is_told(void **unused)
{
	struct fake f;
	struct fake_call call;
	struct apd_run_row *row;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_BACKGROUND, NULL, NULL);
	assert_true(f.slots[0].used);
	assert_int_equal(f.slots[0].invoked, 0);
	assert_int_equal(call.accepted, 0);
	fake_store(&f, 0);
	assert_int_equal(call.accepted, 1);
	assert_int_equal(f.slots[0].invoked, 1);
	/* The slot was free, so that the start rode along. */
	assert_int_equal(f.stored_count, 1);
	assert_int_equal(f.stored->attempt, 1);
	assert_true(f.stored->started_us > 0);
	fake_done(&f, 0, AP_E_FAILED);
	row = apd_runtime_find_run(f.rt, &call.row->run_id);
	assert_int_equal(row->status, APD_RUN_PENDING);
	fake_store(&f, -EIO);
	row = apd_runtime_find_run(f.rt, &call.row->run_id);
	assert_int_equal(row->status, APD_RUN_PENDING);
	fake_sleep(&f, 2 * APD_NS_PER_S);
	fake_store(&f, 0);
	row = apd_runtime_find_run(f.rt, &call.row->run_id);
	assert_int_equal(row->status, APD_RUN_ERROR);
	assert_true(apd_str_is(row->error,
		"{\"code\":\"agent_error\",\"message\":\"Because.\",\"agent_code\":\"own\"}"));
	assert_string_equal(fake_events(call.log), "started ended");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_run_that_cannot_be_stored_is_refused(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_BACKGROUND, NULL, NULL);
	fake_store(&f, -ENOSPC);
	assert_int_equal(call.refused, 1);
	assert_int_equal(call.code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(f.slots[0].invoked, 0);
	assert_false(f.slots[0].used);
	fake_finish(&f);
}

static void queued_runs_start_in_order_after_their_start_is_durable(void **unused)
{
	struct fake f;
	struct fake_call calls[4];

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	for (int i = 0; i < 4; i++)
		fake_create(&f, &calls[i], APD_MODE_BACKGROUND, NULL, NULL);
	assert_int_equal(calls[3].code, APD_PROBLEM_QUEUE_FULL);
	fake_store(&f, 0);
	assert_int_equal(calls[1].accepted, 1);
	assert_int_equal(calls[1].row->started_us, 0);
	fake_done(&f, 0, AP_OK);
	assert_true(f.slots[0].used);
	assert_int_equal(f.slots[0].invoked, 1);
	fake_store(&f, 0);
	assert_int_equal(f.slots[0].invoked, 2);
	assert_true(apd_id_eq(&f.stored->run_id, &calls[1].row->run_id));
	assert_true(f.stored->started_us > 0);
	for (int i = 0; i < 4; i++)
		fake_call_finish(&calls[i]);
	fake_finish(&f);
}

static void a_thread_has_one_active_run(void **unused)
{
	struct apd_run_spec spec = {.has_thread = true, .thread_id = {{1}}};
	struct fake f;
	struct fake_call a, b, c;

	(void)unused;
	fake_init(&f);
	f.n_slots = 2;
	fake_start(&f);
	fake_create(&f, &a, APD_MODE_WAIT, &spec, NULL);
	fake_create(&f, &b, APD_MODE_WAIT, &spec, NULL);
	fake_store(&f, 0);
	assert_int_equal(a.code, APD_PROBLEM_THREAD_NOT_FOUND);
	assert_int_equal(b.code, APD_PROBLEM_THREAD_NOT_FOUND);
	spec.create_thread = spec.delete_thread = true;
	fake_create(&f, &c, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(&f);
	assert_int_equal(f.threads_put, 1);
	assert_int_equal(f.slots[0].invoked, 1);
	fake_done(&f, 0, AP_OK);
	assert_int_equal(c.ended, 0);
	fake_create(&f, &b, APD_MODE_WAIT, &spec, NULL);
	assert_int_equal(b.code, APD_PROBLEM_THREAD_BUSY);
	fake_store(&f, 0);
	assert_int_equal(c.ended, 1);
	assert_int_equal(f.threads_deleted, 1);
	assert_true(f.stored->flags & APD_RUN_ROW_EPHEMERAL);
	fake_call_finish(&c);
	fake_finish(&f);
}

static void a_stream_gets_its_events_and_gives_credit(void **unused)
{
	char data[602];
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	snprintf(data, sizeof(data), "{\"a\":\"%0590d\"}", 0);
	fake_create(&f, &call, APD_MODE_STREAM, NULL, NULL);
	assert_int_equal(call.accepted, 1);
	assert_int_equal(call.log_seq, 0);
	fake_emit(&f, 0, AP_CHANNEL_CUSTOM, data);
	fake_emit(&f, 0, AP_CHANNEL_CUSTOM, data);
	assert_true(f.slots[0].credit <= 0);
	apd_runtime_taken(f.rt, &call.call, 2);
	assert_true(f.slots[0].credit > 0);
	fake_emit(&f, 0, AP_CHANNEL_CUSTOM, data);
	assert_true(f.slots[0].credit <= 0);
	/* The reader stalls: after a while it holds back no more. */
	fake_sleep(&f, 6 * APD_NS_PER_S);
	assert_int_equal(f.slots[0].credit, 1000);
	assert_int_equal(f.slots[0].listening, 0);
	fake_commit(&f, 0, "{\"x\":1}");
	fake_done(&f, 0, AP_OK);
	assert_int_equal(call.ended, 1);
	assert_non_null(strstr(fake_events(call.log), "updates values checkpoint ended"));
	fake_call_finish(&call);
	fake_finish(&f);
}

static unsigned news_count;

static void on_news(struct apd_watch *watch)
{
	(void)watch;
	news_count++;
}

static void watches_hear_of_news_once_a_turn(void **unused)
{
	struct apd_watch watch = {.channels = 1u << AP_CHANNEL_TOOLS, .news = on_news};
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_STREAM, NULL, NULL);
	news_count = 0;
	apd_runtime_watch(f.rt, call.log, &watch);
	assert_int_equal(f.slots[0].listening, 1u << AP_CHANNEL_TOOLS);
	apd_runtime_flush(f.rt);
	assert_int_equal(news_count, 1);
	fake_emit(&f, 0, AP_CHANNEL_CUSTOM, "{}");
	fake_emit(&f, 0, AP_CHANNEL_CUSTOM, "{}");
	apd_runtime_flush(f.rt);
	assert_int_equal(news_count, 2);
	fake_done(&f, 0, AP_OK);
	fake_store(&f, 0);
	assert_int_equal(news_count, 3);
	/* The log leaves memory; the watch stays valid until it is taken off. */
	fake_sleep(&f, 100 * APD_NS_PER_S);
	apd_runtime_unwatch(f.rt, &watch);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void joiners_wait_or_stream(void **unused)
{
	struct fake f;
	struct fake_call call, wait, stream, late;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_BACKGROUND, NULL, NULL);
	fake_store(&f, 0);
	fake_call_init(&wait);
	fake_call_init(&stream);
	fake_call_init(&late);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_WAIT, &wait.call), 0);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_STREAM, &stream.call), 0);
	assert_int_equal(stream.accepted, 1);
	assert_int_equal(stream.log_seq, 1);
	fake_done(&f, 0, AP_OK);
	assert_int_equal(wait.ended + stream.ended, 0);
	fake_store(&f, 0);
	assert_int_equal(wait.ended, 1);
	assert_int_equal(stream.ended, 1);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_STREAM, &late.call), 0);
	assert_int_equal(late.accepted, 1);
	assert_int_equal(late.ended, 1);
	apd_runtime_leave(f.rt, &late.call);
	fake_sleep(&f, 61 * APD_NS_PER_S);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_WAIT, &late.call), -ENOENT);
	fake_call_finish(&call);
	fake_call_finish(&wait);
	fake_call_finish(&stream);
	fake_call_finish(&late);
	fake_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_behind_waits_for_nothing),
		cmocka_unit_test(a_background_run_is_durable_before_it_is_told),
		cmocka_unit_test(a_run_that_cannot_be_stored_is_refused),
		cmocka_unit_test(queued_runs_start_in_order_after_their_start_is_durable),
		cmocka_unit_test(a_thread_has_one_active_run),
		cmocka_unit_test(a_stream_gets_its_events_and_gives_credit),
		cmocka_unit_test(watches_hear_of_news_once_a_turn),
		cmocka_unit_test(joiners_wait_or_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
