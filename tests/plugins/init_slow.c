/* init() takes its time. */
#include "plugin.h"

#include <unistd.h>

static ap_status init(const ap_host *host, ap_error *err)
{
	(void)host;
	(void)err;
	usleep(300000);
	return AP_OK;
}

static const ap_agent_info info = {.size = sizeof(info), .id = "init_slow"};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "init_slow", .version = "1.0.0", .agents = agents, .init = init);
