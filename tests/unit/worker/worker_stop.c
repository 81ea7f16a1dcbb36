/* Stopping: check(), stop_fd, stop(), deadlines, rollbacks, credit, and the daemon's end. */
#include "driver.h"

#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "host/event_cost.h"

static void stop(struct driver *d, uint32_t run, enum apd_stop_reason reason)
{
	driver_send(d, APD_FRAME_STOP, run, reason, NULL, 0);
}

/* check() fails with the reason, emit() too, and commit() keeps what there is. */
static void test_check(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "stop_check", "stop_check", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_EMIT);
	stop(&d, 1, APD_STOP_CANCEL);
	driver_expect_commit(&d, "{\"status\":[-4,-4]}");
	driver_expect_done(&d, 1, AP_E_CANCELLED);
	assert_string_equal(driver_field(&d, 1).ptr, "kept");

	driver_invoke(&d, 2, "1", CREDIT);
	driver_expect(&d, APD_FRAME_EMIT);
	stop(&d, 2, APD_STOP_DEADLINE);
	driver_expect_commit(&d, "{\"status\":[-5,-5]}");
	driver_expect_done(&d, 2, AP_E_DEADLINE);

	driver_invoke(&d, 3, "1", CREDIT);
	driver_expect(&d, APD_FRAME_EMIT);
	stop(&d, 3, APD_STOP_ROLLBACK);
	driver_expect_done(&d, 3, AP_E_CANCELLED);
	assert_string_equal(driver_field(&d, 1).ptr, "lost");
	driver_quit(&d);
}

/* A rollback lets a commit that waits go. */
static void test_rollback_in_commit(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "good", "good", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	stop(&d, 1, APD_STOP_CANCEL);
	stop(&d, 1, APD_STOP_ROLLBACK);
	driver_expect_done(&d, 1, AP_E_CANCELLED);
	/* An answer after the end is nobody's. */
	driver_send(&d, APD_FRAME_CREDIT, 1, 10, NULL, 0);
	stop(&d, 1, APD_STOP_CANCEL);
	driver_invoke(&d, 2, "1", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_committed(&d, AP_OK);
	driver_expect_done(&d, 2, AP_OK);
	driver_quit(&d);
}

static void test_stop_fd(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "stop_fd", "stop_fd", false);
	/* More runs than threads: descriptors are used again, and must not be readable then. */
	for (uint32_t run = 1; run <= 10; run++) {
		driver_invoke(&d, run, "1", CREDIT);
		driver_expect(&d, APD_FRAME_EMIT);
		stop(&d, run, APD_STOP_CANCEL);
		driver_expect_done(&d, run, AP_E_CANCELLED);
	}
	driver_quit(&d);
}

/* stop() is called once, however often the daemon says it, and may not emit. */
static void test_stop_callback(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "stop_callback", "stop_callback", false);
	for (uint32_t run = 1; run <= 5; run++) {
		driver_invoke(&d, run, "1", CREDIT);
		driver_expect(&d, APD_FRAME_EMIT);
		stop(&d, run, APD_STOP_CANCEL);
		driver_expect(&d, APD_FRAME_COMMIT);
		assert_string_equal(driver_field(&d, 2).ptr, "{\"status\":[1,-12]}");
		stop(&d, run, APD_STOP_CANCEL);
		driver_committed(&d, AP_OK);
		driver_expect_done(&d, run, AP_E_CANCELLED);
	}
	assert_non_null(strstr(d.misuses.data, "emit() in stop()"));
	driver_quit(&d);
}

/* INVOKE and STOP in one write: the agent is invoked, and stopped from the start. */
static void test_stop_before_start(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "stop_fd", "stop_fd", false);
	for (uint32_t run = 1; run <= 10; run++) {
		driver_invoke(&d, run, "1", CREDIT);
		stop(&d, run, APD_STOP_CANCEL);
		while (driver_next(&d) != APD_FRAME_DONE)
			assert_int_equal(d.frame.type, APD_FRAME_EMIT);
		assert_int_equal((int32_t)d.frame.arg, AP_E_CANCELLED);
	}
	driver_quit(&d);
}

