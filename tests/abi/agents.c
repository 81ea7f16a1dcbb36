/* The agents of plugins/ and examples/, loaded as a host loads them and run without one. */
#include <ap/sugar.h>

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

#include "fake_run.h"

/* One agent, one instance and one run for it. */
struct stage {
	const ap_agent *agent;
	void *self;
	struct fake_run fake;
};

/* Loads a plugin; what must hold for every plugin is checked here. */
static const ap_agent *load(const char *path, const char *id)
{
	void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const ap_plugin *plugin;
	const ap_agent_info *info;

	if (!file)
		fail_msg("%s", dlerror());
	plugin = dlsym(file, AP_PLUGIN_SYMBOL);
	assert_non_null(plugin);
	assert_int_equal(plugin->magic, AP_PLUGIN_MAGIC);
	assert_int_equal(plugin->size, sizeof(*plugin));
	assert_int_equal(plugin->abi_major, 1);
	assert_int_equal(plugin->needs_minor, 0);
	assert_non_null(plugin->agents[0]);
	assert_null(plugin->agents[1]);
	info = plugin->agents[0]->info;
	assert_string_equal(info->id, id);
	assert_int_equal(info->size, sizeof(*info));
	assert_int_equal(info->max_concurrency, AP_UNLIMITED);
	dlclose(file);
	return plugin->agents[0];
}

/* A schema that the plugin carries is an object. */
static void assert_schema(const char *schema)
{
	json_t *json = schema ? json_loads(schema, JSON_REJECT_DUPLICATES, NULL) : json_object();

	assert_true(json_is_object(json));
	json_decref(json);
}

/* Makes an instance with these settings and a run without input. */
static void stage_init(struct stage *stage, const char *path, const char *id, const char *settings)
{
	ap_error err = {.size = sizeof(err)};

	memset(stage, 0, sizeof(*stage));
	stage->agent = load(path, id);
	assert_schema(stage->agent->info->input_schema);
	assert_schema(stage->agent->info->output_schema);
	assert_schema(stage->agent->info->settings_schema);
	fake_run_init(&stage->fake);
	stage->fake.run.input = AP_STR("null");
	stage->fake.run.values = AP_STR("{}");
	if (stage->agent->create)
		assert_int_equal(stage->agent->create(stage->agent, &stage->fake.host, ap_cstr(id),
					 ap_cstr(settings), &stage->self, &err),
			AP_OK);
}

static void stage_finish(struct stage *stage)
{
	if (stage->agent->destroy)
		stage->agent->destroy(stage->self);
	fake_run_finish(&stage->fake);
}

static ap_status invoke(struct stage *stage)
{
	return stage->agent->invoke(stage->self, &stage->fake.run);
}

/* The last line, which must be a commit, with the "id" of its message taken out. */
static const char *committed(struct stage *stage)
{
	char *line, *id, *end;

	assert_true(stage->fake.count > 0);
	line = stage->fake.lines[stage->fake.count - 1];
	assert_memory_equal(line, "commit ", 7);
	id = strstr(line, "\"id\":\"");
	end = id ? strchr(id + 6, '"') : NULL;
	if (end)
		memmove(id, end + 2, strlen(end + 2) + 1);
	return line;
}

#define SAID(text) "commit echo {\"messages\":[{\"role\":\"assistant\",\"content\":\"" text "\"}]}"

static void test_echo_gives_input_back(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, ECHO_PLUGIN, "echo", "{}");
	s.fake.run.input = AP_STR("{\"x\": 0.1}");
	assert_int_equal(invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 1);
	assert_string_equal(s.fake.lines[0], "commit echo {\"echo\":{\"x\": 0.1}}");
	fake_run_forget(&s.fake);
	s.fake.run.input = ap_cstr(NULL);
	s.fake.run.messages = AP_STR("[]");
	assert_int_equal(invoke(&s), AP_OK);
	assert_string_equal(s.fake.lines[0], "commit echo {\"echo\":null}");
	stage_finish(&s);
}

static void test_echo_streams_words(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, ECHO_PLUGIN, "echo", "{\"delay_ms\":1}");
	s.fake.run.messages = AP_STR("[{\"role\":\"user\",\"content\":\"no\"},"
				     "{\"role\":\"user\",\"content\":\" one  two\\nthree\"}]");
	assert_int_equal(invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 8);
	assert_non_null(strstr(s.fake.lines[0], "\"message-start\""));
	assert_non_null(strstr(s.fake.lines[1], "\"content-block-start\""));
	assert_non_null(strstr(s.fake.lines[2], "\"text\":\" one  \""));
	assert_non_null(strstr(s.fake.lines[3], "\"text\":\"two\\n\""));
	assert_non_null(strstr(s.fake.lines[4], "\"text\":\"three\""));
	assert_non_null(strstr(s.fake.lines[5], "\"text\":\" one  two\\nthree\""));
	assert_non_null(strstr(s.fake.lines[6], "\"message-finish\""));
	assert_string_equal(committed(&s), SAID(" one  two\\nthree"));
	stage_finish(&s);
}

