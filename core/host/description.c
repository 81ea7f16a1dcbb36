/* Taking a plugin's description apart. */
#include "host/description.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json_scan.h"
#include "base/json_text.h"

#define AGENTS_MAX     1024
#define NAME_MAX_BYTES 256

/* A parse that goes on until something is wrong. */
struct parse {
	struct apd_json json;
	char *why;
	size_t why_size;
	bool failed;
};

static void fail(struct parse *p, const char *what, const char *wrong)
{
	if (!p->failed)
		snprintf(p->why, p->why_size, "its description is wrong: %s %s", what, wrong);
	p->failed = true;
}

static struct apd_str copy(struct apd_str s)
{
	return s.ptr ? (struct apd_str){apd_strndup(s.ptr, s.len), s.len} : APD_STR_ABSENT;
}

static struct apd_str take(struct apd_buf *buf)
{
	size_t len = buf->len;

	return (struct apd_str){apd_buf_steal(buf), len};
}

static void free_str(struct apd_str *s)
{
	free((char *)s->ptr);
	*s = APD_STR_ABSENT;
}

/* A string member, or absent. */
static struct apd_str get_string(struct parse *p, uint32_t object, const char *key)
{
	uint32_t i = apd_json_given(&p->json, object, apd_str(key));
	struct apd_buf out = {0};

	if (i == 0)
		return APD_STR_ABSENT;
	if (apd_json_type(&p->json, i) != APD_JSON_STRING) {
		fail(p, key, "is not a string");
		return APD_STR_ABSENT;
	}
	apd_json_unescape(&p->json, i, &out);
	return take(&out);
}

/* A member that is JSON, or a string that holds JSON; or absent. Its text is checked. */
static struct apd_str get_json(struct parse *p, uint32_t object, const char *key)
{
	uint32_t i = apd_json_given(&p->json, object, apd_str(key));
	struct apd_json inner = {0};
	struct apd_str text;

	if (i == 0)
		return APD_STR_ABSENT;
	if (apd_json_type(&p->json, i) != APD_JSON_STRING)
		return copy(apd_json_slice(&p->json, i));
	text = get_string(p, object, key);
	if (apd_json_scan(&inner, text) < 0)
		fail(p, key, "is not JSON");
	apd_json_finish(&inner);
	return text;
}

static uint32_t get_u32(struct parse *p, uint32_t object, const char *key)
{
	uint32_t i = apd_json_given(&p->json, object, apd_str(key));
	int64_t value;

	if (i == 0)
		return 0;
	if (apd_json_int64(&p->json, i, &value) < 0 || value < 0 || value > UINT32_MAX) {
		fail(p, key, "is not a small number");
		return 0;
	}
	return (uint32_t)value;
}

/* True if an item of the array before i is the same string. */
static bool is_repeated(const struct parse *p, uint32_t array, uint32_t i)
{
	apd_json_each_item (&p->json, array, j) {
		if (j == i)
			break;
		if (apd_json_same_string(&p->json, i, &p->json, j))
			return true;
	}
	return false;
}

/* Makes the object of capabilities of their array. */
static void get_capabilities(struct parse *p, uint32_t object, struct apd_described *agent)
{
	uint32_t array = apd_json_given(&p->json, object, APD_STR("capabilities"));
	struct apd_buf out = {0};

	apd_buf_add_char(&out, '{');
	if (array && apd_json_type(&p->json, array) != APD_JSON_ARRAY)
		fail(p, "capabilities", "is not an array");
	else if (array) {
		apd_json_each_item (&p->json, array, i) {
			if (apd_json_type(&p->json, i) != APD_JSON_STRING) {
				fail(p, "capabilities", "has an item that is not a string");
				break;
			}
			if (apd_json_is(&p->json, i, APD_STR("ap.io.messages")))
				agent->messages = true;
			if (is_repeated(p, array, i))
				continue;
			apd_json_add_comma(&out);
			apd_buf_add_str(&out, apd_json_slice(&p->json, i));
			apd_buf_lit(&out, ":true");
		}
	}
	apd_buf_add_char(&out, '}');
	agent->capabilities = take(&out);
}

