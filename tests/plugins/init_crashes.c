/* init() crashes. */
#include "plugin.h"

static ap_status init(const ap_host *host, ap_error *err)
{
	volatile int *nowhere = NULL;

	(void)host;
	(void)err;
	*nowhere = 1;
	return AP_OK;
}

static const ap_agent_info info = {
	.size = sizeof(info),
	.id = "agent",
};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "init_crashes", .version = "1.0.0", .agents = agents, .init = init);
