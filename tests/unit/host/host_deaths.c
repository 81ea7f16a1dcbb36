/* Deaths of workers: who is told, what comes after, and what does not come up at all. */
#include <signal.h>
#include <string.h>

#include "host/parts.h"
#include "lab.h"

#define MANY LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY))

static void test_crash(void **state)
{
	struct lab_run crash = {0}, neighbour = {0}, waiting = {0}, other = {0}, next = {0};
	struct lab lab;
	int64_t began;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_plugin(&lab, "q.so", "good", LAB_PLUGIN("q", "1", LAB_AGENT("b", LAB_MANY)));
	lab_open(&lab);
	lab_start(&lab, &other, "b", "emit wait");
	lab_start(&lab, &neighbour, "a", "emit wait");
	lab_until(&lab, (waiting.slot = lab_acquire(&lab, "a", false)));
	waiting.slot->run = &waiting;
	lab_start(&lab, &crash, "a", "emit emit segv");
	lab_until(&lab, crash.lost);
	began = apd_clock_mono_ns();
	assert_string_equal(crash.reason, "SIGSEGV");
	assert_true(neighbour.lost && waiting.lost);
	/* What it sent before it died is not lost. */
	assert_int_equal(crash.emitted, 2);
	assert_int_equal(lab_stats(&lab).crashes, 1);
	/* The next worker is started after a backoff, and the agent goes on. */
	lab_start(&lab, &next, "a", "done");
	lab_until(&lab, next.done);
	assert_true(apd_clock_mono_ns() - began > 300 * APD_NS_PER_MS);
	assert_false(other.lost);
	lab_stop_run(&lab, &other);
	lab_until(&lab, other.done);
	lab_finish(&lab);
}

static void test_exit(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "exit3");
	lab_until(&lab, run.lost);
	assert_string_equal(run.reason, "exit status 3");
	lab_finish(&lab);
}

/* The runtime may give up other runs of the dead worker while it is told of one. */
static void test_abandon_while_lost(void **state)
{
	struct lab_run crash = {0}, child = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &crash, "a", "pid wait");
	lab_start(&lab, &child, "a", "emit hang");
	lab_until(&lab, crash.emitted && child.emitted);
	lab.abandon_with = &child;
	assert_int_equal(kill(lab_pid(&crash), SIGKILL), 0);
	lab_until(&lab, crash.lost);
	assert_string_equal(crash.reason, "SIGKILL");
	assert_null(child.slot);
	assert_false(child.lost);
	lab_finish(&lab);
}

static void test_hopeless(void **state)
{
	struct apd_agent *agent;
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "die", MANY);
	lab_open(&lab);
	assert_int_equal(lab_agent(&lab, "a")->state, APD_AGENT_STARTING);
	assert_null(lab_acquire(&lab, "a", false));
	lab_until(&lab, lab_agent(&lab, "a")->state == APD_AGENT_BROKEN);
	agent = lab_agent(&lab, "a");
	assert_non_null(strstr(agent->reason.ptr, "exit status 7"));
	assert_non_null(strstr(agent->reason.ptr, "5 times"));
	assert_int_equal(lab_stats(&lab).spawned, 5);
	assert_null(lab_acquire(&lab, "a", false));
	/* A good file heals it. */
	lab_plugin(&lab, "p.so", "good", MANY);
	apd_pool_reload(lab.pool);
	lab_until(&lab, lab_agent(&lab, "a")->state == APD_AGENT_READY);
	lab_finish(&lab);
}

static void test_mute(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.hello_ns = 100 * APD_NS_PER_MS;
	lab_plugin(&lab, "p.so", "mute", MANY);
	lab_open(&lab);
	lab_until(&lab, lab_stats(&lab).crashes == 2);
	assert_int_equal(lab_agent(&lab, "a")->state, APD_AGENT_STARTING);
	lab_finish(&lab);
}

