/* Runs only on threads that are kept, and counts its runs in their values. */
#include "plugin.h"

#include <stdlib.h>

static ap_status invoke(void *self, ap_run *run)
{
	const char *n = strstr(run->values.ptr, "\"runs\":");
	char patch[64];

	(void)self;
	if (run->flags & AP_RUN_EPHEMERAL)
		return AP_E_FAILED;
	snprintf(patch, sizeof(patch), "{\"runs\":%d}", n ? atoi(n + 7) + 1 : 1);
	return commit(run, patch);
}

static const ap_agent_info info = {.size = sizeof(info),
	.id = "needs_thread",
	.flags = AP_AGENT_NEEDS_THREAD,
	.max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};
AP_PLUGIN(.name = "needs_thread", .version = "1.0.0", .license = "MIT", .agents = agents);
