/* Runs below /threads/{thread_id}: the same as elsewhere, but only those of that thread. */
#include "lab.h"

#include <errno.h>

#include "base/alloc.h"

#define RUN    "11111111-1111-1111-1111-111111111111"
#define THREAD "22222222-2222-2222-2222-222222222222"
#define OTHER  "44444444-4444-4444-4444-444444444444"

static struct lab *lab;

static int open_lab(void **state)
{
	(void)state;
	lab = lab_create();
	lab_add_agent(lab, "a", NULL, NULL);
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_destroy(lab);
	return 0;
}

static void assert_begins(const char *start)
{
	if (strncmp(lab->body.data, start, strlen(start)) != 0)
		fail_msg("%s does not begin with %s", lab->body.data, start);
}

/* Asks about the run on a thread. */
static struct apd_http_request *ask(apd_http_handler *handler, const char *thread)
{
	struct apd_http_request *request = lab_request(lab, thread, NULL);

	request->params[1] = RUN;
	lab_handle(request, handler);
	lab_run(lab);
	return request;
}

/* Creates a run on the thread: the runtime has been asked. */
static void create(apd_http_handler *handler)
{
	struct apd_id id;

	apd_id_parse(APD_STR(THREAD), &id);
	lab_handle(lab_request(lab, THREAD, "{\"agent_id\":\"a\",\"if_not_exists\":\"create\"}"),
		handler);
	lab_run_runtime(lab);
	assert_non_null(lab->runtime.call);
	assert_true(lab->runtime.spec.has_thread && lab->runtime.spec.create_thread);
	assert_true(apd_id_eq(&lab->runtime.spec.thread_id, &id));
}

static struct apd_run_call *take_call(void)
{
	struct apd_run_call *call = lab->runtime.call;

	assert_non_null(call);
	lab->runtime.call = NULL;
	call->row = lab->runtime.row;
	return call;
}

static void runs_are_created_on_the_thread_in_the_path(void **state)
{
	struct apd_run_call *call;

	(void)state;
	lab_set_run(lab, APD_RUN_PENDING);
	create(api_create_thread_run);
	assert_int_equal(lab->runtime.spec.mode, APD_MODE_BACKGROUND);
	call = take_call();
	call->ops->accepted(call);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_begins("{\"run_id\":\"" RUN "\"");
	assert_string_equal(
		lab->headers.data, "Content-Location: /threads/" THREAD "/runs/" RUN "\n");
	create(api_create_and_wait_thread_run);
	assert_int_equal(lab->runtime.spec.mode, APD_MODE_WAIT);
	lab_set_run(lab, APD_RUN_SUCCESS);
	call = take_call();
	call->ops->ended(call);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_begins("{\"status\":\"success\",\"run\":{");
	assert_int_equal(lab->answers, 2);
}

static void runs_are_streamed_on_the_thread_in_the_path(void **state)
{
	struct apd_run_call *call;

	(void)state;
	lab_set_run(lab, APD_RUN_PENDING);
	create(api_create_and_stream_thread_run);
	assert_int_equal(lab->runtime.spec.mode, APD_MODE_STREAM);
	call = lab->runtime.call;
	call->row = lab->runtime.row;
	call->log = lab->runtime.log;
	call->ops->accepted(call);
	lab_run(lab);
	assert_non_null(lab->stream);
	assert_non_null(
		strstr(lab->headers.data, "\nLocation: /threads/" THREAD "/runs/" RUN "/stream\n"));
	lab_close(lab, true);
	lab_run(lab);
	assert_int_equal(lab->runtime.leaves, 1);
}

static void the_thread_may_not_be_there(void **state)
{
	static apd_http_handler *const handlers[] = {api_create_thread_run,
		api_create_and_wait_thread_run, api_create_and_stream_thread_run};
	struct apd_problem problem = {.code = APD_PROBLEM_THREAD_NOT_FOUND};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(handlers); i++) {
		struct apd_run_call *call;

		create(handlers[i]);
		call = take_call();
		call->ops->refused(call, &problem);
		lab_run(lab);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, 404);
		assert_string_equal(lab->problem.message, "There is no thread " THREAD ".");
	}
}

