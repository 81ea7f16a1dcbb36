/* Works for ever and never looks whether it should stop, unless its input is null. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	volatile int on = run->input.ptr[0] != 'n';

	(void)self;
	while (on)
		;
	return commit(run, "{\"done\":true}");
}

ONE_AGENT("ignores_stop", invoke);
