/* Workers as threads of this process. */
#include "lab.h"
#include "scripted.h"

#define MANY LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY))

static void test_runs(void **state)
{
	struct lab_run run = {0}, waiting = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.in_process = scripted_serve;
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "emit commit done");
	lab_start(&lab, &waiting, "a", "emit wait");
	lab_until(&lab, run.done);
	lab_stop_run(&lab, &waiting);
	lab_until(&lab, waiting.done);
	assert_int_equal(waiting.status, AP_E_CANCELLED);
	lab_finish(&lab);
}

static void test_breach(void **state)
{
	struct lab_run run = {0}, next = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.in_process = scripted_serve;
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "bad-json hang");
	lab_until(&lab, run.lost);
	lab_start(&lab, &next, "a", "done");
	lab_until(&lab, next.done);
	lab_finish(&lab);
}

static void test_abandon(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.in_process = scripted_serve;
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "emit hang");
	lab_until(&lab, run.emitted);
	lab_abandon(&lab, &run);
	lab_until(&lab, lab_stats(&lab).killed == 1);
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_breach),
		cmocka_unit_test(test_abandon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
