/* Writes 20,000 lines to stdout, and what no log may show as it is to stderr. */
#include "plugin.h"

#include <stdlib.h>

static ap_status invoke(void *self, ap_run *run)
{
	(void)self;
	fputs("\033[2J\001\177 bell\007\n", stderr);
	for (int i = 0; i < 20000; i++)
		puts("flooding the log");
	for (int i = 0; i < 100000; i++)
		putchar('y');
	puts("");
	fflush(stdout);
	return commit(run, "{\"done\":true}");
}

ONE_AGENT("output_flood", invoke);
