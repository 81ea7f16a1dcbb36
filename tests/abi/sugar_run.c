/* sugar.h: the ops of a run, tools, and the bridge to jansson. */
#include <ap/jansson.h>
#include <ap/sugar.h>

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "fake_run.h"

static int setup(void **state)
{
	static struct fake_run fake;

	fake_run_init(&fake);
	*state = &fake;
	return 0;
}

static int teardown(void **state)
{
	fake_run_finish(*state);
	return 0;
}

static void test_check_and_listening(void **state)
{
	struct fake_run *fake = *state;

	assert_int_equal(ap_check(&fake->run), AP_OK);
	fake->listening = 1u << AP_CHANNEL_TOOLS;
	assert_true(ap_listening(&fake->run, AP_CHANNEL_TOOLS));
	assert_false(ap_listening(&fake->run, AP_CHANNEL_MESSAGES));
	fake_run_stop(fake, AP_E_DEADLINE);
	assert_int_equal(ap_check(&fake->run), AP_E_DEADLINE);
}

static void test_fail(void **state)
{
	struct fake_run *fake = *state;
	ap_error err = {.size = sizeof(err)};

	assert_int_equal(ap_fail(&fake->run, AP_E_LIMIT, "too_long", "Too long."), AP_E_LIMIT);
	assert_string_equal(fake->lines[0], "fail -8 too_long Too long.");
	assert_int_equal(ap_failf(&fake->run, AP_E_FAILED, "bad", "%d of %s", 3, "x"), AP_E_FAILED);
	assert_string_equal(fake->lines[1], "fail -1 bad 3 of x");
	assert_int_equal(ap_failf(&fake->run, AP_E_FAILED, "bad", "%1000d", 3), AP_E_FAILED);
	assert_int_equal(strlen(fake->lines[2]), strlen("fail -1 bad ") + 447);
	assert_int_equal(ap_error_set(&err, AP_E_INVALID, "bad", "key %s", "k"), AP_E_INVALID);
	assert_int_equal(err.size, sizeof(err));
	assert_int_equal(err.status, AP_E_INVALID);
	assert_string_equal(err.code, "bad");
	assert_string_equal(err.message, "key k");
}

static void test_commit_and_emit(void **state)
{
	struct fake_run *fake = *state;
	char big[3000];

	assert_int_equal(ap_commit(&fake->run, "plan", AP_STR("{\"a\":1}")), AP_OK);
	assert_string_equal(fake->lines[0], "commit plan {\"a\":1}");
	fake->commit_status = AP_E_UNAVAILABLE;
	assert_int_equal(ap_commit_removing(&fake->run, "plan", AP_STR("{}"), AP_STR("[\"a\"]")),
		AP_E_UNAVAILABLE);
	assert_string_equal(fake->lines[1], "commit plan {} without [\"a\"]");
	assert_int_equal(ap_emit(&fake->run, AP_CHANNEL_TASKS, "n", AP_STR("{\"t\":2}")), AP_OK);
	assert_string_equal(fake->lines[2], "tasks n {\"t\":2}");
	assert_int_equal(ap_emit_custom(&fake->run, "ti\"ck", AP_STR("{\"left\":3}")), AP_OK);
	assert_string_equal(
		fake->lines[3], "custom  {\"name\":\"ti\\\"ck\",\"payload\":{\"left\":3}}");
	memset(big, 'x', sizeof(big));
	big[0] = big[sizeof(big) - 1] = '"';
	assert_int_equal(ap_emit_custom(&fake->run, "n", ap_mem(big, sizeof(big))), AP_OK);
	assert_int_equal(
		strlen(fake->lines[4]), strlen("custom  {\"name\":\"n\",\"payload\":}") + 3000);
	fake_run_stop(fake, AP_E_CANCELLED);
	assert_int_equal(ap_emit_custom(&fake->run, "n", AP_STR("1")), AP_E_CANCELLED);
	assert_int_equal(fake->count, 5);
}

static void test_interrupt_and_answer(void **state)
{
	const ap_question both[] = {ap_question_of(AP_STR("a"), AP_STR("1")),
		ap_question_of(AP_STR("b"), AP_STR("null"))};
	struct fake_run *fake = *state;

	assert_int_equal(
		ap_interrupt(&fake->run, "ok?", AP_STR("{\"q\":1}"), AP_STR("v1")), AP_INTERRUPTED);
	assert_string_equal(fake->lines[0], "ask ok? {\"q\":1} v1");
	fake->run.flags = AP_RUN_EPHEMERAL;
	assert_int_equal(
		ap_interrupt(&fake->run, "ok?", AP_STR("1"), ap_cstr(NULL)), AP_E_UNSUPPORTED);

	assert_null(ap_answer(&fake->run, "ok?").ptr);
	fake_run_forget(fake);
	fake->run.flags = 0;
	assert_int_equal(ap_interrupt_all(&fake->run, both, 2, AP_STR("v2")), AP_INTERRUPTED);
	assert_int_equal(fake->count, 2);
	assert_string_equal(fake->lines[0], "ask a 1 v2");
	assert_string_equal(fake->lines[1], "ask b null v2");
	assert_int_equal(
		ap_interrupt_all(&fake->run, both, SIZE_MAX / 2, AP_STR("v2")), AP_E_LIMIT);
	fake->run.resume = AP_STR("[{\"namespace\":[],\"id\":\"other\",\"response\":1},"
				  "{\"namespace\":[],\"id\":\"ok?\",\"response\":{\"yes\":true}}]");
	assert_true(ap_str_is(ap_answer(&fake->run, "ok?"), "{\"yes\":true}"));
	assert_null(ap_answer(&fake->run, "none").ptr);
}

