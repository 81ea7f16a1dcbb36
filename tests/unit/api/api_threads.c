/* The routes of threads: what reaches the runtime and storage, and what comes back. */
#include "lab.h"

#include <errno.h>

#include "base/alloc.h"

#define THREAD     "22222222-2222-2222-2222-222222222222"
#define CHECKPOINT "33333333-3333-3333-3333-333333333333"

static struct lab *lab;

static int open_lab(void **state)
{
	(void)state;
	lab = lab_create();
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_destroy(lab);
	return 0;
}

/* Sends a request about the thread to the runtime, which has not answered yet. */
static struct apd_http_request *ask(apd_http_handler *handler, const char *body)
{
	struct apd_http_request *request = lab_request(lab, THREAD, body);
	unsigned before = lab->answers;

	lab_handle(request, handler);
	lab_run(lab);
	if (lab->answers != before)
		fail_msg("answered: %s", lab->problem.message);
	return request;
}

/* The runtime's answer: a thread at rest. */
static void give_view(enum apd_thread_rest rest)
{
	struct apd_thread_view view = lab_view(rest, false);

	lab_thread_done(lab, APD_PROBLEM_NONE, &view);
	/* It lives no longer than the callback. */
	apd_thread_view_finish(&view);
	lab_run(lab);
}

static void assert_text(struct apd_str s, const char *expected)
{
	if (!s.ptr || !apd_str_is(s, expected))
		fail_msg("\"%.*s\" is not \"%s\"", APD_STR_FMT(s), expected);
}

/* Sends a body that must be refused for this reason before the runtime hears of it. */
static void check_refused(apd_http_handler *handler, const char *body, const char *message)
{
	lab_handle(lab_request(lab, THREAD, body), handler);
	assert_int_equal(apd_mailbox_drain(&lab->runtime_mailbox), 0);
	assert_int_equal(lab->status, 422);
	assert_int_equal(lab->problem.code, APD_PROBLEM_INVALID_REQUEST);
	assert_string_equal(lab->problem.message, message);
}

static void threads_are_made(void **state)
{
	struct apd_id id, made;

	(void)state;
	apd_id_parse(APD_STR(THREAD), &id);
	ask(api_create_thread, "{\"thread_id\":\"" THREAD "\",\"metadata\":{\"k\": 1.50}}");
	assert_true(apd_id_eq(&lab->runtime.thread_id, &id));
	assert_text(apd_text_str(lab->runtime.metadata), "{\"k\": 1.50}");
	assert_false(lab->runtime.existing);
	give_view(APD_THREAD_IDLE);
	assert_int_equal(lab->status, 200);
	assert_string_equal(lab->headers.data, "Content-Location: /threads/" THREAD "\n");
	assert_string_equal(lab->body.data,
		"{\"thread_id\":\"" THREAD "\",\"created_at\":\"2023-11-14T22:13:20.000000Z\","
		"\"updated_at\":\"2023-11-14T22:13:21.000000Z\",\"metadata\":{\"k\":1},"
		"\"status\":\"idle\",\"values\":{\"n\":1},\"messages\":[{\"id\":\"m\",\"role\":"
		"\"user\",\"content\":\"hi\"}]}");
	/* Without a body it has an id and no metadata. */
	ask(api_create_thread, NULL);
	made = lab->runtime.thread_id;
	assert_false(apd_id_is_nil(&made));
	assert_text(apd_text_str(lab->runtime.metadata), "{}");
	give_view(APD_THREAD_IDLE);
	ask(api_create_thread,
		"{\"thread_id\":null,\"metadata\":null,\"if_exists\":\"do_nothing\"}");
	assert_false(apd_id_eq(&lab->runtime.thread_id, &made));
	assert_true(lab->runtime.existing);
	lab_thread_done(lab, APD_PROBLEM_THREAD_EXISTS, NULL);
	lab_run(lab);
	assert_int_equal(lab->status, 409);
	assert_int_equal(lab->answers, 3);
}

