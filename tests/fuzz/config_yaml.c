/*
 * apd.yaml of any content: it is refused with one sentence that begins with the
 * file's name, or all of the configuration is within its limits.
 */
#include <stdint.h>
#include <stdlib.h>

#include "apd/config.h"
#include "apd/config_scalar.h"
#include "base/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process if something that has to hold does not. */
static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A JSON object, or NULL. */
static void must_be_object(const char *text)
{
	struct apd_json json = {0};

	if (!text)
		return;
	must(apd_json_scan(&json, apd_str(text)) == 0);
	must(apd_json_type(&json, 0) == APD_JSON_OBJECT);
	apd_json_finish(&json);
}

/* Looks at every string of a list. */
static void must_be_list(const char *const *list)
{
	for (; list && *list; list++)
		must(strlen(*list) < SIZE_MAX);
}

static void check(struct apd_config *config)
{
	struct apd_buf error = {0};
	struct apd_host_config host;
	const char *name;
	uint16_t port;

	must(config->listen && config->data_dir && config->workers_max > 0);
	must_be_list(config->plugin_dirs);
	must_be_list(config->cors_origins);
	for (size_t i = 0; i < config->n_agents; i++) {
		const struct apd_agent_config *agent = &config->agents[i];

		must(agent->agent_id && config_scalar_is_agent_id(apd_str(agent->agent_id)));
		must(agent->plugin && agent->timeout_ns >= 0 && agent->grace_ns >= 0);
		must_be_object(agent->settings);
		must_be_object(agent->metadata);
		must_be_list(agent->env);
	}
	apd_config_host(config, &host);
	must(host.n_agents == config->n_agents && host.emit_max > 0);
	must((apd_config_listen(config, &name, &port, &error) == 0) == (error.len == 0));
	apd_buf_finish(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct apd_str text = {(const char *)data, size};
	struct apd_config config;
	struct apd_buf error = {0};

	apd_config_init(&config);
	if (apd_config_parse(&config, "apd.yaml", text, &error) == 0) {
		must(error.len == 0);
		check(&config);
	} else {
		must(error.len > 9 && memcmp(error.data, "apd.yaml:", 9) == 0);
	}
	apd_buf_finish(&error);
	apd_config_finish(&config);
	return 0;
}