static void test_log(void **state)
{
	struct fake_run *fake = *state;

	ap_log(&fake->run, AP_LOG_WARN, "%d %s", 5, "words");
	assert_string_equal(fake->lines[0], "log 3 5 words");
	ap_host_log(&fake->host, AP_LOG_DEBUG, "%4000d", 1);
	assert_int_equal(strlen(fake->lines[1]), strlen("log 1 ") + 2047);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_sleep_lasts(void **state)
{
	struct fake_run *fake = *state;
	int64_t start = now_ms();

	assert_int_equal(ap_sleep_ms(&fake->run, 30), AP_OK);
	assert_true(now_ms() - start >= 29);
	assert_int_equal(ap_sleep_ms(&fake->run, 0), AP_OK);
	assert_int_equal(ap_sleep_ms(&fake->run, -5), AP_OK);
}

static void test_sleep_of_a_stopped_run(void **state)
{
	struct fake_run *fake = *state;

	/* An hour: the test's own time-out would tell. */
	fake_run_stop(fake, AP_E_DEADLINE);
	assert_int_equal(ap_sleep_ms(&fake->run, 3600000), AP_E_DEADLINE);
	assert_int_equal(ap_sleep_ms(&fake->run, 0), AP_E_DEADLINE);
}

/*
 * Stops the run between the first check, which succeeds, and the poll that follows it.
 */
static ap_status check_once(const ap_run *run)
{
	struct fake_run *fake = run->impl;

	if (!fake->stopped) {
		fake_run_stop(fake, AP_E_CANCELLED);
		return AP_OK;
	}
	return fake->stop_status;
}

static void test_sleep_wakes_up(void **state)
{
	struct fake_run *fake = *state;

	fake->ops.check = check_once;
	assert_int_equal(ap_sleep_ms(&fake->run, 3600000), AP_E_CANCELLED);
	fake->stopped = 0;
	assert_int_equal(ap_sleep_ms(&fake->run, INT64_MAX), AP_E_CANCELLED);
}

static void test_tools(void **state)
{
	struct fake_run *fake = *state;

	assert_int_equal(ap_tool_started(&fake->run, "c1", "search", AP_STR("{\"q\":1}")), AP_OK);
	assert_int_equal(ap_tool_started(&fake->run, "c2", "time", ap_cstr(NULL)), AP_OK);
	assert_int_equal(ap_tool_output(&fake->run, "c1", AP_STR("a\n")), AP_OK);
	assert_int_equal(ap_tool_finished(&fake->run, "c1", AP_STR("[1]")), AP_OK);
	assert_int_equal(ap_tool_finished(&fake->run, "c1", ap_cstr(NULL)), AP_OK);
	assert_int_equal(ap_tool_error(&fake->run, "c2", "no \"clock\""), AP_OK);
	assert_string_equal(fake->lines[0],
		"tools  {\"event\":\"tool-started\",\"toolCallId\":\"c1\","
		"\"toolName\":\"search\",\"input\":{\"q\":1}}");
	assert_string_equal(fake->lines[1],
		"tools  {\"event\":\"tool-started\",\"toolCallId\":\"c2\","
		"\"toolName\":\"time\"}");
	assert_string_equal(fake->lines[2],
		"tools  {\"event\":\"tool-output-delta\","
		"\"toolCallId\":\"c1\",\"delta\":\"a\\n\"}");
	assert_string_equal(fake->lines[3],
		"tools  {\"event\":\"tool-finished\",\"toolCallId\":\"c1\",\"output\":[1]}");
	assert_string_equal(fake->lines[4],
		"tools  {\"event\":\"tool-finished\",\"toolCallId\":\"c1\",\"output\":null}");
	assert_string_equal(fake->lines[5],
		"tools  {\"event\":\"tool-error\",\"toolCallId\":\"c2\","
		"\"message\":\"no \\\"clock\\\"\"}");
}

static void test_jansson(void **state)
{
	struct fake_run *fake = *state;
	json_t *json = ap_json_parse(AP_STR("{\"a\": [1, \"x\"]}"));

	assert_true(json_is_object(json));
	assert_int_equal(ap_commit_json(&fake->run, "step", json), AP_OK);
	assert_string_equal(fake->lines[0], "commit step {\"a\":[1,\"x\"]}");
	assert_int_equal(
		ap_commit_json(&fake->run, "step", json_object_get(json, "a")), AP_E_INVALID);
	assert_int_equal(ap_commit_json(&fake->run, "step", NULL), AP_E_INVALID);
	json_decref(json);
	assert_null(ap_json_parse(AP_STR("{")));
	assert_null(ap_json_parse(ap_cstr(NULL)));
	json = ap_json_parse(AP_STR("7"));
	assert_int_equal(json_integer_value(json), 7);
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check_and_listening, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commit_and_emit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupt_and_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleep_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleep_of_a_stopped_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleep_wakes_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_jansson, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
