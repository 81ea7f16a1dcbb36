/* New files while the daemon runs: generations, bad files, files that come and go. */
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define VERSION(v) LAB_PLUGIN("p", v, LAB_AGENT("a", LAB_MANY))

static bool has_meta(struct lab *lab, const char *agent_id, const char *text)
{
	struct apd_agent *agent = lab_agent(lab, agent_id);

	return agent && strstr(agent->metadata.ptr, text);
}

static void test_new_generation(void **state)
{
	struct lab_run old = {0}, young = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab_open(&lab);
	lab_start(&lab, &old, "a", "pid wait");
	lab_until(&lab, old.emitted);
	lab_plugin(&lab, "p.so", "good", VERSION("2"));
	apd_pool_reload(lab.pool);
	lab_until(&lab,
		has_meta(&lab, "a", "\"version\":\"2\",\"generation\":2,\"state\":\"ready\""));
	lab_start(&lab, &young, "a", "pid done");
	lab_until(&lab, young.done);
	assert_int_not_equal(lab_pid(&old), lab_pid(&young));
	/* The old one goes on until its runs are over, then it ends. */
	assert_false(old.lost || old.done);
	assert_int_equal(lab_stats(&lab).workers, 2);
	lab_stop_run(&lab, &old);
	lab_until(&lab, old.done);
	lab_until(&lab, lab_stats(&lab).workers == 1);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

static void test_nothing_new(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab_open(&lab);
	lab_until(&lab, lab_agent(&lab, "a")->state == APD_AGENT_READY);
	apd_pool_reload(lab.pool);
	apd_pool_reload(lab.pool);
	lab.slots_calls = 0;
	lab_until(&lab, lab.slots_calls > 0);
	assert_true(has_meta(&lab, "a", "\"generation\":1"));
	assert_int_equal(lab_stats(&lab).spawned, 1);
	lab_finish(&lab);
}

static void test_bad_file(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab_open(&lab);
	lab_plugin(&lab, "p.so", "crash-describe", VERSION("2"));
	apd_pool_reload(lab.pool);
	lab_until(&lab, has_meta(&lab, "a", "reload_error"));
	assert_true(has_meta(&lab, "a", "SIGSEGV"));
	assert_true(has_meta(&lab, "a", "\"version\":\"1\""));
	lab_start(&lab, &run, "a", "done");
	lab_until(&lab, run.done);
	/* And a good one after it. */
	lab_plugin(&lab, "p.so", "good", VERSION("3"));
	apd_pool_reload(lab.pool);
	lab_until(&lab, has_meta(&lab, "a", "\"version\":\"3\",\"generation\":2"));
	assert_false(has_meta(&lab, "a", "reload_error"));
	lab_finish(&lab);
}

static void test_come_and_go(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab.agents[0].agent_id = "mine";
	lab.agents[0].plugin = "q";
	lab.agents[0].agent = "b";
	lab_plugin(&lab, "q.so", "good", LAB_PLUGIN("q", "1", LAB_AGENT("b", "")));
	lab.config.n_agents = 1;
	lab_open(&lab);
	lab_start(&lab, &run, "a", "emit wait");
	assert_int_equal(unlink(lab_path(&lab, "p.so")), 0);
	assert_int_equal(unlink(lab_path(&lab, "q.so")), 0);
	lab_plugin(&lab, "r.so", "good", LAB_PLUGIN("r", "1", LAB_AGENT("c", "")));
	apd_pool_reload(lab.pool);
	lab_until(&lab, lab_agent(&lab, "c"));
	/* What is configured stays and says what is wrong; what is not vanishes; runs go on. */
	assert_null(lab_agent(&lab, "a"));
	assert_int_equal(lab_agent(&lab, "mine")->state, APD_AGENT_BROKEN);
	assert_non_null(strstr(lab_agent(&lab, "mine")->reason.ptr, "is gone"));
	assert_null(lab_acquire(&lab, "a", false));
	assert_false(run.lost);
	lab_stop_run(&lab, &run);
	lab_until(&lab, run.done);
	lab_plugin(&lab, "p.so", "good", VERSION("2"));
	apd_pool_reload(lab.pool);
	lab_until(&lab, has_meta(&lab, "a", "\"state\":\"ready\""));
	lab_finish(&lab);
}

/* A daemon that is told to end while it describes. */
static void test_stop_meanwhile(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab_open(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("2"));
	apd_pool_reload(lab.pool);
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_generation),
		cmocka_unit_test(test_nothing_new),
		cmocka_unit_test(test_bad_file),
		cmocka_unit_test(test_come_and_go),
		cmocka_unit_test(test_stop_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
