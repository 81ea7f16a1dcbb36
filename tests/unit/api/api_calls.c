/* Calls: requests on their way to the runtime and back, in every order that can be. */
#include "lab.h"

#include <errno.h>

#include "base/alloc.h"

#define ID "11111111-1111-1111-1111-111111111111"

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

/* Asks for a run to be created; the runtime has been asked when this returns. */
static struct apd_http_request *create(apd_http_handler *handler)
{
	struct apd_http_request *request =
		lab_request(lab, NULL, "{\"agent_id\":\"a\",\"input\":7}");

	lab_handle(request, handler);
	lab_run_runtime(lab);
	assert_non_null(lab->runtime.call);
	assert_int_equal(lab->answers, 0);
	return request;
}

/* The runtime's last callback. */
static void end(void)
{
	struct apd_run_call *call = lab->runtime.call;

	lab->runtime.call = NULL;
	call->row = lab->runtime.row;
	call->ops->ended(call);
}

static void refuse(enum apd_problem_code code)
{
	struct apd_run_call *call = lab->runtime.call;
	struct apd_problem problem = {.code = code};

	lab->runtime.call = NULL;
	call->ops->refused(call, &problem);
}

static void accept_call(void)
{
	lab->runtime.call->row = lab->runtime.row;
	lab->runtime.call->ops->accepted(lab->runtime.call);
}

static void a_background_run_is_answered_when_accepted(void **state)
{
	(void)state;
	create(api_create_run);
	assert_int_equal(lab->runtime.spec.mode, APD_MODE_BACKGROUND);
	assert_true(apd_str_is(lab->runtime.spec.input, "7"));
	lab_set_run(lab, APD_RUN_PENDING);
	accept_call();
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data, "\"run_id\":\"" ID "\""));
}

static void a_waiting_client_gets_the_result(void **state)
{
	(void)state;
	create(api_create_and_wait);
	assert_int_equal(lab->runtime.spec.mode, APD_MODE_WAIT);
	lab_set_run(lab, APD_RUN_SUCCESS);
	end();
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->status, 200);
	assert_memory_equal(lab->body.data, "{\"run\":{", 8);
}

static void refusals_are_answered(void **state)
{
	static apd_http_handler *const handlers[] = {
		api_create_run, api_create_and_wait, api_create_and_stream};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(handlers); i++) {
		create(handlers[i]);
		refuse(APD_PROBLEM_QUEUE_FULL);
		lab_run(lab);
		assert_int_equal(lab->answers, 1);
		assert_int_equal(lab->status, 503);
		assert_int_equal(lab->problem.code, APD_PROBLEM_QUEUE_FULL);
		lab->answers = 0;
	}
}

static void bad_bodies_never_reach_the_runtime(void **state)
{
	static apd_http_handler *const handlers[] = {
		api_create_run, api_create_and_wait, api_create_and_stream, api_search_runs};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(handlers); i++) {
		lab_handle(lab_request(lab, NULL, "[]"), handlers[i]);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, 422);
		assert_int_equal(apd_mailbox_drain(&lab->runtime_mailbox), 0);
	}
}

static void a_client_that_leaves_is_left(void **state)
{
	struct apd_http_request *request = create(api_create_and_wait);

	(void)state;
	lab_leave(request);
	assert_int_equal(lab->answers, 0);
	lab_run_runtime(lab);
	assert_int_equal(lab->runtime.leaves, 1);
	assert_null(lab->runtime.call);
	lab_run_home(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->status, 204);
}

static void a_client_may_leave_before_the_runtime_was_asked(void **state)
{
	struct apd_http_request *request = lab_request(lab, NULL, "{\"agent_id\":\"a\"}");

	(void)state;
	lab_handle(request, api_create_and_wait);
	lab_leave(request);
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->runtime.leaves, 1);
}

static void a_client_may_leave_while_its_answer_is_on_its_way(void **state)
{
	struct apd_http_request *request = create(api_create_and_wait);

	(void)state;
	lab_set_run(lab, APD_RUN_SUCCESS);
	end();
	lab_leave(request);
	lab_run_home(lab);
	assert_int_equal(lab->answers, 1);
	/* The call lives until the runtime has heard of the leaving, and does not leave twice. */
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->runtime.leaves, 0);
}

static void a_leaving_and_an_end_may_cross(void **state)
{
	struct apd_http_request *request = create(api_create_and_wait);

	(void)state;
	lab_set_run(lab, APD_RUN_SUCCESS);
	lab_leave(request);
	end();
	lab_run_runtime(lab);
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->status, 200);
	assert_int_equal(lab->runtime.leaves, 0);
}

