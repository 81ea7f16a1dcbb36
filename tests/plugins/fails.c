/* Fails and says why; the last call counts. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	run->ops->fail(run, AP_E_FAILED, LIT("first"), LIT("First."));
	return run->ops->fail(run, AP_E_UNAVAILABLE, LIT("model_overloaded"), LIT("Try later."));
}

ONE_AGENT("fails", invoke);
