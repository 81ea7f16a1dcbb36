/* Says that it takes any number of runs, and dies when two are inside at once. */
#include "plugin.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic int inside;

static ap_status invoke(void *self, ap_run *run)
{
	ap_status s;

	(void)self;
	if (inside++)
		abort();
	s = commit(run, "{}");
	inside--;
	return s;
}

ONE_AGENT("not_reentrant", invoke);
