/* create() takes only the settings {} and does not say what is wrong with others. */
#include "plugin.h"

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	(void)agent;
	(void)host;
	(void)agent_id;
	(void)self;
	(void)err;
	return settings.len == 2 ? AP_OK : AP_E_INVALID;
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{}");
}

static const ap_agent_info info = {.size = sizeof(info), .id = "create_mute"};
static const ap_agent agent = {
	.size = sizeof(agent), .info = &info, .create = create, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "create_mute", .version = "1.0.0", .agents = agents);
