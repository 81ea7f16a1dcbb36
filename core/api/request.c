/* The body of a run's creation, made ready for the runtime. */
#include "api/internal.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"

/* The slice of an optional member as it stands in the body; absent for null. */
static struct apd_str given(const struct apd_json *body, const char *key)
{
	uint32_t i = apd_json_given(body, 0, apd_str(key));

	return i ? apd_json_slice(body, i) : APD_STR_ABSENT;
}

/* True if the member is this word. */
static bool is_word(const struct apd_json *body, const char *key, const char *word)
{
	uint32_t i = apd_json_given(body, 0, apd_str(key));

	return i && apd_json_is(body, i, apd_str(word));
}

/* Refuses what this version does not do, rather than ignore it. */
static int refuse_unsupported(const struct apd_json *body, struct apd_problem *problem)
{
	static const struct {
		const char *key;
		const char *why;
	} refused[] = {
		{"webhook", "webhooks are not supported by this version"},
		{"assistant_id",
			"this server speaks the Agent Protocol: name the agent in agent_id"},
		{"command", "resuming a run is not supported by this version"},
	};

	for (size_t i = 0; i < APD_COUNT(refused); i++) {
		if (!apd_json_given(body, 0, apd_str(refused[i].key)))
			continue;
		apd_problem_set(
			problem, APD_PROBLEM_UNSUPPORTED, "%s: %s", refused[i].key, refused[i].why);
		snprintf(problem->path, sizeof(problem->path), "/%s", refused[i].key);
		return -1;
	}
	if (given(body, "multitask_strategy").ptr && !is_word(body, "multitask_strategy", "reject"))
		return apd_problem_set(problem, APD_PROBLEM_UNSUPPORTED,
			"multitask_strategy: only \"reject\" is supported by this version");
	return 0;
}

/* Finds the agent that the body names, or the one for bodies that name none. */
static struct apd_agent *find_agent(const struct apd_agent_set *set, struct api_thread *thread,
	const struct apd_json *body, struct apd_problem *problem)
{
	uint32_t i = apd_json_given(body, 0, APD_STR("agent_id"));
	struct apd_agent *agent = set->fallback;

	if (i) {
		struct apd_str id = apd_json_string(body, i, &thread->scratch);

		agent = apd_agent_set_find(set, id);
		if (!agent)
			apd_problem_set(problem, APD_PROBLEM_AGENT_NOT_FOUND,
				"There is no agent \"%.*s\".", APD_STR_FMT(id));
	} else if (!agent) {
		apd_problem_set(problem, APD_PROBLEM_AGENT_REQUIRED,
			"agent_id: name an agent, since no default agent is configured");
	}
	if (agent && agent->state == APD_AGENT_BROKEN) {
		apd_problem_set(problem, APD_PROBLEM_AGENT_UNAVAILABLE,
			"The agent \"%.*s\" is broken: %.*s", APD_STR_FMT(agent->agent_id),
			APD_STR_FMT(agent->reason));
		return NULL;
	}
	return agent;
}

/* Checks a value of the body, or a text in its place when it is absent, against an agent's schema. */
static int check_against(struct api_thread *thread, const struct apd_schema *schema,
	const struct apd_json *body, uint32_t i, struct apd_str absent, const char *prefix,
	struct apd_problem *problem)
{
	struct apd_schema_error why;
	int r;

	if (!schema)
		return 0;
	if (i) {
		r = apd_schema_check(schema, body, i, &why);
	} else {
		apd_json_scan(&thread->value, absent);
		r = apd_schema_check(schema, &thread->value, 0, &why);
	}
	if (r < 0)
		api_problem_of_schema(problem, APD_PROBLEM_INVALID_INPUT, prefix, &why);
	return r < 0 ? -1 : 0;
}