static void the_body_must_not_name_another_thread(void **state)
{
	static apd_http_handler *const handlers[] = {api_create_thread_run,
		api_create_and_wait_thread_run, api_create_and_stream_thread_run};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(handlers); i++) {
		lab_handle(lab_request(lab, THREAD, "{\"thread_id\":\"" OTHER "\"}"), handlers[i]);
		assert_int_equal(lab->status, 422);
		assert_string_equal(
			lab->problem.message, "thread_id: the path names another thread");
		lab_handle(lab_request(lab, "7", "{}"), handlers[i]);
		assert_int_equal(lab->status, 422);
		assert_string_equal(lab->problem.message, "thread_id: expected a UUID, got \"7\"");
		assert_int_equal(lab->answers, 2 * (i + 1));
		assert_int_equal(apd_mailbox_drain(&lab->runtime_mailbox), 0);
	}
}

static apd_http_handler *const about[] = {api_get_thread_run, api_wait_thread_run,
	api_stream_thread_run, api_cancel_thread_run, api_delete_thread_run};

/* Every question about the run on another thread is answered with 404 at once. */
static void check_not_found(void)
{
	for (size_t i = 0; i < APD_COUNT(about); i++) {
		lab->answers = 0;
		lab->problem.code = APD_PROBLEM_NONE;
		ask(about[i], OTHER);
		assert_int_equal(lab->answers, 1);
		assert_int_equal(lab->status, 404);
		assert_int_equal(lab->problem.code, APD_PROBLEM_RUN_NOT_FOUND);
		assert_string_equal(
			lab->problem.message, "There is no run " RUN " on the thread " OTHER ".");
		assert_null(lab->runtime.call);
		assert_null(lab->runtime.change);
	}
}

static void runs_of_other_threads_are_not_found_in_memory(void **state)
{
	(void)state;
	lab_set_run(lab, APD_RUN_PENDING);
	check_not_found();
	lab->runtime.at_once = true;
	check_not_found();
}

static void runs_of_other_threads_are_not_found_in_storage(void **state)
{
	(void)state;
	lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	check_not_found();
	/* Nor where memory has but a shadow of them. */
	lab_set_run(lab, APD_RUN_SUCCESS);
	lab->runtime.light = true;
	check_not_found();
}

static void ids_in_paths_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < APD_COUNT(about); i++) {
		struct apd_http_request *request = lab_request(lab, THREAD, NULL);

		request->params[1] = "x";
		lab_handle(request, about[i]);
		assert_int_equal(lab->status, 422);
		assert_string_equal(lab->problem.message, "run_id: expected a UUID, got \"x\"");
		ask(about[i], "y");
		assert_int_equal(lab->status, 422);
		assert_string_equal(lab->problem.message, "thread_id: expected a UUID, got \"y\"");
	}
}

static void runs_of_the_thread_are_answered_from_memory(void **state)
{
	struct apd_run_call *call;

	(void)state;
	lab_set_run(lab, APD_RUN_PENDING);
	ask(api_get_thread_run, THREAD);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data, "\"thread_id\":\"" THREAD "\""));
	ask(api_cancel_thread_run, THREAD);
	assert_int_equal(lab->status, 204);
	assert_int_equal(lab->answers, 2);
	ask(api_wait_thread_run, THREAD);
	assert_int_equal(lab->answers, 2);
	lab_set_run(lab, APD_RUN_ERROR);
	call = take_call();
	call->ops->ended(call);
	lab_run(lab);
	assert_int_equal(lab->answers, 3);
	assert_begins("{\"status\":\"error\",\"run\":{");
	ask(api_stream_thread_run, THREAD);
	assert_non_null(lab->stream);
	lab_close(lab, true);
}

static void runs_of_the_thread_are_answered_from_storage(void **state)
{
	(void)state;
	lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	ask(api_get_thread_run, THREAD);
	assert_int_equal(lab->status, 200);
	assert_false(lab->with_output);
	ask(api_wait_thread_run, THREAD);
	assert_int_equal(lab->status, 200);
	assert_true(lab->with_output);
	assert_begins("{\"status\":\"success\",\"run\":{");
	ask(api_cancel_thread_run, THREAD);
	assert_int_equal(lab->status, 204);
	assert_false(lab->with_output);
	ask(api_stream_thread_run, THREAD);
	assert_int_equal(lab_pull(lab, 4096), -1);
	assert_non_null(strstr(lab->body.data, "event: end\n"));
	lab_close(lab, false);
}

