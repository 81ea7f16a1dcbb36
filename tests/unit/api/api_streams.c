/* Streams of runs: where they begin and what they show. */
#include "streams.h"

#include "ap/agent.h"
#include "base/alloc.h"

static void a_creator_sees_all_of_its_run(void **state)
{
	const char *text;

	(void)state;
	stream_create("[\"custom\"]");
	assert_non_null(strstr(stream_lab->headers.data, "/runs/" STREAM_ID "\n"));
	assert_non_null(strstr(stream_lab->headers.data,
		"\nLocation: /threads/" STREAM_THREAD "/runs/" STREAM_ID "/stream\n"));
	assert_string_equal(stream_pull(0), "");
	stream_started();
	stream_custom("1");
	text = stream_pull(1);
	assert_ptr_equal(strstr(text, STREAM_METADATA), text);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	assert_non_null(strstr(text, "id: 2\nevent: custom\ndata: 1\n\n"));
	stream_ended(APD_RUN_SUCCESS);
	assert_string_equal(stream_pull(-1), "id: 3\n" STREAM_END("success"));
	stream_finish(false);
	assert_int_equal(stream_lab->answers, 1);
}

static void news_wake_the_stream_once(void **state)
{
	(void)state;
	stream_create("\"custom\"");
	assert_int_equal(stream_lab->runtime.watch->channels, 1u << AP_CHANNEL_CUSTOM);
	stream_lab->runtime.watch->news(stream_lab->runtime.watch);
	stream_lab->runtime.watch->news(stream_lab->runtime.watch);
	assert_int_equal(stream_lab->stream->wakes, 0);
	lab_run_home(stream_lab);
	assert_int_equal(stream_lab->stream->wakes, 1);
	stream_lab->runtime.watch->news(stream_lab->runtime.watch);
	lab_run_home(stream_lab);
	assert_int_equal(stream_lab->stream->wakes, 2);
	stream_finish(true);
}

static void news_may_be_on_their_way_when_the_stream_closes(void **state)
{
	(void)state;
	stream_create("\"custom\"");
	stream_lab->runtime.watch->news(stream_lab->runtime.watch);
	lab_close(stream_lab, true);
	lab_run_home(stream_lab);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.leaves, 1);
	assert_null(stream_lab->runtime.watch);
}

static void the_runtime_hears_what_the_creators_socket_took(void **state)
{
	(void)state;
	stream_create("\"custom\"");
	stream_started();
	stream_custom("1");
	stream_pull(1);
	lab_run(stream_lab);
	/* The bytes are on their way only. */
	assert_int_equal(stream_lab->runtime.taken, 0);
	assert_string_equal(stream_pull(0), "");
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.taken, 2);
	/* What is not shown to this reader is taken at once. */
	stream_message("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m\"}");
	assert_string_equal(stream_pull(0), "");
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.taken, 3);
	stream_finish(true);
}

static void joiners_return_no_credit(void **state)
{
	(void)state;
	stream_join("custom", NULL);
	stream_custom("1");
	stream_pull(0);
	stream_pull(0);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.taken, 0);
	stream_finish(true);
}

static void what_the_socket_took_may_be_told_while_it_closes(void **state)
{
	(void)state;
	stream_create("\"custom\"");
	stream_started();
	stream_custom("2");
	stream_pull(1);
	stream_pull(0);
	lab_close(stream_lab, true);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.taken, 2);
	assert_int_equal(stream_lab->runtime.leaves, 1);
}

static void a_full_buffer_is_pulled_again(void **state)
{
	(void)state;
	stream_create("\"custom\"");
	stream_started();
	for (int i = 0; i < 10; i++)
		stream_custom("\"0123456789\"");
	apd_buf_clear(&stream_lab->body);
	assert_int_equal(lab_pull(stream_lab, 100), 1);
	assert_true(stream_lab->body.len < 300);
	while (lab_pull(stream_lab, 100) > 0)
		;
	assert_int_equal(stream_count(stream_lab->body.data, "0123456789"), 10);
	stream_finish(true);
}

static void a_joiner_sees_what_comes_next(void **state)
{
	const char *text;

	(void)state;
	stream_started();
	stream_custom("\"before\"");
	stream_join("custom", NULL);
	text = stream_pull(0);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	assert_null(strstr(text, "before"));
	stream_custom("\"after\"");
	stream_ended(APD_RUN_SUCCESS);
	text = stream_pull(-1);
	assert_int_equal(stream_count(text, STREAM_METADATA), 0);
	assert_non_null(strstr(text, "after"));
	assert_non_null(strstr(text, STREAM_END("success")));
	stream_finish(false);
}

static void a_joiner_of_a_log_that_began_with_it_gets_metadata(void **state)
{
	const char *text;

	(void)state;
	/* Nobody could read the run before: its log has nothing, and begins now. */
	stream_join("custom", NULL);
	text = stream_pull(0);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	stream_ended(APD_RUN_SUCCESS);
	assert_non_null(strstr(stream_pull(-1), STREAM_END("success")));
	stream_finish(false);
}