/* Checks what an agent says it takes. */
static int check_agent(struct api_thread *thread, const struct apd_agent *agent,
	const struct apd_json *body, struct apd_problem *problem)
{
	uint32_t messages = apd_json_given(body, 0, APD_STR("messages"));
	uint32_t input = apd_json_given(body, 0, APD_STR("input"));
	uint32_t config = apd_json_given(body, 0, APD_STR("config"));
	uint32_t configurable = config ? apd_json_given(body, config, APD_STR("configurable")) : 0;

	if (messages && !agent->messages)
		return apd_problem_set(problem, APD_PROBLEM_MESSAGES_UNSUPPORTED,
			"messages: the agent \"%.*s\" takes none (it lacks ap.io.messages)",
			APD_STR_FMT(agent->agent_id));
	if (agent->needs_thread && !given(body, "thread_id").ptr)
		return apd_problem_set(problem, APD_PROBLEM_THREAD_REQUIRED,
			"thread_id: the agent \"%.*s\" runs only on a thread",
			APD_STR_FMT(agent->agent_id));
	if ((input || !messages) &&
		check_against(
			thread, agent->input, body, input, APD_STR("null"), "/input", problem) < 0)
		return -1;
	return check_against(thread, agent->config, body, configurable, APD_STR("{}"),
		"/config/configurable", problem);
}

/* Adds the messages, each with an id. */
static void add_messages(struct apd_buf *out, struct api_thread *thread,
	const struct apd_json *body, uint32_t messages)
{
	apd_buf_lit(out, "[");
	apd_json_each_item (body, messages, m) {
		struct apd_id id;

		apd_json_add_comma(out);
		if (apd_json_given(body, m, APD_STR("id"))) {
			apd_buf_add_str(out, apd_json_slice(body, m));
			continue;
		}
		id = apd_id_next(&thread->ids, apd_clock_wall_us());
		apd_buf_lit(out, "{");
		apd_json_each_member (body, m, k) {
			if (apd_json_is(body, k, APD_STR("id")))
				continue;
			apd_json_add_comma(out);
			apd_buf_add_str(out, apd_json_slice(body, k));
			apd_buf_lit(out, ":");
			apd_buf_add_str(out, apd_json_slice(body, k + 1));
		}
		apd_json_member_id(out, "id", &id);
		apd_buf_lit(out, "}");
	}
	apd_buf_lit(out, "]");
}

/* A member of the canonical request: where its value will lie in the text. */
struct place {
	size_t start;
	size_t len;
};

/* Adds a member and notes where its value lies. */
static struct place add_member(struct apd_buf *out, const char *key, struct apd_str value)
{
	struct place place;

	apd_json_add_key(out, key);
	place.start = out->len;
	apd_buf_add_str(out, value);
	place.len = out->len - place.start;
	return place;
}

static struct apd_str at_place(const struct apd_text *text, struct place place)
{
	return place.len ? (struct apd_str){text->data + place.start, place.len} : APD_STR_ABSENT;
}

/* Writes the canonical request, as a Run shows it, and the slices of the spec. */
static void compose(struct api_thread *thread, const struct apd_json *body,
	const struct apd_agent *agent, struct api_run_body *ret_body)
{
	struct apd_run_spec *spec = &ret_body->spec;
	struct apd_str config = given(body, "config"), metadata = given(body, "metadata");
	struct apd_str input = given(body, "input"), modes = given(body, "stream_mode");
	uint32_t list = apd_json_given(body, 0, APD_STR("messages"));
	struct place p_agent, p_input = {0}, p_messages = {0}, p_config = {0}, p_metadata;
	struct apd_buf *out = &thread->scratch;

	apd_buf_clear(out);
	apd_buf_lit(out, "{\"agent_id\":");
	p_agent.start = out->len;
	apd_json_add_string(out, agent->agent_id);
	p_agent.len = out->len - p_agent.start;
	if (input.ptr)
		p_input = add_member(out, "input", input);
	if (list) {
		apd_json_add_key(out, "messages");
		p_messages.start = out->len;
		add_messages(out, thread, body, list);
		p_messages.len = out->len - p_messages.start;
	}
	p_metadata = add_member(out, "metadata", metadata.ptr ? metadata : APD_STR("{}"));
	if (config.ptr)
		p_config = add_member(out, "config", config);
	add_member(out, "on_completion",
		spec->has_thread && !spec->delete_thread ? APD_STR("\"keep\"")
							 : APD_STR("\"delete\""));
	add_member(out, "on_disconnect",
		spec->keep_going ? APD_STR("\"continue\"") : APD_STR("\"cancel\""));
	add_member(out, "if_not_exists",
		is_word(body, "if_not_exists", "create") ? APD_STR("\"create\"")
							 : APD_STR("\"reject\""));
	if (modes.ptr)
		add_member(out, "stream_mode", modes);
	apd_buf_lit(out, "}");
	ret_body->text = spec->request = apd_text_of(out);
	/* An agent's id needs no escapes: its slice is what lies between the quotes. */
	spec->agent_id =
		(struct apd_str){ret_body->text->data + p_agent.start + 1, p_agent.len - 2};
	spec->input = at_place(ret_body->text, p_input);
	spec->messages = at_place(ret_body->text, p_messages);
	spec->config = at_place(ret_body->text, p_config);
	spec->metadata = at_place(ret_body->text, p_metadata);
}

