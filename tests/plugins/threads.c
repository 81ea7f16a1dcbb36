/* Emits from four threads of its own, which are done before it returns. */
#include "plugin.h"

#include <pthread.h>

static void *work(void *arg)
{
	ap_run *run = arg;

	for (int i = 0; i < 100; i++)
		if (emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":\"thread\"}") < 0)
			return run;
	return commit(run, "{\"done\":true}") < 0 ? run : NULL;
}

static ap_status invoke(void *self, ap_run *run)
{
	pthread_t threads[4];
	ap_status s = AP_OK;
	void *failed;

	(void)self;
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, work, run))
			return AP_E_FAILED;
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		if (failed)
			s = AP_E_FAILED;
	}
	return s;
}

ONE_AGENT("threads", invoke);
