/* init() fails and says why. */
#include "plugin.h"

static ap_status init(const ap_host *host, ap_error *err)
{
	(void)host;
	snprintf(err->code, sizeof(err->code), "no_model");
	snprintf(err->message, sizeof(err->message), "The model is not there.");
	return AP_E_UNAVAILABLE;
}

static const ap_agent_info info = {
	.size = sizeof(info),
	.id = "agent",
};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "init_fails", .version = "1.0.0", .agents = agents, .init = init);
