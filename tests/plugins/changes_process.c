/* Changes its process in every way that it must not, in create(); nothing of it is undone. */
#include "plugin.h"

#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void *wait_for_ever(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

static ap_status create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	pthread_t thread;

	(void)agent;
	(void)host;
	(void)agent_id;
	(void)settings;
	(void)self;
	(void)err;
	signal(SIGTERM, SIG_IGN);
	umask(027);
	setenv("CHANGED", "yes", 1);
	if (chdir("/proc") < 0 || !setlocale(LC_ALL, "C.UTF-8") ||
		pthread_create(&thread, NULL, wait_for_ever, NULL))
		return AP_E_FAILED;
	if (fork() == 0) {
		sleep(60);
		_exit(0);
	}
	return AP_OK;
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{\"done\":true}");
}

static const ap_agent_info info = {.size = sizeof(info), .id = "changes_process"};
static const ap_agent agent = {
	.size = sizeof(agent), .info = &info, .create = create, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "changes_process", .version = "1.0.0", .agents = agents);
