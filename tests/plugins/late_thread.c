/* Leaves a thread behind that waits in commit() and in emit() when invoke() returns. */
#include "plugin.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic int started;
static pthread_t thread;

static void *work(void *arg)
{
	ap_run *run = arg;

	started = 1;
	commit(run, "{\"late\":true}");
	return NULL;
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	started = 0;
	if (pthread_create(&thread, NULL, work, run))
		return AP_E_FAILED;
	while (!started || !run->ops->listening(run))
		;
	return AP_OK;
}

static void destroy(void *self)
{
	(void)self;
	pthread_join(thread, NULL);
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
	return AP_OK;
}

static const ap_agent_info info = {.size = sizeof(info), .id = "late_thread"};
static const ap_agent agent = {.size = sizeof(agent),
	.info = &info,
	.create = create,
	.destroy = destroy,
	.invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "late_thread", .version = "1.0.0", .agents = agents);
