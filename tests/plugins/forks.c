/*
 * Makes as many processes as its input says, 50 at most, and leaves them
 * behind; with 0 it crashes. They end by themselves after a minute.
 */
#include "plugin.h"

#include <stdlib.h>
#include <unistd.h>

static ap_status invoke(void *self, ap_run *run)
{
	long n = strtol(run->input.ptr, NULL, 10), made = 0;
	char patch[64];

	(void)self;
	if (n == 0)
		__builtin_trap();
	for (; made < n && made < 50; made++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			sleep(60);
			_exit(0);
		}
	}
	snprintf(patch, sizeof(patch), "{\"made\":%ld}", made);
	return commit(run, patch);
}

ONE_AGENT("forks", invoke);
