/*
 * How runs end: cancelled, late, stuck, crashed, asking, with bad output, by shutdown, after
 * a restart.
 */
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
	return row->error.ptr && strncmp(row->error.ptr, start, strlen(start)) == 0;
}

static void who_leaves_cancels(void **unused)
{
	struct fake f;
	struct fake_call call, waiter;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_STREAM, NULL, NULL);
	fake_call_init(&waiter);
	assert_int_equal(
		apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_WAIT, &waiter.call), 0);
	apd_runtime_leave(f.rt, &call.call);
	assert_int_equal(f.slots[0].reason, APD_STOP_CANCEL);
	/* Partial work is kept. */
	fake_commit(&f, 0, "{\"half\":1}");
	assert_int_equal(f.slots[0].committed, AP_OK);
	fake_done(&f, 0, AP_E_CANCELLED);
	assert_int_equal(call.ended, 0);
	assert_int_equal(waiter.row->status, APD_RUN_INTERRUPTED);
	assert_true(has_code(waiter.row, "cancelled"));
	assert_true(apd_str_is(waiter.row->output, "{\"values\":{\"half\":1}}"));
	fake_call_finish(&call);
	fake_call_finish(&waiter);
	fake_finish(&f);
}

static void a_rollback_leaves_nothing(void **unused)
{
	struct fake f;
	struct fake_call call, canceller;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_BACKGROUND, NULL, NULL);
	fake_store(&f, 0);
	fake_call_init(&canceller);
	assert_int_equal(apd_runtime_cancel_run(f.rt, &call.row->run_id, true, &canceller.call), 0);
	assert_int_equal(f.slots[0].reason, APD_STOP_ROLLBACK);
	fake_commit(&f, 0, "{\"half\":1}");
	assert_int_equal(f.slots[0].committed, AP_E_CANCELLED);
	fake_done(&f, 0, AP_OK);
	fake_store(&f, 0);
	assert_int_equal(canceller.row->status, APD_RUN_INTERRUPTED);
	assert_int_equal(f.deleted, 1);
	assert_null(apd_runtime_find_run(f.rt, &call.row->run_id));
	fake_call_finish(&call);
	fake_call_finish(&canceller);
	fake_finish(&f);
}

