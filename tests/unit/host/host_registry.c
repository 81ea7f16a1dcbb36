/* From plugins and configuration to agents: who is served, as what, and why not. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "lab.h"

/* Checks that the agent's metadata has the member with this string. */
static void expect_meta(struct lab *lab, const char *agent_id, const char *key, const char *wanted)
{
	struct apd_agent *agent = lab_agent(lab, agent_id);
	struct apd_json json = {0};
	struct apd_buf scratch = {0};
	uint32_t i;

	assert_non_null(agent);
	assert_int_equal(apd_json_scan(&json, agent->metadata), 0);
	i = apd_json_member(&json, 0, apd_str(key));
	if (i == 0)
		fail_msg("%s has no %s: %s", agent_id, key, agent->metadata.ptr);
	if (apd_json_type(&json, i) == APD_JSON_STRING) {
		struct apd_str s = apd_json_string(&json, i, &scratch);

		if (!memmem(s.ptr, s.len, wanted, strlen(wanted)))
			fail_msg("%s of %s: %.*s", key, agent_id, APD_STR_FMT(s));
	} else
		assert_true(apd_str_is(apd_json_slice(&json, i), wanted));
	apd_json_finish(&json);
	apd_buf_finish(&scratch);
}

static void test_composition(void **state)
{
	struct lab lab;
	struct apd_agent *agent;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good",
		LAB_PLUGIN("tools", "2.1",
			LAB_AGENT("first",
				",\"name\":\"First\",\"description\":\"D\",\"version\":\"9\","
				"\"capabilities\":[\"ap.io.messages\",\"ap.io.streaming\"],"
				"\"flags\":7,"
				"\"max_concurrency\":5,\"input_schema\":{\"type\":\"object\"},"
				"\"metadata\":{\"team\":\"x\",\"state\":\"lie\",\"keep\":1}") "," LAB_AGENT("second",
				"")));
	lab.agents[0].agent_id = "mine";
	lab.agents[0].plugin = "tools";
	lab.agents[0].agent = "first";
	lab.agents[0].metadata = "{\"team\":\"y\",\"plugin\":\"lie\",\"more\":[1]}";
	lab.agents[0].timeout_ns = 5;
	lab.agents[0].max_queue = 3;
	lab.config.n_agents = 1;
	lab.config.default_agent = "second";
	lab_open(&lab);
	agent = lab_agent(&lab, "mine");
	assert_non_null(agent);
	assert_true(apd_str_is(agent->name, "First"));
	assert_true(apd_str_is(agent->description, "D"));
	assert_true(apd_str_is(agent->version, "9"));
	assert_true(apd_str_is(
		agent->capabilities, "{\"ap.io.messages\":true,\"ap.io.streaming\":true}"));
	assert_true(agent->messages && agent->needs_thread && agent->retry_safe &&
		agent->wants_transcript);
	assert_int_equal(agent->max_concurrency, 5);
	assert_int_equal(agent->max_queue, 3);
	assert_int_equal(agent->timeout_ns, 5);
	assert_int_equal(agent->grace_ns, lab.config.grace_ns);
	assert_non_null(agent->input);
	assert_null(agent->output);
	assert_int_equal(agent->state, APD_AGENT_STARTING);
	expect_meta(&lab, "mine", "team", "y");
	expect_meta(&lab, "mine", "keep", "1");
	expect_meta(&lab, "mine", "more", "[1]");
	expect_meta(&lab, "mine", "plugin", "tools");
	expect_meta(&lab, "mine", "version", "2.1");
	expect_meta(&lab, "mine", "generation", "1");
	expect_meta(&lab, "mine", "state", "starting");
	/* An agent that an entry names is not served by itself, the others are. */
	assert_null(lab_agent(&lab, "first"));
	agent = lab_agent(&lab, "second");
	assert_true(apd_str_is(agent->name, "second"));
	assert_true(apd_str_is(agent->version, "2.1"));
	assert_int_equal(agent->max_concurrency, 1);
	lab_until(&lab, lab_agent(&lab, "mine")->state == APD_AGENT_READY);
	expect_meta(&lab, "mine", "state", "ready");
	assert_true(lab.slots_calls > 0);
	lab_finish(&lab);
}

static void test_fallback(void **state)
{
	struct apd_agent_set *set;
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good", LAB_PLUGIN("p", "1", LAB_AGENT("only", "")));
	lab_open(&lab);
	set = apd_pool_agents(lab.pool);
	assert_int_equal(set->count, 1);
	assert_ptr_equal(set->fallback, set->agents[0]);
	apd_agent_set_unref(set);
	lab_finish(&lab);
}

static void test_first_file_wins(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good", LAB_PLUGIN("one", "1", LAB_AGENT("same", "")));
	lab_plugin(&lab, "b.so", "good",
		LAB_PLUGIN("two", "1", LAB_AGENT("same", "") "," LAB_AGENT("other", "")));
	lab_open(&lab);
	expect_meta(&lab, "same", "plugin", "one");
	expect_meta(&lab, "other", "plugin", "two");
	lab_finish(&lab);
}

static void test_listed_only(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good",
		LAB_PLUGIN("p", "1", LAB_AGENT("x", "") "," LAB_AGENT("y", "")));
	lab.config.serve_listed_only = true;
	lab.agents[0].agent_id = "x";
	lab.agents[0].plugin = "a";
	lab.agents[0].agent = "x";
	lab.config.n_agents = 1;
	lab_open(&lab);
	assert_non_null(lab_agent(&lab, "x"));
	assert_null(lab_agent(&lab, "y"));
	lab_finish(&lab);
}

