/* The agents of apd.yaml, their settings as JSON, and what the host gets of it all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "apd/config.h"
#include "base/alloc.h"
#include "base/clock.h"

static int parse(struct apd_config *config, const char *text, struct apd_buf *error)
{
	apd_config_init(config);
	return apd_config_parse(config, "apd.yaml", apd_str(text), error);
}

static void parse_good(struct apd_config *config, const char *text)
{
	struct apd_buf error = {0};

	if (parse(config, text, &error) != 0)
		fail_msg("%s\nin\n%s", error.data, text);
}

static void check_error(const char *text, const char *expected)
{
	struct apd_config config;
	struct apd_buf error = {0};

	if (parse(&config, text, &error) == 0)
		fail_msg("taken:\n%s", text);
	assert_string_equal(error.data, expected);
	apd_buf_finish(&error);
	apd_config_finish(&config);
}

static void every_key_of_an_agent_is_read(void **state)
{
	struct apd_config config;
	const struct apd_agent_config *agent;

	(void)state;
	parse_good(&config,
		"agents:\n"
		"  first: {plugin: echo}\n"
		"  second.one:\n"
		"    plugin: tools.so\n"
		"    agent: hammer\n"
		"    settings: {size: 3}\n"
		"    metadata: {team: \"a\"}\n"
		"    timeout: 5s\n"
		"    grace: 2s\n"
		"    queue: 7\n"
		"    max_attempts: 1\n"
		"    isolation: run\n"
		"    env: [HOME, KEY=value]\n");
	assert_int_equal(config.n_agents, 2);
	agent = &config.agents[0];
	assert_string_equal(agent->agent_id, "first");
	assert_string_equal(agent->plugin, "echo");
	assert_null(agent->agent);
	assert_null(agent->settings);
	assert_null(agent->metadata);
	assert_null(agent->env);
	assert_int_equal(agent->isolation, -1);
	assert_int_equal(agent->timeout_ns, 0);
	agent = &config.agents[1];
	assert_string_equal(agent->agent_id, "second.one");
	assert_string_equal(agent->plugin, "tools.so");
	assert_string_equal(agent->agent, "hammer");
	assert_string_equal(agent->settings, "{\"size\":3}");
	assert_string_equal(agent->metadata, "{\"team\":\"a\"}");
	assert_int_equal(agent->timeout_ns, 5 * APD_NS_PER_S);
	assert_int_equal(agent->grace_ns, 2 * APD_NS_PER_S);
	assert_int_equal(agent->max_queue, 7);
	assert_int_equal(agent->max_attempts, 1);
	assert_int_equal(agent->isolation, APD_ISOLATE_RUN);
	assert_string_equal(agent->env[0], "HOME");
	assert_string_equal(agent->env[1], "KEY=value");
	assert_null(agent->env[2]);
	apd_config_finish(&config);
}

static void confinement_is_read(void **state)
{
	struct apd_host_config host;
	struct apd_config config;

	(void)state;
	parse_good(&config,
		"plugins: {watch: false}\n"
		"workers: {user: apd, paths: {read: /srv}}\n"
		"agents:\n"
		"  a: {plugin: echo, memory: 64MiB, files: 20, processes: 30, user: nobody,\n"
		"      paths: {read: [/a, /b], write: []}}\n"
		"  b: {plugin: echo}\n");
	apd_config_host(&config, &host);
	assert_false(host.watch);
	assert_string_equal(host.user, "apd");
	assert_string_equal(host.read_paths[0], "/srv");
	assert_null(host.read_paths[1]);
	assert_null(host.write_paths);
	assert_int_equal(host.agents[0].memory_max, 64 << 20);
	assert_int_equal(host.agents[0].files_max, 20);
	assert_int_equal(host.agents[0].processes_max, 30);
	assert_string_equal(host.agents[0].user, "nobody");
	assert_string_equal(host.agents[0].read_paths[1], "/b");
	/* An empty list says something: nothing is granted. */
	assert_non_null(host.agents[0].write_paths);
	assert_null(host.agents[0].write_paths[0]);
	assert_null(host.agents[1].user);
	assert_null(host.agents[1].read_paths);
	apd_config_finish(&config);
	apd_config_init(&config);
	apd_config_host(&config, &host);
	assert_true(host.watch);
	apd_config_finish(&config);
	check_error("agents:\n  a: {plugin: echo, paths: {reed: [/a]}}\n",
		"apd.yaml:2: agents.a.paths.reed: unknown key, did you mean \"read\"?");
}

static void agents_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	check_error("agents:\n  a: {}\n", "apd.yaml:2: agents.a: the key \"plugin\" is missing");
	check_error("agents:\n  a:\n", "apd.yaml:2: agents.a: the key \"plugin\" is missing");
	check_error("agents:\n  a: echo\n", "apd.yaml:2: agents.a: expected a mapping");
	check_error("agents:\n  a: {plugin: x}\n  a: {plugin: y}\n",
		"apd.yaml:3: agents.a: there are two agents \"a\"");
	check_error("agents:\n  'a b': {plugin: x}\n",
		"apd.yaml:2: agents.a b: an agent's id has 1 to 64 letters, digits, dots, dashes "
		"and underscores");
	check_error("agents:\n  a: {plugin: x, pluggin: y}\n",
		"apd.yaml:2: agents.a.pluggin: unknown key, did you mean \"plugin\"?");
	check_error("agents:\n  a:\n    plugin: x\n    queue: 0\n",
		"apd.yaml:4: agents.a.queue: must lie between 1 and 10000000");
	check_error("agents:\n  a: {plugin: x, settings: [1]}\n",
		"apd.yaml:2: agents.a.settings: expected a mapping");
	check_error("agents:\n  a: {plugin: x, settings: }\n",
		"apd.yaml:2: agents.a.settings: expected a mapping");
	check_error("agents:\n  a: {plugin: x, plugin: y}\n",
		"apd.yaml:2: agents.a.plugin: the key stands here twice");
}

