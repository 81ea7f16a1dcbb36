/* Writes to nowhere. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	(void)run;
	__builtin_trap();
}

ONE_AGENT("crash", invoke);