static void a_result_that_memory_let_go_is_in_storage(void **state)
{
	(void)state;
	lab_set_run(lab, APD_RUN_SUCCESS);
	lab->runtime.light = true;
	lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	ask(api_wait_run, THREAD);
	assert_int_equal(lab->status, 200);
	assert_true(lab->with_output);
	assert_begins("{\"run\":{");
}

static void runs_of_the_thread_are_deleted(void **state)
{
	static const int results[] = {0, -EBUSY, -ENOENT};
	static const int statuses[] = {204, 422, 404};

	(void)state;
	/* In storage, in memory, in neither: the runtime decides. */
	for (size_t i = 0; i < 3; i++) {
		if (i == 0)
			lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
		if (i == 1)
			lab_set_run(lab, APD_RUN_PENDING);
		ask(api_delete_thread_run, THREAD);
		assert_non_null(lab->runtime.change);
		lab->runtime.change->done(lab->runtime.change, results[i]);
		lab->runtime.change = NULL;
		lab_run(lab);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, statuses[i]);
		apd_run_row_unref(lab->stored);
		lab->stored = NULL;
	}
}

/* Lists the runs of the thread with these query parameters. */
static void list(struct lab_pair a, struct lab_pair b, struct lab_pair c)
{
	struct apd_http_request *request = lab_request(lab, THREAD, NULL);

	request->query[0] = a;
	request->query[1] = b;
	request->query[2] = c;
	lab_handle(request, api_list_thread_runs);
	lab_run(lab);
}

static const struct lab_pair none;

static void runs_are_listed(void **state)
{
	(void)state;
	lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	list((struct lab_pair){"limit", "3"}, (struct lab_pair){"offset", "4"},
		(struct lab_pair){"status", "error"});
	assert_int_equal(lab->status, 200);
	assert_begins("[{\"run_id\":");
	assert_non_null(lab->run_query.thread_id);
	assert_int_equal(lab->run_query.limit, 3);
	assert_int_equal(lab->run_query.offset, 4);
	assert_int_equal(lab->run_query.status, APD_RUN_ERROR);
	list(none, none, none);
	assert_int_equal(lab->run_query.limit, 10);
	assert_int_equal(lab->run_query.offset, 0);
	assert_int_equal(lab->run_query.status, -1);
	assert_int_equal(lab->answers, 2);
}

static void lists_are_checked(void **state)
{
	static const struct lab_pair bad[] = {{"limit", "0"}, {"limit", "1001"}, {"offset", "-1"},
		{"offset", "x"}, {"status", "busy"}};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(bad); i++) {
		list(bad[i], none, none);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, 422);
	}
}

static void a_thread_without_runs_may_be_none(void **state)
{
	(void)state;
	list(none, none, none);
	assert_int_equal(lab->status, 404);
	assert_int_equal(lab->problem.code, APD_PROBLEM_THREAD_NOT_FOUND);
	lab->thread_stored = true;
	list(none, none, none);
	assert_int_equal(lab->status, 200);
	assert_string_equal(lab->body.data, "[]");
	lab->searched = -EIO;
	list(none, none, none);
	assert_int_equal(lab->status, 503);
	assert_int_equal(lab->answers, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(runs_are_created_on_the_thread_in_the_path),
		TEST(runs_are_streamed_on_the_thread_in_the_path),
		TEST(the_thread_may_not_be_there),
		TEST(the_body_must_not_name_another_thread),
		TEST(runs_of_other_threads_are_not_found_in_memory),
		TEST(runs_of_other_threads_are_not_found_in_storage),
		TEST(ids_in_paths_are_checked),
		TEST(runs_of_the_thread_are_answered_from_memory),
		TEST(runs_of_the_thread_are_answered_from_storage),
		TEST(a_result_that_memory_let_go_is_in_storage),
		TEST(runs_of_the_thread_are_deleted),
		TEST(runs_are_listed),
		TEST(lists_are_checked),
		TEST(a_thread_without_runs_may_be_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
