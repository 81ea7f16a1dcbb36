/* Ends the host's thread in place of returning, unless its input is null. */
#include "plugin.h"

#include <pthread.h>

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	if (run->input.ptr[0] != 'n')
		pthread_exit(NULL);
	return commit(run, "{\"done\":true}");
}

ONE_AGENT("thread_exits", invoke);
