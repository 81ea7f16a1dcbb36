/* Asks, and then does not wait for an answer: succeeds, fails or dies, as the input says. */
#include "plugin.h"

#include <stdlib.h>

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("1")};
	const ap_question *const questions[] = {&question};
	ap_status s;

	(void)self;
	s = run->ops->interrupt(run, questions, 1, LIT("v1"));
	if (s < 0)
		return s;
	if (run->input.len == 7) /* "crash" with its quotes */
		abort();
	return run->input.len == 6 ? AP_E_FAILED : AP_OK; /* "fail" */
}

ONE_AGENT("asks_for_nothing", invoke);
