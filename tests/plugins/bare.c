/* The least that is a plugin: an agent that returns at once. Also what the benchmark runs. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	(void)run;
	return AP_OK;
}

ONE_AGENT("bare", invoke);
