/* What a run's creation needs of its agent: one that is there and takes what is sent. */
#include <strings.h>

#include "api/internal.h"
#include "base/alloc.h"

struct apd_agent *api_agent_of_body(const struct apd_agent_set *set,
	struct apd_request_maker *maker, const struct apd_json *body, struct apd_problem *problem)
{
	uint32_t i = apd_json_given(body, 0, APD_STR("agent_id"));
	struct apd_agent *agent = set->fallback;

	if (i) {
		struct apd_str id = apd_json_string(body, i, &maker->scratch);

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
static int check_against(struct apd_request_maker *maker, const struct apd_schema *schema,
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
		apd_json_scan(&maker->value, absent);
		r = apd_schema_check(schema, &maker->value, 0, &why);
	}
	if (r < 0)
		api_problem_of_schema(problem, APD_PROBLEM_INVALID_INPUT, prefix, &why);
	return r < 0 ? -1 : 0;
}

/* True if the agent declares a capability. */
static bool has_capability(
	struct apd_request_maker *maker, const struct apd_agent *agent, struct apd_str name)
{
	uint32_t i = 0;

	if (apd_json_scan(&maker->value, agent->capabilities) == 0 &&
		apd_json_type(&maker->value, 0) == APD_JSON_OBJECT)
		i = apd_json_member(&maker->value, 0, name);
	return i && apd_json_type(&maker->value, i) == APD_JSON_TRUE;
}

uint32_t api_answer_in(const struct apd_json *body, uint32_t command)
{
	if (apd_json_member(body, command, APD_STR("update")) ||
		apd_json_member(body, command, APD_STR("goto")))
		return apd_json_given(body, command, APD_STR("resume"));
	return apd_json_member(body, command, APD_STR("resume"));
}

/* Checks the command; *ret_stands: it says what to do, so that no input is missed. */
static int check_command(struct apd_request_maker *maker, const struct apd_agent *agent,
	const struct apd_json *body, bool has_thread, bool *ret_stands, struct apd_problem *problem)
{
	uint32_t command = apd_json_given(body, 0, APD_STR("command"));
	uint32_t resume, update, jump;

	*ret_stands = false;
	if (!command)
		return 0;
	resume = api_answer_in(body, command);
	update = apd_json_given(body, command, APD_STR("update"));
	jump = apd_json_given(body, command, APD_STR("goto"));
	if (resume && !has_thread)
		return api_problem_at(problem, APD_PROBLEM_THREAD_REQUIRED, "/command/resume",
			"command.resume: name in thread_id the thread whose question this answers");
	if (jump && !has_capability(maker, agent, APD_STR("ap.flow.goto")))
		return api_problem_at(problem, APD_PROBLEM_UNSUPPORTED, "/command/goto",
			"command.goto: the agent \"%.*s\" cannot be sent to a place (it lacks "
			"ap.flow.goto)",
			APD_STR_FMT(agent->agent_id));
	*ret_stands = resume || update || jump;
	return 0;
}

int api_agent_check(struct apd_request_maker *maker, const struct apd_agent *agent,
	const struct apd_json *body, bool has_thread, struct apd_problem *problem)
{
	uint32_t messages = apd_json_given(body, 0, APD_STR("messages"));
	uint32_t input = apd_json_given(body, 0, APD_STR("input"));
	uint32_t config = apd_json_given(body, 0, APD_STR("config"));
	uint32_t configurable = config ? apd_json_given(body, config, APD_STR("configurable")) : 0;
	bool commanded;

	if (messages && !agent->messages)
		return apd_problem_set(problem, APD_PROBLEM_MESSAGES_UNSUPPORTED,
			"messages: the agent \"%.*s\" takes none (it lacks ap.io.messages)",
			APD_STR_FMT(agent->agent_id));
	if (agent->needs_thread && !has_thread)
		return apd_problem_set(problem, APD_PROBLEM_THREAD_REQUIRED,
			"thread_id: the agent \"%.*s\" runs only on a thread",
			APD_STR_FMT(agent->agent_id));
	if (check_command(maker, agent, body, has_thread, &commanded, problem) < 0)
		return -1;
	if ((input || (!messages && !commanded)) &&
		check_against(
			maker, agent->input, body, input, APD_STR("null"), "/input", problem) < 0)
		return -1;
	return check_against(maker, agent->config, body, configurable, APD_STR("{}"),
		"/config/configurable", problem);
}

/* The host of an http or https URL, absent for any other. */
static struct apd_str host_of(struct apd_str url)
{
	static const struct apd_str schemes[] = {{"http://", 7}, {"https://", 8}};
	struct apd_str host = APD_STR_ABSENT;

	for (size_t i = 0; i < APD_COUNT(schemes); i++)
		if (url.len > schemes[i].len &&
			strncasecmp(url.ptr, schemes[i].ptr, schemes[i].len) == 0)
			host = (struct apd_str){url.ptr + schemes[i].len, url.len - schemes[i].len};
	for (size_t i = 0; i < host.len; i++)
		if (memchr("/?#", host.ptr[i], 3))
			host.len = i;
	for (size_t i = host.len; i > 0; i--)
		if (host.ptr[i - 1] == '@') {
			host.ptr += i;
			host.len -= i;
			break;
		}
	return host;
}

int api_webhook_check(struct apd_str url, struct apd_problem *problem)
{
	struct apd_str host = host_of(url);

	if (host.len > 0 && host.ptr[0] != ':')
		return 0;
	return api_problem_at(problem, APD_PROBLEM_INVALID_REQUEST, "/webhook",
		"webhook: expected a URL that begins with http:// or https:// and names a host");
}
