/* Plugins that break the contract: they are named, told, and do no harm. */
#include "driver.h"

#include <stdio.h>
#include <string.h>

/* An ap_run of a run that is over, used during a later one. */
static void test_late_op(void **state)
{
	static const char *const ops[] = {
		"commit", "emit", "check", "interrupt", "fail", "release"};
	struct driver d;
	char line[64];

	(void)state;
	driver_serve(&d, "late_op", "late_op", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect_done(&d, 1, AP_OK);
	/* So many more runs do not hide it. */
	for (uint32_t run = 2; run < 40; run++) {
		driver_invoke(&d, run, "1", CREDIT);
		driver_expect_commit(&d, "{\"status\":[-12,-12,-12,-12,-12]}");
		driver_expect_done(&d, run, AP_OK);
	}
	for (size_t i = 0; i < APD_COUNT(ops); i++) {
		snprintf(line, sizeof(line), "%s() after invoke() returned\n", ops[i]);
		assert_non_null(strstr(d.misuses.data, line));
	}
	assert_non_null(strstr(d.misuses.data, "more misuse, which is not reported\n"));
	driver_quit(&d);
}

/* invoke() returns while a thread of the agent waits in commit(). */
static void test_late_thread(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "late_thread", "late_thread", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_send(&d, APD_FRAME_LISTENING, 1, 2, NULL, 0);
	driver_expect_done(&d, 1, AP_OK);
	assert_string_equal(d.misuses.data, "invoke() returned during commit()\n");
	driver_quit(&d);
}

static void test_odd_status(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "odd_status", "odd_status", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect_done(&d, 1, AP_INTERRUPTED);
	driver_invoke(&d, 2, "22", CREDIT);
	driver_expect_done(&d, 2, 77);
	assert_string_equal(d.misuses.data,
		"invoke() returned AP_INTERRUPTED without interrupt()\n"
		"invoke() returned the unknown status 77\n");
	driver_quit(&d);
}

static void test_host_channel(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "emit_host_channel", "emit_host_channel", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect_commit(&d, "{\"status\":[-12,-12]}");
	driver_expect_done(&d, 1, AP_OK);
	assert_string_equal(d.misuses.data,
		"emit() on channel 0, which is not for agents\n"
		"emit() on channel 6, which is not for agents\n");
	driver_quit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_op),
		cmocka_unit_test(test_late_thread),
		cmocka_unit_test(test_odd_status),
		cmocka_unit_test(test_host_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