static void test_create_hangs(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.create_ns = 50 * APD_NS_PER_MS;
	lab_plugin(&lab, "p.so", "hang-create", MANY);
	lab_open(&lab);
	assert_null(lab_acquire(&lab, "a", false));
	lab_until(&lab, lab_agent(&lab, "a")->state == APD_AGENT_BROKEN);
	assert_string_equal(lab_agent(&lab, "a")->reason.ptr,
		"its worker ended 5 times before it was ready: its create() did not return within "
		"0.05 s");
	assert_int_equal(lab_stats(&lab).spawned, 5);
	/* Who waits is told, so that he hears of it. */
	assert_true(lab.slots_calls > 0);
	assert_null(lab_acquire(&lab, "a", false));
	/* The same file stays broken, another one heals it. */
	apd_pool_reload(lab.pool);
	lab_until(&lab, !lab.pool->scan);
	assert_int_equal(lab_agent(&lab, "a")->state, APD_AGENT_BROKEN);
	assert_int_equal(lab_stats(&lab).spawned, 5);
	lab_plugin(&lab, "p.so", "good", MANY);
	apd_pool_reload(lab.pool);
	lab_until(&lab, lab_agent(&lab, "a")->state == APD_AGENT_READY);
	lab_finish(&lab);
}

/* Starts that come to nothing are counted in a row: one that is ready begins the count anew. */
static void test_ready_between(void **state)
{
	struct lab_run run = {0};
	struct apd_ward *ward;
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_until(&lab, lab_agent(&lab, "a")->state == APD_AGENT_READY);
	ward = apd_list_first(&apd_list_first(&lab.pool->plugins, struct apd_plugin, link)->wards,
		struct apd_ward, link);
	ward->unready = 4;
	lab_start(&lab, &run, "a", "segv");
	lab_until(&lab, run.lost);
	/* It had been ready: that is no start that came to nothing. */
	assert_int_equal(ward->unready, 4);
	lab_until(&lab, lab_acquire(&lab, "a", false));
	assert_int_equal(ward->unready, 0);
	assert_int_equal(lab_agent(&lab, "a")->state, APD_AGENT_READY);
	lab_finish(&lab);
}

static void test_create_fails(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "bad-create",
		LAB_PLUGIN("p", "1", LAB_AGENT("bad", "") "," LAB_AGENT("fine", "")));
	lab_open(&lab);
	lab_start(&lab, &run, "fine", "done");
	lab_until(&lab, run.done);
	assert_int_equal(lab_agent(&lab, "bad")->state, APD_AGENT_BROKEN);
	assert_non_null(strstr(lab_agent(&lab, "bad")->reason.ptr, "There is no model."));
	assert_non_null(strstr(lab_agent(&lab, "bad")->reason.ptr, "no_model"));
	assert_null(lab_acquire(&lab, "bad", false));
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

/* True if the process is not there any more, and has been waited for. */
static bool is_gone(int pid)
{
	return kill(pid, 0) < 0;
}

/* What a worker left in a session of its own ends with it, and with no other. */
static void test_strays(void **state)
{
	struct lab_run stray = {0}, other = {0}, crash = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_plugin(&lab, "q.so", "good", LAB_PLUGIN("q", "1", LAB_AGENT("b", LAB_MANY)));
	lab_open(&lab);
	lab_start(&lab, &stray, "a", "away wait");
	lab_start(&lab, &other, "b", "away wait");
	lab_until(&lab, stray.emitted && other.emitted);
	assert_true(lab_pid(&stray) > 0 && lab_pid(&other) > 0);
	assert_false(is_gone(lab_pid(&stray)) || is_gone(lab_pid(&other)));
	lab_start(&lab, &crash, "a", "segv");
	lab_until(&lab, crash.lost);
	lab_until(&lab, is_gone(lab_pid(&stray)));
	assert_false(is_gone(lab_pid(&other)));
	lab_finish(&lab);
	assert_true(is_gone(lab_pid(&other)));
}

static void test_no_worker_program(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.worker_path = "/no/such/apd-worker";
	lab_plugin(&lab, "p.so", "good", MANY);
	lab.agents[0].agent_id = "a";
	lab.agents[0].plugin = "p";
	lab.config.n_agents = 1;
	lab_open(&lab);
	assert_non_null(strstr(lab_agent(&lab, "a")->reason.ptr, "cannot start /no/such"));
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_abandon_while_lost),
		cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_mute),
		cmocka_unit_test(test_create_hangs),
		cmocka_unit_test(test_ready_between),
		cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_strays),
		cmocka_unit_test(test_no_worker_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