/* Every broken file is named with its reason, and none of its agents is served unless configured. */
static void test_broken_files(void **state)
{
	static const struct {
		const char *file, *word, *description, *wanted;
	} cases[] = {
		{"crash.so", "crash-describe", "{}", "SIGSEGV"},
		{"garbage.so", "garbage", "{}", "name is not a string"},
		{"failed.so", "failed", "{}", "dlopen: a symbol is missing"},
		{"empty.so", "good", "{\"name\":\"e\",\"agents\":[]}", "agents is empty"},
		{"twice.so", "good",
			LAB_PLUGIN("t", "1", LAB_AGENT("q", "") "," LAB_AGENT("q", "")),
			"two agents"},
		{"badid.so", "good", LAB_PLUGIN("b", "1", LAB_AGENT("a b", "")), "[A-Za-z0-9._-]"},
	};
	struct apd_agent_config entries[APD_COUNT(cases) + 2];
	struct apd_agent_set *set;
	struct lab lab;

	(void)state;
	lab_init(&lab);
	memset(entries, 0, sizeof(entries));
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		lab_plugin(&lab, cases[i].file, cases[i].word, cases[i].description);
		entries[i].agent_id = entries[i].plugin = cases[i].file;
	}
	lab_plugin(&lab, "good.so", "good", LAB_PLUGIN("good", "1", LAB_AGENT("good", "")));
	assert_int_equal(symlink("good.so", lab_path(&lab, "link.so")), 0);
	lab_plugin(&lab, "open.so", "good", LAB_PLUGIN("open", "1", LAB_AGENT("open", "")));
	assert_int_equal(chmod(lab_path(&lab, "open.so"), 0666), 0);
	entries[APD_COUNT(cases)].agent_id = entries[APD_COUNT(cases)].plugin = "link.so";
	entries[APD_COUNT(cases) + 1].agent_id = entries[APD_COUNT(cases) + 1].plugin = "open.so";
	lab.config.agents = entries;
	lab.config.n_agents = APD_COUNT(entries);
	lab_open(&lab);
	set = apd_pool_agents(lab.pool);
	assert_int_equal(set->count, APD_COUNT(entries) + 1);
	apd_agent_set_unref(set);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		assert_int_equal(lab_agent(&lab, cases[i].file)->state, APD_AGENT_BROKEN);
		expect_meta(&lab, cases[i].file, "reason", cases[i].wanted);
		expect_meta(&lab, cases[i].file, "reason", cases[i].file);
		assert_null(lab_acquire(&lab, cases[i].file, false));
	}
	expect_meta(&lab, "link.so", "reason", "symbolic link");
	expect_meta(&lab, "open.so", "reason", "may write to it");
	expect_meta(&lab, "good", "state", "starting");
	lab_finish(&lab);
}

static void test_settings_and_schemas(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good",
		LAB_PLUGIN("p", "1",
			LAB_AGENT("s",
				",\"settings_schema\":{\"required\":[\"needed\"]}") "," LAB_AGENT("c",
				",\"input_schema\":17")));
	lab.agents[0].agent_id = "wrong";
	lab.agents[0].plugin = "p";
	lab.agents[0].agent = "s";
	lab.agents[0].settings = "{\"other\":1}";
	lab.agents[1].agent_id = "right";
	lab.agents[1].plugin = "p";
	lab.agents[1].agent = "s";
	lab.agents[1].settings = "{\"needed\":1}";
	lab.config.n_agents = 2;
	lab_open(&lab);
	expect_meta(&lab, "wrong", "reason", "its settings are wrong");
	expect_meta(&lab, "wrong", "reason", "needed");
	expect_meta(&lab, "c", "reason", "its input_schema is wrong");
	lab_until(&lab, lab_agent(&lab, "right")->state == APD_AGENT_READY);
	assert_int_equal(lab_agent(&lab, "wrong")->state, APD_AGENT_BROKEN);
	lab_finish(&lab);
}

static void expect_refusal(struct lab *lab, const char *wanted)
{
	static const struct apd_host_sink none;
	struct apd_pool *pool;

	assert_true(apd_pool_create(&lab->config, &lab->loop, &none, NULL, &pool, &lab->error) < 0);
	if (!strstr(lab->error.data, wanted))
		fail_msg("\"%s\" does not tell of \"%s\"", lab->error.data, wanted);
	apd_buf_clear(&lab->error);
}

static void test_names_that_are_not_there(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good",
		LAB_PLUGIN("p", "1", LAB_AGENT("x", "") "," LAB_AGENT("y", "")));
	lab.agents[0].agent_id = "z";
	lab.agents[0].plugin = "q";
	lab.config.n_agents = 1;
	expect_refusal(&lab, "agents.z: there is no plugin \"q\"");
	lab.agents[0].plugin = "p";
	expect_refusal(&lab, "has 2 agents");
	lab.agents[0].agent = "w";
	expect_refusal(&lab, "has no agent \"w\"");
	lab.agents[0].agent = "x";
	lab.config.default_agent = "x";
	expect_refusal(&lab, "default_agent: there is no agent \"x\"");
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_composition),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_first_file_wins),
		cmocka_unit_test(test_listed_only),
		cmocka_unit_test(test_broken_files),
		cmocka_unit_test(test_settings_and_schemas),
		cmocka_unit_test(test_names_that_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
