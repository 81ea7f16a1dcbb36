/* A host, a storage and a clock that do what a test says, for direct scenarios. */
#ifndef APD_TEST_FAKES_H
#define APD_TEST_FAKES_H

#include "runtime/inspect.h"
#include "runtime/runtime.h"

#define FAKE_SLOTS   8
#define FAKE_THREADS 4
#define FAKE_POINTS  32
#define FAKE_RUNS    16

struct fake_slot {
	struct apd_slot base;
	bool used, alone;
	unsigned invoked, stopped, abandoned;
	enum apd_stop_reason reason;
	uint32_t listening, attempt;
	int64_t credit;
	uint32_t commits; /* made */
	uint32_t commit; /* the last that was answered */
	ap_status committed;
	uint32_t flags;
	char values[256], transcript[256], resume[256], jump[64], continuation[64];
};

/* A kept thread in the fake storage. */
struct fake_thread {
	struct apd_thread_row *row;
	struct apd_checkpoint_row *points[FAKE_POINTS];
	unsigned n_points;
};

struct fake {
	struct apd_clock clock;
	int64_t now;
	struct apd_storage storage;
	struct apd_list batches, loads;
	struct fake_thread threads[FAKE_THREADS];
	unsigned n_threads;
	struct apd_run_row *runs[FAKE_RUNS]; /* of kept threads */
	unsigned n_runs;
	struct apd_outbox_row *hook; /* the last webhook */
	unsigned hooks, hooks_told;
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

/* Until nothing is left. */
void fake_store_all(struct fake *f);

/* The runtime dies; storage stays; the next one reads what there is. */
void fake_restart(struct fake *f);

/* The thread as it is in storage, or NULL. */
struct fake_thread *fake_thread(struct fake *f, unsigned id);

/* Puts an empty thread there; interrupts: its questions, or NULL. */
void fake_thread_put(struct fake *f, unsigned id, const char *interrupts);

/* The retention takes it. */
void fake_sweep(struct fake *f, unsigned id);

/* The state in storage as JSON, "none" without the thread. */
const char *fake_state(struct fake *f, unsigned id);

/* The sources of its checkpoints, a letter each: "il" is input, loop. */
const char *fake_sources(struct fake *f, unsigned id);

/* The row of a run of a kept thread in storage, or NULL. */
struct apd_run_row *fake_run(struct fake *f, const struct apd_id *id);

/* A specification for a run on thread id. */
struct apd_run_spec fake_spec(unsigned id, enum apd_multitask multitask);

/* Time goes on. */
void fake_sleep(struct fake *f, int64_t ns);

/* A commit that is answered at once, or when storage has it. */
void fake_commit(struct fake *f, unsigned slot, const char *patch);
void fake_commit_later(struct fake *f, unsigned slot, const char *patch);
void fake_emit(struct fake *f, unsigned slot, ap_channel channel, const char *data);
void fake_done(struct fake *f, unsigned slot, ap_status status);
void fake_ask(struct fake *f, unsigned slot, const char *id, const char *continuation);
void fake_lose(struct fake *f, unsigned slot);

/* What became of a call about a thread. */
struct fake_thread_call {
	struct apd_thread_call call;
	unsigned done;
	enum apd_problem_code code;
	struct apd_id id;
	char json[1024]; /* the view */
};
void fake_thread_call_init(struct fake_thread_call *call);
void fake_patch(struct fake *f, struct fake_thread_call *call, unsigned id, const char *metadata,
	const char *values, const struct apd_id *checkpoint_id);

/* All events of the log as words: "started emitted:DATA ended". */
const char *fake_events(struct apd_event_log *log);

#endif
