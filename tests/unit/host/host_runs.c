/* Runs that go well: events, commits, questions, stops, and what a worker is given. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"

#define MANY LAB_PLUGIN("p", "1", LAB_AGENT("a", LAB_MANY) "," LAB_AGENT("one", ""))

static void test_life(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	assert_non_null(lab.host->ops->find(lab.host, APD_STR("a")));
	assert_null(lab.host->ops->find(lab.host, APD_STR("nobody")));
	assert_null(lab_acquire(&lab, "nobody", false));
	lab_start(&lab, &run, "a", "emit stray message commit emit commit ask log misuse say done");
	lab_until(&lab, run.done);
	assert_int_equal(run.status, AP_OK);
	assert_int_equal(run.emitted, 3);
	assert_int_equal(run.commits, 2);
	assert_string_equal(run.patch, "{\"k\":[1,2]}");
	assert_int_equal(run.asked, 1);
	assert_int_equal(lab_stats(&lab).workers, 1);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

static void test_failure(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "fail");
	lab_until(&lab, run.done);
	assert_int_equal(run.status, AP_E_FAILED);
	assert_string_equal(run.code, "some_code");
	lab_finish(&lab);
}

/* What no worker could take is not sent, and the worker and its other runs go on. */
static void test_too_large(void **state)
{
	struct apd_invocation what = {.agent_id = APD_STR("a"),
		.input = APD_STR("null"),
		.transcript = {"", 200u << 20},
		.values = {"", 60u << 20}};
	struct lab_run neighbour = {0}, run = {0}, gone = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &neighbour, "a", "wait");
	lab_until(&lab, (run.slot = lab_acquire(&lab, "a", false)));
	lab_until(&lab, (gone.slot = lab_acquire(&lab, "a", false)));
	run.slot->run = &run;
	gone.slot->run = &gone;
	lab.in_op = true;
	lab.host->ops->invoke(lab.host, run.slot, &what);
	lab.host->ops->invoke(lab.host, gone.slot, &what);
	lab.host->ops->stop(lab.host, run.slot, APD_STOP_CANCEL);
	lab.in_op = false;
	lab_release(&lab, &gone);
	assert_false(run.done);
	lab_until(&lab, run.done);
	assert_int_equal(run.status, AP_E_LIMIT);
	assert_string_equal(run.code, "too_large");
	assert_false(gone.done);
	lab_stop_run(&lab, &neighbour);
	lab_until(&lab, neighbour.done);
	assert_int_equal(neighbour.status, AP_E_CANCELLED);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

static void test_many(void **state)
{
	struct lab_run *runs = calloc(500, sizeof(*runs));
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	for (int i = 0; i < 500; i++)
		lab_start(&lab, &runs[i], "a", "emit commit emit done");
	for (int i = 0; i < 500; i++) {
		lab_until(&lab, runs[i].done);
		assert_int_equal(runs[i].emitted, 2);
	}
	free(runs);
	lab_finish(&lab);
}

static void test_stop(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "emit wait");
	lab_until(&lab, run.emitted == 1);
	assert_false(run.done);
	lab_stop_run(&lab, &run);
	lab_until(&lab, run.done);
	assert_int_equal(run.status, AP_E_CANCELLED);
	lab_finish(&lab);
}

static void test_slot_given_back_unused(void **state)
{
	struct lab_run run = {0}, next = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_until(&lab, (run.slot = lab_acquire(&lab, "one", false)));
	lab_release(&lab, &run);
	lab_until(&lab, (next.slot = lab_acquire(&lab, "one", false)));
	lab_invoke(&lab, &next, "done");
	lab_until(&lab, next.done);
	assert_int_equal(lab_stats(&lab).spawned, 1);
	lab_finish(&lab);
}

