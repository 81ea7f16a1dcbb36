/* A host, a storage and a clock that do what a test says, for direct scenarios. */
#ifndef APD_TEST_FAKES_H
#define APD_TEST_FAKES_H

#include "runtime/inspect.h"
#include "runtime/runtime.h"

#define FAKE_SLOTS 8

struct fake_slot {
	struct apd_slot base;
	bool used, alone;
	unsigned invoked, stopped, abandoned;
	enum apd_stop_reason reason;
	uint32_t listening, attempt;
	int64_t credit;
	uint32_t commit;
	ap_status committed;
	char values[256], transcript[256];
};

struct fake {
	struct apd_clock clock;
	int64_t now;
	struct apd_storage storage;
	struct apd_list batches, loads;
	bool thread_exists;
	struct apd_run_row *stored; /* the last that became durable */
	unsigned stored_count, deleted, threads_put, threads_deleted;
	struct apd_run_row *pending; /* what the load of active runs gives */
	struct apd_host host;
	struct apd_agent agent;
	bool removed;
	struct fake_slot slots[FAKE_SLOTS];
	unsigned n_slots;
	struct apd_runtime_config config;
	struct apd_runtime *rt;
};

struct fake_call {
	struct apd_run_call call;
	unsigned accepted, ended, refused;
	enum apd_problem_code code;
	struct apd_run_row *row; /* a reference: the last that was told */
	struct apd_event_log *log;
	uint64_t log_seq;
};

void fake_init(struct fake *f);
void fake_finish(struct fake *f);

/* A runtime in the fake world; recovered. */
void fake_start(struct fake *f);

/* Creates a run of agent "a" with an input and, if given, messages. */
void fake_create(struct fake *f, struct fake_call *call, enum apd_run_mode mode,
	const struct apd_run_spec *more, const char *messages);
void fake_call_init(struct fake_call *call);
void fake_call_finish(struct fake_call *call);

/* Lets storage finish what it has, with a result. */
void fake_store(struct fake *f, int result);

/* Time goes on. */
void fake_sleep(struct fake *f, int64_t ns);

void fake_commit(struct fake *f, unsigned slot, const char *patch);
void fake_emit(struct fake *f, unsigned slot, ap_channel channel, const char *data);
void fake_done(struct fake *f, unsigned slot, ap_status status);

/* All events of the log as words: "started emitted:DATA ended". */
const char *fake_events(struct apd_event_log *log);

#endif
