/* create() does not return. */
#include "plugin.h"

#include <unistd.h>

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)self;
	(void)err;
	while (pause() < 0)
		;
	return AP_OK;
}

static const ap_agent_info info = {.size = sizeof(info), .id = "create_hangs"};
static const ap_agent agent = {
	.size = sizeof(agent), .info = &info, .create = create, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "create_hangs", .version = "1.0.0", .agents = agents);
