/* Its instances leave a thread, a descriptor and memory behind. */
#include "plugin.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *stay(void *data)
{
	pause();
	return data;
}

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	static int begun;
	pthread_t thread;

	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)err;
	*self = malloc(100);
	if (begun++)
		return AP_OK;
	if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ||
		pthread_create(&thread, NULL, stay, NULL) || pthread_detach(thread))
		return AP_E_FAILED;
	return AP_OK;
}

static void destroy(void *self)
{
	(void)self;
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{}");
}

static const ap_agent_info info = {.size = sizeof(info), .id = "leaves_things"};
static const ap_agent agent = {.size = sizeof(agent),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "leaves_things", .version = "1.0.0", .agents = agents);