/* check() sees the deadline by itself, and a wait for credit ends with it. */
static void test_deadline(void **state)
{
	struct apd_invoke what = {.attempt = 1, .credit = CREDIT};
	struct driver d;

	(void)state;
	driver_serve(&d, "stop_check", "stop_check", false);
	what.deadline_ns = apd_clock_mono_ns() + 20 * APD_NS_PER_MS;
	driver_invoke_with(&d, 1, "1", &what, APD_STR_ABSENT, APD_STR_ABSENT);
	/* On a slow machine the deadline may pass before the first event. */
	while (driver_next(&d) == APD_FRAME_EMIT)
		;
	assert_int_equal(d.frame.type, APD_FRAME_COMMIT);
	assert_string_equal(driver_field(&d, 2).ptr, "{\"status\":[-5,-5]}");
	driver_committed(&d, AP_OK);
	driver_expect_done(&d, 1, AP_E_DEADLINE);
	assert_true(apd_clock_mono_ns() > what.deadline_ns);
	driver_quit(&d);

	driver_serve(&d, "flood", "flood", false);
	what.credit = 0;
	what.deadline_ns = apd_clock_mono_ns() + 20 * APD_NS_PER_MS;
	driver_invoke_with(&d, 1, "1", &what, APD_STR_ABSENT, APD_STR_ABSENT);
	driver_expect_done(&d, 1, AP_E_DEADLINE);
	assert_true(apd_clock_mono_ns() > what.deadline_ns);
	driver_quit(&d);
}

/* An emit starts while credit is above zero; then it waits for more, or for the stop. */
static void test_credit(void **state)
{
	struct driver d;
	size_t len;

	(void)state;
	driver_serve(&d, "flood", "flood", false);
	driver_invoke(&d, 1, "4", 1);
	driver_expect(&d, APD_FRAME_EMIT);
	len = apd_event_cost(driver_field(&d, 0), driver_field(&d, 1), driver_field(&d, 2));
	/* Back to zero only: nothing may come before the PONG. */
	driver_send(&d, APD_FRAME_CREDIT, 1, (uint32_t)len - 1, NULL, 0);
	driver_send(&d, APD_FRAME_PING, 0, 7, NULL, 0);
	driver_expect(&d, APD_FRAME_PONG);
	/* One byte more: one event more. */
	driver_send(&d, APD_FRAME_CREDIT, 1, 1, NULL, 0);
	driver_expect(&d, APD_FRAME_EMIT);
	driver_send(&d, APD_FRAME_PING, 0, 8, NULL, 0);
	driver_expect(&d, APD_FRAME_PONG);
	stop(&d, 1, APD_STOP_CANCEL);
	driver_expect_done(&d, 1, AP_E_CANCELLED);
	driver_quit(&d);
}

/* The daemon goes away while a run waits: in a thread that ends it, and the server returns. */
static void test_lost_in_process(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "good", "good", true);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	shutdown(d.fd, SHUT_WR);
	driver_expect_done(&d, 1, AP_E_UNAVAILABLE);
	assert_int_equal(driver_end(&d), 1);
	assert_string_equal(d.logs.data, "destroy me\ndeinit\n");
	apd_buf_finish(&d.logs);

	driver_serve(&d, "stop_callback", "stop_callback", true);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_EMIT);
	shutdown(d.fd, SHUT_RDWR);
	assert_int_equal(driver_end(&d), 1);
	apd_buf_finish(&d.misuses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_rollback_in_commit),
		cmocka_unit_test(test_stop_fd),
		cmocka_unit_test(test_stop_callback),
		cmocka_unit_test(test_stop_before_start),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_credit),
		cmocka_unit_test(test_lost_in_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
