/* The ends of streams: of runs, of logs, of clients and of the daemon. */
#include "streams.h"

/* Joins a run that is over, which must end at once with these words. */
static void check_ends_at_once(const char *last_event_id, const char *end)
{
	const char *text;

	stream_lab->runtime.at_once = true;
	stream_join("custom", last_event_id);
	text = stream_pull(-1);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	assert_int_equal(stream_count(text, "event: end\n"), 1);
	assert_non_null(strstr(text, end));
	stream_finish(false);
	assert_int_equal(stream_lab->runtime.leaves, 0);
}

static void the_stream_of_an_ended_run_ends(void **state)
{
	(void)state;
	stream_started();
	stream_custom("1");
	stream_ended(APD_RUN_SUCCESS);
	lab_set_run(stream_lab, APD_RUN_SUCCESS);
	check_ends_at_once(NULL, "id: 3\n" STREAM_END("success"));
	check_ends_at_once("1", "data: 1\n\nid: 3\n" STREAM_END("success"));
	check_ends_at_once("3", STREAM_END("success"));
	check_ends_at_once("-1", STREAM_END("success"));
	apd_event_log_close(stream_lab->runtime.log);
	check_ends_at_once(NULL, "id: 3\n" STREAM_END("success"));
}

static void the_stream_of_an_ended_run_ends_without_its_events(void **state)
{
	const char *text;

	(void)state;
	/* The log was begun for this reader: it will never have an end. */
	lab_set_run(stream_lab, APD_RUN_ERROR);
	check_ends_at_once(NULL, "event: error\ndata: {\"error\":\"agent_error\"");
	stream_join("custom", "-1");
	text = stream_pull(-1);
	assert_non_null(strstr(text, STREAM_MISSED));
	assert_null(strstr(text, "event: end\n"));
	stream_finish(false);
	/* A run that never began had no more to say. */
	stream_lab->runtime.row->attempt = 0;
	check_ends_at_once("-1", STREAM_END("error"));
	apd_event_log_close(stream_lab->runtime.log);
	check_ends_at_once(NULL, STREAM_END("error"));
}

static void all_of_a_run_is_more_than_its_end(void **state)
{
	const char *text;

	(void)state;
	stream_ended(APD_RUN_SUCCESS);
	lab_set_run(stream_lab, APD_RUN_SUCCESS);
	stream_lab->runtime.at_once = true;
	stream_join("custom", "-1");
	text = stream_pull(-1);
	assert_non_null(strstr(text, STREAM_MISSED));
	assert_null(strstr(text, "event: end\n"));
	stream_finish(false);
}

static void the_stream_of_an_ended_run_ends_behind_other_runs(void **state)
{
	struct apd_event other = {.kind = APD_EVENT_ENDED, .status = APD_RUN_SUCCESS};

	(void)state;
	stream_started();
	stream_ended(APD_RUN_ERROR);
	other.run_id = stream_lab->runtime.row->thread_id;
	apd_event_log_append(stream_lab->runtime.log, &other);
	apd_event_log_evict(stream_lab->runtime.log, 3);
	apd_event_log_append(stream_lab->runtime.log, &other);
	lab_set_run(stream_lab, APD_RUN_ERROR);
	check_ends_at_once(NULL, STREAM_END("error"));
}

/* Lets the creator of a run fall behind, who is told. */
static void fall_behind(void)
{
	char big[70000];
	const char *text;

	memset(big, '1', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	stream_create("\"custom\"");
	stream_started();
	stream_pull(1);
	/* Each has a segment of its own. */
	stream_custom(big);
	stream_custom(big);
	apd_event_log_evict(stream_lab->runtime.log, 2);
	text = stream_pull(-1);
	assert_non_null(strstr(text, STREAM_MISSED));
	assert_null(strstr(text, "event: end\n"));
}

/* The server is done with a creator who fell behind, which must not end the run. */
static struct apd_run_call *send_away(bool left)
{
	struct apd_run_call *call;

	fall_behind();
	call = stream_lab->runtime.call;
	stream_finish(left);
	assert_int_equal(stream_lab->runtime.leaves, 0);
	assert_int_equal(stream_lab->runtime.taken, UINT64_MAX);
	assert_ptr_equal(stream_lab->runtime.call, call);
	stream_lab->runtime.call = NULL;
	return call;
}

static void a_reader_that_fell_behind_does_not_cancel_its_run(void **state)
{
	struct apd_run_call *call = send_away(false);

	(void)state;
	call->ops->ended(call);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.leaves, 0);
}

static void a_shutdown_frees_whoever_fell_behind(void **state)
{
	struct apd_problem problem = {.code = APD_PROBLEM_SHUTTING_DOWN};
	struct apd_run_call *call = send_away(true);

	(void)state;
	call->ops->refused(call, &problem);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->answers, 1);
}

static void a_run_may_end_while_its_reader_is_sent_away(void **state)
{
	struct apd_run_call *call;

	(void)state;
	fall_behind();
	call = stream_lab->runtime.call;
	stream_lab->runtime.call = NULL;
	lab_close(stream_lab, false);
	call->ops->ended(call);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.leaves, 0);
	assert_null(stream_lab->runtime.watch);
}

static void joiners_that_fall_behind_just_leave(void **state)
{
	(void)state;
	stream_custom("1");
	stream_join("custom", "-1");
	assert_non_null(strstr(stream_pull(-1), STREAM_MISSED));
	stream_finish(false);
	assert_int_equal(stream_lab->runtime.leaves, 1);
}

