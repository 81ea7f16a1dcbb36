/* The projection of events onto server-sent events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ap/agent.h"
#include "api/internal.h"
#include "api/project.h"
#include "base/alloc.h"

#define ALL    (API_MODE_VALUES | API_MODE_UPDATES | API_MODE_MESSAGES | API_MODE_CUSTOM)
#define RUN    "11111111-1111-1111-1111-111111111111"
#define THREAD "22222222-2222-2222-2222-222222222222"

static const struct apd_id run_id = {
	"\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"};
static const struct apd_id thread_id = {
	"\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22"};

/* An event of the run with the number 7. */
static struct apd_event event_of(enum apd_event_kind kind, const char *data)
{
	return (struct apd_event){.seq = 7,
		.kind = kind,
		.attempt = 1,
		.run_id = run_id,
		.thread_id = thread_id,
		.data = apd_str(data)};
}

/* Projects one event for a reader of these modes: true if the run ended. */
static bool project(
	unsigned modes, const struct apd_event *event, bool silent, const char *expected)
{
	struct api_projection projection;
	struct apd_buf out = {0};
	bool ended;

	api_projection_init(&projection, modes, &run_id);
	ended = api_project(&projection, event, silent, &out);
	assert_string_equal(apd_buf_str(&out).ptr, expected);
	api_projection_finish(&projection);
	apd_buf_finish(&out);
	return ended;
}

/* The state of one value. */
static struct apd_state *make_state(const char *patch)
{
	struct apd_state *empty = apd_state_empty(), *state = NULL;
	struct apd_json json = {0};
	struct apd_id_gen gen;

	apd_id_gen_init_random(&gen);
	assert_int_equal(apd_json_scan(&json, apd_str(patch)), 0);
	assert_int_equal(
		apd_state_apply(empty, &(struct apd_state_change){.patch = &json, .gen = &gen},
			&state, NULL),
		0);
	apd_json_finish(&json);
	apd_state_unref(empty);
	return state;
}

static void a_start_shows_metadata_and_the_state(void **state)
{
	struct apd_event event = event_of(APD_EVENT_STARTED, NULL);

	(void)state;
	event.attempt = 2;
	event.state = make_state("{\"a\":1}");
	project(0, &event, false,
		"event: metadata\ndata: {\"run_id\":\"" RUN "\",\"thread_id\":\"" THREAD
		"\",\"attempt\":2}\n\n");
	project(API_MODE_VALUES, &event, false,
		"event: metadata\ndata: {\"run_id\":\"" RUN "\",\"thread_id\":\"" THREAD
		"\",\"attempt\":2}\n\n"
		"event: values\ndata: {\"a\":1}\n\n");
	project(ALL, &event, true, "");
	apd_state_unref(event.state);
}

static void metadata_of_a_run_that_has_not_begun_says_attempt_1(void **state)
{
	struct apd_buf out = {0};

	(void)state;
	api_project_metadata(&out, &run_id, &thread_id, 0);
	assert_string_equal(out.data,
		"event: metadata\ndata: {\"run_id\":\"" RUN "\",\"thread_id\":\"" THREAD
		"\",\"attempt\":1}\n\n");
	apd_buf_finish(&out);
}

static void values_show_the_state(void **state)
{
	struct apd_event event = event_of(APD_EVENT_VALUES, NULL);

	(void)state;
	event.state =
		make_state("{\"a\":{\"b\":[1,2]},\"messages\":[{\"role\":\"user\",\"content\":"
			   "\"x\",\"id\":\"m\"}]}");
	project(API_MODE_VALUES, &event, false,
		"id: 7\nevent: values\ndata: {\"a\":{\"b\":[1,2]},\"messages\":[{\"role\":\"user\","
		"\"content\":\"x\",\"id\":\"m\"}]}\n\n");
	project(ALL & ~API_MODE_VALUES, &event, false, "");
	project(ALL, &event, true, "");
	apd_state_unref(event.state);
}