static void a_leaving_and_a_refusal_may_cross(void **state)
{
	struct apd_http_request *request = create(api_create_and_stream);

	(void)state;
	lab_leave(request);
	refuse(APD_PROBLEM_SHUTTING_DOWN);
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	assert_int_equal(lab->runtime.leaves, 0);
}

static void runs_in_memory_are_told_from_there(void **state)
{
	(void)state;
	lab_set_run(lab, APD_RUN_PENDING);
	lab_handle(lab_request(lab, ID, NULL), api_get_run);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data, "\"status\":\"pending\""));
}

static void other_runs_are_told_from_storage(void **state)
{
	(void)state;
	lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	lab_handle(lab_request(lab, ID, NULL), api_get_run);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data, "\"status\":\"success\""));
	lab_handle(lab_request(lab, ID, NULL), api_wait_run);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_memory_equal(lab->body.data, "{\"run\":{", 8);
	lab_handle(lab_request(lab, ID, NULL), api_cancel_run);
	lab_run(lab);
	assert_int_equal(lab->status, 204);
	lab_handle(lab_request(lab, ID, NULL), api_stream_run);
	lab_run(lab);
	assert_int_equal(lab->answers, 4);
	assert_int_equal(lab_pull(lab, 4096), -1);
	assert_non_null(strstr(lab->body.data, "event: metadata\n"));
	assert_non_null(strstr(lab->body.data, "event: end\n"));
	lab_close(lab, false);
}

static void runs_that_nobody_knows_are_404(void **state)
{
	static apd_http_handler *const handlers[] = {
		api_get_run, api_wait_run, api_stream_run, api_cancel_run};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(handlers); i++) {
		lab_handle(lab_request(lab, ID, NULL), handlers[i]);
		lab_run(lab);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, 404);
		assert_int_equal(lab->problem.code, APD_PROBLEM_RUN_NOT_FOUND);
		assert_string_equal(lab->problem.message, "There is no run " ID ".");
	}
}

static void joined_waits_end_now_or_later(void **state)
{
	(void)state;
	lab_set_run(lab, APD_RUN_SUCCESS);
	lab->runtime.at_once = true;
	lab_handle(lab_request(lab, ID, NULL), api_wait_run);
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	lab->runtime.at_once = false;
	lab_handle(lab_request(lab, ID, NULL), api_wait_run);
	lab_run(lab);
	assert_int_equal(lab->answers, 1);
	end();
	lab_run(lab);
	assert_int_equal(lab->answers, 2);
	lab_handle(lab_request(lab, ID, NULL), api_wait_run);
	lab_run(lab);
	refuse(APD_PROBLEM_SHUTTING_DOWN);
	lab_run(lab);
	assert_int_equal(lab->answers, 3);
	assert_int_equal(lab->status, 503);
}

/* Cancels with these query parameters. */
static void cancel(const char *wait, const char *action)
{
	struct apd_http_request *request = lab_request(lab, ID, NULL);
	unsigned n = 0;

	if (wait)
		request->query[n++] = (struct lab_pair){"wait", wait};
	if (action)
		request->query[n++] = (struct lab_pair){"action", action};
	lab_handle(request, api_cancel_run);
	lab_run(lab);
}

static void cancels_wait_only_when_asked_to(void **state)
{
	(void)state;
	lab_set_run(lab, APD_RUN_PENDING);
	cancel(NULL, NULL);
	assert_int_equal(lab->status, 204);
	assert_false(lab->runtime.rollback);
	assert_null(lab->runtime.call);
	cancel("false", "rollback");
	assert_int_equal(lab->answers, 2);
	assert_true(lab->runtime.rollback);
	cancel("true", "interrupt");
	assert_int_equal(lab->answers, 2);
	end();
	lab_run(lab);
	assert_int_equal(lab->answers, 3);
	assert_int_equal(lab->status, 204);
	lab->runtime.at_once = true;
	cancel("true", NULL);
	assert_int_equal(lab->answers, 4);
	assert_int_equal(lab->status, 204);
}

