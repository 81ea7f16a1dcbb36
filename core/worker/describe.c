/* The description of a plugin, as HELLO carries it. What is absent is left out. */
#include "base/json_text.h"
#include "worker/mapped.h"

static void add_text(struct apd_buf *out, const char *key, const char *text)
{
	if (text)
		apd_json_member_str(out, key, apd_str(text));
}

/* Adds a text that was found to be JSON. */
static void add_json(struct apd_buf *out, const char *key, const char *json)
{
	if (json)
		apd_json_member_raw(out, key, apd_str(json));
}

static void add_capabilities(struct apd_buf *out, const char *const *capabilities)
{
	apd_json_add_key(out, "capabilities");
	apd_buf_add_char(out, '[');
	for (; capabilities && *capabilities; capabilities++) {
		apd_json_add_comma(out);
		apd_json_add_string(out, apd_str(*capabilities));
	}
	apd_buf_add_char(out, ']');
}

static void add_agent(struct apd_buf *out, const ap_agent_info *info)
{
	apd_json_add_comma(out);
	apd_buf_add_char(out, '{');
	add_text(out, "id", info->id);
	add_text(out, "name", info->name);
	add_text(out, "description", info->description);
	add_text(out, "version", info->version);
	add_capabilities(out, info->capabilities);
	apd_json_member_i64(out, "flags", info->flags);
	apd_json_member_i64(
		out, "max_concurrency", info->max_concurrency ? info->max_concurrency : 1);
	add_json(out, "input_schema", info->input_schema);
	add_json(out, "output_schema", info->output_schema);
	add_json(out, "state_schema", info->state_schema);
	add_json(out, "config_schema", info->config_schema);
	add_json(out, "settings_schema", info->settings_schema);
	add_json(out, "metadata", info->metadata);
	apd_buf_add_char(out, '}');
}

void apd_mapped_describe(const struct apd_mapped *mapped, struct apd_buf *out)
{
	const ap_plugin *plugin = &mapped->plugin;

	apd_buf_add_char(out, '{');
	add_text(out, "name", plugin->name);
	add_text(out, "version", plugin->version);
	add_text(out, "license", plugin->license);
	add_text(out, "url", plugin->url);
	apd_json_member_i64(out, "abi_minor", plugin->abi_minor);
	apd_json_add_key(out, "agents");
	apd_buf_add_char(out, '[');
	for (size_t i = 0; i < mapped->n_agents; i++)
		add_agent(out, &mapped->agents[i].info);
	apd_buf_lit(out, "]}");
}