static void the_deadline_stops_and_the_grace_abandons(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_sleep(&f, 59 * APD_NS_PER_S);
	assert_int_equal(f.slots[0].stopped, 0);
	fake_sleep(&f, APD_NS_PER_S);
	assert_int_equal(f.slots[0].reason, APD_STOP_DEADLINE);
	fake_sleep(&f, 9 * APD_NS_PER_S);
	assert_int_equal(f.slots[0].abandoned, 0);
	fake_sleep(&f, APD_NS_PER_S);
	assert_int_equal(f.slots[0].abandoned, 1);
	assert_int_equal(call.row->status, APD_RUN_TIMEOUT);
	assert_true(has_code(call.row, "agent_stuck"));
	fake_call_finish(&call);
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_sleep(&f, 60 * APD_NS_PER_S);
	fake_done(&f, 0, AP_E_DEADLINE);
	assert_int_equal(call.row->status, APD_RUN_TIMEOUT);
	assert_true(has_code(call.row, "deadline"));
	fake_call_finish(&call);
	/* Nobody asked for it: the agent failed. */
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_done(&f, 0, AP_E_DEADLINE);
	assert_int_equal(call.row->status, APD_RUN_ERROR);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_crash_ends_the_run(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_lose(&f, 0);
	assert_int_equal(call.row->status, APD_RUN_ERROR);
	assert_true(has_code(call.row, "agent_crashed"));
	assert_non_null(strstr(call.row->error.ptr, "SIGSEGV"));
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_safe_run_is_tried_again_alone_from_its_last_state(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	f.agent.retry_safe = true;
	f.agent.max_attempts = 2;
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_STREAM, NULL, NULL);
	fake_commit(&f, 0, "{\"kept\":1}");
	fake_emit(&f, 0, AP_CHANNEL_MESSAGES, "{\"event\":\"message-start\"}");
	fake_emit(&f, 0, AP_CHANNEL_TOOLS, "{\"event\":\"tool-started\",\"toolCallId\":\"t\"}");
	fake_lose(&f, 0);
	assert_int_equal(f.slots[0].invoked, 2);
	assert_true(f.slots[0].alone);
	assert_int_equal(f.slots[0].attempt, 2);
	assert_string_equal(f.slots[0].values, "{\"kept\":1}");
	fake_lose(&f, 0);
	assert_int_equal(call.ended, 1);
	assert_int_equal(call.row->attempt, 2);
	assert_string_equal(fake_events(call.log),
		"started updates values checkpoint emitted:{\"event\":\"message-start\"} "
		"emitted:{\"event\":\"tool-started\",\"toolCallId\":\"t\"} "
		"emitted:{\"event\":\"tool-error\",\"toolCallId\":\"t\","
		"\"message\":\"The agent's worker died: SIGSEGV.\"} "
		"emitted:{\"event\":\"error\",\"message\":\"The agent's worker died: SIGSEGV.\"} "
		"started ended");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void the_output_is_what_the_schema_names(void **unused)
{
	struct apd_schema *schema;
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	assert_int_equal(
		apd_schema_compile(APD_STR("{\"properties\":{\"a\":{\"type\":\"integer\"}},"
					   "\"required\":[\"a\"]}"),
			&schema, NULL),
		0);
	f.agent.output = schema;
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_commit(&f, 0, "{\"b\":1,\"a\":2}");
	fake_done(&f, 0, AP_OK);
	assert_int_equal(call.row->status, APD_RUN_SUCCESS);
	assert_true(apd_str_is(call.row->output, "{\"values\":{\"a\":2}}"));
	fake_call_finish(&call);
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_commit(&f, 0, "{\"a\":\"x\"}");
	fake_done(&f, 0, AP_OK);
	assert_int_equal(call.row->status, APD_RUN_ERROR);
	assert_true(has_code(call.row, "invalid_output"));
	fake_call_finish(&call);
	fake_finish(&f);
	apd_schema_destroy(schema);
}

static void a_question_interrupts_a_kept_thread(void **unused)
{
	struct apd_run_spec spec = {.has_thread = true, .thread_id = {{1}}, .create_thread = true};
	struct apd_ask ask = {APD_STR("q1"), APD_STR_ABSENT, APD_STR("{\"ok\":null}")};
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(&f);
	apd_runtime_sink.asked(f.rt, &f.slots[0].base, &ask, 1, APD_STR_ABSENT);
	fake_done(&f, 0, AP_INTERRUPTED);
	fake_store(&f, 0);
	assert_int_equal(call.row->status, APD_RUN_INTERRUPTED);
	assert_null(call.row->error.ptr);
	assert_true(apd_str_is(call.row->output, "{\"values\":{}}"));
	assert_true(apd_str_is(call.row->interrupts, "[{\"id\":\"q1\",\"value\":{\"ok\":null}}]"));
	fake_call_finish(&call);
	/* Without a question it is no interruption. */
	fake_create(&f, &call, APD_MODE_WAIT, NULL, NULL);
	fake_done(&f, 0, AP_INTERRUPTED);
	assert_int_equal(call.row->status, APD_RUN_ERROR);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_removed_agent_ends_its_queue(void **unused)
{
	struct fake f;
	struct fake_call a, b;

	(void)unused;
	fake_init(&f);
	f.n_slots = 0;
	fake_start(&f);
	fake_create(&f, &a, APD_MODE_WAIT, NULL, NULL);
	f.removed = true;
	fake_create(&f, &b, APD_MODE_WAIT, NULL, NULL);
	assert_int_equal(b.code, APD_PROBLEM_AGENT_NOT_FOUND);
	apd_runtime_sink.slots(f.rt, APD_STR("a"));
	apd_runtime_flush(f.rt);
	assert_true(has_code(a.row, "agent_removed"));
	fake_call_finish(&a);
	fake_finish(&f);
}

static void deleting(struct apd_change *change, int result)
{
	*(int *)(void *)(change + 1) = result;
}

static void only_ended_runs_are_deleted(void **unused)
{
	struct {
		struct apd_change change;
		int result;
	} change = {.change = {.done = deleting}, .result = 1};
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_create(&f, &call, APD_MODE_BACKGROUND, NULL, NULL);
	fake_store(&f, 0);
	apd_runtime_delete_run(f.rt, &call.row->run_id, &change.change);
	apd_runtime_flush(f.rt);
	assert_int_equal(change.result, -EBUSY);
	fake_done(&f, 0, AP_OK);
	fake_store(&f, 0);
	apd_runtime_delete_run(f.rt, &call.row->run_id, &change.change);
	fake_store(&f, 0);
	assert_int_equal(change.result, 0);
	assert_null(apd_runtime_find_run(f.rt, &call.row->run_id));
	fake_call_finish(&call);
	fake_finish(&f);
}

static void is_done(void *data)
{
	*(bool *)data = true;
}

static void a_shutdown_puts_safe_runs_back(void **unused)
{
	for (int safe = 0; safe < 2; safe++) {
		bool done = false;
		struct fake f;
		struct fake_call call, waiter;

		(void)unused;
		fake_init(&f);
		f.agent.retry_safe = safe;
		fake_start(&f);
		fake_create(&f, &call, APD_MODE_BACKGROUND, NULL, NULL);
		fake_store(&f, 0);
		fake_call_init(&waiter);
		assert_int_equal(
			apd_runtime_join_run(f.rt, &call.row->run_id, APD_MODE_WAIT, &waiter.call),
			0);
		apd_runtime_shutdown(f.rt, is_done, &done);
		assert_int_equal(waiter.code, APD_PROBLEM_SHUTTING_DOWN);
		assert_int_equal(f.slots[0].reason, APD_STOP_CANCEL);
		fake_sleep(&f, 5 * APD_NS_PER_S);
		assert_int_equal(f.slots[0].abandoned, 1);
		assert_false(done);
		fake_store(&f, 0);
		assert_true(done);
		if (safe) {
			assert_int_equal(f.stored->status, APD_RUN_PENDING);
			assert_int_equal(f.stored->started_us, 0);
		} else {
			assert_true(has_code(f.stored, "daemon_restarted"));
		}
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

/* A row as an earlier life may have left it. */
static struct apd_run_row *left_behind(int64_t started_us)
{
	struct apd_text *text = apd_text_create(APD_STR(
		"{\"agent_id\":\"a\",\"input\":7,\"metadata\":{},\"messages\":[{\"id\":\"m\"}]}"));
	struct apd_run_row *row = apd_run_row_create(text, NULL);

	row->run_id.bytes[0] = 1;
	row->thread_id.bytes[0] = 2;
	row->flags = APD_RUN_ROW_EPHEMERAL | APD_RUN_ROW_BACKGROUND;
	row->started_us = started_us;
	row->attempt = started_us ? 1 : 0;
	row->agent_id = (struct apd_str){text->data + 13, 1};
	row->request = apd_text_str(text);
	row->metadata = APD_STR("{}");
	return row;
}

static void a_restart_queues_again_or_ends(void **unused)
{
	static const struct {
		int64_t started;
		bool safe, runs;
		uint32_t attempt;
	} cases[] = {{0, false, true, 1}, {5, false, false, 0}, {5, true, true, 2}};

	(void)unused;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct fake f;

		fake_init(&f);
		f.agent.retry_safe = cases[i].safe;
		f.agent.wants_transcript = true;
		f.pending = left_behind(cases[i].started);
		fake_start(&f);
		assert_int_equal(f.slots[0].invoked, cases[i].runs);
		if (cases[i].runs) {
			assert_int_equal(f.slots[0].attempt, cases[i].attempt);
			assert_string_equal(f.slots[0].transcript, "[{\"id\":\"m\"}]");
			assert_int_equal(f.slots[0].alone, cases[i].attempt > 1);
		} else {
			assert_true(has_code(f.stored, "daemon_restarted"));
		}
		fake_finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_leaves_cancels),
		cmocka_unit_test(a_rollback_leaves_nothing),
		cmocka_unit_test(the_deadline_stops_and_the_grace_abandons),
		cmocka_unit_test(a_crash_ends_the_run),
		cmocka_unit_test(a_safe_run_is_tried_again_alone_from_its_last_state),
		cmocka_unit_test(the_output_is_what_the_schema_names),
		cmocka_unit_test(a_question_interrupts_a_kept_thread),
		cmocka_unit_test(a_removed_agent_ends_its_queue),
		cmocka_unit_test(only_ended_runs_are_deleted),
		cmocka_unit_test(a_shutdown_puts_safe_runs_back),
		cmocka_unit_test(a_restart_queues_again_or_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
