/* Exports a second symbol. */
#include "plugin.h"

AP_EXPORT int helper(void);

int helper(void)
{
	return 1;
}

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	return commit(run, "{}");
}

ONE_AGENT("exports_more", invoke);
