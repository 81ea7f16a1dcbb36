/* Waits until its stop() is called, which also tries an op that it must not. */
#include "plugin.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int stops;
static ap_status in_stop;

static void stop(void *self, ap_run *run)
{
	(void)self;
	pthread_mutex_lock(&lock);
	stops++;
	in_stop = run->ops->check(run) < 0 ? emit(run, AP_CHANNEL_CUSTOM, NULL, "{}") : AP_OK;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static ap_status invoke(void *self, ap_run *run)
{
	ap_status s[2];

	(void)self;
	emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":\"here\"}");
	pthread_mutex_lock(&lock);
	while (!stops)
		pthread_cond_wait(&changed, &lock);
	s[0] = stops;
	s[1] = in_stop;
	stops = 0;
	pthread_mutex_unlock(&lock);
	tell(run, s, 2);
	return run->ops->check(run);
}

static const ap_agent_info info = {.size = sizeof(info), .id = "stop_callback"};
static const ap_agent agent = {
	.size = sizeof(agent), .info = &info, .invoke = invoke, .stop = stop};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "stop_callback", .version = "1.0.0", .agents = agents);
