/*
 * Mapping a plugin and looking at it before anything in it is called. Every
 * refusal names the field, what was wanted and what was found.
 */
#include "worker/mapped.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_scan.h"

/* The size of a struct that ends with this field: of version 1.0, however much it grew since. */
#define SIZE_TO(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

#define PLUGIN_SIZE SIZE_TO(ap_plugin, deinit)
#define AGENT_SIZE  SIZE_TO(ap_agent, get_extension)
#define INFO_SIZE   SIZE_TO(ap_agent_info, reserved)

#define MAX_AGENTS 1024
#define MAX_ID     64

void apd_struct_copy(void *to, size_t to_size, const void *from, uint32_t from_size)
{
	size_t n = from_size < to_size ? from_size : to_size;

	memcpy(to, from, n);
	memset((char *)to + n, 0, to_size - n);
}

/* Says that a number is not what it should be; returns -EINVAL. */
static int refuse_number(struct apd_buf *error, const char *field, const char *wanted,
	uint32_t least, uint32_t found)
{
	apd_buf_addf(error, "%s: wanted %s%u, found %u", field, wanted, least, found);
	return -EINVAL;
}

/* Checks the integers at the start, which are all that an older or newer plugin surely has. */
static int check_versions(const ap_plugin *plugin, struct apd_buf *error)
{
	if (plugin->magic != AP_PLUGIN_MAGIC) {
		apd_buf_addf(error, "magic: wanted 0x%08x, found 0x%08x", AP_PLUGIN_MAGIC,
			plugin->magic);
		return -EINVAL;
	}
	if (plugin->abi_major != AP_ABI_MAJOR)
		return refuse_number(error, "abi_major", "", AP_ABI_MAJOR, plugin->abi_major);
	if (AP_ABI_DRAFT && plugin->abi_minor != AP_ABI_MINOR)
		return refuse_number(
			error, "abi_minor (a draft)", "", AP_ABI_MINOR, plugin->abi_minor);
	if (plugin->needs_minor > AP_ABI_MINOR)
		return refuse_number(
			error, "needs_minor", "at most ", AP_ABI_MINOR, plugin->needs_minor);
	if (plugin->size < PLUGIN_SIZE)
		return refuse_number(error, "size", "at least ", PLUGIN_SIZE, plugin->size);
	return 0;
}

/* Checks that a text, if it is given, is JSON of a kind: an object, or perhaps a boolean too. */
static int check_json(struct apd_json *json, const char *agent, const char *field, const char *text,
	bool or_boolean, struct apd_buf *error)
{
	enum apd_json_type type;

	if (!text)
		return 0;
	if (apd_json_scan(json, apd_str(text)) < 0) {
		apd_buf_addf(error, "agent %s: %s: wanted JSON, found %s at line %u, column %u",
			agent, field, json->error, json->error_line, json->error_column);
		return -EINVAL;
	}
	type = apd_json_type(json, 0);
	if (type == APD_JSON_OBJECT ||
		(or_boolean && (type == APD_JSON_TRUE || type == APD_JSON_FALSE)))
		return 0;
	apd_buf_addf(error, "agent %s: %s: wanted an object%s, found %s", agent, field,
		or_boolean ? " or a boolean" : "", apd_json_type_name(type));
	return -EINVAL;
}

static int check_texts(const ap_agent_info *info, struct apd_buf *error)
{
	const struct {
		const char *field;
		const char *text;
		bool or_boolean;
	} texts[] = {
		{"input_schema", info->input_schema, true},
		{"output_schema", info->output_schema, true},
		{"state_schema", info->state_schema, true},
		{"config_schema", info->config_schema, true},
		{"settings_schema", info->settings_schema, true},
		{"metadata", info->metadata, false},
	};
	struct apd_json json = {0};
	int r = 0;

	for (size_t i = 0; i < APD_COUNT(texts) && r == 0; i++)
		r = check_json(
			&json, info->id, texts[i].field, texts[i].text, texts[i].or_boolean, error);
	apd_json_finish(&json);
	return r;
}

static bool is_id(const char *id)
{
	size_t len =
		strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= MAX_ID && id[len] == '\0';
}

