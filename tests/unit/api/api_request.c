/* Bodies of a run's creation, made ready for the runtime. */
#include "lab.h"

#include <stdlib.h>

#include "base/alloc.h"

#define THREAD "0190163d-8694-739b-aea5-966c26f8ad91"

static struct lab *lab;
static struct apd_request_maker maker;

static int open_lab(void **state)
{
	struct apd_agent *agent;

	(void)state;
	lab = lab_create();
	apd_request_maker_init(&maker);
	lab_add_agent(lab, "echo", NULL, NULL);
	agent = lab_add_agent(lab, "mover", NULL, NULL);
	free((char *)agent->capabilities.ptr);
	agent->capabilities = apd_str(apd_strdup("{\"ap.flow.goto\":true}"));
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
	apd_request_maker_finish(&maker);
	lab_destroy(lab);
	return 0;
}

/* A body that was taken: the spec and what it points into. */
struct taken {
	struct apd_json json;
	struct apd_run_request body;
	struct apd_problem problem;
};

static void taken_finish(struct taken *taken)
{
	apd_run_request_finish(&taken->body);
	apd_json_finish(&taken->json);
}

static int init_on(struct taken *taken, const char *body, const struct apd_id *thread_id)
{
	*taken = (struct taken){0};
	assert_int_equal(apd_json_scan(&taken->json, apd_str(body)), 0);
	return apd_run_request_init(&maker, lab->agents, &taken->json, thread_id, APD_MODE_WAIT,
		&taken->body, &taken->problem);
}

