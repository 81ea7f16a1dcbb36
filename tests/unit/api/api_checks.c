/* Requests are checked with the document, and refused in words that name the place. */
#include "lab.h"

#include "base/alloc.h"

#define ID "0190163d-8694-739b-aea5-966c26f8ad91"

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

static void every_operation_has_its_checks(void **state)
{
	static const struct {
		enum api_operation op;
		bool body;
		size_t params;
	} expected[] = {
		{API_OP_SEARCH_AGENTS, true, 0},
		{API_OP_GET_AGENT, false, 1},
		{API_OP_GET_AGENT_SCHEMAS, false, 1},
		{API_OP_CREATE_RUN, true, 0},
		{API_OP_CREATE_AND_WAIT_RUN, true, 0},
		{API_OP_CREATE_AND_STREAM_RUN, true, 0},
		{API_OP_SEARCH_RUNS, true, 0},
		{API_OP_GET_RUN, false, 1},
		{API_OP_DELETE_RUN, false, 1},
		{API_OP_WAIT_RUN, false, 1},
		{API_OP_STREAM_RUN, false, 2},
		{API_OP_CANCEL_RUN, false, 3},
		{API_OP_OK, false, 0},
		{API_OP_INFO, false, 0},
		{API_OP_METRICS, false, 0},
		{API_OP_OPENAPI, false, 0},
		{API_OP_CREATE_THREAD, true, 0},
		{API_OP_SEARCH_THREADS, true, 0},
		{API_OP_GET_THREAD, false, 1},
		{API_OP_PATCH_THREAD, true, 1},
		{API_OP_DELETE_THREAD, false, 1},
		{API_OP_GET_THREAD_HISTORY, false, 3},
		{API_OP_COPY_THREAD, false, 1},
		{API_OP_CREATE_THREAD_RUN, true, 1},
		{API_OP_LIST_THREAD_RUNS, false, 4},
		{API_OP_CREATE_AND_WAIT_THREAD_RUN, true, 1},
		{API_OP_CREATE_AND_STREAM_THREAD_RUN, true, 1},
		{API_OP_GET_THREAD_RUN, false, 2},
		{API_OP_DELETE_THREAD_RUN, false, 2},
		{API_OP_WAIT_THREAD_RUN, false, 2},
		{API_OP_STREAM_THREAD_RUN, false, 3},
		{API_OP_CANCEL_THREAD_RUN, false, 4},
	};

	(void)state;
	assert_int_equal(APD_COUNT(expected), API_OP_COUNT);
	for (size_t i = 0; i < APD_COUNT(expected); i++) {
		const struct api_checks *checks = &lab->api->checks[expected[i].op];

		assert_int_equal(checks->body != NULL, expected[i].body);
		assert_int_equal(checks->n_params, expected[i].params);
		for (size_t p = 0; p < checks->n_params; p++)
			assert_non_null(checks->params[p].schema);
	}
}

static void parameters_are_what_the_document_says(void **state)
{
	const struct api_checks *cancel = &lab->api->checks[API_OP_CANCEL_RUN];

	(void)state;
	assert_string_equal(cancel->params[0].name, "run_id");
	assert_true(cancel->params[0].in_path);
	assert_true(cancel->params[0].required);
	assert_int_equal(cancel->params[0].position, 0);
	assert_false(cancel->params[0].literal);
	assert_string_equal(cancel->params[1].name, "wait");
	assert_false(cancel->params[1].in_path);
	assert_false(cancel->params[1].required);
	assert_true(cancel->params[1].literal);
	assert_string_equal(cancel->params[2].name, "action");
	assert_false(cancel->params[2].literal);
}

/* Checks what is refused of a request to an operation; NULL: nothing, and it is given back. */
static void check(struct apd_http_request *request, enum api_operation op, const char *message,
	const char *path)
{
	unsigned before = lab->answers;
	int r = api_check(lab->api, op, request, NULL);

	if (!message) {
		if (r != 0)
			fail_msg("refused: %s", lab->problem.message);
		assert_int_equal(lab->answers, before);
		apd_http_reply_empty(request);
		return;
	}
	assert_int_equal(r, -1);
	assert_int_equal(lab->answers, before + 1);
	assert_int_equal(lab->status, 422);
	assert_string_equal(lab->problem.message, message);
	assert_string_equal(lab->problem.path, path);
}

