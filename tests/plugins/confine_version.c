/* Commits which version of it runs, {"version": VERSION}; built as two plugins with one agent. */
#include "plugin.h"

#define TEXT_(n) #n
#define TEXT(n)  TEXT_(n)

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{\"version\":" TEXT(VERSION) "}");
}

static const ap_agent_info info = {
	.size = sizeof(info), .id = "version", .max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};
AP_PLUGIN(.name = "version", .version = TEXT(VERSION), .license = "MIT", .agents = agents);
