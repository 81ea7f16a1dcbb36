/* Emits as many events as its input says, and fails with what emit() gave. */
#include "plugin.h"

#include <stdlib.h>

static ap_status invoke(void *self, ap_run *run)
{
	long n = strtol(run->input.ptr, NULL, 10);
	ap_status s = AP_OK;
	char data[64];

	(void)self;
	for (long i = 0; i < n && s == AP_OK; i++) {
		snprintf(data, sizeof(data), "{\"name\":\"token\",\"payload\":%ld}", i);
		s = emit(run, AP_CHANNEL_CUSTOM, NULL, data);
	}
	return s;
}

ONE_AGENT("flood", invoke);