/* Joins a run that only storage knows: what its stream says. */
static const char *join_stored(const char *last_event_id)
{
	apd_run_row_unref(stream_lab->runtime.row);
	stream_lab->runtime.row = NULL;
	if (!stream_lab->stored)
		stream_lab->stored = lab_row(APD_RUN_ERROR, NULL);
	stream_join("custom", last_event_id);
	return stream_pull(-1);
}

static void events_that_nobody_has_any_more_are_missed(void **state)
{
	static const char *const ids[] = {"-1", "7"};
	const char *text;

	(void)state;
	text = join_stored(NULL);
	assert_non_null(strstr(text, STREAM_END("error")));
	assert_null(strstr(text, STREAM_MISSED));
	stream_finish(false);
	for (size_t i = 0; i < 2; i++) {
		text = join_stored(ids[i]);
		assert_ptr_equal(strstr(text, STREAM_METADATA), text);
		assert_non_null(strstr(text, STREAM_MISSED));
		assert_null(strstr(text, "event: end\n"));
		stream_finish(false);
	}
	/* A run that never began had none. */
	stream_lab->stored->attempt = 0;
	assert_non_null(strstr(join_stored("-1"), STREAM_END("error")));
	stream_finish(false);
	assert_int_equal(stream_lab->runtime.leaves, 0);
}

static void whoever_wants_all_is_told_when_the_beginning_is_gone(void **state)
{
	const char *text;

	(void)state;
	stream_custom("1");
	stream_join("custom", "-1");
	text = stream_pull(-1);
	assert_ptr_equal(strstr(text, STREAM_METADATA), text);
	assert_non_null(strstr(text, STREAM_MISSED));
	assert_null(strstr(text, "event: end\n"));
	stream_finish(true);
}

static void numbers_of_other_runs_are_not_missed(void **state)
{
	const char *text;

	(void)state;
	/* A kept thread's log goes on where an earlier one stopped. */
	apd_event_log_unref(stream_lab->runtime.log);
	stream_lab->runtime.log = apd_event_log_create(500, 1 << 20);
	stream_started();
	stream_custom("1");
	stream_join("custom", "-1");
	text = stream_pull(0);
	assert_int_equal(stream_count(text, STREAM_METADATA), 1);
	assert_non_null(strstr(text, "id: 501\nevent: custom\ndata: 1\n\n"));
	stream_finish(true);
}

static void a_shutdown_breaks_the_stream_off(void **state)
{
	struct apd_problem problem = {.code = APD_PROBLEM_SHUTTING_DOWN};
	struct apd_run_call *call;

	(void)state;
	stream_create("\"custom\"");
	stream_started();
	stream_pull(1);
	call = stream_lab->runtime.call;
	stream_lab->runtime.call = NULL;
	apd_event_log_close(stream_lab->runtime.log);
	call->ops->refused(call, &problem);
	assert_string_equal(stream_pull(-1), "");
	stream_finish(false);
	assert_int_equal(stream_lab->answers, 1);
	assert_int_equal(stream_lab->runtime.leaves, 0);
}

static void a_client_may_leave_before_its_run_is_accepted(void **state)
{
	struct apd_http_request *request = lab_request(stream_lab, NULL, "{\"agent_id\":\"a\"}");

	(void)state;
	lab_handle(request, api_create_and_stream);
	lab_run_runtime(stream_lab);
	lab_leave(request);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->answers, 1);
	assert_int_equal(stream_lab->status, 204);
	assert_int_equal(stream_lab->runtime.leaves, 1);
}

static void a_client_may_leave_while_accepted_is_on_its_way(void **state)
{
	struct apd_http_request *request = lab_request(stream_lab, STREAM_ID, NULL);

	(void)state;
	lab_handle(request, api_stream_run);
	lab_run_runtime(stream_lab);
	assert_non_null(stream_lab->runtime.watch);
	stream_lab->runtime.watch->news(stream_lab->runtime.watch);
	lab_leave(request);
	lab_run_home(stream_lab);
	assert_int_equal(stream_lab->answers, 1);
	assert_null(stream_lab->stream);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->runtime.leaves, 1);
	assert_null(stream_lab->runtime.watch);
}

static void a_client_may_leave_while_an_ended_run_is_looked_up(void **state)
{
	struct apd_http_request *request = lab_request(stream_lab, STREAM_ID, NULL);

	(void)state;
	apd_run_row_unref(stream_lab->runtime.row);
	stream_lab->runtime.row = NULL;
	stream_lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	lab_handle(request, api_stream_run);
	lab_run_runtime(stream_lab);
	lab_leave(request);
	lab_run(stream_lab);
	assert_int_equal(stream_lab->answers, 1);
	assert_null(stream_lab->stream);
	assert_int_equal(stream_lab->runtime.leaves, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stream_open, stream_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_stream_of_an_ended_run_ends),
		TEST(the_stream_of_an_ended_run_ends_without_its_events),
		TEST(all_of_a_run_is_more_than_its_end),
		TEST(the_stream_of_an_ended_run_ends_behind_other_runs),
		TEST(a_reader_that_fell_behind_does_not_cancel_its_run),
		TEST(a_shutdown_frees_whoever_fell_behind),
		TEST(a_run_may_end_while_its_reader_is_sent_away),
		TEST(joiners_that_fall_behind_just_leave),
		TEST(events_that_nobody_has_any_more_are_missed),
		TEST(whoever_wants_all_is_told_when_the_beginning_is_gone),
		TEST(numbers_of_other_runs_are_not_missed),
		TEST(a_shutdown_breaks_the_stream_off),
		TEST(a_client_may_leave_before_its_run_is_accepted),
		TEST(a_client_may_leave_while_accepted_is_on_its_way),
		TEST(a_client_may_leave_while_an_ended_run_is_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
