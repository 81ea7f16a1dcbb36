/* Stream mode "messages": blocks put together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ap/agent.h"
#include "api/internal.h"
#include "api/project.h"

#define RUN "00000000-0000-0000-0000-000000000000"

static struct api_projection projection;
static struct apd_buf out;
static uint64_t seq;

static int begin(void **state)
{
	static const struct apd_id run_id;

	(void)state;
	seq = 0;
	api_projection_init(&projection, API_MODE_MESSAGES, &run_id);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	api_projection_finish(&projection);
	apd_buf_finish(&out);
	return 0;
}

/* An event of a node (or NULL), shown or not; out holds what was shown of it. */
static const char *take(const char *node, bool silent, const char *data)
{
	struct apd_event event = {.seq = ++seq,
		.kind = APD_EVENT_EMITTED,
		.channel = AP_CHANNEL_MESSAGES,
		.node = apd_str(node),
		.data = apd_str(data)};

	apd_buf_clear(&out);
	assert_false(api_project(&projection, &event, silent, &out));
	return apd_buf_str(&out).ptr;
}

/* Checks what an event without a node looks like; "" for nothing. */
static void check(const char *data, const char *expected)
{
	assert_string_equal(take(NULL, false, data), expected);
}

/* Checks what is shown of a message so far, at the number of the event. */
static void check_message(const char *data, const char *name, const char *content)
{
	struct apd_buf expected = {0};

	take(NULL, false, data);
	apd_buf_addf(&expected,
		"id: %llu\nevent: messages/%s\ndata: [{\"id\":\"m1\",\"type\":\"ai\",\"role\":"
		"\"assistant\",\"content\":%s}]\n\n",
		(unsigned long long)seq, name, content);
	assert_string_equal(apd_buf_str(&out).ptr, expected.data);
	apd_buf_finish(&expected);
}

/* Starts the message m1, of which check_message() speaks. */
static void start(void)
{
	check("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m1\"}",
		"event: messages/metadata\ndata: {\"m1\":{\"metadata\":{\"run_id\":\"" RUN
		"\"}}}\n\n");
}

static void text_grows_word_by_word(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":\"text\","
	      "\"text\":"
	      "\"\"}}",
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"one \"}}",
		"partial", "\"one \"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"\\\"two\\\" \\u00e4\"}}",
		"partial", "\"one \\\"two\\\" \\u00e4\"");
	check("{\"event\":\"content-block-finish\",\"index\":0,\"content\":{\"type\":\"text\","
	      "\"text\":"
	      "\"all of it\"}}",
		"");
	check_message("{\"event\":\"message-finish\"}", "complete", "\"all of it\"");
	/* It is over: what comes now belongs to nothing. */
	check("{\"event\":\"message-finish\"}", "");
}

static void a_message_without_blocks_is_empty(void **state)
{
	(void)state;
	start();
	check_message("{\"event\":\"message-finish\"}", "complete", "\"\"");
}

static void deltas_without_a_start_are_text(void **state)
{
	(void)state;
	start();
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"a\"}}",
		"partial", "\"a\"");
}

static void reasoning_is_a_block_of_its_own(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":\"reasoning\","
	      "\"reasoning\":\"\",\"x\":1}}",
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"reasoning-delta\",\"reasoning\":\"hm\"}}",
		"partial", "[{\"type\":\"reasoning\",\"x\":1,\"reasoning\":\"hm\"}]");
	check("{\"event\":\"content-block-finish\",\"index\":0,\"content\":{\"type\":\"reasoning\","
	      "\"reasoning\":\"hmm\"}}",
		"");
	check("{\"event\":\"content-block-start\",\"index\":1,\"content\":{\"type\":\"text\"}}",
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":1,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"so\"}}",
		"partial",
		"[{\"type\":\"reasoning\",\"reasoning\":\"hmm\"},{\"type\":\"text\",\"text\":"
		"\"so\"}]");
	check_message("{\"event\":\"message-finish\"}", "complete",
		"[{\"type\":\"reasoning\",\"reasoning\":\"hmm\"},{\"type\":\"text\",\"text\":"
		"\"so\"}]");
}

