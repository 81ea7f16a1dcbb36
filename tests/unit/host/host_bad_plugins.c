/* Plugins that break a clause of the SDK's page: each is named with its reason, and harms no other. */
#include <stdio.h>
#include <string.h>

#include "lab.h"

static const struct {
	const char *file, *wanted;
} cases[] = {
	{"no_symbol", "does not export ap_plugin_v1"},
	{"wrong_magic", "magic: wanted"},
	{"wrong_major", "abi_major: wanted 1, found"},
	{"wrong_minor", "abi_minor"},
	{"needs_minor", "needs_minor: wanted at most 0, found"},
	{"small_plugin", "size: wanted at least"},
	{"duplicate_id", "id"},
	{"malformed_id", "id"},
	{"missing_id", "id"},
	{"long_id", "id"},
	{"no_agents", "agents"},
	{"no_info", "info"},
	{"no_invoke", "invoke"},
	{"no_name", "name"},
	{"bad_schema", "JSON"},
	{"bad_metadata", "metadata"},
	{"unmet_needs", "needs"},
	{"init_fails", "init"},
	{"init_crashes", "it could not be described"},
};

static void test_all(void **state)
{
	struct apd_agent_config entries[APD_COUNT(cases)];
	struct lab_run run = {0};
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.worker_path = APD_WORKER;
	memset(entries, 0, sizeof(entries));
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		char from[512], file[64];

		snprintf(from, sizeof(from), "%s/%s.so", TEST_PLUGINS, cases[i].file);
		snprintf(file, sizeof(file), "%s.so", cases[i].file);
		lab_copy(&lab, file, from);
		entries[i].agent_id = entries[i].plugin = cases[i].file;
	}
	lab_copy(&lab, "bare.so", TEST_PLUGINS "/bare.so");
	lab.config.agents = entries;
	lab.config.n_agents = APD_COUNT(entries);
	lab_open(&lab);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_agent *agent = lab_agent(&lab, cases[i].file);

		assert_non_null(agent);
		assert_int_equal(agent->state, APD_AGENT_BROKEN);
		if (!strstr(agent->reason.ptr, cases[i].wanted) ||
			!strstr(agent->reason.ptr, cases[i].file))
			fail_msg("%s: %s", cases[i].file, agent->reason.ptr);
	}
	lab_start(&lab, &run, "bare", "anything");
	lab_until(&lab, run.done);
	assert_int_equal(lab_stats(&lab).crashes, 0);
	lab_finish(&lab);
}

static void test_create_fails(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.worker_path = APD_WORKER;
	lab.agents[0].agent_id = "it";
	lab.agents[0].plugin = "create_fails";
	lab.config.n_agents = 1;
	lab_copy(&lab, "create_fails.so", TEST_PLUGINS "/create_fails.so");
	lab_open(&lab);
	lab_until(&lab, lab_agent(&lab, "it")->state == APD_AGENT_BROKEN);
	assert_non_null(strstr(lab_agent(&lab, "it")->reason.ptr, "its create() failed"));
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_create_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
