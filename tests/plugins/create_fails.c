/* create() fails and fills its error to the brim. */
#include "plugin.h"

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)self;
	snprintf(err->code, sizeof(err->code), "bad_key");
	memset(err->message, 'x', sizeof(err->message));
	return AP_E_DENIED;
}

static void destroy(void *self)
{
	(void)self;
	__builtin_trap();
}

static const ap_agent_info info = {.size = sizeof(info), .id = "agent"};
static const ap_agent agent = {.size = sizeof(agent),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "create_fails", .version = "1.0.0", .agents = agents);