static void block_deltas_merge_fields(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":"
	      "\"tool_call_chunk\",\"id\":\"t\",\"name\":\"search\",\"args\":\"\"}}",
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"block-delta\",\"fields\":{\"type\":\"tool_call_chunk\",\"args\":\"{"
		      "\\\"q\\\":\"}}}",
		"partial",
		"[{\"id\":\"t\",\"name\":\"search\",\"type\":\"tool_call_chunk\",\"args\":\"{"
		"\\\"q\\\":\"}]");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"block-delta\",\"fields\":{\"args\":\"{\\\"q\\\":1}\"}}}",
		"partial",
		"[{\"id\":\"t\",\"name\":\"search\",\"type\":\"tool_call_chunk\",\"args\":\"{"
		"\\\"q\\\":1}\"}]");
	check("{\"event\":\"content-block-finish\",\"index\":0,\"content\":{\"type\":\"tool_call\","
	      "\"id\":\"t\",\"name\":\"search\",\"args\":{\"q\":1}}}",
		"");
	check_message("{\"event\":\"message-finish\"}", "complete",
		"[{\"type\":\"tool_call\",\"id\":\"t\",\"name\":\"search\",\"args\":{\"q\":1}}]");
}

static void data_deltas_append_to_base64(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":\"image\","
	      "\"mimeType\":\"image/png\"}}",
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"data-delta\",\"data\":\"UklG\"}}",
		"partial", "[{\"type\":\"image\",\"mimeType\":\"image/png\",\"base64\":\"UklG\"}]");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"data-delta\",\"data\":\"Rg==\"}}",
		"partial",
		"[{\"type\":\"image\",\"mimeType\":\"image/png\",\"base64\":\"UklGRg==\"}]");
}

static void deltas_of_different_kinds_keep_to_their_fields(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":\"text\","
	      "\"text\":"
	      "\"a\"}}",
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"b\"}}",
		"partial", "\"ab\"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"block-delta\",\"fields\":{\"annotations\":[1]}}}",
		"partial", "\"ab\"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"c\"}}",
		"partial", "\"abc\"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"reasoning-delta\",\"reasoning\":\"r\"}}",
		"partial", "\"abc\"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"d\"}}",
		"partial", "\"abcd\"");
	check("{\"event\":\"content-block-start\",\"index\":1,\"content\":{\"type\":\"text\"}}",
		"");
	check_message("{\"event\":\"message-finish\"}", "complete",
		"[{\"type\":\"text\",\"annotations\":[1],\"reasoning\":\"r\",\"text\":\"abcd\"},"
		"{\"type\":\"text\"}]");
}

static void a_text_block_without_text_is_an_empty_string(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":\"text\"}}",
		"");
	check_message("{\"event\":\"message-finish\"}", "complete", "\"\"");
}

static void nodes_speak_at_once(void **state)
{
	(void)state;
	take("a", false, "{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"ma\"}");
	assert_string_equal(out.data,
		"event: messages/metadata\ndata: {\"ma\":{\"metadata\":{\"run_id\":\"" RUN
		"\",\"langgraph_node\":\"a\"}}}\n\n");
	take("b", false, "{\"event\":\"message-start\",\"role\":\"human\",\"id\":\"mb\"}");
	take("", false, "{\"event\":\"message-start\",\"role\":\"tool\",\"id\":\"me\"}");
	take(NULL, false, "{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"mn\"}");
	assert_non_null(strstr(take("a", false,
				       "{\"event\":\"content-block-delta\",\"delta\":{\"type\":"
				       "\"text-delta\",\"text\":\"A\"}}"),
		"[{\"id\":\"ma\",\"type\":\"ai\",\"role\":\"assistant\",\"content\":\"A\"}]"));
	assert_non_null(strstr(take("b", false,
				       "{\"event\":\"content-block-delta\",\"delta\":{\"type\":"
				       "\"text-delta\",\"text\":\"B\"}}"),
		"[{\"id\":\"mb\",\"type\":\"human\",\"role\":\"user\",\"content\":\"B\"}]"));
	assert_non_null(strstr(take("", false, "{\"event\":\"message-finish\"}"),
		"[{\"id\":\"me\",\"type\":\"tool\",\"role\":\"tool\",\"content\":\"\"}]"));
	assert_non_null(strstr(take(NULL, false, "{\"event\":\"message-finish\"}"), "\"mn\""));
	assert_non_null(strstr(take("a", false, "{\"event\":\"message-finish\"}"), "\"A\""));
	assert_non_null(strstr(take("b", false, "{\"event\":\"message-finish\"}"), "\"B\""));
	assert_string_equal(take("c", false, "{\"event\":\"message-finish\"}"), "");
}

