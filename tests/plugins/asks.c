/* Asks one question and goes on with its answer, wherever that is. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("{\"ok\":null}")};
	const ap_question *const questions[] = {&question};
	ap_status s;

	(void)self;
	if (run->resume.ptr)
		return run->continuation.len == 2 ? commit(run, "{\"answered\":true}")
						  : AP_E_INVALID;
	s = run->ops->interrupt(run, questions, 1, LIT("v1"));
	return s == AP_OK ? AP_INTERRUPTED : s;
}

ONE_AGENT("asks", invoke);
