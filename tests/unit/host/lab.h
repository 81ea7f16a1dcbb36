/*
 * A laboratory for tests of the host: a plugin directory of its own, a loop, a
 * pool, and a sink that writes down what it is told.
 */
#ifndef TESTS_HOST_LAB_H
#define TESTS_HOST_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "host/pool.h"

/* What became of a run. */
struct lab_run {
	struct apd_slot *slot; /* NULL when it is gone */
	unsigned emitted, commits, asked;
	char data[256]; /* of the last event */
	char patch[256]; /* of the last commit */
	bool done, lost;
	bool keep; /* not released when it is done */
	bool silent; /* its commits are not answered */
	ap_status status;
	char code[64];
	char reason[256]; /* why it was lost */
};

struct lab {
	char dir[64];
	const char *dirs[2];
	uv_loop_t loop;
	uv_timer_t tick;
	struct apd_host_config config;
	struct apd_agent_config agents[4];
	struct apd_pool *pool;
	struct apd_host *host;
	struct apd_buf error;
	unsigned slots_calls;
	bool in_op; /* set while an op runs: the sink must not be called */
	struct lab_run *abandon_with; /* abandoned when any run is lost */
};

/* A description with agents of the given JSON. */
#define LAB_PLUGIN(name, version, agents) \
	"{\"name\":\"" name "\",\"version\":\"" version "\",\"agents\":[" agents "]}"
#define LAB_AGENT(id, more) "{\"id\":\"" id "\"" more "}"
#define LAB_MANY            ",\"max_concurrency\":4294967295"

void lab_init(struct lab *lab);
void lab_finish(struct lab *lab);

/* Writes a plugin file that makes the scripted worker begin with the word. Replaces an older one. */
void lab_plugin(struct lab *lab, const char *file, const char *word, const char *description);

/* Copies a plugin that was built into the directory. */
void lab_copy(struct lab *lab, const char *file, const char *from);

/* The path of a file in the plugin directory; valid until the next call. */
const char *lab_path(struct lab *lab, const char *file);

/* Makes the pool, which must work. */
void lab_open(struct lab *lab);

/* Turns the loop once. Fails the test when the time is over. */
void lab_turn(struct lab *lab, int64_t until_ns, const char *what);

#define LAB_LIMIT_NS (30 * APD_NS_PER_S)

/* Turns the loop until it is so. */
#define lab_until(lab, is_so)                                              \
	do {                                                               \
		int64_t lab_until_ns = apd_clock_mono_ns() + LAB_LIMIT_NS; \
		while (!(is_so))                                           \
			lab_turn(lab, lab_until_ns, #is_so);               \
	} while (0)

/* Tries to get a slot; NULL if there is none now. */
struct apd_slot *lab_acquire(struct lab *lab, const char *agent_id, bool alone);

/* Waits for a slot and starts a run whose input is the script; one in braces is JSON as it is. */
void lab_start(struct lab *lab, struct lab_run *run, const char *agent_id, const char *script);
void lab_start_alone(
	struct lab *lab, struct lab_run *run, const char *agent_id, const char *script);

/* Starts the run in a slot that was acquired. */
void lab_invoke(struct lab *lab, struct lab_run *run, const char *script);

void lab_stop_run(struct lab *lab, struct lab_run *run);
void lab_release(struct lab *lab, struct lab_run *run);
void lab_abandon(struct lab *lab, struct lab_run *run);

/* The agent as it is published now; valid until the loop turns again. NULL: there is none. */
struct apd_agent *lab_agent(struct lab *lab, const char *agent_id);

/* The pid a run told of with the word "pid", or 0. */
int lab_pid(const struct lab_run *run);

struct apd_pool_stats lab_stats(struct lab *lab);

#endif
