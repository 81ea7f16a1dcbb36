/* apd agents: lists what would be served. */
#include <stdio.h>
#include <stdlib.h>

#include "apd/command.h"
#include "apd/engine.h"
#include "apd/no_storage.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/utf8.h"

enum { OPT_CONFIG, OPT_PLUGIN_DIR, OPT_JSON, OPT_HELP };

static const struct apd_option options[] = {
	[OPT_CONFIG] = {"--config", "-c", "FILE", "the configuration (YAML)"},
	[OPT_PLUGIN_DIR] = {"--plugin-dir", NULL, "DIR",
		"where plugins lie; may stand several times"},
	[OPT_JSON] = {"--json", NULL, NULL, "prints JSON, one agent a line"},
	[OPT_HELP] = {"--help", "-h", NULL, "prints this"},
	{0},
};

/* Prints an agent as a line of JSON. */
static void print_json(const struct apd_agent *agent)
{
	struct apd_buf out = {0};

	apd_buf_lit(&out, "{");
	apd_json_member_str(&out, "agent_id", agent->agent_id);
	apd_json_member_str(&out, "name", agent->name);
	if (agent->description.ptr)
		apd_json_member_str(&out, "description", agent->description);
	apd_json_member_raw(&out, "capabilities", agent->capabilities);
	apd_json_member_raw(&out, "metadata", agent->metadata);
	apd_buf_lit(&out, "}\n");
	fwrite(out.data, 1, out.len, stdout);
	apd_buf_finish(&out);
}

/* Prints an agent as a line of a table. */
static void print_line(const struct apd_agent *agent)
{
	bool broken = agent->state == APD_AGENT_BROKEN;
	struct apd_buf version = {0}, about = {0};

	/* What plugins say must not command the terminal. */
	apd_buf_add_visible(&version, agent->version);
	apd_buf_add_visible(&about, broken ? agent->reason : agent->description);
	printf("%-20.*s %-10.*s %-8s %.*s\n", APD_STR_FMT(agent->agent_id),
		APD_STR_FMT(apd_buf_str(&version)), broken ? "broken" : "ok",
		APD_STR_FMT(apd_buf_str(&about)));
	apd_buf_finish(&version);
	apd_buf_finish(&about);
}

/* Prints all agents; the exit status. */
static int print_agents(const struct apd_config *config, bool json)
{
	struct apd_engine engine;
	struct apd_buf error = {0};
	struct apd_agent_set *set;
	int r = apd_engine_init(&engine, &error);

	if (r == 0)
		r = apd_engine_start(&engine, config, apd_no_storage(), false, &error);
	if (r < 0) {
		fprintf(stderr, "apd: %s\n", error.data);
	} else {
		set = apd_pool_agents(engine.pool);
		if (!json)
			printf("%-20s %-10s %-8s %s\n", "AGENT", "VERSION", "STATE", "ABOUT");
		for (size_t i = 0; i < set->count; i++)
			json ? print_json(set->agents[i]) : print_line(set->agents[i]);
		apd_agent_set_unref(set);
		apd_engine_stop_workers(&engine);
	}
	apd_engine_finish(&engine);
	apd_buf_finish(&error);
	return r < 0 ? 1 : 0;
}

int apd_command_agents(int argc, char **argv)
{
	struct apd_arguments arguments = {options, argc, argv, 0};
	const char *value, *file = NULL, **dirs = NULL;
	struct apd_config config;
	bool json = false;
	int r, status = 2;

	apd_config_init(&config);
	while ((r = apd_arguments_next(&arguments, &value)) >= 0) {
		if (r == OPT_CONFIG)
			file = value;
		else if (r == OPT_PLUGIN_DIR)
			apd_config_add(&config, &dirs, apd_str(value));
		else if (r == OPT_JSON)
			json = true;
		else
			break;
	}
	if (r == OPT_HELP) {
		apd_arguments_help(options, "agents [OPTION]...",
			"Lists the agents that `apd serve` would serve, broken ones with the "
			"reason.");
		status = 0;
	} else if (r == -2) {
		fprintf(stderr, "apd agents: unexpected argument %s\n", value);
	} else if (r == -1 && apd_command_config(&config, file, dirs) == 0) {
		apd_log_set_level(APD_LOG_WARN);
		status = print_agents(&config, json);
	}
	if (r != -1)
		free((void *)dirs);
	apd_config_finish(&config);
	return status;
}
