/*
 * A version of confine_version that can be described and whose worker dies while
 * it becomes ready: only an attempt to serve it finds out.
 */
#include "plugin.h"

#include <stdlib.h>

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)self;
	(void)err;
	abort();
}

static const ap_agent_info info = {
	.size = sizeof(info), .id = "version", .max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {
	.size = sizeof(agent), .info = &info, .create = create, .invoke = never};
static const ap_agent *const agents[] = {&agent, NULL};
AP_PLUGIN(.name = "version", .version = "3", .license = "MIT", .agents = agents);
