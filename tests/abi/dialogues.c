/* The agents approval and tally: dialogues of several runs on one thread. */
#include <ap/sugar.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "stage.h"

#define QUESTION(id, action, more)                                                            \
	"ask " id " {\"question\":\"May I do this?\",\"action\":\"" action "\",\"answers\":[" \
	"{\"decision\":\"approve\"},{\"decision\":\"edit\",\"action\":\"...\"},"              \
	"{\"decision\":\"reject\",\"reason\":\"...\"}]" more "} "
#define LEFT_A     "{\"id\":\"order-1\",\"action\":\"a\"}"
#define LEFT_B     "{\"id\":\"order-2\",\"action\":\"b\"}"
#define SAID(text) "{\"messages\":[{\"role\":\"assistant\",\"content\":\"" text "\"}]}"

/* What happened, line for line. */
#define ASSERT_LINES(stage, ...)                                                  \
	do {                                                                      \
		static const char *const wanted[] = {__VA_ARGS__};                \
		const int n = (int)(sizeof(wanted) / sizeof(wanted[0]));          \
		for (int at = 0; at < n && at < (stage)->fake.count; at++)        \
			assert_string_equal((stage)->fake.lines[at], wanted[at]); \
		assert_int_equal((stage)->fake.count, n);                         \
		fake_run_forget(&(stage)->fake);                                  \
	} while (0)

static void approval_init(struct stage *s)
{
	stage_init(s, APPROVAL_PLUGIN, "approval", "{}");
}

/* Goes on behind questions as the host does. */
static ap_status resume(
	struct stage *s, const char *continuation, const char *values, const char *resume)
{
	s->fake.run.continuation = ap_cstr(continuation);
	s->fake.run.values = ap_cstr(values);
	s->fake.run.resume = ap_cstr(resume);
	return stage_invoke(s);
}

static void test_asks_first(void **state)
{
	struct stage s;

	(void)state;
	approval_init(&s);
	s.fake.run.messages = AP_STR("[{\"role\":\"user\",\"content\":\"say \\\"a\\\"\"}]");
	assert_int_equal(stage_invoke(&s), AP_INTERRUPTED);
	ASSERT_LINES(&s, "commit propose {\"outcomes\":[],\"proposed\":[\"say \\\"a\\\"\"]}",
		QUESTION("order-1", "say \\\"a\\\"",
			"") "approval/2 [{\"id\":\"order-1\",\"action\":\"say \\\"a\\\"\"}]");
	s.fake.run.input = AP_STR("{\"actions\":[\"a\",\"b\"]}");
	assert_int_equal(stage_invoke(&s), AP_INTERRUPTED);
	ASSERT_LINES(&s, "commit propose {\"outcomes\":[],\"proposed\":[\"a\",\"b\"]}",
		QUESTION("order-1", "a", "") "approval/2 [" LEFT_A "," LEFT_B "]",
		QUESTION("order-2", "b", "") "approval/2 [" LEFT_A "," LEFT_B "]");
	stage_finish(&s);
}

static void test_answers_are_applied(void **state)
{
	struct stage s;

	(void)state;
	approval_init(&s);
	assert_int_equal(resume(&s, "approval/2 [" LEFT_A "," LEFT_B "]",
				 "{\"outcomes\":[],\"proposed\":[\"a\",\"b\"]}",
				 "[{\"id\":\"order-2\",\"response\":{\"decision\":\"reject\","
				 "\"reason\":\"no\"}},{\"id\":\"order-1\",\"response\":true}]"),
		AP_OK);
	ASSERT_LINES(&s,
		"commit decide {\"outcomes\":[{\"proposed\":\"a\",\"decision\":\"approve\","
		"\"action\":\"a\"}]}",
		"tools  "
		"{\"event\":\"tool-started\",\"toolCallId\":\"order-1\",\"toolName\":\"act\","
		"\"input\":\"a\"}",
		"tools  {\"event\":\"tool-finished\",\"toolCallId\":\"order-1\",\"output\":true}",
		"commit act " SAID("Done: a"),
		"commit decide {\"outcomes\":[{\"proposed\":\"a\",\"decision\":\"approve\","
		"\"action\":\"a\"},{\"proposed\":\"b\",\"decision\":\"reject\",\"reason\":\"no\"}]"
		"}",
		"commit reject " SAID("Not done: b"));
	stage_finish(&s);
}

static void test_edits_and_old_outcomes(void **state)
{
	struct stage s;

	(void)state;
	approval_init(&s);
	assert_int_equal(resume(&s, "approval/2 [" LEFT_B "]", "{\"outcomes\":[ {\"x\":1} ]}",
				 "[{\"id\":\"order-2\",\"response\":{\"decision\":\"edit\","
				 "\"action\":\"c\"}}]"),
		AP_OK);
	assert_string_equal(s.fake.lines[0],
		"commit decide {\"outcomes\":[ {\"x\":1} ,{\"proposed\":\"b\","
		"\"decision\":\"edit\",\"action\":\"c\"}]}");
	assert_string_equal(stage_committed(&s), "commit act " SAID("Done: c"));
	stage_finish(&s);
}

