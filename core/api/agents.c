/* The routes under /agents. */
#include "api/internal.h"
#include "base/json_text.h"

/* Adds the protocol's Agent object. */
static void add_agent(struct apd_buf *out, const struct apd_agent *agent)
{
	apd_buf_lit(out, "{");
	apd_json_member_str(out, "agent_id", agent->agent_id);
	apd_json_member_str(out, "name", agent->name);
	if (agent->description.ptr)
		apd_json_member_str(out, "description", agent->description);
	apd_json_member_raw(out, "metadata", agent->metadata);
	apd_json_member_raw(out, "capabilities", agent->capabilities);
	apd_buf_lit(out, "}");
}

/* c in lower case, where it is an ASCII letter. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* True if part is in whole, in either case. */
static bool has_part(struct apd_str whole, struct apd_str part)
{
	for (size_t at = 0; at + part.len <= whole.len; at++) {
		size_t n = 0;

		while (n < part.len && lower(whole.ptr[at + n]) == lower(part.ptr[n]))
			n++;
		if (n == part.len)
			return true;
	}
	return part.len == 0;
}

/* True if the agent's metadata contains that of the body. */
static bool has_metadata(struct api_thread *thread, const struct apd_agent *agent,
	const struct apd_json *body, uint32_t wanted)
{
	return apd_json_scan(&thread->maker.value, agent->metadata) == 0 &&
		apd_json_contains(&thread->maker.value, 0, body, wanted);
}

void api_search_agents(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct api_thread *thread = api_thread_of(api, request);
	struct apd_agent_set *set;
	const struct apd_json *body;
	struct apd_buf out = {0};
	struct apd_str part = APD_STR("");
	int64_t limit, offset;
	uint32_t name, metadata;

	if (api_check(api, API_OP_SEARCH_AGENTS, request, &body) < 0)
		return;
	limit = api_body_int(body, APD_STR("limit"), 10);
	offset = api_body_int(body, APD_STR("offset"), 0);
	name = apd_json_given(body, 0, APD_STR("name"));
	metadata = apd_json_given(body, 0, APD_STR("metadata"));
	if (name)
		part = apd_json_string(body, name, &thread->maker.scratch);
	set = apd_pool_agents(api->deps.pool);
	apd_buf_lit(&out, "[");
	for (size_t i = 0; i < set->count && limit > 0; i++) {
		const struct apd_agent *agent = set->agents[i];

		if (!has_part(agent->name, part) ||
			(metadata && !has_metadata(thread, agent, body, metadata)) || offset-- > 0)
			continue;
		limit--;
		apd_json_add_comma(&out);
		add_agent(&out, agent);
	}
	apd_buf_lit(&out, "]");
	apd_agent_set_unref(set);
	apd_http_reply_json(request, 200, &out);
}

/* The agent in the path, or NULL when the request has been answered. */
static struct apd_agent *find(struct apd_agent_set *set, struct apd_http_request *request)
{
	struct apd_str id = apd_http_request_param(request, 0);
	struct apd_agent *agent = apd_agent_set_find(set, id);

	if (!agent)
		api_refuse(request, APD_PROBLEM_AGENT_NOT_FOUND, "There is no agent \"%.*s\".",
			APD_STR_FMT(id));
	return agent;
}

void api_get_agent(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_agent_set *set = apd_pool_agents(api->deps.pool);
	struct apd_agent *agent = find(set, request);
	struct apd_buf out = {0};

	if (agent) {
		add_agent(&out, agent);
		apd_http_reply_json(request, 200, &out);
	}
	apd_agent_set_unref(set);
}

/* Adds a schema; the two that every agent has are {} when the agent declares none. */
static void add_schema(struct apd_buf *out, const char *key, struct apd_str schema, bool always)
{
	if (schema.ptr || always)
		apd_json_member_raw(out, key, schema.ptr ? schema : APD_STR("{}"));
}

void api_get_agent_schemas(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_agent_set *set = apd_pool_agents(api->deps.pool);
	struct apd_agent *agent = find(set, request);
	struct apd_buf out = {0};

	if (agent) {
		apd_buf_lit(&out, "{");
		apd_json_member_str(&out, "agent_id", agent->agent_id);
		add_schema(&out, "input_schema", agent->input_schema, true);
		add_schema(&out, "output_schema", agent->output_schema, true);
		add_schema(&out, "state_schema", agent->state_schema, false);
		add_schema(&out, "config_schema", agent->config_schema, false);
		apd_buf_lit(&out, "}");
		apd_http_reply_json(request, 200, &out);
	}
	apd_agent_set_unref(set);
}
