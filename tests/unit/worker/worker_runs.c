/* Runs: echo, side by side, events, commits, questions, failures, limits and crashes. */
#include "driver.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void echo_once(struct driver *d, uint32_t run, const char *input, const char *patch)
{
	driver_invoke(d, run, input, CREDIT);
	driver_expect(d, APD_FRAME_COMMIT);
	assert_int_equal(d->frame.run, run);
	assert_int_equal(d->frame.arg, 1);
	assert_string_equal(driver_field(d, 0).ptr, "step");
	assert_null(driver_field(d, 1).ptr);
	assert_string_equal(driver_field(d, 2).ptr, patch);
	assert_null(driver_field(d, 3).ptr);
	driver_committed(d, AP_OK);
	driver_expect_done(d, run, AP_OK);
}

/* Two runs of one instance, and what happens at the end, in a process and in a thread. */
static void echo_and_quit(bool in_process)
{
	struct driver d;

	driver_serve(&d, "good", "good", in_process);
	echo_once(&d, 1, "\"hi\"", "{\"echo\":\"hi\",\"n\":1,\"attempt\":1,\"agent\":\"me\"}");
	echo_once(&d, 2, "null", "{\"echo\":null,\"n\":2,\"attempt\":1,\"agent\":\"me\"}");
	driver_send(&d, APD_FRAME_PING, 0, 42, NULL, 0);
	driver_expect(&d, APD_FRAME_PONG);
	assert_int_equal(d.frame.arg, 42);
	driver_send(&d, APD_FRAME_QUIT, 0, 0, NULL, 0);
	assert_int_equal(driver_end(&d), 0);
	assert_string_equal(d.logs.data, "destroy me\ndeinit\n");
	assert_int_equal(d.misuses.len, 0);
	apd_buf_finish(&d.logs);
}

static void test_echo(void **state)
{
	(void)state;
	echo_and_quit(false);
}

static void test_echo_in_process(void **state)
{
	(void)state;
	echo_and_quit(true);
	echo_and_quit(true);
}

/* A payload of several frames. */
static void test_long_input(void **state)
{
	size_t len = 3u << 20;
	char *input = malloc(len + 1);
	struct driver d;

	(void)state;
	memset(input, ' ', len);
	input[0] = '5';
	input[len] = '\0';
	driver_serve(&d, "flood", "flood", false);
	driver_invoke(&d, 1, input, CREDIT);
	for (int i = 0; i < 5; i++)
		driver_expect(&d, APD_FRAME_EMIT);
	driver_expect_done(&d, 1, AP_OK);
	driver_quit(&d);
	free(input);
}

/* A commit that the daemon could not make durable. */
static void test_commit_fails(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "good", "good", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_committed(&d, AP_E_UNAVAILABLE);
	driver_expect_done(&d, 1, AP_E_UNAVAILABLE);
	driver_quit(&d);
}

/* A relaxed run waits for every sixteenth commit only, and is still heard of while it is busy. */
static void test_relaxed(void **state)
{
	const struct apd_invoke relaxed = {.attempt = 1, .credit = CREDIT, .relaxed = 1};
	struct driver d;

	(void)state;
	driver_serve(&d, "commits", "commits", false);
	driver_invoke_with(&d, 1, "20", &relaxed, APD_STR_ABSENT, APD_STR_ABSENT);
	for (uint32_t n = 1; n <= 20; n++) {
		driver_expect(&d, APD_FRAME_COMMIT);
		assert_int_equal(d.frame.arg, n == 16 ? 16 : 0);
		if (n == 16)
			driver_committed(&d, AP_OK);
	}
	driver_expect_done(&d, 1, AP_OK);
	/* Nothing follows these commits until the run is stopped: they come by themselves. */
	driver_invoke_with(&d, 2, "-2", &relaxed, APD_STR_ABSENT, APD_STR_ABSENT);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_send(&d, APD_FRAME_STOP, 2, APD_STOP_CANCEL, NULL, 0);
	driver_expect_done(&d, 2, AP_E_CANCELLED);
	driver_quit(&d);
}

/* All of 32 runs are inside at once, wherever the frames were cut by reads. */
static void test_together(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "together", "together", false);
	for (uint32_t run = 1; run <= 32; run++)
		driver_invoke(&d, run, "32", CREDIT);
	for (int i = 0; i < 32; i++)
		driver_expect(&d, APD_FRAME_DONE);
	driver_quit(&d);
}