/* What was not answered, or badly, is asked again, and only that. */
static void test_asks_again(void **state)
{
	static const char *const bad[] = {"1", "null", "[]", "{}", "{\"decision\":1}",
		"{\"decision\":\"maybe\"}", "\"approve\""};
	struct stage s;
	char resumed[128];

	(void)state;
	approval_init(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(
			resumed, sizeof(resumed), "[{\"id\":\"order-1\",\"response\":%s}]", bad[i]);
		assert_int_equal(
			resume(&s, "approval/2 [" LEFT_A "]", "{}", resumed), AP_INTERRUPTED);
		ASSERT_LINES(&s,
			QUESTION("order-1", "a",
				",\"problem\":\"decision: expected approve, edit or reject\"") "app"
											       "rov"
											       "al/"
											       "2 "
											       "[" LEFT_A
											       "]");
	}
	assert_int_equal(resume(&s, "approval/2 [" LEFT_A "]", "{}",
				 "[{\"id\":\"order-1\",\"response\":{\"decision\":\"edit\"}}]"),
		AP_INTERRUPTED);
	assert_non_null(strstr(s.fake.lines[0], "\"problem\":\"action: expected a string"));
	fake_run_forget(&s.fake);
	assert_int_equal(resume(&s, "approval/2 [" LEFT_A "," LEFT_B "]", "{}",
				 "[{\"id\":\"order-2\",\"response\":false}]"),
		AP_INTERRUPTED);
	assert_int_equal(s.fake.count, 3);
	assert_string_equal(
		s.fake.lines[2], QUESTION("order-1", "a", "") "approval/2 [" LEFT_A "]");
	fake_run_forget(&s.fake);
	assert_int_equal(resume(&s, "approval/2 [" LEFT_B "]", "{}", NULL), AP_INTERRUPTED);
	ASSERT_LINES(&s, QUESTION("order-2", "b", "") "approval/2 [" LEFT_B "]");
	stage_finish(&s);
}

static void test_older_continuation(void **state)
{
	struct stage s;

	(void)state;
	approval_init(&s);
	assert_int_equal(resume(&s, "approval/1 \"a\"", "{}", NULL), AP_INTERRUPTED);
	ASSERT_LINES(&s,
		QUESTION("approve", "a", "") "approval/2 [{\"id\":\"approve\",\"action\":\"a\"}]");
	assert_int_equal(
		resume(&s, "approval/1 \"a\"", "{}", "[{\"id\":\"approve\",\"response\":true}]"),
		AP_OK);
	assert_string_equal(stage_committed(&s), "commit act " SAID("Done: a"));
	fake_run_forget(&s.fake);
	assert_int_equal(resume(&s, "approval/3 \"a\"", "{}", "[]"), AP_E_INVALID);
	assert_memory_equal(s.fake.lines[0], "fail -2 unknown_continuation ", 29);
	stage_finish(&s);
}

static void test_where_nobody_answers(void **state)
{
	struct stage s;

	(void)state;
	approval_init(&s);
	assert_int_equal(stage_invoke(&s), AP_E_INVALID);
	assert_memory_equal(s.fake.lines[0], "fail -2 nothing_to_do ", 22);
	s.fake.run.flags = AP_RUN_EPHEMERAL;
	s.fake.run.input = AP_STR("{\"actions\":[\"a\"]}");
	assert_int_equal(stage_invoke(&s), AP_E_UNSUPPORTED);
	assert_memory_equal(s.fake.lines[s.fake.count - 1], "fail -10 nobody_to_ask ", 23);
	fake_run_forget(&s.fake);
	fake_run_stop(&s.fake, AP_E_CANCELLED);
	assert_int_equal(stage_invoke(&s), AP_E_CANCELLED);
	assert_int_equal(s.fake.count, 0);
	stage_finish(&s);
}

/* A commit that fails ends the run before anything is done. */
static void test_no_act_without_a_decision(void **state)
{
	struct stage s;

	(void)state;
	approval_init(&s);
	s.fake.commit_status = AP_E_UNAVAILABLE;
	assert_int_equal(resume(&s, "approval/2 [" LEFT_A "]", "{}",
				 "[{\"id\":\"order-1\",\"response\":true}]"),
		AP_E_UNAVAILABLE);
	assert_int_equal(s.fake.count, 1);
	stage_finish(&s);
}

/* One turn of tally. */
static ap_status turn(struct stage *s, const char *values, const char *content)
{
	static char message[4096];

	snprintf(message, sizeof(message), "[{\"role\":\"user\",\"content\":\"%s\"}]", content);
	s->fake.listening = 0;
	s->fake.run.values = ap_cstr(values);
	s->fake.run.messages = ap_cstr(message);
	return stage_invoke(s);
}

