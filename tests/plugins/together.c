/* Returns only when as many runs are inside as its input says. */
#include "plugin.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long inside;

static ap_status invoke(void *self, ap_run *run)
{
	long n = strtol(run->input.ptr, NULL, 10);

	(void)self;
	pthread_mutex_lock(&lock);
	inside++;
	pthread_cond_broadcast(&changed);
	while (inside < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return AP_OK;
}

ONE_AGENT("together", invoke);
