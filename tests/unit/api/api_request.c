/* Bodies of a run's creation, made ready for the runtime. */
#include "lab.h"

#include "base/alloc.h"

#define THREAD "0190163d-8694-739b-aea5-966c26f8ad91"

static struct lab *lab;

static int open_lab(void **state)
{
	struct apd_agent *agent;

	(void)state;
	lab = lab_create();
	lab_add_agent(lab, "echo", NULL, NULL);
	agent = lab_add_agent(lab, "strict",
		"{\"type\":\"object\",\"required\":[\"n\"],\"properties\":{\"n\":{\"type\":"
		"\"integer\"}}}",
		"{\"properties\":{\"size\":{\"type\":\"integer\",\"maximum\":5}}}");
	agent->messages = true;
	lab_add_agent(lab, "talker", NULL, NULL)->messages = true;
	lab_add_agent(lab, "threaded", NULL, NULL)->needs_thread = true;
	agent = lab_add_agent(lab, "unwell", NULL, NULL);
	agent->state = APD_AGENT_BROKEN;
	agent->reason = apd_str(apd_strdup("no such symbol"));
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_destroy(lab);
	return 0;
}

/* A body that was taken: the spec and what it points into. */
struct taken {
	struct apd_json json;
	struct api_run_body body;
	struct apd_problem problem;
};

static void taken_finish(struct taken *taken)
{
	apd_text_unref(taken->body.text);
	apd_json_finish(&taken->json);
}

static int init(struct taken *taken, const char *body)
{
	*taken = (struct taken){0};
	assert_int_equal(apd_json_scan(&taken->json, apd_str(body)), 0);
	return api_run_body_init(lab->api, &lab->api->threads[0], &taken->json, APD_MODE_WAIT,
		&taken->body, &taken->problem);
}

/* Takes a body that must be good and become this request. */
static void check_request(struct taken *taken, const char *body, const char *request)
{
	if (init(taken, body) != 0)
		fail_msg("%s", taken->problem.message);
	assert_string_equal(taken->body.text->data, request);
	assert_ptr_equal(taken->body.spec.request, taken->body.text);
	assert_int_equal(taken->body.spec.mode, APD_MODE_WAIT);
}

static void assert_str(struct apd_str s, const char *expected)
{
	if (!apd_str_is(s, expected) || !s.ptr)
		fail_msg("\"%.*s\" is not \"%s\"", APD_STR_FMT(s), expected);
}

/* Checks what a body is refused with. */
static void check_refused(
	const char *body, enum apd_problem_code code, const char *message, const char *path)
{
	struct taken taken;

	assert_int_equal(init(&taken, body), -1);
	assert_int_equal(taken.problem.code, code);
	assert_string_equal(taken.problem.message, message);
	assert_string_equal(taken.problem.path, path);
	assert_null(taken.body.text);
	taken_finish(&taken);
}

static void defaults_are_filled_in(void **state)
{
	struct taken taken;
	const struct apd_run_spec *spec = &taken.body.spec;

	(void)state;
	check_request(&taken, "{\"agent_id\":\"echo\"}",
		"{\"agent_id\":\"echo\",\"metadata\":{},\"on_completion\":\"delete\","
		"\"on_disconnect\":\"cancel\",\"if_not_exists\":\"reject\"}");
	assert_str(spec->agent_id, "echo");
	assert_str(spec->metadata, "{}");
	assert_null(spec->input.ptr);
	assert_null(spec->messages.ptr);
	assert_null(spec->config.ptr);
	assert_false(spec->has_thread || spec->create_thread || spec->keep_going);
	assert_false(spec->delete_thread);
	taken_finish(&taken);
}