static struct apd_http_request *with_query(const char *name, const char *value)
{
	struct apd_http_request *request = lab_request(lab, ID, NULL);

	request->query[0] = (struct lab_pair){name, value};
	return request;
}

static void path_parameters_are_checked(void **state)
{
	(void)state;
	check(lab_request(lab, ID, NULL), API_OP_GET_RUN, NULL, NULL);
	check(lab_request(lab, "0190163D-8694-739B-AEA5-966C26F8AD91", NULL), API_OP_GET_RUN, NULL,
		NULL);
	check(lab_request(lab, "nonsense", NULL), API_OP_GET_RUN,
		"run_id: expected a UUID, got \"nonsense\"", "");
	check(lab_request(lab, "", NULL), API_OP_GET_RUN, "run_id: expected a UUID, got \"\"", "");
	assert_int_equal(lab->problem.code, APD_PROBLEM_INVALID_REQUEST);
}

static void query_parameters_are_checked(void **state)
{
	struct apd_http_request *request;

	(void)state;
	check(with_query("wait", "true"), API_OP_CANCEL_RUN, NULL, NULL);
	check(with_query("wait", "false"), API_OP_CANCEL_RUN, NULL, NULL);
	check(with_query("wait", "yes"), API_OP_CANCEL_RUN,
		"wait: expected a boolean, got a string", "");
	check(with_query("wait", ""), API_OP_CANCEL_RUN, "wait: expected a boolean, got a string",
		"");
	check(with_query("wait", "1"), API_OP_CANCEL_RUN, "wait: expected a boolean, got a number",
		"");
	check(with_query("wait", "\"true\""), API_OP_CANCEL_RUN,
		"wait: expected a boolean, got a string", "");
	check(with_query("action", "rollback"), API_OP_CANCEL_RUN, NULL, NULL);
	check(with_query("action", "explode"), API_OP_CANCEL_RUN,
		"action: expected \"interrupt\" or \"rollback\", got \"explode\"", "");
	check(with_query("other", "anything"), API_OP_CANCEL_RUN, NULL, NULL);
	/* Each of several values is looked at. */
	request = with_query("stream_mode", "values");
	request->query[1] = (struct lab_pair){"stream_mode", "nonsense"};
	assert_int_equal(api_check(lab->api, API_OP_STREAM_RUN, request, NULL), -1);
	assert_memory_equal(lab->problem.message, "stream_mode: expected ", 22);
}

static void bodies_are_checked(void **state)
{
	static const struct {
		const char *body, *message, *path;
	} bodies[] = {
		{"", NULL, NULL},
		{"{}", NULL, NULL},
		{" {\"whatever\": [1]} ", NULL, NULL},
		{"{\"thread_id\":null,\"messages\":null,\"config\":null}", NULL, NULL},
		{"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", NULL, NULL},
		{"{\"stream_mode\":[\"values\",\"messages\"]}", NULL, NULL},
		{"[]", "body: expected an object, got an array", ""},
		{"null", "body: expected an object, got null", ""},
		{"{\"agent_id\":7}", "agent_id: expected a string or null, got a number",
			"/agent_id"},
		{"{\"thread_id\":\"x\"}", "thread_id: expected a UUID, got \"x\"", "/thread_id"},
		{"{\"messages\":[{\"role\":\"user\"}]}",
			"messages[0]: the member \"content\" is missing", "/messages/0"},
		{"{\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"role\":1,\"content\":\"\"}"
		 "]}",
			"messages[1].role: expected a string, got a number", "/messages/1/role"},
		{"{\"config\":{\"recursion_limit\":\"x\"}}",
			"config.recursion_limit: expected an integer or null, got a string",
			"/config/recursion_limit"},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(bodies); i++)
		check(lab_request(lab, NULL, bodies[i].body), API_OP_CREATE_RUN, bodies[i].message,
			bodies[i].path);
	assert_int_equal(lab->problem.code, APD_PROBLEM_INVALID_REQUEST);
}

