/* destroy() crashes. */
#include "plugin.h"

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)self;
	(void)err;
	return AP_OK;
}

static void destroy(void *self)
{
	(void)self;
	__builtin_trap();
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{\"done\":true}");
}

static const ap_agent_info info = {.size = sizeof(info), .id = "destroy_crashes"};
static const ap_agent agent = {.size = sizeof(agent),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "destroy_crashes", .version = "1.0.0", .agents = agents);