static void null_is_the_same_as_absent(void **state)
{
	struct taken taken;

	(void)state;
	check_request(&taken,
		"{\"agent_id\":\"echo\",\"input\":null,\"messages\":null,\"config\":null,"
		"\"metadata\":null,\"thread_id\":null,\"webhook\":null,\"multitask_strategy\":null,"
		"\"on_completion\":null,\"on_disconnect\":null,\"stream_mode\":null}",
		"{\"agent_id\":\"echo\",\"metadata\":{},\"on_completion\":\"delete\","
		"\"on_disconnect\":\"cancel\",\"if_not_exists\":\"reject\"}");
	taken_finish(&taken);
}

static void what_was_given_stays_as_it_was_written(void **state)
{
	struct taken taken;
	const struct apd_run_spec *spec = &taken.body.spec;

	(void)state;
	check_request(&taken,
		"{\"run_id\":\"x\",\"input\":{\"n\": "
		"1.50},\"agent_id\":\"talker\",\"config\":{\"tags\":[ ]},"
		"\"metadata\":{\"a\":\"\\u00e4\"},\"on_disconnect\":\"continue\",\"stream_mode\":"
		"[\"custom\"],\"multitask_strategy\":\"reject\",\"status\":\"pending\"}",
		"{\"agent_id\":\"talker\",\"input\":{\"n\": 1.50},\"metadata\":{\"a\":\"\\u00e4\"},"
		"\"config\":{\"tags\":[ ]},\"on_completion\":\"delete\",\"on_disconnect\":"
		"\"continue\",\"if_not_exists\":\"reject\",\"stream_mode\":[\"custom\"]}");
	assert_str(spec->input, "{\"n\": 1.50}");
	assert_str(spec->config, "{\"tags\":[ ]}");
	assert_str(spec->metadata, "{\"a\":\"\\u00e4\"}");
	assert_true(spec->keep_going);
	/* The slices are of the text that the spec keeps. */
	assert_true(spec->input.ptr > taken.body.text->data &&
		spec->input.ptr < taken.body.text->data + taken.body.text->len);
	taken_finish(&taken);
}

static void messages_get_ids(void **state)
{
	struct taken taken;
	struct apd_json json = {0};
	struct apd_buf scratch = {0};
	struct apd_id ids[2];
	unsigned n = 0;

	(void)state;
	assert_int_equal(init(&taken,
				 "{\"agent_id\":\"talker\",\"messages\":["
				 "{\"role\":\"user\",\"content\":\"a\"},"
				 "{\"id\":\"mine\",\"role\":\"user\",\"content\":\"b\"},"
				 "{\"id\":null,\"role\":\"user\",\"content\":\"c\"}]}"),
		0);
	assert_int_equal(apd_json_scan(&json, taken.body.spec.messages), 0);
	assert_int_equal(json.toks[0].count, 3);
	apd_json_each_item (&json, 0, item) {
		uint32_t id = apd_json_given(&json, item, APD_STR("id"));

		assert_int_not_equal(id, 0);
		assert_int_not_equal(apd_json_member(&json, item, APD_STR("content")), 0);
		if (apd_json_is(&json, id, APD_STR("mine")))
			assert_str(apd_json_slice(&json, item),
				"{\"id\":\"mine\",\"role\":\"user\",\"content\":\"b\"}");
		else
			assert_int_equal(
				apd_id_parse(apd_json_string(&json, id, &scratch), &ids[n++]), 0);
	}
	assert_int_equal(n, 2);
	assert_false(apd_id_eq(&ids[0], &ids[1]));
	apd_json_finish(&json);
	apd_buf_finish(&scratch);
	taken_finish(&taken);
}

static void empty_messages_are_messages(void **state)
{
	struct taken taken;

	(void)state;
	check_request(&taken, "{\"agent_id\":\"talker\",\"messages\":[]}",
		"{\"agent_id\":\"talker\",\"messages\":[],\"metadata\":{},\"on_completion\":"
		"\"delete\",\"on_disconnect\":\"cancel\",\"if_not_exists\":\"reject\"}");
	assert_str(taken.body.spec.messages, "[]");
	taken_finish(&taken);
}

