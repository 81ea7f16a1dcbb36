/* Workers that are not what was started: whatever they send, they cost only themselves. */
#include <string.h>

#include "lab.h"

/* Runs a script that breaks the protocol beside a healthy plugin's run. */
static void breach(const char *script, const char *wanted)
{
	struct lab_run run = {0}, neighbour = {0}, healthy = {0};
	struct lab lab;

	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY)));
	lab_plugin(&lab, "q.so", "good", LAB_PLUGIN("q", "1", LAB_AGENT("b", LAB_MANY)));
	lab_open(&lab);
	lab_start(&lab, &healthy, "b", "emit wait");
	lab_start(&lab, &neighbour, "a", "emit wait");
	lab_until(&lab, neighbour.emitted && healthy.emitted);
	lab_start(&lab, &run, "a", script);
	lab_until(&lab, run.lost && neighbour.lost);
	if (!strstr(run.reason, wanted))
		fail_msg("\"%s\" does not tell of \"%s\"", run.reason, wanted);
	assert_false(run.done);
	assert_int_equal(lab_stats(&lab).crashes, 1);
	lab_stop_run(&lab, &healthy);
	lab_until(&lab, healthy.done);
	lab_finish(&lab);
}

static void test_bad_json(void **state)
{
	(void)state;
	breach("bad-json hang", "not a JSON object");
}

static void test_bad_frame(void **state)
{
	(void)state;
	breach("bad-frame hang", "malformed frame");
}

static void test_bad_type(void **state)
{
	(void)state;
	breach("bad-type hang", "unknown type");
}

static void test_bad_channel(void **state)
{
	(void)state;
	breach("bad-channel hang", "no channel");
}

static void test_bad_commit(void **state)
{
	(void)state;
	breach("bad-commit hang", "COMMIT is not a JSON object");
}

static void test_bad_number(void **state)
{
	(void)state;
	breach("bad-number hang", "repeats a number");
}

static void test_ask_twice(void **state)
{
	(void)state;
	breach("ask-twice hang", "asks twice");
}

static void test_root_life(void **state)
{
	(void)state;
	breach("root-life hang", "its own life");
}

static void test_flood(void **state)
{
	(void)state;
	breach("flood hang", "without credit");
}

static void test_closed_socket(void **state)
{
	(void)state;
	/* It leaves by itself once its socket is closed. */
	breach("close", "exit status 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_json),
		cmocka_unit_test(test_bad_frame),
		cmocka_unit_test(test_bad_type),
		cmocka_unit_test(test_bad_channel),
		cmocka_unit_test(test_bad_commit),
		cmocka_unit_test(test_bad_number),
		cmocka_unit_test(test_ask_twice),
		cmocka_unit_test(test_root_life),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_closed_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
