/* Calls itself until the stack is full. */
#include "plugin.h"

static int deeper(volatile char *above)
{
	volatile char here[4096];

	here[0] = above[0];
	return deeper(here) + here[0];
}

static ap_status invoke(void *self, ap_run *run)
{
	volatile char top[1] = {1};

	(void)self;
	(void)run;
	return deeper(top) ? AP_OK : AP_E_FAILED;
}

ONE_AGENT("stack_overflow", invoke);