/* Decides which thread the run is on: the one named, a kept new one, or none but its own. */
static void choose_thread(
	struct api_thread *thread, const struct apd_json *body, struct apd_run_spec *spec)
{
	uint32_t id = apd_json_given(body, 0, APD_STR("thread_id"));

	spec->delete_thread = is_word(body, "on_completion", "delete");
	if (id) {
		spec->has_thread = true;
		spec->create_thread = is_word(body, "if_not_exists", "create");
		apd_id_parse(apd_json_string(body, id, &thread->scratch), &spec->thread_id);
	} else if (is_word(body, "on_completion", "keep")) {
		spec->has_thread = spec->create_thread = true;
		spec->thread_id = apd_id_next(&thread->ids, apd_clock_wall_us());
	}
}

int api_run_body_init(struct apd_api *api, struct api_thread *thread, const struct apd_json *body,
	enum apd_run_mode mode, struct api_run_body *ret_body, struct apd_problem *problem)
{
	struct apd_agent_set *set;
	struct apd_agent *agent;
	int r = -1;

	if (refuse_unsupported(body, problem) < 0)
		return -1;
	set = apd_pool_agents(api->deps.pool);
	agent = find_agent(set, thread, body, problem);
	if (agent && check_agent(thread, agent, body, problem) == 0) {
		*ret_body = (struct api_run_body){.spec.mode = mode};
		ret_body->spec.keep_going = is_word(body, "on_disconnect", "continue");
		choose_thread(thread, body, &ret_body->spec);
		compose(thread, body, agent, ret_body);
		r = 0;
	}
	apd_agent_set_unref(set);
	return r;
}

/* The bit of one word. */
static unsigned mode_of(const struct apd_json *json, uint32_t i)
{
	static const struct {
		struct apd_str word;
		unsigned bit;
	} modes[] = {
		{{"values", 6}, API_MODE_VALUES},
		{{"updates", 7}, API_MODE_UPDATES},
		{{"messages", 8}, API_MODE_MESSAGES},
		{{"custom", 6}, API_MODE_CUSTOM},
	};

	for (size_t m = 0; m < APD_COUNT(modes); m++)
		if (apd_json_type(json, i) == APD_JSON_STRING &&
			apd_json_is(json, i, modes[m].word))
			return modes[m].bit;
	return 0;
}

unsigned api_modes_of(const struct apd_json *json, uint32_t i)
{
	unsigned modes = 0;

	if (apd_json_type(json, i) != APD_JSON_ARRAY)
		return mode_of(json, i);
	apd_json_each_item (json, i, item)
		modes |= mode_of(json, item);
	return modes;
}

unsigned api_modes_of_row(const struct apd_run_row *row)
{
	struct apd_json json = {0};
	unsigned modes = 0;
	uint32_t i = 0;

	if (apd_json_scan(&json, row->request) == 0 && apd_json_type(&json, 0) == APD_JSON_OBJECT)
		i = apd_json_given(&json, 0, APD_STR("stream_mode"));
	if (i)
		modes = api_modes_of(&json, i);
	apd_json_finish(&json);
	return i ? modes : API_MODE_VALUES;
}