static void bad_threads_are_refused(void **state)
{
	(void)state;
	check_refused(api_create_thread, "{\"thread_id\":\"x\"}",
		"thread_id: expected a UUID, got \"x\"");
	check_refused(api_create_thread, "{\"metadata\":[]}",
		"metadata: expected an object or null, got an array");
	check_refused(api_create_thread, "{\"if_exists\":\"perhaps\"}",
		"if_exists: expected \"raise\", \"do_nothing\" or null, got \"perhaps\"");
}

static void threads_are_read_from_storage(void **state)
{
	(void)state;
	lab->thread_stored = true;
	lab_handle(lab_request(lab, THREAD, NULL), api_get_thread);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data, "\"status\":\"idle\""));
	lab->thread_stored = false;
	lab_handle(lab_request(lab, THREAD, NULL), api_get_thread);
	assert_int_equal(lab->status, 404);
	assert_int_equal(lab->problem.code, APD_PROBLEM_THREAD_NOT_FOUND);
	assert_string_equal(lab->problem.message, "There is no thread " THREAD ".");
	lab->searched = -EIO;
	lab_handle(lab_request(lab, THREAD, NULL), api_get_thread);
	assert_int_equal(lab->status, 503);
	lab_handle(lab_request(lab, "nonsense", NULL), api_get_thread);
	assert_int_equal(lab->status, 422);
	assert_string_equal(lab->problem.message, "thread_id: expected a UUID, got \"nonsense\"");
}

static void patches_say_what_changes(void **state)
{
	const struct apd_thread_patch *patch = &lab->runtime.patch;
	struct apd_id id;

	(void)state;
	apd_id_parse(APD_STR(CHECKPOINT), &id);
	ask(api_patch_thread,
		"{\"metadata\":{\"a\":null},\"values\":{\"n\": 1.0,\"x\":{}},\"messages\":[{\"id\":"
		"\"m\",\"role\":\"user\",\"content\":\"\"}],\"checkpoint\":{\"checkpoint_id\":"
		"\"" CHECKPOINT "\",\"more\":1}}");
	assert_text(patch->metadata, "{\"a\":null}");
	assert_text(patch->values, "{\"n\":1.0,\"x\":{}}");
	assert_text(patch->messages, "[{\"id\":\"m\",\"role\":\"user\",\"content\":\"\"}]");
	assert_true(patch->has_checkpoint);
	assert_true(apd_id_eq(&patch->checkpoint_id, &id));
	give_view(APD_THREAD_INTERRUPTED);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->body.data,
		"\"status\":\"interrupted\",\"values\":{\"n\":1},\"messages\":[{\"id\":\"m\","
		"\"role\":\"user\",\"content\":\"hi\"}],\"interrupts\":[{\"id\":\"q\",\"value\":{"
		"\"ask\":\"?\"}}]"));
	ask(api_patch_thread,
		"{\"metadata\":null,\"values\":null,\"messages\":null,\"checkpoint\":null}");
	assert_true(!patch->metadata.ptr && !patch->values.ptr && !patch->messages.ptr);
	assert_false(patch->has_checkpoint);
	give_view(APD_THREAD_IDLE);
	ask(api_patch_thread, "{\"values\":{},\"messages\":[]}");
	assert_text(patch->values, "{}");
	assert_text(patch->messages, "[]");
	give_view(APD_THREAD_IDLE);
}

static void messages_of_patches_get_ids(void **state)
{
	const struct apd_thread_patch *patch = &lab->runtime.patch;
	struct apd_json json = {0};
	unsigned n = 0;

	(void)state;
	/* Those among the values are messages too. */
	ask(api_patch_thread,
		"{\"values\":{\"messages\":[{\"role\":\"a\",\"content\":\"1\"}],\"n\":2},"
		"\"messages\":[{\"role\":\"b\",\"content\":\"2\",\"id\":null}]}");
	assert_text(patch->values, "{\"n\":2}");
	assert_int_equal(apd_json_scan(&json, patch->messages), 0);
	apd_json_each_item (&json, 0, m) {
		uint32_t id = apd_json_member(&json, m, APD_STR("id"));
		uint32_t role = apd_json_member(&json, m, APD_STR("role"));

		assert_true(id && apd_json_type(&json, id) == APD_JSON_STRING);
		assert_true(apd_json_is(&json, role, n++ ? APD_STR("b") : APD_STR("a")));
	}
	assert_int_equal(n, 2);
	give_view(APD_THREAD_IDLE);
	ask(api_patch_thread, "{\"values\":{\"messages\":null}}");
	assert_text(patch->values, "{}");
	assert_null(patch->messages.ptr);
	give_view(APD_THREAD_IDLE);
	apd_json_finish(&json);
}

