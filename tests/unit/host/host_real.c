/* The host with apd-worker and real plugins. */
#include <string.h>

#include "lab.h"
#include "worker/worker.h"

static void open_with(struct lab *lab)
{
	lab_init(lab);
	lab->config.worker_path = APD_WORKER;
	lab_copy(lab, "echo.so", ECHO_PLUGIN);
	lab_copy(lab, "countdown.so", COUNTDOWN_PLUGIN);
	lab_copy(lab, "crash.so", CRASH_PLUGIN);
	lab->agents[0].agent_id = "parrot";
	lab->agents[0].plugin = "echo";
	lab->agents[0].settings = "{\"delay_ms\":1}";
	lab->config.n_agents = 1;
	lab_open(lab);
}

static void test_served(void **state)
{
	struct lab lab;

	(void)state;
	open_with(&lab);
	lab_until(&lab, lab_agent(&lab, "parrot")->state == APD_AGENT_READY);
	assert_true(lab_agent(&lab, "parrot")->messages);
	assert_true(apd_str_is(lab_agent(&lab, "parrot")->name, "Echo"));
	assert_non_null(lab_agent(&lab, "countdown")->input);
	assert_non_null(lab_agent(&lab, "crash"));
	assert_null(lab_agent(&lab, "echo"));
	lab_finish(&lab);
}

static void test_echo(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	open_with(&lab);
	lab_start(&lab, &run, "parrot", "{\"say\":\"hello\"}");
	lab_until(&lab, run.done);
	assert_int_equal(run.status, AP_OK);
	assert_int_equal(run.commits, 1);
	assert_string_equal(run.patch, "{\"echo\":{\"say\":\"hello\"}}");
	lab_finish(&lab);
}

static void test_stop(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	open_with(&lab);
	lab_start(&lab, &run, "countdown", "{\"from\":5,\"step_ms\":3600000}");
	lab_until(&lab, run.commits == 1);
	assert_string_equal(run.patch, "{\"left\":5}");
	lab_stop_run(&lab, &run);
	lab_until(&lab, run.done);
	assert_int_equal(run.status, AP_E_CANCELLED);
	lab_finish(&lab);
}

static void test_crash(void **state)
{
	struct lab_run crash = {0}, neighbour = {0}, other = {0}, after = {0};
	struct lab lab;

	(void)state;
	open_with(&lab);
	lab_start(&lab, &other, "countdown", "{\"from\":5,\"step_ms\":3600000}");
	lab_start(&lab, &neighbour, "crash", "{\"how\":\"loop\"}");
	lab_start(&lab, &crash, "crash", "{\"how\":\"abort\"}");
	lab_until(&lab, crash.lost && neighbour.lost);
	assert_string_equal(crash.reason, "SIGABRT");
	assert_string_equal(neighbour.reason, "SIGABRT");
	lab_start(&lab, &after, "crash", "{\"how\":\"none\"}");
	lab_until(&lab, after.done);
	assert_int_equal(after.status, AP_OK);
	assert_false(other.lost);
	lab_stop_run(&lab, &other);
	lab_until(&lab, other.done);
	lab_finish(&lab);
}

static void test_loop_is_killed(void **state)
{
	struct lab_run stuck = {0}, after = {0};
	struct lab lab;

	(void)state;
	open_with(&lab);
	lab_start(&lab, &stuck, "crash", "{\"how\":\"loop\"}");
	lab_stop_run(&lab, &stuck);
	lab_abandon(&lab, &stuck);
	lab_until(&lab, lab_stats(&lab).killed == 1);
	lab_start(&lab, &after, "crash", "{\"how\":\"none\"}");
	lab_until(&lab, after.done);
	lab_finish(&lab);
}

/* A thread of this process in place of apd-worker. */
static int serve(int socket_fd, int plugin_fd)
{
	return apd_worker_serve(socket_fd, plugin_fd, true);
}

static void test_in_process(void **state)
{
	struct lab_run run = {0}, waiting = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.in_process = serve;
	lab_copy(&lab, "echo.so", ECHO_PLUGIN);
	lab_copy(&lab, "countdown.so", COUNTDOWN_PLUGIN);
	lab_open(&lab);
	lab_start(&lab, &waiting, "countdown", "{\"from\":5,\"step_ms\":3600000}");
	lab_start(&lab, &run, "echo", "{\"say\":1}");
	lab_until(&lab, run.done && waiting.commits == 1);
	lab_stop_run(&lab, &waiting);
	lab_until(&lab, waiting.done);
	assert_string_equal(run.patch, "{\"echo\":{\"say\":1}}");
	lab_finish(&lab);
}

static void test_bad_settings(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.worker_path = APD_WORKER;
	lab_copy(&lab, "echo.so", ECHO_PLUGIN);
	lab.agents[0].agent_id = "parrot";
	lab.agents[0].plugin = "echo.so";
	lab.agents[0].settings = "{\"delay_ms\":\"soon\"}";
	lab.config.n_agents = 1;
	lab_open(&lab);
	assert_int_equal(lab_agent(&lab, "parrot")->state, APD_AGENT_BROKEN);
	assert_non_null(strstr(lab_agent(&lab, "parrot")->reason.ptr, "/delay_ms"));
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_served),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_loop_is_killed),
		cmocka_unit_test(test_bad_settings),
		cmocka_unit_test(test_in_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