/* The same when all of them come in one read. */
static void test_together_at_once(void **state)
{
	const struct apd_invoke what = {.attempt = 1, .credit = CREDIT};
	struct apd_str fields[13] = {{(const char *)&what, sizeof(what)}};
	struct apd_buf out = {0};
	struct driver d;
	size_t at = 0;

	(void)state;
	for (size_t i = 1; i < 13; i++)
		fields[i] = APD_STR("24");
	for (uint32_t run = 1; run <= 24; run++)
		apd_frame_add(&out, APD_FRAME_INVOKE, run, 0, fields, 13);
	driver_serve(&d, "together", "together", false);
	while (at < out.len) {
		ssize_t n = write(d.fd, out.data + at, out.len - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	for (int i = 0; i < 24; i++)
		driver_expect(&d, APD_FRAME_DONE);
	driver_quit(&d);
	apd_buf_finish(&out);
}

/* Events keep their order, and each carries what was emitted. */
static void test_events(void **state)
{
	struct driver d;
	char data[64];

	(void)state;
	driver_serve(&d, "flood", "flood", false);
	driver_invoke(&d, 1, "1000", CREDIT);
	for (int i = 0; i < 1000; i++) {
		driver_expect(&d, APD_FRAME_EMIT);
		snprintf(data, sizeof(data), "{\"name\":\"token\",\"payload\":%d}", i);
		assert_int_equal(d.frame.arg, AP_CHANNEL_CUSTOM);
		assert_string_equal(driver_field(&d, 2).ptr, data);
	}
	driver_expect_done(&d, 1, AP_OK);
	driver_quit(&d);
}

/* An event that no other follows leaves by itself, also soon after another one. */
static void test_lone_event(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "stop_fd", "stop_fd", false);
	for (uint32_t run = 1; run <= 20; run++) {
		driver_invoke(&d, run, "1", CREDIT);
		driver_expect(&d, APD_FRAME_EMIT);
		driver_send(&d, APD_FRAME_STOP, run, APD_STOP_CANCEL, NULL, 0);
		driver_expect_done(&d, run, AP_E_CANCELLED);
	}
	driver_quit(&d);
}

static void test_agent_threads(void **state)
{
	struct driver d;
	int emits = 0, commits = 0, type;

	(void)state;
	driver_serve(&d, "threads", "threads", false);
	driver_invoke(&d, 1, "1", CREDIT);
	while ((type = driver_next(&d)) != APD_FRAME_DONE) {
		emits += type == APD_FRAME_EMIT;
		if (type == APD_FRAME_COMMIT) {
			commits++;
			driver_committed(&d, AP_OK);
		}
	}
	assert_int_equal(emits, 400);
	assert_int_equal(commits, 4);
	assert_int_equal(d.frame.arg, AP_OK);
	driver_quit(&d);
}

/* What an agent must not emit or commit is refused by name, and the run goes on. */
static void test_invalid(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "emit_invalid", "emit_invalid", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_EMIT);
	assert_int_equal(d.frame.arg, AP_CHANNEL_LIFECYCLE);
	driver_expect(&d, APD_FRAME_EMIT);
	assert_string_equal(driver_field(&d, 0).ptr, "[ ]");
	assert_string_equal(driver_field(&d, 2).ptr, "{\"name\":\"fine\",\"payload\":0.10}");
	driver_expect_commit(&d, "{\"status\":[-2,-2,-2,-2,-2,-8,-2,-2,-2,-2,-2,0,0]}");
	driver_expect_done(&d, 1, AP_OK);
	assert_non_null(strstr(d.logs.data, "emit() refused an event: the data must be an object"));
	driver_quit(&d);

	driver_serve(&d, "emit_order", "emit_order", false);
	driver_invoke(&d, 1, "1", CREDIT);
	for (int i = 0; i < 3; i++)
		driver_expect(&d, APD_FRAME_EMIT);
	driver_expect_commit(&d, "{\"status\":[-2,0,-2,0,0,-2]}");
	driver_expect_done(&d, 1, AP_OK);
	assert_non_null(strstr(d.logs.data, "content-block-delta: no block is open"));
	driver_quit(&d);

	driver_serve(&d, "commit_invalid", "commit_invalid", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	assert_string_equal(driver_field(&d, 1).ptr, "[\"a\"]");
	assert_string_equal(
		driver_field(&d, 2).ptr, "{\"messages\":[{\"role\":\"ai\",\"content\":\"\"}]}");
	assert_string_equal(driver_field(&d, 3).ptr, "[\"k\"]");
	driver_committed(&d, AP_OK);
	driver_expect_commit(&d, "{\"status\":[-2,-2,-2,-2,-2,-2,-2,-2,-2,-2,-2,-2,-8,-2,-2,0]}");
	driver_expect_done(&d, 1, AP_OK);
	driver_quit(&d);
}

static void test_questions(void **state)
{
	const struct apd_invoke what = {.attempt = 1, .credit = CREDIT};
	const struct apd_invoke ephemeral = {
		.attempt = 1, .credit = CREDIT, .flags = AP_RUN_EPHEMERAL};
	struct driver d;

	(void)state;
	driver_serve(&d, "interrupts", "interrupts", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect(&d, APD_FRAME_ASK);
	assert_int_equal(d.frame.arg, 2);
	assert_int_equal(driver_field(&d, 0).len, 8);
	assert_memory_equal(driver_field(&d, 0).ptr, "v1\0bytes", 8);
	assert_string_equal(driver_field(&d, 1).ptr, "q");
	assert_null(driver_field(&d, 2).ptr);
	assert_string_equal(driver_field(&d, 3).ptr, "{\"ok\":true}");
	assert_string_equal(driver_field(&d, 4).ptr, "r");
	assert_string_equal(driver_field(&d, 6).ptr, "null");
	driver_expect_commit(&d, "{\"status\":[-2,-2,-2,-2,0,-12]}");
	driver_expect_done(&d, 1, AP_INTERRUPTED);
	assert_string_equal(d.misuses.data, "interrupt() twice in one invoke()\n");

	driver_invoke_with(&d, 2, "1", &what, APD_STR("[{\"id\":\"q\"}]"), APD_STR("v1\0bytes"));
	driver_expect_commit(&d, "{\"resume\":[{\"id\":\"q\"}],\"left\":1}");
	driver_expect_done(&d, 2, AP_OK);

	driver_invoke_with(&d, 3, "1", &ephemeral, APD_STR_ABSENT, APD_STR_ABSENT);
	driver_expect_commit(&d, "{\"status\":[-10,-10,-10,-10,-10,-10]}");
	driver_expect_done(&d, 3, AP_OK);
	driver_quit(&d);
}

static void test_fail(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "fails", "fails", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect_done(&d, 1, AP_E_UNAVAILABLE);
	assert_string_equal(driver_field(&d, 0).ptr, "model_overloaded");
	assert_string_equal(driver_field(&d, 1).ptr, "Try later.");
	driver_quit(&d);
}

/* A run of an instance that was never made ends at once. */
static void test_no_instance(void **state)
{
	const struct apd_setup setup = driver_setup();
	struct driver d;

	(void)state;
	driver_start(&d, "bare", &setup, false);
	driver_expect(&d, APD_FRAME_HELLO);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect_done(&d, 1, AP_E_NOT_FOUND);
	driver_quit(&d);
}

static void test_crash(void **state)
{
	struct driver d;
	int status;

	(void)state;
	driver_serve(&d, "crash", "crash", false);
	driver_invoke(&d, 1, "1", CREDIT);
	status = driver_end(&d);
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}

/* Log lines stop when their credit is used up, are counted, and go on with more credit. */
static void test_log_flood(void **state)
{
	struct driver d;
	size_t lines = 0;

	(void)state;
	driver_serve(&d, "log_flood", "log_flood", false);
	driver_invoke(&d, 1, "1", CREDIT);
	driver_expect_done(&d, 1, AP_OK);
	for (size_t i = 0; i < d.logs.len; i++)
		lines += d.logs.data[i] == '\n';
	/* 64 KiB, of which the first line takes 8 KiB. */
	assert_int_equal(lines, 1 + (65536 - 8192 + 999) / 1000);
	assert_int_equal(strcspn(d.logs.data, "\n"), 8192);
	apd_buf_clear(&d.logs);
	driver_send(&d, APD_FRAME_CREDIT, 0, 1000, NULL, 0);
	driver_send(&d, APD_FRAME_PING, 0, 1, NULL, 0);
	driver_expect(&d, APD_FRAME_PONG);
	assert_string_equal(d.logs.data, "942 log lines were dropped\n");
	driver_quit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_echo_in_process),
		cmocka_unit_test(test_long_input),
		cmocka_unit_test(test_commit_fails),
		cmocka_unit_test(test_relaxed),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_together_at_once),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_lone_event),
		cmocka_unit_test(test_agent_threads),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_no_instance),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_log_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
