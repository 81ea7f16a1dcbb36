/* What the little plugins of the tests share: short words for what every agent has to say. */
#ifndef TESTS_PLUGINS_PLUGIN_H
#define TESTS_PLUGINS_PLUGIN_H

#include <ap/agent.h>
#include <stdio.h>
#include <string.h>

/* The range of a string literal, and of a C string. */
#define LIT(literal) ((ap_str){"" literal, sizeof(literal) - 1})

static inline ap_str text(const char *s)
{
	return (ap_str){s, s ? strlen(s) : 0};
}

/* Emits on a channel, without a node. */
static inline ap_status emit(ap_run *run, ap_channel channel, const char *ns, const char *data)
{
	const ap_event event = {
		.size = sizeof(event), .channel = channel, .ns = text(ns), .data = text(data)};

	return run->ops->emit(run, &event);
}

static inline ap_status commit(ap_run *run, const char *patch)
{
	const ap_step step = {.size = sizeof(step), .name = LIT("step"), .patch = text(patch)};

	return run->ops->commit(run, &step);
}

/* Commits {"status":[...]}: how a plugin tells a test what the ops gave. */
static inline ap_status tell(ap_run *run, const ap_status *status, size_t n)
{
	char patch[1024];
	int at = snprintf(patch, sizeof(patch), "{\"status\":[");

	for (size_t i = 0; i < n; i++)
		at += snprintf(patch + at, sizeof(patch) - (size_t)at, "%s%d", i ? "," : "",
			(int)status[i]);
	snprintf(patch + at, sizeof(patch) - (size_t)at, "]}");
	return commit(run, patch);
}

/* A plugin with one agent that has only invoke(). */
#define ONE_AGENT(the_id, the_invoke)                                                      \
	static const ap_agent_info only_info = {                                           \
		.size = sizeof(only_info), .id = the_id, .max_concurrency = AP_UNLIMITED}; \
	static const ap_agent only = {                                                     \
		.size = sizeof(only), .info = &only_info, .invoke = the_invoke};           \
	static const ap_agent *const agents[] = {&only, NULL};                             \
	AP_PLUGIN(.name = the_id, .version = "1.0.0", .license = "MIT", .agents = agents)

/* An invoke() for plugins that are refused before anything is called. */
static inline ap_status never(void *self, ap_run *run)
{
	(void)self;
	(void)run;
	return AP_E_FAILED;
}

#endif
