/* Ends the process with success in place of returning, unless its input is null. */
#include "plugin.h"

#include <stdlib.h>

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	if (run->input.ptr[0] != 'n')
		exit(0); /* NOLINT: that is the misbehaviour */
	return commit(run, "{\"done\":true}");
}

ONE_AGENT("process_exits", invoke);
