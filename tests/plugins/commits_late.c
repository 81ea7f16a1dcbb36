/* Waits for a stop, and commits what it has then; the log tells what commit() gave. */
#include "plugin.h"

#include <poll.h>

static ap_status invoke(void *self, ap_run *run)
{
	struct pollfd stop = {.fd = run->stop_fd, .events = POLLIN};
	char line[64];
	ap_status s;

	(void)self;
	s = commit(run, "{\"early\":true}");
	if (s < 0)
		return s;
	poll(&stop, 1, -1);
	s = commit(run, "{\"late\":true}");
	snprintf(line, sizeof(line), "the late commit gave %d", (int)s);
	run->host->log(run->host, AP_LOG_INFO, text(line));
	return run->ops->check(run);
}

ONE_AGENT("commits_late", invoke);