bool apd_agent_id_ok(struct apd_str id)
{
	if (id.len == 0 || id.len > 64)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			    c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static void get_agent(struct parse *p, uint32_t object, const struct apd_description *plugin,
	struct apd_described *agent)
{
	if (apd_json_type(&p->json, object) != APD_JSON_OBJECT) {
		fail(p, "agents", "has an item that is not an object");
		return;
	}
	agent->id = get_string(p, object, "id");
	if (!apd_agent_id_ok(agent->id)) {
		fail(p, "id", "is not 1 to 64 of [A-Za-z0-9._-]");
		return;
	}
	if (apd_description_find(plugin, agent->id) != agent)
		fail(p, agent->id.ptr, "is the id of two agents");
	agent->name = get_string(p, object, "name");
	agent->description = get_string(p, object, "description");
	agent->version = get_string(p, object, "version");
	agent->input_schema = get_json(p, object, "input_schema");
	agent->output_schema = get_json(p, object, "output_schema");
	agent->state_schema = get_json(p, object, "state_schema");
	agent->config_schema = get_json(p, object, "config_schema");
	agent->settings_schema = get_json(p, object, "settings_schema");
	agent->metadata = get_json(p, object, "metadata");
	agent->flags = get_u32(p, object, "flags");
	agent->max_concurrency = get_u32(p, object, "max_concurrency");
	if (agent->max_concurrency == 0)
		agent->max_concurrency = 1;
	get_capabilities(p, object, agent);
	if (!agent->name.ptr)
		agent->name = copy(agent->id);
	if (!agent->version.ptr)
		agent->version = copy(plugin->version);
	if (agent->metadata.ptr &&
		agent->metadata.ptr[strspn(agent->metadata.ptr, " \t\r\n")] != '{')
		fail(p, "metadata", "is not an object");
}

static void get_plugin(struct parse *p, struct apd_description *plugin)
{
	uint32_t array;

	if (apd_json_type(&p->json, 0) != APD_JSON_OBJECT) {
		fail(p, "it", "is not an object");
		return;
	}
	plugin->name = get_string(p, 0, "name");
	plugin->version = get_string(p, 0, "version");
	if (!plugin->version.ptr)
		plugin->version = copy(APD_STR(""));
	if (plugin->name.len == 0 || plugin->name.len > NAME_MAX_BYTES)
		fail(p, "name", "is missing, empty or very long");
	array = apd_json_given(&p->json, 0, APD_STR("agents"));
	if (array == 0 || apd_json_type(&p->json, array) != APD_JSON_ARRAY) {
		fail(p, "agents", "is not an array");
		return;
	}
	if (p->json.toks[array].count == 0 || p->json.toks[array].count > AGENTS_MAX) {
		fail(p, "agents", "is empty or very long");
		return;
	}
	plugin->agents = apd_calloc(p->json.toks[array].count, sizeof(*plugin->agents));
	apd_json_each_item (&p->json, array, i) {
		plugin->n_agents++;
		get_agent(p, i, plugin, &plugin->agents[plugin->n_agents - 1]);
	}
}

int apd_description_parse(
	struct apd_str json, struct apd_description **ret_description, char *why, size_t why_size)
{
	struct parse p = {.why = why, .why_size = why_size};
	struct apd_description *plugin = apd_calloc(1, sizeof(*plugin));

	if (apd_json_scan(&p.json, json) < 0)
		fail(&p, "it", "is not JSON");
	else
		get_plugin(&p, plugin);
	apd_json_finish(&p.json);
	if (p.failed) {
		apd_description_destroy(plugin);
		return -EINVAL;
	}
	*ret_description = plugin;
	return 0;
}

void apd_description_destroy(struct apd_description *description)
{
	if (!description)
		return;
	for (size_t i = 0; i < description->n_agents; i++) {
		struct apd_described *agent = &description->agents[i];

		free_str(&agent->id);
		free_str(&agent->name);
		free_str(&agent->description);
		free_str(&agent->version);
		free_str(&agent->capabilities);
		free_str(&agent->input_schema);
		free_str(&agent->output_schema);
		free_str(&agent->state_schema);
		free_str(&agent->config_schema);
		free_str(&agent->settings_schema);
		free_str(&agent->metadata);
	}
	free(description->agents);
	free_str(&description->name);
	free_str(&description->version);
	free(description);
}

const struct apd_described *apd_description_find(
	const struct apd_description *description, struct apd_str id)
{
	for (size_t i = 0; i < description->n_agents; i++) {
		if (description->agents[i].id.ptr && apd_str_eq(description->agents[i].id, id))
			return &description->agents[i];
	}
	return NULL;
}
