/*
 * What a plugin leaves changed in its process although it must not: signal
 * handlers, umask, working directory, locale, environment, threads, processes.
 * Only for a process of the plugin's own.
 */
#ifndef APD_WORKER_TRACES_H
#define APD_WORKER_TRACES_H

#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>

#define APD_TRACES_SIGNALS 32

struct apd_worker;

/* How the process was before the plugin was mapped. */
struct apd_traces {
	void (*handlers[APD_TRACES_SIGNALS])(int number);
	mode_t umask;
	struct stat directory;
	uint64_t environment; /* a hash */
	unsigned threads; /* 0: they cannot be counted */
};

void apd_traces_note(struct apd_traces *traces);

/* Reports what is not as it was noted; the plugin has been left, the worker has one thread. */
void apd_traces_report(const struct apd_traces *traces, struct apd_worker *worker);

#endif
