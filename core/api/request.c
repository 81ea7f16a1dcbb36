/* A run's creation, made of the body of a request. */
#include "api/request.h"

#include "api/internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"

void apd_request_maker_init(struct apd_request_maker *maker)
{
	*maker = (struct apd_request_maker){0};
	apd_id_gen_init_random(&maker->ids);
}

void apd_request_maker_finish(struct apd_request_maker *maker)
{
	apd_json_finish(&maker->value);
	apd_buf_finish(&maker->scratch);
}

void apd_run_request_finish(struct apd_run_request *request)
{
	apd_text_unref(request->text);
}

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

/* Refuses another dialect, rather than guess what is meant. */
static int check_dialect(const struct apd_json *body, struct apd_problem *problem)
{
	if (!apd_json_given(body, 0, APD_STR("assistant_id")))
		return 0;
	return api_problem_at(problem, APD_PROBLEM_UNSUPPORTED, "/assistant_id",
		"assistant_id: this server speaks the Agent Protocol: name the agent in agent_id");
}

/* Decides which thread the run is on: the one named, a kept new one, or none but its own. */
static int choose_thread(struct apd_request_maker *maker, const struct apd_json *body,
	const struct apd_id *thread_id, struct apd_run_spec *spec, struct apd_problem *problem)
{
	uint32_t i = apd_json_given(body, 0, APD_STR("thread_id"));

	if (i) {
		spec->has_thread = true;
		apd_id_parse(apd_json_string(body, i, &maker->scratch), &spec->thread_id);
	}
	if (thread_id) {
		if (i && !apd_id_eq(&spec->thread_id, thread_id))
			return api_problem_at(problem, APD_PROBLEM_INVALID_REQUEST, "/thread_id",
				"thread_id: the path names another thread");
		spec->has_thread = true;
		spec->thread_id = *thread_id;
	}
	if (spec->has_thread) {
		spec->create_thread = is_word(body, "if_not_exists", "create");
	} else if (is_word(body, "on_completion", "keep")) {
		spec->has_thread = spec->create_thread = true;
		spec->thread_id = apd_id_next(&maker->ids, apd_clock_wall_us());
	}
	spec->delete_thread = is_word(body, "on_completion", "delete");
	return 0;
}

static enum apd_multitask multitask_of(const struct apd_json *body)
{
	static const struct {
		const char *word;
		enum apd_multitask strategy;
	} strategies[] = {
		{"enqueue", APD_MULTITASK_ENQUEUE},
		{"interrupt", APD_MULTITASK_INTERRUPT},
		{"rollback", APD_MULTITASK_ROLLBACK},
	};

	for (size_t i = 0; i < APD_COUNT(strategies); i++)
		if (is_word(body, "multitask_strategy", strategies[i].word))
			return strategies[i].strategy;
	return APD_MULTITASK_REJECT;
}

/* Where a value lies in the text that is being written. */
struct place {
	size_t start;
	size_t len;
};

/* Adds a member and notes where its value lies; nothing for an absent one. */
static struct place add_member(struct apd_buf *out, const char *key, struct apd_str value)
{
	struct place place;

	if (!value.ptr)
		return (struct place){0};
	apd_json_add_key(out, key);
	place.start = out->len;
	apd_buf_add_str(out, value);
	place.len = out->len - place.start;
	return place;
}

/* Adds a member that is a string; the place is that of the string without its quotes. */
static struct place add_string(struct apd_buf *out, const char *key, struct apd_str value)
{
	struct place place;

	apd_json_add_key(out, key);
	place.start = out->len + 1;
	apd_json_add_string(out, value);
	place.len = out->len - 1 - place.start;
	return place;
}

static struct place add_messages(
	struct apd_buf *out, struct apd_request_maker *maker, const struct apd_json *body)
{
	uint32_t list = apd_json_given(body, 0, APD_STR("messages"));
	struct place place;

	if (!list)
		return (struct place){0};
	apd_json_add_key(out, "messages");
	place.start = out->len;
	apd_buf_lit(out, "[");
	api_messages_add(out, maker, body, list);
	apd_buf_lit(out, "]");
	place.len = out->len - place.start;
	return place;
}

static struct apd_str at_place(const struct apd_text *text, struct place place)
{
	return place.len ? (struct apd_str){text->data + place.start, place.len} : APD_STR_ABSENT;
}

/* What a command consists of. */
struct command {
	struct place resume, update, jump;
};

/* Adds the command with what it says and without the nulls that say nothing. */
static struct command add_command(struct apd_buf *out, const struct apd_json *body)
{
	uint32_t i = apd_json_given(body, 0, APD_STR("command"));
	struct command command = {0};
	uint32_t resume, update, jump;