/* Checks the id, also against the agents before this one. */
static int check_id(
	const struct apd_mapped *mapped, const char *id, size_t index, struct apd_buf *error)
{
	if (!id) {
		apd_buf_addf(error, "agents[%zu].info.id: wanted an id, found none", index);
		return -EINVAL;
	}
	if (!is_id(id)) {
		apd_buf_addf(error,
			"agents[%zu].info.id: wanted 1 to 64 of [A-Za-z0-9._-], found \"%.80s\"",
			index, id);
		return -EINVAL;
	}
	for (size_t i = 0; i < index; i++) {
		if (strcmp(mapped->agents[i].info.id, id) == 0) {
			apd_buf_addf(error,
				"agents[%zu].info.id: wanted an id of its own, found \"%s\" again",
				index, id);
			return -EINVAL;
		}
	}
	return 0;
}

/* Notes one agent if all that the host relies on is there. */
static int take_agent(
	struct apd_mapped *mapped, const ap_agent *agent, size_t index, struct apd_buf *error)
{
	struct apd_mapped_agent *mine = &mapped->agents[index];
	char field[64];
	int r;

	snprintf(field, sizeof(field), "agents[%zu].size", index);
	if (agent->size < AGENT_SIZE)
		return refuse_number(error, field, "at least ", AGENT_SIZE, agent->size);
	if (!agent->info) {
		apd_buf_addf(error, "agents[%zu].info: wanted a description, found none", index);
		return -EINVAL;
	}
	snprintf(field, sizeof(field), "agents[%zu].info.size", index);
	if (agent->info->size < INFO_SIZE)
		return refuse_number(error, field, "at least ", INFO_SIZE, agent->info->size);
	mine->agent = agent;
	apd_struct_copy(&mine->info, sizeof(mine->info), agent->info, agent->info->size);
	r = check_id(mapped, mine->info.id, index, error);
	if (r < 0)
		return r;
	if (!agent->invoke) {
		apd_buf_addf(
			error, "agent %s: invoke: wanted a function, found none", mine->info.id);
		return -EINVAL;
	}
	/* No extension is offered in this version. */
	if (mine->info.needs && mine->info.needs[0]) {
		apd_buf_addf(error,
			"agent %s: needs: wanted extensions of this host, found \"%.80s\"",
			mine->info.id, mine->info.needs[0]);
		return -EINVAL;
	}
	return check_texts(&mine->info, error);
}

static int take_agents(struct apd_mapped *mapped, struct apd_buf *error)
{
	const ap_agent *const *agents = mapped->plugin.agents;
	size_t n = 0;
	int r = 0;

	if (!agents || !agents[0]) {
		apd_buf_addf(error, "agents: wanted one at least, found none");
		return -EINVAL;
	}
	while (agents[n])
		n++;
	if (n > MAX_AGENTS)
		return refuse_number(error, "agents", "at most ", MAX_AGENTS, (uint32_t)n);
	mapped->agents = apd_calloc(n, sizeof(*mapped->agents));
	for (size_t i = 0; i < n && r == 0; i++)
		r = take_agent(mapped, agents[i], i, error);
	mapped->n_agents = n;
	return r;
}

/* The plugin's constant, or NULL with the linker's sentence. */
static const ap_plugin *map(int plugin_fd, const char **ret_step, struct apd_buf *error)
{
	const ap_plugin *plugin;
	char path[64];
	void *handle;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", plugin_fd);
	*ret_step = "map";
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!handle) {
		apd_buf_add_cstr(error, dlerror());
		return NULL;
	}
	*ret_step = "symbol";
	plugin = dlsym(handle, AP_PLUGIN_SYMBOL);
	if (!plugin)
		apd_buf_addf(error, "wanted the symbol %s, found none", AP_PLUGIN_SYMBOL);
	return plugin;
}

int apd_mapped_open(
	struct apd_mapped *mapped, int plugin_fd, const char **ret_step, struct apd_buf *error)
{
	const ap_plugin *plugin = map(plugin_fd, ret_step, error);
	int r;

	*mapped = (struct apd_mapped){0};
	if (!plugin)
		return -EINVAL;
	*ret_step = "plugin";
	r = check_versions(plugin, error);
	if (r < 0)
		return r;
	apd_struct_copy(&mapped->plugin, sizeof(mapped->plugin), plugin, plugin->size);
	if (!plugin->name || !plugin->name[0]) {
		apd_buf_addf(error, "name: wanted a text, found none");
		return -EINVAL;
	}
	return take_agents(mapped, error);
}

void apd_mapped_finish(struct apd_mapped *mapped)
{
	free(mapped->agents);
	*mapped = (struct apd_mapped){0};
}

const struct apd_mapped_agent *apd_mapped_find(const struct apd_mapped *mapped, struct apd_str id)
{
	for (size_t i = 0; i < mapped->n_agents; i++)
		if (apd_str_is(id, mapped->agents[i].info.id))
			return &mapped->agents[i];
	return NULL;
}
