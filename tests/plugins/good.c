/* A plugin that does everything right: describes itself, counts in its instance, echoes. */
#include "plugin.h"

#include <stdatomic.h>
#include <stdlib.h>

/* What is alive, so that destroy() and deinit() can be seen to happen. */
static const ap_host *the_host;
static _Atomic int instances;

struct instance {
	char name[64];
	_Atomic int runs;
};

static void say(const char *what)
{
	the_host->log(the_host, AP_LOG_INFO, text(what));
}

static ap_status init(const ap_host *host, ap_error *err)
{
	(void)err;
	the_host = host;
	return host->get_extension(host, "com.example.nothing/1") ? AP_E_FAILED : AP_OK;
}

static void deinit(void)
{
	say(instances == 0 ? "deinit" : "deinit with instances");
}

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	struct instance *instance;

	(void)agent;
	(void)host;
	if (settings.len == 0 || settings.ptr[0] != '{' || settings.ptr[settings.len]) {
		snprintf(err->message, sizeof(err->message), "settings are no object");
		return AP_E_INVALID;
	}
	instance = calloc(1, sizeof(*instance));
	if (!instance)
		return AP_E_NOMEM;
	snprintf(instance->name, sizeof(instance->name), "%.*s", (int)agent_id.len, agent_id.ptr);
	instances++;
	*self = instance;
	return AP_OK;
}

static void destroy(void *self)
{
	struct instance *instance = self;
	char line[96];

	snprintf(line, sizeof(line), "destroy %s", instance->name);
	say(line);
	instances--;
	free(instance);
}

static ap_status invoke(void *self, ap_run *run)
{
	struct instance *instance = self;
	char patch[4096];

	if (run->ops->check(run) < 0)
		return run->ops->check(run);
	snprintf(patch, sizeof(patch), "{\"echo\":%s,\"n\":%d,\"attempt\":%u,\"agent\":\"%s\"}",
		run->input.ptr, (int)++instance->runs, run->attempt, run->agent_id.ptr);
	return commit(run, patch);
}

static const char *const capabilities[] = {"ap.io.streaming", "ap.io.messages", NULL};
static const ap_agent_info info = {
	.size = sizeof(info),
	.flags = AP_AGENT_RETRY_SAFE,
	.id = "good",
	.name = "A \"good\" agent",
	.description = "Echoes.",
	.version = "2.1",
	.capabilities = capabilities,
	.input_schema = "{ \"type\": \"object\" }",
	.settings_schema = "true",
	.metadata = "{\"x\":1}",
	.max_concurrency = 8,
};
static const ap_agent good = {.size = sizeof(good),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = invoke};
static const ap_agent *const agents[] = {&good, NULL};

AP_PLUGIN(.name = "good", .version = "1.2.3", .license = "MIT", .url = "https://example.com/",
	.agents = agents, .init = init, .deinit = deinit);
