/* A schema that is not JSON. */
#include "plugin.h"

static const ap_agent_info info = {
	.size = sizeof(info),
	.id = "agent",
	.input_schema = "{\"type\":}",
};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

const ap_plugin ap_plugin_v1 = {
	.magic = AP_PLUGIN_MAGIC,
	.size = sizeof(ap_plugin),
	.abi_major = AP_ABI_MAJOR,
	.abi_minor = AP_ABI_MINOR,
	.needs_minor = 0,
	.name = "refused",
	.version = "1.0.0",
	.agents = agents,
};
