/*
 * Commits large steps until one cannot be stored, tells the log what commit()
 * gave, and tries that step again until it can be. The values say how many steps
 * there were.
 */
#include "plugin.h"

#include <stdlib.h>
#include <time.h>

#define BYTES 20000

/* Commits {"n":n,"fill":"..."}. */
static ap_status step(ap_run *run, unsigned n)
{
	char patch[BYTES + 64];
	int at = snprintf(patch, sizeof(patch), "{\"n\":%u,\"fill\":\"", n);

	for (size_t i = 0; i < BYTES; i++)
		patch[at++] = (char)('a' + rand() % 26);
	snprintf(patch + at, sizeof(patch) - (size_t)at, "\"}");
	return commit(run, patch);
}

static ap_status invoke(void *self, ap_run *run)
{
	struct timespec pause = {.tv_nsec = 5000000};
	char line[64];
	unsigned n = 1;
	int failed = 0;

	(void)self;
	while (run->ops->check(run) == AP_OK) {
		ap_status s = step(run, n);

		if (s == AP_OK && failed)
			return AP_OK;
		if (s == AP_OK) {
			n++;
			continue;
		}
		if (!failed) {
			snprintf(line, sizeof(line), "step %u gave %d", n, (int)s);
			run->host->log(run->host, AP_LOG_INFO, text(line));
		}
		failed = 1;
		nanosleep(&pause, NULL);
	}
	return run->ops->check(run);
}

ONE_AGENT("commits_again", invoke);