static void bad_patches_are_refused(void **state)
{
	(void)state;
	check_refused(api_patch_thread, "{\"values\":[]}",
		"values: expected an object or null, got an array");
	check_refused(api_patch_thread, "{\"metadata\":1}",
		"metadata: expected an object or null, got a number");
	check_refused(api_patch_thread, "{\"messages\":[{\"role\":\"user\"}]}",
		"messages[0]: the member \"content\" is missing");
	check_refused(api_patch_thread, "{\"values\":{\"messages\":[1]}}",
		"values.messages[0]: expected an object, got a number");
	check_refused(api_patch_thread, "{\"checkpoint\":{}}",
		"checkpoint: the member \"checkpoint_id\" is missing");
	check_refused(api_patch_thread, "{\"checkpoint\":{\"checkpoint_id\":\"7\"}}",
		"checkpoint.checkpoint_id: expected a UUID, got \"7\"");
}

static void refusals_of_the_runtime_are_answered(void **state)
{
	static const struct {
		apd_http_handler *handler;
		enum apd_problem_code code;
		int status;
	} cases[] = {
		{api_patch_thread, APD_PROBLEM_THREAD_ACTIVE, 422},
		{api_patch_thread, APD_PROBLEM_CHECKPOINT_NOT_FOUND, 404},
		{api_copy_thread, APD_PROBLEM_THREAD_NOT_FOUND, 404},
		{api_delete_thread, APD_PROBLEM_THREAD_NOT_FOUND, 404},
		{api_create_thread, APD_PROBLEM_STORAGE_UNAVAILABLE, 503},
		{api_delete_thread, APD_PROBLEM_SHUTTING_DOWN, 503},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		ask(cases[i].handler, NULL);
		lab_thread_done(lab, cases[i].code, NULL);
		lab_run(lab);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, cases[i].status);
		assert_int_equal(lab->problem.code, cases[i].code);
		if (cases[i].code == APD_PROBLEM_THREAD_NOT_FOUND)
			assert_string_equal(lab->problem.message, "There is no thread " THREAD ".");
	}
}

static void threads_are_copied_and_deleted(void **state)
{
	struct apd_id id;

	(void)state;
	apd_id_parse(APD_STR(THREAD), &id);
	ask(api_copy_thread, NULL);
	assert_true(apd_id_eq(&lab->runtime.thread_id, &id));
	give_view(APD_THREAD_IDLE);
	assert_int_equal(lab->status, 200);
	assert_non_null(strstr(lab->headers.data, "Content-Location: /threads/" THREAD "\n"));
	ask(api_delete_thread, NULL);
	lab_thread_done(lab, APD_PROBLEM_NONE, NULL);
	lab_run(lab);
	assert_int_equal(lab->status, 204);
	assert_int_equal(lab->answers, 2);
}

static void a_client_that_leaves_changes_nothing(void **state)
{
	struct apd_http_request *request = ask(api_patch_thread, "{\"values\":{\"a\":1}}");

	(void)state;
	lab_leave(request);
	lab_run(lab);
	assert_int_equal(lab->answers, 0);
	give_view(APD_THREAD_IDLE);
	assert_int_equal(lab->answers, 1);
}