static void deletions_say_what_came_of_them(void **state)
{
	static const struct {
		int result, status;
		enum apd_problem_code code;
	} results[] = {
		{0, 204, APD_PROBLEM_NONE},
		{-ENOENT, 404, APD_PROBLEM_RUN_NOT_FOUND},
		{-EBUSY, 422, APD_PROBLEM_RUN_ACTIVE},
		{-EIO, 503, APD_PROBLEM_STORAGE_UNAVAILABLE},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(results); i++) {
		struct apd_http_request *request = lab_request(lab, ID, NULL);

		lab->problem.code = APD_PROBLEM_NONE;
		lab_handle(request, api_delete_run);
		lab_run(lab);
		assert_int_equal(lab->answers, i);
		/* Nothing can be left here: the deletion is decided whoever waits. */
		if (i % 2)
			lab_leave(request);
		lab->runtime.change->done(lab->runtime.change, results[i].result);
		lab_run(lab);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, results[i].status);
		assert_int_equal(lab->problem.code, results[i].code);
	}
}

static void searches_give_rows_or_reasons(void **state)
{
	static const struct {
		int result, status;
	} results[] = {{-ETIME, 503}, {-E2BIG, 422}, {-ECANCELED, 503}, {-EIO, 503}};

	(void)state;
	lab->stored = lab_row(APD_RUN_SUCCESS, NULL);
	lab_handle(lab_request(lab, NULL,
			   "{\"thread_id\":\"" ID "\",\"agent_id\":\"a\",\"status\":\"success\","
			   "\"metadata\":{\"x\":1},\"limit\":5}"),
		api_search_runs);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_memory_equal(lab->body.data, "[{\"run_id\":", 11);
	for (size_t i = 0; i < APD_COUNT(results); i++) {
		lab->searched = results[i].result;
		lab_handle(lab_request(lab, NULL, NULL), api_search_runs);
		lab_run(lab);
		assert_int_equal(lab->answers, i + 2);
		assert_int_equal(lab->status, results[i].status);
	}
}

static void agents_are_searched(void **state)
{
	(void)state;
	lab_add_agent(lab, "Beta-1", NULL, NULL);
	lab_add_agent(lab, "beta-2", NULL, NULL);
	lab_handle(lab_request(lab, NULL, "{\"name\":\"BETA\"}"), api_search_agents);
	assert_null(strstr(lab->body.data, "\"a\""));
	assert_non_null(strstr(lab->body.data, "Beta-1"));
	assert_non_null(strstr(lab->body.data, "beta-2"));
	lab_handle(lab_request(lab, NULL, "{\"offset\":1,\"limit\":1}"), api_search_agents);
	assert_non_null(strstr(lab->body.data, "Beta-1"));
	assert_null(strstr(lab->body.data, "beta-2"));
	lab_handle(
		lab_request(lab, NULL, "{\"metadata\":{\"plugin\":\"other\"}}"), api_search_agents);
	assert_string_equal(lab->body.data, "[]");
	lab_handle(lab_request(lab, "nobody", NULL), api_get_agent);
	assert_int_equal(lab->status, 404);
	lab_handle(lab_request(lab, "nobody", NULL), api_get_agent_schemas);
	assert_int_equal(lab->status, 404);
}

static void numbers_come_from_everybody(void **state)
{
	(void)state;
	lab_handle(lab_request(lab, NULL, NULL), api_metrics);
	lab_run(lab);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data, "\napd_runs_created_total 3\n"));
	assert_non_null(strstr(lab->body.data, "\napd_workers 1\n"));
	assert_non_null(strstr(lab->body.data, "\napd_http_responses_total{class=\"2xx\"} 4\n"));
	assert_non_null(strstr(lab->body.data, "apd_info{version=\"1.2.3\"} 1\n"));
	lab_handle(lab_request(lab, NULL, NULL), api_ok);
	assert_string_equal(lab->body.data, "{\"ok\":true}");
	lab_handle(lab_request(lab, NULL, NULL), api_openapi);
	assert_int_equal(lab->body.len, apd_api_openapi().len);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_background_run_is_answered_when_accepted),
		TEST(a_waiting_client_gets_the_result),
		TEST(refusals_are_answered),
		TEST(bad_bodies_never_reach_the_runtime),
		TEST(a_client_that_leaves_is_left),
		TEST(a_client_may_leave_before_the_runtime_was_asked),
		TEST(a_client_may_leave_while_its_answer_is_on_its_way),
		TEST(a_leaving_and_an_end_may_cross),
		TEST(a_leaving_and_a_refusal_may_cross),
		TEST(runs_in_memory_are_told_from_there),
		TEST(other_runs_are_told_from_storage),
		TEST(runs_that_nobody_knows_are_404),
		TEST(joined_waits_end_now_or_later),
		TEST(cancels_wait_only_when_asked_to),
		TEST(deletions_say_what_came_of_them),
		TEST(searches_give_rows_or_reasons),
		TEST(agents_are_searched),
		TEST(numbers_come_from_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
