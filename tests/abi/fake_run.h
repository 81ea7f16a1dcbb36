/* A run without a host: ops that write down what they are asked and answer as they are told. */
#ifndef ABI_FAKE_RUN_H
#define ABI_FAKE_RUN_H

#include <ap/agent.h>

#define FAKE_LINES 256

struct fake_run {
	ap_run run; /* pass &fake.run; change the fields before */
	ap_run_ops ops;
	ap_host host;
	int pipe[2]; /* run.stop_fd reads pipe[0] */

	/* What happened, a line an op, all NUL-terminated:
	 * "messages NODE JSON", "tools  JSON", "custom  JSON", "commit STEP JSON",
	 * "commit STEP JSON without JSON" where keys are removed, "ask ID JSON CONTINUATION", "fail STATUS CODE MESSAGE", "log LEVEL TEXT" */
	char *lines[FAKE_LINES];
	int count;

	/* The script. */
	ap_status stop_status; /* what check() says once it is stopped */
	int stopped;
	int stop_after_emits; /* stops when so many events were sent; 0 never */
	ap_status commit_status; /* what commit() answers */
	uint32_t listening;
};

/* Ready to run, everybody listens. The run's strings are absent but run_id, "run-1". */
void fake_run_init(struct fake_run *fake);
void fake_run_finish(struct fake_run *fake);

/* Stops the run as a host does: check() fails and stop_fd is readable. */
void fake_run_stop(struct fake_run *fake, ap_status status);

/* Forgets what happened. */
void fake_run_forget(struct fake_run *fake);

#endif
