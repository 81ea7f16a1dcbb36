/* How many workers there are: more when slots are wanted, fewer when they are idle, one for a run. */
#include <string.h>

#include "lab.h"

#define ONE LAB_PLUGIN("p", "1", LAB_AGENT("a", ""))

static void test_several_workers(void **state)
{
	struct lab_run runs[4] = {0}, late = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", ONE);
	lab_open(&lab);
	/* One at a time in each: so each takes a worker of its own, up to the most allowed. */
	for (int i = 0; i < 4; i++)
		lab_start(&lab, &runs[i], "a", "pid wait");
	lab_until(&lab, runs[0].emitted && runs[1].emitted && runs[2].emitted && runs[3].emitted);
	assert_int_equal(lab_stats(&lab).workers, 4);
	for (int i = 1; i < 4; i++)
		assert_int_not_equal(lab_pid(&runs[0]), lab_pid(&runs[i]));
	assert_null(lab_acquire(&lab, "a", false));
	lab.slots_calls = 0;
	lab_stop_run(&lab, &runs[2]);
	lab_until(&lab, runs[2].done);
	lab_until(&lab, lab.slots_calls > 0);
	late.slot = lab_acquire(&lab, "a", false);
	assert_non_null(late.slot);
	lab_invoke(&lab, &late, "done");
	lab_until(&lab, late.done);
	assert_int_equal(lab_stats(&lab).spawned, 4);
	lab_finish(&lab);
}

static void test_idle_ones_end(void **state)
{
	struct lab_run runs[3] = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.idle_ns = 50 * APD_NS_PER_MS;
	lab_plugin(&lab, "p.so", "good", ONE);
	lab_open(&lab);
	for (int i = 0; i < 3; i++)
		lab_start(&lab, &runs[i], "a", "emit wait");
	assert_int_equal(lab_stats(&lab).workers, 3);
	for (int i = 0; i < 3; i++)
		lab_stop_run(&lab, &runs[i]);
	lab_until(&lab, lab_stats(&lab).workers == 1);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

static void test_alone(void **state)
{
	struct lab_run first = {0}, alone = {0}, third = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY)));
	lab_open(&lab);
	lab_start(&lab, &first, "a", "pid wait");
	lab_start_alone(&lab, &alone, "a", "pid wait");
	lab_start(&lab, &third, "a", "pid wait");
	lab_until(&lab, first.emitted && alone.emitted && third.emitted);
	assert_int_not_equal(lab_pid(&first), lab_pid(&alone));
	assert_int_equal(lab_pid(&first), lab_pid(&third));
	lab_stop_run(&lab, &alone);
	lab_until(&lab, alone.done);
	/* Its worker takes any run again. */
	assert_int_equal(lab_stats(&lab).workers, 2);
	lab_finish(&lab);
}

static void test_isolation(void **state)
{
	struct lab_run runs[6] = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.isolation = APD_ISOLATE_RUN;
	lab_plugin(&lab, "p.so", "good", LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY)));
	lab_open(&lab);
	for (int i = 0; i < 6; i++) {
		lab_start(&lab, &runs[i], "a", "pid done");
		lab_until(&lab, runs[i].done);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(lab_pid(&runs[i]), lab_pid(&runs[j]));
	}
	/* The next one waits ready, the used ones go. */
	lab_until(&lab, lab_stats(&lab).workers == 1);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

/* A used, idle worker makes room for the unused one that a run of its own needs. */
static void test_isolation_beside_others(void **state)
{
	struct lab_run shared = {0}, own = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.max_workers = 1;
	lab_plugin(&lab, "p.so", "good",
		LAB_PLUGIN("p", "1", LAB_AGENT("s", "") "," LAB_AGENT("o", "")));
	lab.agents[0].agent_id = "own";
	lab.agents[0].plugin = "p";
	lab.agents[0].agent = "o";
	lab.agents[0].isolation = APD_ISOLATE_RUN;
	lab.config.n_agents = 1;
	lab_open(&lab);
	lab_start(&lab, &shared, "s", "pid done");
	lab_until(&lab, shared.done);
	lab_start(&lab, &own, "own", "pid done");
	lab_until(&lab, own.done);
	assert_int_not_equal(lab_pid(&own), lab_pid(&shared));
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_workers),
		cmocka_unit_test(test_idle_ones_end),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_isolation),
		cmocka_unit_test(test_isolation_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
