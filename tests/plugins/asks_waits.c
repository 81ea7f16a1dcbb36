/* Asks; resumed, it commits, and works on until it is stopped. */
#include "plugin.h"

#include <poll.h>

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("{\"wait\":true}")};
	const ap_question *const questions[] = {&question};
	struct pollfd stop = {.fd = run->stop_fd, .events = POLLIN};
	ap_status s;

	(void)self;
	if (!run->resume.ptr) {
		s = commit(run, "{\"asked\":true}");
		if (s == AP_OK)
			s = run->ops->interrupt(run, questions, 1, LIT("w\0x"));
		return s == AP_OK ? AP_INTERRUPTED : s;
	}
	s = commit(run, "{\"resumed\":true}");
	if (s < 0)
		return s;
	poll(&stop, 1, -1);
	return run->ops->check(run);
}

ONE_AGENT("asks_waits", invoke);
