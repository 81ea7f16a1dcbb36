/*
 * What a worker says of its plugin in HELLO, of any content: it is refused with
 * a sentence, or every part of it is what the daemon takes it for.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "host/description.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process if something that has to hold does not. */
static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A text, or absent; with a NUL behind it either way. */
static void must_be_text(struct apd_str s)
{
	must(s.ptr ? s.ptr[s.len] == '\0' : s.len == 0);
}

/* JSON, or absent. */
static void must_be_json(struct apd_str s, bool object)
{
	struct apd_json json = {0};

	must_be_text(s);
	must(!s.ptr || apd_json_scan(&json, s) == 0);
	must(!s.ptr || !object || apd_json_type(&json, 0) == APD_JSON_OBJECT);
	apd_json_finish(&json);
}

static void check_agent(
	const struct apd_description *description, const struct apd_described *agent)
{
	must(apd_agent_id_ok(agent->id));
	must(apd_description_find(description, agent->id) == agent);
	must(agent->name.ptr && agent->version.ptr && agent->max_concurrency > 0);
	must_be_text(agent->id);
	must_be_text(agent->name);
	must_be_text(agent->description);
	must_be_text(agent->version);
	must(agent->capabilities.ptr);
	must_be_json(agent->capabilities, true);
	must_be_json(agent->metadata, true);
	must_be_json(agent->input_schema, false);
	must_be_json(agent->output_schema, false);
	must_be_json(agent->state_schema, false);
	must_be_json(agent->config_schema, false);
	must_be_json(agent->settings_schema, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct apd_description *description = NULL;
	char why[200] = "";

	if (apd_description_parse((struct apd_str){(const char *)data, size}, &description, why,
		    sizeof(why)) < 0) {
		must(why[0] && !description);
		return 0;
	}
	must(description->name.len > 0 && description->n_agents > 0);
	must_be_text(description->name);
	must_be_text(description->version);
	for (size_t i = 0; i < description->n_agents; i++)
		check_agent(description, &description->agents[i]);
	apd_description_destroy(description);
	return 0;
}
