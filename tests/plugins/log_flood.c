/* Logs 1,000 lines of 1,000 bytes and one that is too long. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	static char line[20000];

	(void)self;
	memset(line, 'x', sizeof(line));
	run->host->log(run->host, 99, (ap_str){line, sizeof(line)});
	for (int i = 0; i < 1000; i++)
		run->host->log(run->host, AP_LOG_DEBUG, (ap_str){line, 1000});
	return AP_OK;
}

ONE_AGENT("log_flood", invoke);
