/* Returns what it must not: AP_INTERRUPTED unasked, or an unknown positive. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return run->input.len == 1 ? AP_INTERRUPTED : 77;
}

ONE_AGENT("odd_status", invoke);
