/* Waits in poll() until stop_fd is readable. */
#include "plugin.h"

#include <poll.h>

static ap_status invoke(void *self, ap_run *run)
{
	struct pollfd stop = {.fd = run->stop_fd, .events = POLLIN};

	(void)self;
	if (poll(&stop, 1, 0) != 0)
		return run->ops->check(run) < 0 ? run->ops->check(run) : AP_E_CONFLICT;
	emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":\"here\"}");
	poll(&stop, 1, -1);
	return run->ops->check(run);
}

ONE_AGENT("stop_fd", invoke);
