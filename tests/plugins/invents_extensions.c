/* Its agent has every extension that anybody asks for. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{}");
}

static const void *get_extension(const ap_agent *agent, const char *id)
{
	(void)id;
	return agent;
}

static const ap_agent_info info = {.size = sizeof(info), .id = "invents_extensions"};
static const ap_agent agent = {
	.size = sizeof(agent), .info = &info, .invoke = invoke, .get_extension = get_extension};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "invents_extensions", .version = "1.0.0", .agents = agents);