static void a_joiner_of_a_run_that_waits_gets_metadata_with_the_start(void **state)
{
	(void)state;
	stream_lab->runtime.row->attempt = 0;
	stream_join("custom", NULL);
	assert_string_equal(stream_pull(0), "");
	stream_started();
	stream_custom("1");
	assert_int_equal(stream_count(stream_pull(0), STREAM_METADATA), 1);
	stream_finish(true);
}

static void a_run_that_never_began_ends_with_metadata_and_end(void **state)
{
	const char *text;

	(void)state;
	stream_create("\"values\"");
	stream_ended(APD_RUN_INTERRUPTED);
	text = stream_pull(-1);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	assert_non_null(strstr(text, STREAM_END("interrupted")));
	stream_finish(false);
}

static void a_client_that_comes_back_sees_the_rest(void **state)
{
	const char *text;

	(void)state;
	stream_started();
	stream_custom("\"two\"");
	stream_custom("\"three\"");
	stream_join("custom", "2");
	text = stream_pull(0);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	assert_null(strstr(text, "two"));
	assert_non_null(strstr(text, "id: 3\nevent: custom\ndata: \"three\"\n\n"));
	stream_finish(true);
}

static void minus_one_is_the_whole_run(void **state)
{
	static const char *const starts[] = {"-1", "0"};

	(void)state;
	stream_started();
	stream_custom("\"two\"");
	for (size_t i = 0; i < APD_COUNT(starts); i++) {
		stream_join("custom", starts[i]);
		assert_int_equal(stream_count(stream_lab->headers.data, "Content-Location"), i + 1);
		stream_pull(0);
		assert_int_equal(stream_count(stream_lab->body.data, STREAM_METADATA), 1);
		assert_non_null(strstr(stream_lab->body.data, "two"));
		stream_finish(true);
	}
}

static void ids_that_are_none_count_as_absent(void **state)
{
	static const char *const ids[] = {"", "abc", "12x", "99999999999999999999"};

	(void)state;
	stream_started();
	stream_custom("\"two\"");
	for (size_t i = 0; i < APD_COUNT(ids); i++) {
		stream_join("custom", ids[i]);
		assert_null(strstr(stream_pull(0), "two"));
		stream_finish(true);
	}
}

static void ids_of_an_earlier_life_hide_nothing(void **state)
{
	(void)state;
	stream_started();
	stream_join("custom", "5000");
	assert_int_equal(stream_count(stream_pull(0), STREAM_METADATA), 1);
	stream_custom("\"news\"");
	assert_non_null(strstr(stream_pull(0), "news"));
	stream_finish(true);
}

static void a_message_that_is_under_way_is_shown_whole(void **state)
{
	(void)state;
	stream_started();
	stream_message("{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m\"}");
	stream_message(
		"{\"event\":\"content-block-delta\",\"delta\":{\"type\":\"text-delta\",\"text\":"
		"\"a \"}}");
	stream_join("messages", NULL);
	assert_null(strstr(stream_pull(0), "\"m\""));
	stream_message(
		"{\"event\":\"content-block-delta\",\"delta\":{\"type\":\"text-delta\",\"text\":"
		"\"b\"}}");
	assert_non_null(strstr(stream_pull(0), "\"content\":\"a b\""));
	stream_finish(true);
}

static void modes_come_from_the_query_or_the_run(void **state)
{
	struct apd_http_request *request = lab_request(stream_lab, STREAM_ID, NULL);

	(void)state;
	request->query[0] = (struct lab_pair){"stream_mode", "custom"};
	request->query[1] = (struct lab_pair){"stream_mode", "messages"};
	lab_handle(request, api_stream_run);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.watch->channels,
		1u << AP_CHANNEL_CUSTOM | 1u << AP_CHANNEL_MESSAGES);
	stream_finish(true);
	apd_run_row_unref(stream_lab->runtime.row);
	stream_lab->runtime.row = lab_row(APD_RUN_PENDING, "{\"stream_mode\":\"messages\"}");
	lab_handle(lab_request(stream_lab, STREAM_ID, NULL), api_stream_run);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.watch->channels, 1u << AP_CHANNEL_MESSAGES);
	stream_finish(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stream_open, stream_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_creator_sees_all_of_its_run),
		TEST(news_wake_the_stream_once),
		TEST(news_may_be_on_their_way_when_the_stream_closes),
		TEST(the_runtime_hears_what_the_creators_socket_took),
		TEST(joiners_return_no_credit),
		TEST(what_the_socket_took_may_be_told_while_it_closes),
		TEST(a_full_buffer_is_pulled_again),
		TEST(a_joiner_sees_what_comes_next),
		TEST(a_joiner_of_a_log_that_began_with_it_gets_metadata),
		TEST(a_joiner_of_a_run_that_waits_gets_metadata_with_the_start),
		TEST(a_run_that_never_began_ends_with_metadata_and_end),
		TEST(a_client_that_comes_back_sees_the_rest),
		TEST(minus_one_is_the_whole_run),
		TEST(ids_that_are_none_count_as_absent),
		TEST(ids_of_an_earlier_life_hide_nothing),
		TEST(a_message_that_is_under_way_is_shown_whole),
		TEST(modes_come_from_the_query_or_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
