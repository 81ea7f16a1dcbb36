/* Commits as often as the input says, then waits for a stop if there is one to come. */
#include "plugin.h"

#include <poll.h>
#include <stdlib.h>

static ap_status invoke(void *self, ap_run *run)
{
	int n = atoi(run->input.ptr);

	(void)self;
	for (int i = 0; i < abs(n); i++) {
		ap_status s = commit(run, "{\"n\":1}");

		if (s < 0)
			return s;
	}
	if (n < 0) {
		struct pollfd stop = {.fd = run->stop_fd, .events = POLLIN};

		poll(&stop, 1, -1);
		return run->ops->check(run);
	}
	return AP_OK;
}

ONE_AGENT("commits", invoke);