static void searches_say_what_they_look_for(void **state)
{
	const struct apd_thread_query *query = &lab->thread_query;

	(void)state;
	lab_handle(
		lab_request(lab, NULL,
			"{\"status\":\"interrupted\",\"metadata\":{\"u\":1},\"values\":{\"n\":2},"
			"\"limit\":5,\"offset\":7}"),
		api_search_threads);
	lab_run(lab);
	assert_int_equal(query->status, APD_THREAD_STATUS_INTERRUPTED);
	assert_int_equal(query->limit, 5);
	assert_int_equal(query->offset, 7);
	assert_string_equal(lab->queried[1], "{\"u\":1}");
	assert_string_equal(lab->queried[2], "{\"n\":2}");
	assert_int_equal(lab->status, 200);
	assert_memory_equal(lab->body.data, "[{\"thread_id\":", 14);
	assert_non_null(strstr(lab->body.data, "},{\"thread_id\":"));
	assert_non_null(strstr(lab->body.data, "\"status\":\"busy\""));
	lab_handle(lab_request(lab, NULL, "{\"status\":null}"), api_search_threads);
	lab_run(lab);
	assert_int_equal(query->status, -1);
	assert_int_equal(query->limit, 10);
	assert_int_equal(query->offset, 0);
	assert_true(!query->metadata.ptr && !query->values.ptr);
	check_refused(api_search_threads, "{\"limit\":0}", "limit: expected at least 1, got 0");
	lab->searched = -ETIME;
	lab_handle(lab_request(lab, NULL, NULL), api_search_threads);
	lab_run(lab);
	assert_int_equal(lab->status, 503);
	assert_int_equal(lab->problem.code, APD_PROBLEM_TIMED_OUT);
}

static void history_is_read(void **state)
{
	struct apd_http_request *request = lab_request(lab, THREAD, NULL);
	struct apd_id id;

	(void)state;
	apd_id_parse(APD_STR(CHECKPOINT), &id);
	request->query[0] = (struct lab_pair){"before", CHECKPOINT};
	request->query[1] = (struct lab_pair){"limit", "3"};
	lab_handle(request, api_get_thread_history);
	lab_run(lab);
	assert_true(lab->history.has_before);
	assert_true(apd_id_eq(&lab->history.before, &id));
	assert_int_equal(lab->history.limit, 3);
	assert_int_equal(lab->status, 200);
	assert_memory_equal(
		lab->body.data, "[{\"checkpoint\":{\"checkpoint_id\":\"" CHECKPOINT "\"", 66);
	lab_handle(lab_request(lab, THREAD, NULL), api_get_thread_history);
	lab_run(lab);
	assert_false(lab->history.has_before);
	assert_int_equal(lab->history.limit, 10);
}

static void history_may_not_be_there(void **state)
{
	static const struct {
		int result, status;
		enum apd_problem_code code;
	} cases[] = {
		{-ENOENT, 404, APD_PROBLEM_THREAD_NOT_FOUND},
		{-ESRCH, 404, APD_PROBLEM_CHECKPOINT_NOT_FOUND},
		{-ETIME, 503, APD_PROBLEM_TIMED_OUT},
		{-E2BIG, 422, APD_PROBLEM_INVALID_REQUEST},
		{-EIO, 503, APD_PROBLEM_STORAGE_UNAVAILABLE},
	};
	static const struct lab_pair bad[] = {{"limit", "0"}, {"limit", "1001"}, {"limit", "x"},
		{"limit", "1.5"}, {"before", "x"}};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		lab->searched = cases[i].result;
		lab_handle(lab_request(lab, THREAD, NULL), api_get_thread_history);
		lab_run(lab);
		assert_int_equal(lab->answers, i + 1);
		assert_int_equal(lab->status, cases[i].status);
		assert_int_equal(lab->problem.code, cases[i].code);
	}
	for (size_t i = 0; i < APD_COUNT(bad); i++) {
		struct apd_http_request *request = lab_request(lab, THREAD, NULL);

		request->query[0] = bad[i];
		lab_handle(request, api_get_thread_history);
		assert_int_equal(lab->status, 422);
		assert_int_equal(lab->answers, APD_COUNT(cases) + i + 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_lab, close_lab)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(threads_are_made),
		TEST(bad_threads_are_refused),
		TEST(threads_are_read_from_storage),
		TEST(patches_say_what_changes),
		TEST(messages_of_patches_get_ids),
		TEST(bad_patches_are_refused),
		TEST(refusals_of_the_runtime_are_answered),
		TEST(threads_are_copied_and_deleted),
		TEST(a_client_that_leaves_changes_nothing),
		TEST(searches_say_what_they_look_for),
		TEST(history_is_read),
		TEST(history_may_not_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