static int init(struct taken *taken, const char *body)
{
	return init_on(taken, body, NULL);
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

static void another_dialect_is_refused_not_guessed_at(void **state)
{
	(void)state;
	check_refused("{\"assistant_id\":\"echo\"}", APD_PROBLEM_UNSUPPORTED,
		"assistant_id: this server speaks the Agent Protocol: name the agent in agent_id",
		"/assistant_id");
}

static void the_path_chooses_the_thread(void **state)
{
	struct taken taken;
	struct apd_id id, other;

	(void)state;
	assert_int_equal(apd_id_parse(APD_STR(THREAD), &id), 0);
	memset(&other, 7, sizeof(other));
	assert_int_equal(init_on(&taken, "{\"agent_id\":\"threaded\"}", &id), 0);
	assert_true(taken.body.spec.has_thread);
	assert_false(taken.body.spec.create_thread || taken.body.spec.delete_thread);
	assert_true(apd_id_eq(&taken.body.spec.thread_id, &id));
	assert_string_equal(taken.body.text->data,
		"{\"agent_id\":\"threaded\",\"metadata\":{},\"on_completion\":\"keep\","
		"\"on_disconnect\":\"cancel\",\"if_not_exists\":\"reject\",\"multitask_strategy\":"
		"\"reject\"}");
	taken_finish(&taken);
	/* The body may say the same. */
	assert_int_equal(
		init_on(&taken, "{\"agent_id\":\"echo\",\"thread_id\":\"" THREAD "\"}", &id), 0);
	taken_finish(&taken);
	assert_int_equal(
		init_on(&taken, "{\"agent_id\":\"echo\",\"thread_id\":\"" THREAD "\"}", &other),
		-1);
	assert_int_equal(taken.problem.code, APD_PROBLEM_INVALID_REQUEST);
	assert_string_equal(taken.problem.message, "thread_id: the path names another thread");
	assert_string_equal(taken.problem.path, "/thread_id");
	taken_finish(&taken);
}

static void strategies_are_words(void **state)
{
	static const struct {
		const char *value, *shown;
		enum apd_multitask strategy;
	} cases[] = {
		{"null", "\"reject\"", APD_MULTITASK_REJECT},
		{"\"reject\"", "\"reject\"", APD_MULTITASK_REJECT},
		{"\"enqueue\"", "\"enqueue\"", APD_MULTITASK_ENQUEUE},
		{"\"interrupt\"", "\"interrupt\"", APD_MULTITASK_INTERRUPT},
		{"\"rollback\"", "\"rollback\"", APD_MULTITASK_ROLLBACK},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_buf body = {0}, shown = {0};
		struct taken taken;

		apd_buf_addf(&body,
			"{\"agent_id\":\"echo\",\"thread_id\":\"" THREAD
			"\",\"multitask_strategy\":%s}",
			cases[i].value);
		apd_buf_addf(&shown, "\"multitask_strategy\":%s", cases[i].shown);
		assert_int_equal(init(&taken, body.data), 0);
		assert_int_equal(taken.body.spec.multitask, cases[i].strategy);
		assert_non_null(strstr(taken.body.text->data, shown.data));
		taken_finish(&taken);
		apd_buf_finish(&body);
		apd_buf_finish(&shown);
	}
}

static void webhooks_are_http_urls_with_a_host(void **state)
{
	static const char *const good[] = {"http://h", "https://h/p?q#f", "HTTPS://u:p@h:1/",
		"http://[::1]:80/", "http://h?x@y"};
	static const char *const bad[] = {"ftp://h/", "http:h", "http://", "https:///p",
		"http://:80/", "http://u@/", "mailto:a@b", "httpx://h", "http://u@:1/", "http://?h",
		"x"};
	struct taken taken;

	(void)state;
	for (size_t i = 0; i < APD_COUNT(good) + APD_COUNT(bad); i++) {
		bool is_good = i < APD_COUNT(good);
		const char *url = is_good ? good[i] : bad[i - APD_COUNT(good)];
		struct apd_buf body = {0};

		apd_buf_addf(&body, "{\"agent_id\":\"echo\",\"webhook\":\"%s\"}", url);
		if (is_good) {
			assert_int_equal(init(&taken, body.data), 0);
			assert_str(taken.body.spec.webhook, url);
			taken_finish(&taken);
		} else {
			check_refused(body.data, APD_PROBLEM_INVALID_REQUEST,
				"webhook: expected a URL that begins with http:// or https:// and "
				"names a host",
				"/webhook");
		}
		apd_buf_finish(&body);
	}
	/* It is given without the escapes that it came with. */
	check_request(&taken, "{\"agent_id\":\"echo\",\"webhook\":\"http:\\/\\/\\u0068\\/\"}",
		"{\"agent_id\":\"echo\",\"metadata\":{},\"webhook\":\"http://h/"
		"\",\"on_completion\":"
		"\"delete\",\"on_disconnect\":\"cancel\",\"if_not_exists\":\"reject\"}");
	assert_str(taken.body.spec.webhook, "http://h/");
	taken_finish(&taken);
}

static void commands_are_taken_apart(void **state)
{
	struct taken taken;
	const struct apd_run_spec *spec = &taken.body.spec;

	(void)state;
	check_request(&taken,
		"{\"agent_id\":\"mover\",\"thread_id\":\"" THREAD
		"\",\"command\":{\"x\":0, \"resume\" : {\"a\": [1]},\"update\":{\"n\":\"\\u00e4\"},"
		"\"goto\": \"there\"}}",
		"{\"agent_id\":\"mover\",\"command\":{\"resume\":{\"a\": [1]},\"update\":"
		"{\"n\":\"\\u00e4\"},\"goto\":\"there\"},\"metadata\":{},\"on_completion\":"
		"\"keep\","
		"\"on_disconnect\":\"cancel\",\"if_not_exists\":\"reject\",\"multitask_strategy\":"
		"\"reject\"}");
	assert_str(spec->resume, "{\"a\": [1]}");
	assert_str(spec->update, "{\"n\":\"\\u00e4\"}");
	assert_str(spec->jump, "\"there\"");
	taken_finish(&taken);
	/* Members that are null are absent; false is an answer. */
	assert_int_equal(
		init(&taken,
			"{\"agent_id\":\"echo\",\"thread_id\":\"" THREAD
			"\",\"command\":{\"resume\":false,\"update\":null,\"goto\":null}}"),
		0);
	assert_str(spec->resume, "false");
	assert_true(!spec->update.ptr && !spec->jump.ptr);
	taken_finish(&taken);
	/* So is null, where it is all that the command says. */
	assert_int_equal(init(&taken,
				 "{\"agent_id\":\"echo\",\"thread_id\":\"" THREAD
				 "\",\"command\":{\"resume\":null}}"),
		0);
	assert_str(spec->resume, "null");
	assert_non_null(strstr(taken.body.text->data, "\"command\":{\"resume\":null}"));
	taken_finish(&taken);
	assert_int_equal(
		init(&taken, "{\"agent_id\":\"echo\",\"command\":{\"resume\":null,\"goto\":null}}"),
		0);
	assert_null(spec->resume.ptr);
	assert_non_null(strstr(taken.body.text->data, "\"command\":{}"));
	taken_finish(&taken);
	assert_int_equal(init(&taken, "{\"agent_id\":\"echo\",\"command\":null}"), 0);
	assert_null(strstr(taken.body.text->data, "command"));
	taken_finish(&taken);
}

static void commands_need_what_they_speak_of(void **state)
{
	struct taken taken;

	(void)state;
	check_refused("{\"agent_id\":\"echo\",\"command\":{\"resume\":1}}",
		APD_PROBLEM_THREAD_REQUIRED,
		"command.resume: name in thread_id the thread whose question this answers",
		"/command/resume");
	check_refused("{\"agent_id\":\"echo\",\"thread_id\":\"" THREAD
		      "\",\"command\":{\"goto\":\"x\"}}",
		APD_PROBLEM_UNSUPPORTED,
		"command.goto: the agent \"echo\" cannot be sent to a place (it lacks "
		"ap.flow.goto)",
		"/command/goto");
	/* A command stands in place of input, but input beside it is checked. */
	assert_int_equal(init(&taken,
				 "{\"agent_id\":\"strict\",\"thread_id\":\"" THREAD
				 "\",\"command\":{\"resume\":1}}"),
		0);
	taken_finish(&taken);
	check_refused("{\"agent_id\":\"strict\",\"thread_id\":\"" THREAD
		      "\",\"command\":{\"resume\":1},\"input\":1}",
		APD_PROBLEM_INVALID_INPUT, "input: expected an object, got a number", "/input");
	check_refused("{\"agent_id\":\"strict\",\"thread_id\":\"" THREAD "\",\"command\":{}}",
		APD_PROBLEM_INVALID_INPUT, "input: expected an object, got null", "/input");
}

static void a_new_kept_thread_is_a_thread(void **state)
{
	struct taken taken;

	(void)state;
	assert_int_equal(init(&taken, "{\"agent_id\":\"threaded\",\"on_completion\":\"keep\"}"), 0);
	assert_true(taken.body.spec.create_thread);
	taken_finish(&taken);
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
		cmocka_unit_test(another_dialect_is_refused_not_guessed_at),
		cmocka_unit_test(the_path_chooses_the_thread),
		cmocka_unit_test(strategies_are_words),
		cmocka_unit_test(webhooks_are_http_urls_with_a_host),
		cmocka_unit_test(commands_are_taken_apart),
		cmocka_unit_test(commands_need_what_they_speak_of),
		cmocka_unit_test(a_new_kept_thread_is_a_thread),
	};

	return cmocka_run_group_tests(tests, open_lab, close_lab);
}
