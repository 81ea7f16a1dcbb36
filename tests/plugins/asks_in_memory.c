/* Keeps what it needs to go on in memory, where another process does not find it. */
#include "plugin.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic int asked;

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("1")};
	const ap_question *const questions[] = {&question};
	ap_status s;

	(void)self;
	if (run->resume.ptr) {
		if (!asked)
			abort();
		return commit(run, "{}");
	}
	asked = 1;
	s = run->ops->interrupt(run, questions, 1, LIT("in memory"));
	return s == AP_OK ? AP_INTERRUPTED : s;
}

ONE_AGENT("asks_in_memory", invoke);