static void test_abandon_spares_neighbours(void **state)
{
	struct lab_run stuck = {0}, neighbour = {0}, later = {0};
	struct lab lab;
	int pid;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &stuck, "a", "pid hang");
	lab_start(&lab, &neighbour, "a", "emit wait");
	lab_until(&lab, stuck.emitted && neighbour.emitted);
	pid = lab_pid(&stuck);
	assert_true(pid > 0);
	lab_abandon(&lab, &stuck);
	/* New runs go elsewhere, the neighbour goes on. */
	lab_start(&lab, &later, "a", "pid done");
	lab_until(&lab, later.done);
	assert_int_not_equal(lab_pid(&later), pid);
	assert_false(neighbour.lost);
	assert_int_equal(lab_stats(&lab).killed, 0);
	lab_stop_run(&lab, &neighbour);
	lab_until(&lab, neighbour.done);
	/* It was the last one in the fenced worker. */
	lab_until(&lab, lab_stats(&lab).killed == 1);
	assert_false(stuck.done || stuck.lost);
	assert_int_equal(kill(pid, 0), -1);
	lab_finish(&lab);
}

static void test_drain_ends(void **state)
{
	struct lab_run stuck = {0}, neighbour = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.drain_ns = 100 * APD_NS_PER_MS;
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &stuck, "a", "emit hang");
	lab_start(&lab, &neighbour, "a", "emit hang");
	lab_until(&lab, stuck.emitted && neighbour.emitted);
	lab_abandon(&lab, &stuck);
	lab_until(&lab, neighbour.lost);
	assert_string_equal(neighbour.reason, "a run in it did not stop");
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

/* A worker that owes a reply and is silent is asked whether it lives. It is not killed for it. */
static void test_ping(void **state)
{
	struct lab_run run = {0}, quiet = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "emit hang");
	lab_start(&lab, &quiet, "one", "emit wait");
	lab_until(&lab, run.emitted == 1);
	lab_stop_run(&lab, &run);
	lab_until(&lab, run.emitted == 2);
	assert_string_equal(run.data, "{\"pinged\":true}");
	assert_false(run.lost || quiet.lost);
	lab_finish(&lab);
}

static void test_chatter_is_bounded(void **state)
{
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "shout done");
	lab_until(&lab, run.done);
	lab_until(&lab, lab_stats(&lab).log_dropped > 0);
	lab_finish(&lab);
}

static void test_environment(void **state)
{
	static const char *const env[] = {"HOST_TEST=given", "HOST_TEST=late", "NOT_THERE", NULL};
	struct lab_run run = {0}, bare = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_plugin(&lab, "q.so", "good", LAB_PLUGIN("q", "1", LAB_AGENT("bare", "")));
	setenv("HOST_TEST", "leaked", 1);
	lab.agents[0].agent_id = "a";
	lab.agents[0].plugin = "p";
	lab.agents[0].agent = "a";
	lab.agents[0].env = env;
	lab.config.n_agents = 1;
	lab_open(&lab);
	lab_start(&lab, &run, "a", "env done");
	lab_start(&lab, &bare, "bare", "env done");
	lab_until(&lab, run.done && bare.done);
	assert_string_equal(run.data, "{\"env\":\"given 0\"}");
	assert_string_equal(bare.data, "{\"env\":\"none 0\"}");
	unsetenv("HOST_TEST");
	lab_finish(&lab);
}

/* A worker has its five descriptors, whatever else the daemon has open, and its own group. */
static void test_descriptors(void **state)
{
	struct lab_run run = {0};
	struct lab lab;
	int leaky = open("/dev/null", O_RDONLY); /* stays open on exec */

	(void)state;
	assert_true(leaky >= 0);
	lab_init(&lab);
	lab_plugin(&lab, "p.so", "good", MANY);
	lab_open(&lab);
	lab_start(&lab, &run, "a", "fds done");
	lab_until(&lab, run.done);
	assert_string_equal(run.data, "{\"fds\":5,\"leads\":1}");
	close(leaky);
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_slot_given_back_unused),
		cmocka_unit_test(test_abandon_spares_neighbours),
		cmocka_unit_test(test_drain_ends),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_chatter_is_bounded),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
