/* A schema that is an object but no JSON Schema. */
#include "plugin.h"

static const ap_agent_info info = {
	.size = sizeof(info),
	.id = "agent",
	.input_schema = "{\"type\":\"strnig\"}",
};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "schema_unknown_type", .version = "1.0.0", .agents = agents);
