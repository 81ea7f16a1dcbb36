/* New files while the daemon runs: generations, bad files, files that come and go. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/parts.h"
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

/* What can be described may still not serve: then nothing changes for those who run agents. */
static void test_new_version_that_cannot_serve(void **state)
{
	static const struct {
		const char *word, *wanted;
	} cases[] = {
		{"die", "its worker ended before it was ready: exit status 7"},
		{"bad-create", "agent bad: its create() failed"},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct lab_run before = {0}, after = {0};
		struct lab lab;

		lab_init(&lab);
		lab_plugin(&lab, "p.so", "good", LAB_PLUGIN("p", "1", LAB_AGENT("bad", LAB_MANY)));
		lab_open(&lab);
		lab_start(&lab, &before, "bad", "pid wait");
		lab_until(&lab, before.emitted);
		lab_plugin(&lab, "p.so", cases[i].word,
			LAB_PLUGIN("p", "2", LAB_AGENT("bad", LAB_MANY)));
		apd_pool_reload(lab.pool);
		lab_until(&lab, has_meta(&lab, "bad", "reload_error"));
		assert_true(has_meta(&lab, "bad", cases[i].wanted));
		assert_true(has_meta(
			&lab, "bad", "\"version\":\"1\",\"generation\":1,\"state\":\"ready\""));
		lab_start(&lab, &after, "bad", "pid done");
		lab_until(&lab, after.done);
		assert_int_equal(lab_pid(&before), lab_pid(&after));
		lab_stop_run(&lab, &before);
		lab_until(&lab, before.done);
		lab_finish(&lab);
	}
}

/* The old one serves until the new one can, however long that takes. */
static void test_slow_version(void **state)
{
	struct lab_run before = {0}, meanwhile = {0}, after = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab_open(&lab);
	lab_start(&lab, &before, "a", "pid done");
	lab_until(&lab, before.done);
	lab_plugin(&lab, "p.so", "mute", VERSION("2"));
	apd_pool_reload(lab.pool);
	lab_until(&lab, lab_stats(&lab).workers == 2);
	/* At once: nobody waits for the new one. */
	meanwhile.slot = lab_acquire(&lab, "a", false);
	assert_non_null(meanwhile.slot);
	lab_invoke(&lab, &meanwhile, "pid done");
	lab_until(&lab, meanwhile.done);
	assert_int_equal(lab_pid(&before), lab_pid(&meanwhile));
	assert_true(has_meta(&lab, "a", "\"version\":\"1\""));
	/* A newer one takes its place. */
	lab_plugin(&lab, "p.so", "good", VERSION("3"));
	apd_pool_reload(lab.pool);
	lab_until(&lab, has_meta(&lab, "a", "\"version\":\"3\""));
	assert_true(has_meta(&lab, "a", "\"state\":\"ready\""));
	lab_start(&lab, &after, "a", "pid done");
	lab_until(&lab, after.done);
	assert_int_not_equal(lab_pid(&after), lab_pid(&before));
	lab_finish(&lab);
}

/* Agents of one plugin that are confined differently, and alike. */
static void test_wards(void **state)
{
	static const char *const env[] = {"A=1", NULL};
	static const char *const same_env[] = {"A=1", NULL};
	struct lab_run runs[4] = {0};
	struct lab lab;
	const char *ids[] = {"one", "two", "three", "a"};

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good",
		LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY) "," LAB_AGENT("b", LAB_MANY)));
	for (size_t i = 0; i < 3; i++) {
		lab.agents[i].agent_id = ids[i];
		lab.agents[i].plugin = "p";
		lab.agents[i].agent = "b";
	}
	lab.agents[0].env = env;
	lab.agents[1].env = same_env;
	lab.agents[2].files_max = 100;
	lab.config.n_agents = 3;
	lab_open(&lab);
	for (size_t i = 0; i < 4; i++) {
		lab_start(&lab, &runs[i], ids[i], "pid done");
		lab_until(&lab, runs[i].done);
	}
	assert_int_equal(lab_pid(&runs[0]), lab_pid(&runs[1]));
	assert_int_not_equal(lab_pid(&runs[0]), lab_pid(&runs[2]));
	assert_int_not_equal(lab_pid(&runs[0]), lab_pid(&runs[3]));
	assert_int_not_equal(lab_pid(&runs[2]), lab_pid(&runs[3]));
	assert_int_equal(lab_stats(&lab).workers, 3);
	/* All of them follow their file. */
	lab_plugin(&lab, "p.so", "good",
		LAB_PLUGIN("p", "2", LAB_AGENT("a", LAB_MANY) "," LAB_AGENT("b", LAB_MANY)));
	apd_pool_reload(lab.pool);
	for (size_t i = 0; i < 4; i++)
		lab_until(&lab, has_meta(&lab, ids[i], "\"version\":\"2\""));
	lab_until(&lab, lab_stats(&lab).workers == 3);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

/* Nobody tells the pool: it sees for itself. */
static void test_watch(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.watch = true;
	lab_plugin(&lab, "p.so", "good", VERSION("1"));
	lab_open(&lab);
	lab_until(&lab, has_meta(&lab, "a", "\"state\":\"ready\""));
	lab_plugin(&lab, "p.so", "good", VERSION("2"));
	lab_until(&lab, has_meta(&lab, "a", "\"version\":\"2\""));
	assert_int_equal(unlink(lab_path(&lab, "p.so")), 0);
	lab_until(&lab, !lab_agent(&lab, "a"));
	lab_finish(&lab);
}

/* A directory that is not there is noticed when it comes, with those above it, and when it goes. */
static void test_watch_for_directory(void **state)
{
	char first[80], second[90], was[100];
	struct lab lab;

	(void)state;
	lab_init(&lab);
	snprintf(first, sizeof(first), "%s/first", lab.dir);
	snprintf(second, sizeof(second), "%s/second/", first);
	snprintf(was, sizeof(was), "%s/was", lab.dir);
	lab.config.watch = true;
	lab.dirs[0] = second;
	lab_open(&lab);
	assert_null(lab_agent(&lab, "a"));
	assert_int_equal(mkdir(was, 0755), 0);
	lab_plugin(&lab, "was/p.so", "good", VERSION("1"));
	for (int i = 0; i < 2; i++) {
		/* Step by step, and both at once. */
		assert_int_equal(mkdir(first, 0755), 0);
		if (i == 0) {
			lab_until(&lab, apd_deadline_is_set(&lab.pool->changed));
			lab_until(&lab, !apd_deadline_is_set(&lab.pool->changed));
		}
		assert_int_equal(rename(was, second), 0);
		lab_until(&lab, lab_agent(&lab, "a"));
		assert_int_equal(rename(second, was), 0);
		assert_int_equal(rmdir(first), 0);
		lab_until(&lab, !lab_agent(&lab, "a"));
	}
	lab.dirs[0] = lab.dir;
	assert_int_equal(unlink(lab_path(&lab, "was/p.so")), 0);
	assert_int_equal(rmdir(was), 0);
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
		cmocka_unit_test(test_new_version_that_cannot_serve),
		cmocka_unit_test(test_slow_version),
		cmocka_unit_test(test_wards),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_watch_for_directory),
		cmocka_unit_test(test_stop_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
