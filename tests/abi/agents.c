/* The agents of plugins/ and examples/, loaded as a host loads them and run without one. */
#include <ap/sugar.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "stage.h"

#define SAID(text) "commit echo {\"messages\":[{\"role\":\"assistant\",\"content\":\"" text "\"}]}"

static void test_echo_gives_input_back(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, ECHO_PLUGIN, "echo", "{}");
	s.fake.run.input = AP_STR("{\"x\": 0.1}");
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 1);
	assert_string_equal(s.fake.lines[0], "commit echo {\"echo\":{\"x\": 0.1}}");
	fake_run_forget(&s.fake);
	s.fake.run.input = ap_cstr(NULL);
	s.fake.run.messages = AP_STR("[]");
	assert_int_equal(stage_invoke(&s), AP_OK);
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
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 8);
	assert_non_null(strstr(s.fake.lines[0], "\"message-start\""));
	assert_non_null(strstr(s.fake.lines[1], "\"content-block-start\""));
	assert_non_null(strstr(s.fake.lines[2], "\"text\":\" one  \""));
	assert_non_null(strstr(s.fake.lines[3], "\"text\":\"two\\n\""));
	assert_non_null(strstr(s.fake.lines[4], "\"text\":\"three\""));
	assert_non_null(strstr(s.fake.lines[5], "\"text\":\" one  two\\nthree\""));
	assert_non_null(strstr(s.fake.lines[6], "\"message-finish\""));
	assert_string_equal(stage_committed(&s), SAID(" one  two\\nthree"));
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
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_int_equal(s.fake.count, 1);
	assert_string_equal(stage_committed(&s),
		SAID("a \xc3\xa9"
		     "b"));
	fake_run_forget(&s.fake);
	s.fake.run.messages = AP_STR("[{\"role\":\"user\"}]");
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_string_equal(stage_committed(&s), SAID(""));
	stage_finish(&s);
}

static void test_echo_stops_and_keeps_what_it_said(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, ECHO_PLUGIN, "echo", "{\"delay_ms\":60000}");
	s.fake.stop_after_emits = 3;
	s.fake.run.messages = AP_STR("[{\"role\":\"user\",\"content\":\"one two three\"}]");
	assert_int_equal(stage_invoke(&s), AP_E_CANCELLED);
	assert_string_equal(stage_committed(&s), SAID("one "));
	stage_finish(&s);
}

static void test_echo_refuses_settings(void **state)
{
	static const char *const bad[] = {"{\"delay_ms\":-1}", "{\"delay_ms\":60001}",
		"{\"delay_ms\":\"1\"}", "{\"delay_ms\":0.5}"};
	const ap_agent *echo = stage_load(ECHO_PLUGIN, "echo");
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
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_string_equal(stage_committed(&s), "commit hello {\"hello\":\"world\"}");
	s.fake.run.input = AP_STR("{\"name\":\"Ada\"}");
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_string_equal(stage_committed(&s), "commit hello {\"hello\":\"Ada\"}");
	snprintf(big, sizeof(big), "{\"name\":\"%1900d\"}", 1);
	s.fake.run.input = ap_cstr(big);
	assert_int_equal(stage_invoke(&s), AP_E_LIMIT);
	assert_string_equal(s.fake.lines[2], "fail -8 name_too_long The name is too long.");
	stage_finish(&s);
}

static void test_countdown(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, COUNTDOWN_PLUGIN, "countdown", "{}");
	s.fake.run.input = AP_STR("{\"from\":2,\"step_ms\":0}");
	assert_int_equal(stage_invoke(&s), AP_OK);
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
	assert_int_equal(stage_invoke(&s), AP_E_CANCELLED);
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
	assert_int_equal(stage_invoke(&s), AP_OK);
	assert_string_equal(stage_committed(&s), "commit crash {\"how\":\"none\"}");
	s.fake.run.input = AP_STR("{\"how\":\"politely\"}");
	assert_int_equal(stage_invoke(&s), AP_E_INVALID);
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