static void threads_are_chosen(void **state)
{
	static const struct {
		const char *members, *on_completion;
		bool has, create, delete, named;
	} cases[] = {
		{"\"thread_id\":\"" THREAD "\"", "keep", true, false, false, true},
		{"\"thread_id\":\"0190163D-8694-739B-AEA5-966C26F8AD91\",\"if_not_exists\":"
		 "\"create\"",
			"keep", true, true, false, true},
		{"\"thread_id\":\"" THREAD "\",\"on_completion\":\"delete\"", "delete", true, false,
			true, true},
		{"\"on_completion\":\"keep\"", "keep", true, true, false, false},
		{"\"on_completion\":\"delete\"", "delete", false, false, true, false},
		{"\"if_not_exists\":\"create\"", "delete", false, false, false, false},
	};
	struct apd_id named;

	(void)state;
	assert_int_equal(apd_id_parse(APD_STR(THREAD), &named), 0);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_buf body = {0}, completion = {0};
		struct taken taken;
		const struct apd_run_spec *spec = &taken.body.spec;

		apd_buf_addf(&body, "{\"agent_id\":\"echo\",%s}", cases[i].members);
		apd_buf_addf(&completion, "\"on_completion\":\"%s\"", cases[i].on_completion);
		assert_int_equal(init(&taken, body.data), 0);
		assert_int_equal(spec->has_thread, cases[i].has);
		assert_int_equal(spec->create_thread, cases[i].create);
		assert_int_equal(spec->delete_thread, cases[i].delete);
		assert_int_equal(apd_id_eq(&spec->thread_id, &named), cases[i].named);
		assert_int_equal(apd_id_is_nil(&spec->thread_id), !cases[i].has);
		assert_non_null(strstr(taken.body.text->data, completion.data));
		taken_finish(&taken);
		apd_buf_finish(&body);
		apd_buf_finish(&completion);
	}
}

static void agents_are_found_or_not(void **state)
{
	struct taken taken;

	(void)state;
	check_refused("{}", APD_PROBLEM_AGENT_REQUIRED,
		"agent_id: name an agent, since no default agent is configured", "");
	check_refused("{\"agent_id\":\"nobody\"}", APD_PROBLEM_AGENT_NOT_FOUND,
		"There is no agent \"nobody\".", "");
	check_refused("{\"agent_id\":\"unwell\"}", APD_PROBLEM_AGENT_UNAVAILABLE,
		"The agent \"unwell\" is broken: no such symbol", "");
	lab->agents->fallback = lab->agents->agents[0];
	assert_int_equal(init(&taken, "{}"), 0);
	assert_str(taken.body.spec.agent_id, "echo");
	lab->agents->fallback = NULL;
	taken_finish(&taken);
}

static void what_an_agent_cannot_take_is_refused(void **state)
{
	(void)state;
	check_refused("{\"agent_id\":\"echo\",\"messages\":[]}", APD_PROBLEM_MESSAGES_UNSUPPORTED,
		"messages: the agent \"echo\" takes none (it lacks ap.io.messages)", "");
	check_refused("{\"agent_id\":\"threaded\"}", APD_PROBLEM_THREAD_REQUIRED,
		"thread_id: the agent \"threaded\" runs only on a thread", "");
}