	if (!i)
		return command;
	resume = api_answer_in(body, i);
	update = apd_json_given(body, i, APD_STR("update"));
	jump = apd_json_given(body, i, APD_STR("goto"));
	apd_json_add_key(out, "command");
	apd_buf_lit(out, "{");
	if (resume)
		command.resume = add_member(out, "resume", apd_json_slice(body, resume));
	if (update)
		command.update = add_member(out, "update", apd_json_slice(body, update));
	if (jump)
		command.jump = add_member(out, "goto", apd_json_slice(body, jump));
	apd_buf_lit(out, "}");
	return command;
}

/* Adds the members that are words, with their defaults. */
static void add_words(
	struct apd_buf *out, const struct apd_json *body, const struct apd_run_spec *spec)
{
	struct apd_str strategy = given(body, "multitask_strategy");

	add_member(out, "on_completion",
		spec->has_thread && !spec->delete_thread ? APD_STR("\"keep\"")
							 : APD_STR("\"delete\""));
	add_member(out, "on_disconnect",
		spec->keep_going ? APD_STR("\"continue\"") : APD_STR("\"cancel\""));
	add_member(out, "if_not_exists",
		is_word(body, "if_not_exists", "create") ? APD_STR("\"create\"")
							 : APD_STR("\"reject\""));
	if (spec->has_thread)
		add_member(
			out, "multitask_strategy", strategy.ptr ? strategy : APD_STR("\"reject\""));
	add_member(out, "stream_mode", given(body, "stream_mode"));
}

/*
 * Writes the request as a Run shows it, and the slices of the spec. Neither an
 * agent's id nor a URL needs escapes: their slices are what lies between quotes.
 */
static void compose(struct apd_request_maker *maker, const struct apd_json *body,
	const struct apd_agent *agent, struct apd_str webhook, struct apd_run_request *request)
{
	struct apd_run_spec *spec = &request->spec;
	struct apd_str metadata = given(body, "metadata");
	struct place p_agent, p_input, p_messages, p_config, p_metadata, p_webhook = {0};
	struct command command;
	struct apd_buf *out = &maker->scratch;

	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	p_agent = add_string(out, "agent_id", agent->agent_id);
	p_input = add_member(out, "input", given(body, "input"));
	p_messages = add_messages(out, maker, body);
	command = add_command(out, body);
	p_metadata = add_member(out, "metadata", metadata.ptr ? metadata : APD_STR("{}"));
	p_config = add_member(out, "config", given(body, "config"));
	if (webhook.ptr)
		p_webhook = add_string(out, "webhook", webhook);
	add_words(out, body, spec);
	apd_buf_lit(out, "}");
	request->text = spec->request = apd_text_of(out);
	spec->agent_id = at_place(request->text, p_agent);
	spec->input = at_place(request->text, p_input);
	spec->messages = at_place(request->text, p_messages);
	spec->config = at_place(request->text, p_config);
	spec->metadata = at_place(request->text, p_metadata);
	spec->webhook = at_place(request->text, p_webhook);
	spec->resume = at_place(request->text, command.resume);
	spec->update = at_place(request->text, command.update);
	spec->jump = at_place(request->text, command.jump);
}

int apd_run_request_init(struct apd_request_maker *maker, const struct apd_agent_set *agents,
	const struct apd_json *body, const struct apd_id *thread_id, enum apd_run_mode mode,
	struct apd_run_request *ret_request, struct apd_problem *problem)
{
	struct apd_run_request request = {.spec.mode = mode};
	struct apd_str webhook = APD_STR_ABSENT;
	struct apd_buf scratch = {0};
	struct apd_agent *agent;
	uint32_t i;
	int r = -1;

	if (check_dialect(body, problem) < 0 ||
		choose_thread(maker, body, thread_id, &request.spec, problem) < 0)
		return -1;
	agent = api_agent_of_body(agents, maker, body, problem);
	if (!agent || api_agent_check(maker, agent, body, request.spec.has_thread, problem) < 0)
		return -1;
	i = apd_json_given(body, 0, APD_STR("webhook"));
	if (i)
		webhook = apd_json_string(body, i, &scratch);
	if (!i || api_webhook_check(webhook, problem) == 0) {
		request.spec.keep_going = is_word(body, "on_disconnect", "continue");
		request.spec.multitask = multitask_of(body);
		compose(maker, body, agent, webhook, &request);
		*ret_request = request;
		r = 0;
	}
	apd_buf_finish(&scratch);
	return r;
}