static void metadata_of_the_agent_goes_first(void **state)
{
	(void)state;
	check("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m1\",\"metadata\":{ \"k\" : 1 "
	      "}}",
		"event: messages/metadata\ndata: {\"m1\":{\"metadata\":{\"k\":1,\"run_id\":\"" RUN
		"\"}}}\n\n");
	check("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m1\",\"metadata\":{ }}",
		"event: messages/metadata\ndata: {\"m1\":{\"metadata\":{\"run_id\":\"" RUN
		"\"}}}\n\n");
	check("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m1\",\"metadata\":[1]}",
		"event: messages/metadata\ndata: {\"m1\":{\"metadata\":{\"run_id\":\"" RUN
		"\"}}}\n\n");
	take("n", false,
		"{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m\\\"1\",\"metadata\":"
		"{\"run_id\":1,\"langgraph_node\":2}}");
	assert_string_equal(out.data,
		"event: messages/metadata\ndata: {\"m\\\"1\":{\"metadata\":{\"run_id\":1,"
		"\"langgraph_node\":2}}}\n\n");
}

static void what_was_heard_silently_is_there_afterwards(void **state)
{
	(void)state;
	assert_string_equal(
		take(NULL, true, "{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m1\"}"),
		"");
	assert_string_equal(take(NULL, true,
				    "{\"event\":\"content-block-delta\",\"delta\":{\"type\":"
				    "\"text-delta\",\"text\":\"heard, \"}}"),
		"");
	check_message("{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{\"type\":"
		      "\"text-delta\",\"text\":\"seen\"}}",
		"partial", "\"heard, seen\"");
	assert_string_equal(take(NULL, true, "{\"event\":\"message-finish\"}"), "");
	check("{\"event\":\"message-finish\"}", "");
}

static void a_message_that_starts_anew_replaces_the_open_one(void **state)
{
	(void)state;
	check("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m0\"}",
		"event: messages/metadata\ndata: {\"m0\":{\"metadata\":{\"run_id\":\"" RUN
		"\"}}}\n\n");
	take(NULL, false,
		"{\"event\":\"content-block-delta\",\"delta\":{\"type\":\"text-delta\",\"text\":"
		"\"x\"}}");
	start();
	check_message("{\"event\":\"message-finish\"}", "complete", "\"\"");
}

static void an_error_ends_a_message_without_a_word(void **state)
{
	(void)state;
	start();
	check("{\"event\":\"error\",\"message\":\"no\"}", "");
	check("{\"event\":\"message-finish\"}", "");
}

static void what_is_no_message_event_is_not_shown(void **state)
{
	(void)state;
	check("{}", "");
	check("[]", "");
	check("{\"event\":", "");
	check("{\"event\":\"something-else\"}", "");
	start();
	check("{\"event\":\"something-else\"}", "");
	check("{\"event\":\"content-block-start\"}", "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(text_grows_word_by_word),
		TEST(a_message_without_blocks_is_empty),
		TEST(deltas_without_a_start_are_text),
		TEST(reasoning_is_a_block_of_its_own),
		TEST(block_deltas_merge_fields),
		TEST(data_deltas_append_to_base64),
		TEST(deltas_of_different_kinds_keep_to_their_fields),
		TEST(a_text_block_without_text_is_an_empty_string),
		TEST(nodes_speak_at_once),
		TEST(metadata_of_the_agent_goes_first),
		TEST(what_was_heard_silently_is_there_afterwards),
		TEST(a_message_that_starts_anew_replaces_the_open_one),
		TEST(an_error_ends_a_message_without_a_word),
		TEST(what_is_no_message_event_is_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