/* Checks what settings become. */
static void check_settings(const char *yaml, const char *expected)
{
	struct apd_buf text = {0};
	struct apd_config config;

	apd_buf_addf(&text, "agents:\n  a:\n    plugin: x\n    settings: %s\n", yaml);
	parse_good(&config, text.data);
	assert_string_equal(config.agents[0].settings, expected);
	apd_config_finish(&config);
	apd_buf_finish(&text);
}

static void settings_become_json(void **state)
{
	(void)state;
	check_settings("{}", "{}");
	check_settings("{a: 1, b: -2.5e3, c: true, d: null, e: ~, f: , g: text}",
		"{\"a\":1,\"b\":-2.5e3,\"c\":true,\"d\":null,\"e\":null,\"f\":null,\"g\":"
		"\"text\"}");
	check_settings("{a: '1', b: \"true\", c: ''}", "{\"a\":\"1\",\"b\":\"true\",\"c\":\"\"}");
	check_settings("{a: [1, [2], {b: []}]}", "{\"a\":[1,[2],{\"b\":[]}]}");
	check_settings("{1: one, true: yes, 'q\"': x}",
		"{\"1\":\"one\",\"true\":\"yes\",\"q\\\"\":\"x\"}");
	check_settings("{a: \"line\\nbreak \\u00e4\"}", "{\"a\":\"line\\nbreak \xc3\xa4\"}");
	check_settings("\n      a: |\n        two\n        lines", "{\"a\":\"two\\nlines\\n\"}");
	check_settings("{a: 99999999999999999999}", "{\"a\":\"99999999999999999999\"}");
	check_settings(
		"{a: .inf, b: 0x1F, c: 1_000}", "{\"a\":\".inf\",\"b\":\"0x1F\",\"c\":\"1_000\"}");
}

static void anchors_are_copied_where_they_are_named(void **state)
{
	struct apd_config config;

	(void)state;
	check_settings("{a: &x {k: [1]}, b: *x, c: [*x]}",
		"{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]},\"c\":[{\"k\":[1]}]}");
	parse_good(&config,
		"agents:\n  a: {plugin: x, settings: &s {v: 1}}\n"
		"  b: {plugin: x, settings: *s}\n");
	assert_string_equal(config.agents[1].settings, "{\"v\":1}");
	apd_config_finish(&config);
}

static void settings_without_bounds_are_refused(void **state)
{
	struct apd_buf text = {0};

	(void)state;
	check_error("agents:\n  a: {plugin: x, settings: &s {self: *s}}\n",
		"apd.yaml:2: agents.a.settings: too deep or too large");
	check_error("agents:\n  a: {plugin: x, settings: {k: {a: 1, a: 2}}}\n",
		"apd.yaml:2: agents.a.settings: duplicate key");
	check_error("agents:\n  a: {plugin: x, settings: {? [k] : 1}}\n",
		"apd.yaml:2: agents.a.settings: a key must be a word");
	/* Each line holds the one before ten times. */
	apd_buf_lit(&text, "agents:\n  a:\n    plugin: x\n    settings:\n      k0: &k0 [lol]\n");
	for (int i = 1; i < 12; i++) {
		apd_buf_addf(&text, "      k%d: &k%d [", i, i);
		for (int n = 0; n < 10; n++)
			apd_buf_addf(&text, "%s*k%d", n ? "," : "", i - 1);
		apd_buf_lit(&text, "]\n");
	}
	check_error(text.data, "apd.yaml:5: agents.a.settings: too deep or too large");
	apd_buf_finish(&text);
}

static void the_host_gets_its_part(void **state)
{
	struct apd_config config;
	struct apd_host_config host;

	(void)state;
	parse_good(&config,
		"default_agent: a\nplugins: {serve: listed}\nagents: {a: {plugin: x}}\n"
		"workers: {max: 3, idle: 2s, max_emit: 2KiB, debug: true}\n"
		"runs: {timeout: 4s, queue_per_agent: 9, max_attempts: 2}\n");
	apd_config_host(&config, &host);
	assert_null(host.plugin_dirs[0]);
	assert_string_equal(host.default_agent, "a");
	assert_ptr_equal(host.agents, config.agents);
	assert_int_equal(host.n_agents, 1);
	assert_true(host.serve_listed_only);
	assert_true(host.debug);
	assert_int_equal(host.max_workers, 3);
	assert_int_equal(host.idle_ns, 2 * APD_NS_PER_S);
	assert_int_equal(host.emit_max, 2048);
	assert_int_equal(host.timeout_ns, 4 * APD_NS_PER_S);
	assert_int_equal(host.max_queue, 9);
	assert_int_equal(host.max_attempts, 2);
	assert_int_equal(host.isolation, APD_ISOLATE_PROCESS);
	assert_int_equal(host.hello_ns, 5 * APD_NS_PER_S);
	assert_int_equal(host.create_ns, 30 * APD_NS_PER_S);
	apd_config_finish(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_of_an_agent_is_read),
		cmocka_unit_test(confinement_is_read),
		cmocka_unit_test(agents_that_make_no_sense_are_refused),
		cmocka_unit_test(settings_become_json),
		cmocka_unit_test(anchors_are_copied_where_they_are_named),
		cmocka_unit_test(settings_without_bounds_are_refused),
		cmocka_unit_test(the_host_gets_its_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