static void updates_show_the_patch_under_its_step(void **state)
{
	struct apd_event event = event_of(APD_EVENT_UPDATES, "{\"x\":1}");

	(void)state;
	event.node = APD_STR("the \"step\"");
	project(API_MODE_UPDATES, &event, false,
		"id: 7\nevent: updates\ndata: {\"the \\\"step\\\"\":{\"x\":1}}\n\n");
	event.node = APD_STR_ABSENT;
	project(API_MODE_UPDATES, &event, false,
		"id: 7\nevent: updates\ndata: {\"\":{\"x\":1}}\n\n");
	project(ALL & ~API_MODE_UPDATES, &event, false, "");
	project(ALL, &event, true, "");
}

static void custom_events_show_their_payload_or_with_a_name_all(void **state)
{
	static const struct {
		const char *data, *shown;
	} events[] = {
		{"{\"payload\":{\"n\":1}}", "{\"n\":1}"},
		{"{\"payload\":[1,2]}", "[1,2]"},
		{"{\"payload\":null}", "null"},
		{"{\"name\":\"tick\",\"payload\":3}", "{\"name\":\"tick\",\"payload\":3}"},
		{"{\"name\":null,\"payload\":3}", "{\"name\":null,\"payload\":3}"},
		{"{\"other\":3}", "{\"other\":3}"},
		{"{}", "{}"},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(events); i++) {
		struct apd_event event = event_of(APD_EVENT_EMITTED, events[i].data);
		struct apd_buf expected = {0};

		event.channel = AP_CHANNEL_CUSTOM;
		apd_buf_addf(&expected, "id: 7\nevent: custom\ndata: %s\n\n", events[i].shown);
		project(API_MODE_CUSTOM, &event, false, expected.data);
		project(ALL & ~API_MODE_CUSTOM, &event, false, "");
		project(ALL, &event, true, "");
		apd_buf_finish(&expected);
	}
}

static void other_channels_are_not_shown(void **state)
{
	static const int32_t channels[] = {
		AP_CHANNEL_TOOLS, AP_CHANNEL_TASKS, AP_CHANNEL_LIFECYCLE};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(channels); i++) {
		struct apd_event event = event_of(APD_EVENT_EMITTED, "{}");

		event.channel = channels[i];
		project(ALL, &event, false, "");
	}
}

static void only_the_root_namespace_is_shown(void **state)
{
	static const struct {
		const char *ns;
		bool root;
	} namespaces[] = {{NULL, true}, {"[]", true}, {" [ \n] ", true}, {"[\"\"]", false},
		{"[\"child:1\"]", false}, {"[ \"a\" , \"b\" ]", false}};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(namespaces); i++) {
		struct apd_event custom = event_of(APD_EVENT_EMITTED, "{}");
		struct apd_event update = event_of(APD_EVENT_UPDATES, "{}");

		custom.channel = AP_CHANNEL_CUSTOM;
		custom.ns = update.ns = apd_str(namespaces[i].ns);
		project(ALL, &custom, false,
			namespaces[i].root ? "id: 7\nevent: custom\ndata: {}\n\n" : "");
		project(ALL, &update, false,
			namespaces[i].root ? "id: 7\nevent: updates\ndata: {\"\":{}}\n\n" : "");
	}
}

static void events_of_other_runs_are_not_shown(void **state)
{
	struct apd_event event = event_of(APD_EVENT_ENDED, NULL);

	(void)state;
	event.run_id = thread_id;
	assert_false(project(ALL, &event, false, ""));
	event.kind = APD_EVENT_STARTED;
	assert_false(project(ALL, &event, false, ""));
}

static void checkpoints_are_not_shown(void **state)
{
	struct apd_event event = event_of(APD_EVENT_CHECKPOINT, "{}");

	(void)state;
	assert_false(project(ALL, &event, false, ""));
}