static void input_and_config_are_checked_with_the_schemas(void **state)
{
	struct taken taken;

	(void)state;
	check_refused("{\"agent_id\":\"strict\",\"input\":{\"n\":\"x\"}}",
		APD_PROBLEM_INVALID_INPUT, "input.n: expected an integer, got a string",
		"/input/n");
	check_refused("{\"agent_id\":\"strict\",\"input\":{}}", APD_PROBLEM_INVALID_INPUT,
		"input: the member \"n\" is missing", "/input");
	/* No input is null, unless there are messages in its place. */
	check_refused("{\"agent_id\":\"strict\"}", APD_PROBLEM_INVALID_INPUT,
		"input: expected an object, got null", "/input");
	assert_int_equal(init(&taken, "{\"agent_id\":\"strict\",\"messages\":[]}"), 0);
	taken_finish(&taken);
	check_refused("{\"agent_id\":\"strict\",\"messages\":[],\"input\":1}",
		APD_PROBLEM_INVALID_INPUT, "input: expected an object, got a number", "/input");
	check_refused("{\"agent_id\":\"strict\",\"input\":{\"n\":1},\"config\":{\"configurable\":{"
		      "\"size\":\"x\"}}}",
		APD_PROBLEM_INVALID_INPUT,
		"config.configurable.size: expected an integer, got a string",
		"/config/configurable/size");
	assert_int_equal(
		init(&taken, "{\"agent_id\":\"strict\",\"input\":{\"n\":1},\"config\":{}}"), 0);
	taken_finish(&taken);
}

static void what_is_not_supported_is_refused_not_ignored(void **state)
{
	(void)state;
	check_refused("{\"agent_id\":\"echo\",\"webhook\":\"http://x/\"}", APD_PROBLEM_UNSUPPORTED,
		"webhook: webhooks are not supported by this version", "/webhook");
	check_refused("{\"assistant_id\":\"echo\"}", APD_PROBLEM_UNSUPPORTED,
		"assistant_id: this server speaks the Agent Protocol: name the agent in agent_id",
		"/assistant_id");
	check_refused("{\"agent_id\":\"echo\",\"command\":{}}", APD_PROBLEM_UNSUPPORTED,
		"command: resuming a run is not supported by this version", "/command");
	check_refused("{\"agent_id\":\"echo\",\"multitask_strategy\":\"enqueue\"}",
		APD_PROBLEM_UNSUPPORTED,
		"multitask_strategy: only \"reject\" is supported by this version", "");
}

/* The modes of a row whose request has this stream_mode, or none. */
static unsigned modes_of_row(const char *mode)
{
	struct apd_buf request = {0};
	struct apd_run_row *row;
	unsigned modes;

	apd_buf_lit(&request, "{\"agent_id\":\"a\"");
	if (mode)
		apd_buf_addf(&request, ",\"stream_mode\":%s", mode);
	apd_buf_lit(&request, "}");
	row = lab_row(APD_RUN_PENDING, request.data);
	modes = api_modes_of_row(row);
	apd_run_row_unref(row);
	apd_buf_finish(&request);
	return modes;
}

static void modes_are_words_or_lists(void **state)
{
	(void)state;
	assert_int_equal(modes_of_row(NULL), API_MODE_VALUES);
	assert_int_equal(modes_of_row("null"), API_MODE_VALUES);
	assert_int_equal(modes_of_row("\"messages\""), API_MODE_MESSAGES);
	assert_int_equal(
		modes_of_row("[\"values\",\"updates\"]"), API_MODE_VALUES | API_MODE_UPDATES);
	assert_int_equal(modes_of_row("[\"custom\",\"custom\"]"), API_MODE_CUSTOM);
	assert_int_equal(modes_of_row("[]"), 0);
	assert_int_equal(modes_of_row("[1,\"what\"]"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(null_is_the_same_as_absent),
		cmocka_unit_test(what_was_given_stays_as_it_was_written),
		cmocka_unit_test(messages_get_ids),
		cmocka_unit_test(empty_messages_are_messages),
		cmocka_unit_test(threads_are_chosen),
		cmocka_unit_test(agents_are_found_or_not),
		cmocka_unit_test(what_an_agent_cannot_take_is_refused),
		cmocka_unit_test(input_and_config_are_checked_with_the_schemas),
		cmocka_unit_test(what_is_not_supported_is_refused_not_ignored),
		cmocka_unit_test(modes_are_words_or_lists),
	};

	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