static void what_is_no_json_is_said_with_its_place(void **state)
{
	(void)state;
	check(lab_request(lab, NULL, "{\"a\":1,\n \"b\":}"), API_OP_CREATE_RUN,
		"body: line 2, column 6: expected a value", "");
	assert_int_equal(lab->problem.code, APD_PROBLEM_INVALID_JSON);
	assert_int_equal(api_check(lab->api, API_OP_CREATE_RUN,
				 lab_request(lab, NULL, "{\"a\":1,\"a\":2}"), NULL),
		-1);
	assert_int_equal(lab->problem.code, APD_PROBLEM_INVALID_JSON);
}

static void the_checked_body_is_handed_out(void **state)
{
	struct apd_http_request *request = lab_request(lab, NULL, "{\"limit\":3}");
	const struct apd_json *body = NULL;

	(void)state;
	assert_int_equal(api_check(lab->api, API_OP_SEARCH_RUNS, request, &body), 0);
	assert_int_equal(api_body_int(body, APD_STR("limit"), 10), 3);
	assert_int_equal(api_body_int(body, APD_STR("offset"), 17), 17);
	apd_http_reply_empty(request);
	request = lab_request(lab, NULL, "");
	assert_int_equal(api_check(lab->api, API_OP_SEARCH_RUNS, request, &body), 0);
	assert_int_equal(apd_json_type(body, 0), APD_JSON_OBJECT);
	apd_http_reply_empty(request);
}

static void places_are_written_as_people_write_them(void **state)
{
	static const struct {
		const char *prefix, *path, *message, *pointer;
	} places[] = {
		{"", "", "body: wrong", ""},
		{"", "/a", "a: wrong", "/a"},
		{"", "/messages/0/role", "messages[0].role: wrong", "/messages/0/role"},
		{"", "/0", "[0]: wrong", "/0"},
		{"/input", "", "input: wrong", "/input"},
		{"/config/configurable", "/x/12/y", "config.configurable.x[12].y: wrong",
			"/config/configurable/x/12/y"},
		{"", "/a1/1a", "a1.1a: wrong", "/a1/1a"},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(places); i++) {
		struct apd_schema_error error = {{0}, "wrong"};
		struct apd_problem problem = {0};

		strcpy(error.path, places[i].path);
		api_problem_of_schema(
			&problem, APD_PROBLEM_INVALID_INPUT, places[i].prefix, &error);
		assert_int_equal(problem.code, APD_PROBLEM_INVALID_INPUT);
		assert_string_equal(problem.message, places[i].message);
		assert_string_equal(problem.path, places[i].pointer);
	}
}

static void long_places_are_cut_not_overrun(void **state)
{
	struct apd_schema_error error;
	struct apd_problem problem = {0};

	(void)state;
	memset(error.path, '1', sizeof(error.path));
	error.path[0] = '/';
	error.path[sizeof(error.path) - 1] = '\0';
	memset(error.message, 'm', sizeof(error.message));
	error.message[sizeof(error.message) - 1] = '\0';
	api_problem_of_schema(&problem, APD_PROBLEM_INVALID_INPUT, "/config/configurable", &error);
	assert_int_equal(strlen(problem.path), sizeof(problem.path) - 1);
	assert_true(strlen(problem.message) < sizeof(problem.message));
	assert_non_null(strstr(problem.message, ": mmm"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_has_its_checks),
		cmocka_unit_test(parameters_are_what_the_document_says),
		cmocka_unit_test(path_parameters_are_checked),
		cmocka_unit_test(query_parameters_are_checked),
		cmocka_unit_test(bodies_are_checked),
		cmocka_unit_test(what_is_no_json_is_said_with_its_place),
		cmocka_unit_test(the_checked_body_is_handed_out),
		cmocka_unit_test(places_are_written_as_people_write_them),
		cmocka_unit_test(long_places_are_cut_not_overrun),
	};

	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