static void an_end_is_shown_to_everybody(void **state)
{
	struct apd_event event = event_of(APD_EVENT_ENDED, NULL);

	(void)state;
	event.status = APD_RUN_SUCCESS;
	assert_true(project(0, &event, false,
		"id: 7\nevent: end\ndata: {\"run_id\":\"" RUN "\",\"status\":\"success\"}\n\n"));
	assert_true(project(ALL, &event, true,
		"id: 7\nevent: end\ndata: {\"run_id\":\"" RUN "\",\"status\":\"success\"}\n\n"));
}

static void failures_show_an_error_before_the_end(void **state)
{
	static const struct {
		enum apd_run_status status;
		const char *error, *shown;
	} ends[] = {
		{APD_RUN_ERROR,
			"{\"code\":\"agent_error\",\"message\":\"no\",\"agent_code\":\"E1\"}",
			"event: error\ndata: "
			"{\"error\":\"E1\",\"code\":\"agent_error\",\"message\":"
			"\"no\",\"agent_code\":\"E1\"}\n\n"},
		{APD_RUN_TIMEOUT, "{\"code\":\"deadline\",\"message\":\"late\"}",
			"event: error\ndata: "
			"{\"error\":\"deadline\",\"code\":\"deadline\",\"message\":"
			"\"late\"}\n\n"},
		{APD_RUN_ERROR, "{\n\"code\":\"x\"}",
			"event: error\ndata: {\"error\":\"x\", "
			"\"code\":\"x\"}\n\n"},
		{APD_RUN_INTERRUPTED, "{\"code\":\"cancelled\",\"message\":\"\"}", ""},
		{APD_RUN_ERROR, NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(ends); i++) {
		struct apd_event event = event_of(APD_EVENT_ENDED, ends[i].error);
		struct apd_buf expected = {0};

		event.status = ends[i].status;
		apd_buf_addf(&expected,
			"%sid: 7\nevent: end\ndata: {\"run_id\":\"" RUN "\",\"status\":\"%s\"}\n\n",
			ends[i].shown, apd_run_status_word(event.status));
		assert_true(project(0, &event, false, expected.data));
		apd_buf_finish(&expected);
	}
}

static void line_breaks_in_json_become_spaces(void **state)
{
	struct apd_event event =
		event_of(APD_EVENT_EMITTED, "{\r\n\t\"payload\": {\n\"text\":\"a\\nb\"\r}\n}");

	(void)state;
	event.channel = AP_CHANNEL_CUSTOM;
	project(API_MODE_CUSTOM, &event, false,
		"id: 7\nevent: custom\ndata: { \"text\":\"a\\nb\" }\n\n");
}

static void what_was_missed_is_an_error(void **state)
{
	static const char head[] = "event: error\ndata: {\"error\":\"events_missed\",\"code\":"
				   "\"events_missed\",\"message\":\"";
	struct apd_buf out = {0};

	(void)state;
	api_project_missed(&out);
	assert_memory_equal(out.data, head, sizeof(head) - 1);
	apd_buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_shows_metadata_and_the_state),
		cmocka_unit_test(metadata_of_a_run_that_has_not_begun_says_attempt_1),
		cmocka_unit_test(values_show_the_state),
		cmocka_unit_test(updates_show_the_patch_under_its_step),
		cmocka_unit_test(custom_events_show_their_payload_or_with_a_name_all),
		cmocka_unit_test(other_channels_are_not_shown),
		cmocka_unit_test(only_the_root_namespace_is_shown),
		cmocka_unit_test(events_of_other_runs_are_not_shown),
		cmocka_unit_test(checkpoints_are_not_shown),
		cmocka_unit_test(an_end_is_shown_to_everybody),
		cmocka_unit_test(failures_show_an_error_before_the_end),
		cmocka_unit_test(line_breaks_in_json_become_spaces),
		cmocka_unit_test(what_was_missed_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