#define REPORT(text)                                                                    \
	"commit report {\"messages\":[{\"role\":\"assistant\",\"id\":\"run-1-report\"," \
	"\"content\":\"" text "\"}]}"

static void test_tally_counts(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, TALLY_PLUGIN, "tally", "{}");
	assert_int_equal(turn(&s, "{}", "Red, blue: RED 7 \xc3\xa9t\xc3\xa9 7up"), AP_OK);
	ASSERT_LINES(&s,
		"commit count {\"turns\":1,\"counted\":\"run-1\",\"count:7\":1,\"count:7up\":1,"
		"\"count:blue\":1,\"count:red\":2,\"count:\xc3\xa9t\xc3\xa9\":1}",
		REPORT("7: 1, 7up: 1, blue: 1, red: 2, \xc3\xa9t\xc3\xa9: 1"));
	assert_int_equal(turn(&s,
				 "{\"turns\":1,\"counted\":\"run-0\",\"count:blue\":1,"
				 "\"count:red\":2,\"red\":70}",
				 "red red"),
		AP_OK);
	ASSERT_LINES(&s, "commit count {\"turns\":2,\"counted\":\"run-1\",\"count:red\":4}",
		REPORT("red: 4"));
	assert_int_equal(turn(&s, "{}", " ... "), AP_OK);
	ASSERT_LINES(&s, "commit count {\"turns\":1,\"counted\":\"run-1\"}", REPORT("No words."));
	stage_finish(&s);
}

static void test_tally_forgets(void **state)
{
	static const char values[] = "{\"turns\":4,\"count:red\":2,\"count:blue\":1,\"other\":1}";
	struct stage s;

	(void)state;
	stage_init(&s, TALLY_PLUGIN, "tally", "{}");
	assert_int_equal(turn(&s, values, "Forget red, green."), AP_OK);
	ASSERT_LINES(&s,
		"commit forget {\"turns\":5,\"counted\":\"run-1\"} without [\"count:red\"]",
		REPORT("Forgotten."));
	assert_int_equal(turn(&s, values, "forget everything"), AP_OK);
	ASSERT_LINES(&s,
		"commit forget {\"turns\":5,\"counted\":\"run-1\"} without "
		"[\"count:red\",\"count:blue\"]",
		REPORT("Forgotten."));
	assert_int_equal(turn(&s, values, "forget"), AP_OK);
	ASSERT_LINES(&s, "commit forget {\"turns\":5,\"counted\":\"run-1\"} without []",
		REPORT("Forgotten."));
	stage_finish(&s);
}

/* A second attempt does not count what the first one has counted. */
static void test_tally_counts_once(void **state)
{
	struct stage s;

	(void)state;
	stage_init(&s, TALLY_PLUGIN, "tally", "{}");
	s.fake.run.attempt = 2;
	assert_int_equal(
		turn(&s, "{\"turns\":1,\"counted\":\"run-1\",\"count:red\":3}", "red"), AP_OK);
	ASSERT_LINES(&s, REPORT("red: 3"));
	stage_finish(&s);
}

static void test_tally_bounds(void **state)
{
	static char many[3003], longest[200];
	struct stage s;

	(void)state;
	stage_init(&s, TALLY_PLUGIN, "tally", "{}");
	for (size_t i = 0; i < 1001; i++)
		memcpy(many + 2 * i, "a ", 2);
	assert_int_equal(turn(&s, "{}", many), AP_E_LIMIT);
	assert_memory_equal(s.fake.lines[0], "fail -8 too_many_words ", 23);
	fake_run_forget(&s.fake);
	memset(longest, 'x', 65);
	memcpy(longest + 65, " y", 2);
	assert_int_equal(turn(&s, "{}", longest), AP_OK);
	assert_string_equal(
		s.fake.lines[0], "commit count {\"turns\":1,\"counted\":\"run-1\",\"count:y\":1}");
	fake_run_forget(&s.fake);
	s.fake.listening = UINT32_MAX;
	s.fake.stop_after_emits = 3;
	s.fake.run.messages = AP_STR("[{\"content\":\"a b\"}]");
	assert_int_equal(stage_invoke(&s), AP_E_CANCELLED);
	assert_string_equal(s.fake.lines[s.fake.count - 1], REPORT("a: 1, b: 1"));
	stage_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_first),
		cmocka_unit_test(test_answers_are_applied),
		cmocka_unit_test(test_edits_and_old_outcomes),
		cmocka_unit_test(test_asks_again),
		cmocka_unit_test(test_older_continuation),
		cmocka_unit_test(test_where_nobody_answers),
		cmocka_unit_test(test_no_act_without_a_decision),
		cmocka_unit_test(test_tally_counts),
		cmocka_unit_test(test_tally_forgets),
		cmocka_unit_test(test_tally_counts_once),
		cmocka_unit_test(test_tally_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