static void test_echo_joins_text_blocks(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, ECHO_PLUGIN, "echo", "{}");
	s.fake.listening = 0;
	s.fake.run.messages = AP_STR("[{\"role\":\"user\",\"content\":["
				     "{\"type\":\"text\",\"text\":\"a \\u00e9\"},"
				     "{\"type\":\"image\",\"text\":\"no\"},"
				     "{\"text\":\"b\",\"type\":\"text\"}]}]");
	assert_int_equal(invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 1);
	assert_string_equal(committed(&s),
		SAID("a \xc3\xa9"
		     "b"));
	fake_run_forget(&s.fake);
	s.fake.run.messages = AP_STR("[{\"role\":\"user\"}]");
	assert_int_equal(invoke(&s), AP_OK);
	assert_string_equal(committed(&s), SAID(""));
	stage_finish(&s);
}

static void test_echo_stops_and_keeps_what_it_said(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, ECHO_PLUGIN, "echo", "{\"delay_ms\":60000}");
	s.fake.stop_after_emits = 3;
	s.fake.run.messages = AP_STR("[{\"role\":\"user\",\"content\":\"one two three\"}]");
	assert_int_equal(invoke(&s), AP_E_CANCELLED);
	assert_string_equal(committed(&s), SAID("one "));
	stage_finish(&s);
}

static void test_echo_refuses_settings(void **state)
{
	static const char *const bad[] = {"{\"delay_ms\":-1}", "{\"delay_ms\":60001}",
		"{\"delay_ms\":\"1\"}", "{\"delay_ms\":0.5}"};
	const ap_agent *echo = load(ECHO_PLUGIN, "echo");
	struct fake_run fake;

	(void)state;
	fake_run_init(&fake);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ap_error err = {.size = sizeof(err)};
		void *self = NULL;

		assert_int_equal(echo->create(echo, &fake.host, AP_STR("echo"), ap_cstr(bad[i]),
					 &self, &err),
			AP_E_INVALID);
		assert_null(self);
		assert_int_equal(err.status, AP_E_INVALID);
		assert_non_null(strstr(err.message, "delay_ms"));
	}
	fake_run_finish(&fake);
}

static void test_hello(void **state)
{
	struct stage s;
	char big[2000];

	(void)state;
	stage_init(&s, HELLO_PLUGIN, "hello", "{}");
	assert_int_equal(invoke(&s), AP_OK);
	assert_string_equal(committed(&s), "commit hello {\"hello\":\"world\"}");
	s.fake.run.input = AP_STR("{\"name\":\"Ada\"}");
	assert_int_equal(invoke(&s), AP_OK);
	assert_string_equal(committed(&s), "commit hello {\"hello\":\"Ada\"}");
	snprintf(big, sizeof(big), "{\"name\":\"%1900d\"}", 1);
	s.fake.run.input = ap_cstr(big);
	assert_int_equal(invoke(&s), AP_E_LIMIT);
	assert_string_equal(s.fake.lines[2], "fail -8 name_too_long The name is too long.");
	stage_finish(&s);
}

static void test_countdown(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, COUNTDOWN_PLUGIN, "countdown", "{}");
	s.fake.run.input = AP_STR("{\"from\":2,\"step_ms\":0}");
	assert_int_equal(invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 6);
	assert_string_equal(
		s.fake.lines[0], "custom  {\"name\":\"tick\",\"payload\":{\"left\":2}}");
	assert_string_equal(s.fake.lines[1], "commit tick {\"left\":2}");
	assert_string_equal(
		s.fake.lines[4], "custom  {\"name\":\"tick\",\"payload\":{\"left\":0}}");
	assert_string_equal(s.fake.lines[5], "commit tick {\"left\":0}");
	fake_run_forget(&s.fake);

	/* The default step is a second: with a stop right after the first tick it is not waited for. */
	s.fake.run.input = AP_STR("{\"from\":100000}");
	s.fake.stop_after_emits = 1;
	assert_int_equal(invoke(&s), AP_E_CANCELLED);
	assert_int_equal(s.fake.count, 3);
	assert_string_equal(s.fake.lines[1], "commit tick {\"left\":100000}");
	assert_string_equal(s.fake.lines[2], "log 2 stopped with 100000 left");
	stage_finish(&s);
}

static void test_crash_that_does_not(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, CRASH_PLUGIN, "crash", "{}");
	s.fake.run.input = AP_STR("{\"how\":\"none\"}");
	assert_int_equal(invoke(&s), AP_OK);
	assert_string_equal(committed(&s), "commit crash {\"how\":\"none\"}");
	s.fake.run.input = AP_STR("{\"how\":\"politely\"}");
	assert_int_equal(invoke(&s), AP_E_INVALID);
	stage_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo_gives_input_back),
		cmocka_unit_test(test_echo_streams_words),
		cmocka_unit_test(test_echo_joins_text_blocks),
		cmocka_unit_test(test_echo_stops_and_keeps_what_it_said),
		cmocka_unit_test(test_echo_refuses_settings),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_countdown),
		cmocka_unit_test(test_crash_that_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
