/* Leaves a thread behind destroy(), which goes on logging. */
#include "plugin.h"

#include <pthread.h>
#include <unistd.h>

static void *work(void *arg)
{
	const ap_host *host = arg;

	for (;;) {
		host->log(host, AP_LOG_DEBUG, LIT("still here"));
		usleep(100);
	}
	return NULL;
}

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)self;
	(void)err;
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, (void *)host))
		return AP_E_FAILED;
	pthread_detach(thread);
	return AP_OK;
}

static void destroy(void *self)
{
	(void)self;
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{\"done\":true}");
}

static const ap_agent_info info = {.size = sizeof(info), .id = "thread_stays"};
static const ap_agent agent = {.size = sizeof(agent),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "thread_stays", .version = "1.0.0", .agents = agents);
