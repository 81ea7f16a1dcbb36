/* An agent loaded as a host loads it, and run without one. */
#ifndef ABI_STAGE_H
#define ABI_STAGE_H

#include "fake_run.h"

/* One agent, one instance and one run for it. */
struct stage {
	const ap_agent *agent;
	void *self;
	struct fake_run fake;
};

/* Loads a plugin of one agent; what must hold for every plugin is checked here. */
const ap_agent *stage_load(const char *path, const char *id);

/* Makes an instance with these settings and a run without input. */
void stage_init(struct stage *stage, const char *path, const char *id, const char *settings);
void stage_finish(struct stage *stage);

ap_status stage_invoke(struct stage *stage);

/* The last line, which must be a commit, with the "id" of its message taken out. */
const char *stage_committed(struct stage *stage);

#endif
