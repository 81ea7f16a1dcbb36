/* init() fails with bytes that no terminal and no JSON may see. */
#include "plugin.h"

static ap_status init(const ap_host *host, ap_error *err)
{
	(void)host;
	snprintf(err->code, sizeof(err->code), "bad\033[31m");
	snprintf(err->message, sizeof(err->message), "\xff\xfe \"quoted\" \n second line \x7f end");
	return AP_E_FAILED;
}

static const ap_agent_info info = {.size = sizeof(info), .id = "agent"};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "init_babbles", .version = "1.0.0", .agents = agents, .init = init);
