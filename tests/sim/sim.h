/*
 * The simulator: one world with virtual time in which the runtime lives, dies
 * and is born again, while a ledger remembers what was promised to whom. All
 * chance comes from one seed, so that a failure is a number.
 */
#ifndef APD_SIM_H
#define APD_SIM_H

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "runtime/inspect.h"
#include "runtime/runtime.h"

#define N_AGENTS    5
#define N_THREADS   10
#define MAX_WORKERS 3
#define MAX_SLOTS   4
#define MAX_CLIENTS 160
#define KEPT_ROWS   400 /* ended rows that storage remembers */

/* What the ledger knows of a run. */
struct srun {
	unsigned refs; /* clients, slot, row, and the list of the living */
	uint64_t serial;
	struct apd_id id;
	bool has_id;
	size_t live_index; /* in world.live, plus one; 0: not there */
	/* as asked for */
	enum apd_run_mode mode;
	int agent;
	int thread; /* -1: ephemeral */
	bool behind, keep_going, delete_thread;
	struct apd_text *request;
	/* what happened */
	bool told; /* somebody heard that it exists */
	bool over; /* somebody heard that it ended */
	bool refused;
	enum apd_run_status status; /* as it was told */
	bool cancel_asked, rollback_asked, delete_asked, creator_left;
	bool deleted; /* durably */
	bool done_ok, done_failed, asked, late;
	uint32_t attempt; /* the last that was invoked */
	uint32_t attempt_floor; /* attempts up to this one were used by earlier lives */
	uint32_t invocations;
	uint64_t lost_in; /* world.restarts plus one when a worker died under it */
	uint64_t born; /* world.restarts when it was created */
	uint64_t cancelled_in; /* world.restarts plus one when it was cancelled */
	struct client *creator; /* while it is connected */
	uint64_t emitted; /* by the present attempt */
	struct row *row; /* in storage */
	struct slot *slot; /* where it executes now */
};

/* A run's row as it is durable. */
struct row {
	struct apd_list link; /* in the order of insertion */
	struct apd_list ended; /* in the order of ending */
	struct apd_run_row *row;
	struct srun *run;
};

enum slot_state { SLOT_FREE, SLOT_HELD, SLOT_INVOKED, SLOT_DONE };

/* A place in a worker. */
struct slot {
	struct apd_slot base;
	struct worker *worker;
	enum slot_state state;
	size_t active_index; /* in world.active, plus one */
	struct srun *run;
	uint32_t attempt;
	int64_t credit;
	int64_t sent; /* bytes of events of this attempt */
	int64_t blocked_ns; /* since when it has had no credit, -1: it has */
	int stop; /* enum apd_stop_reason, or 0 */
	uint32_t commits; /* the last number */
	int64_t deadline_ns;
	/* what its agent will do */
	unsigned todo;
	bool flood, hangs, stubborn;
	unsigned open_messages;
};

struct worker {
	int agent;
	bool alive, starting, fenced;
	bool alone;
	int64_t ready_ns;
	struct slot slots[MAX_SLOTS];
};

struct agent {
	char id[8];
	struct apd_agent ready, starting, broken;
	struct apd_agent *now; /* NULL: removed */
	unsigned concurrency;
	bool wanted; /* somebody asked for a slot in vain */
	struct worker workers[MAX_WORKERS];
};

struct client {
	struct apd_run_call call;
	struct world *world;
	size_t index;
	struct srun *run;
	enum apd_run_mode mode;
	bool creator, canceller;
	bool accepted, finished, left;
	/* streams */
	struct apd_event_log *log;
	struct apd_event_reader reader;
	struct apd_watch watch;
	bool reading, watching, news;
	bool whole; /* it has seen everything since the run's first event */
	bool saw_end;
	uint64_t last_seq; /* 0: none yet */
	uint64_t next_n; /* the emission that is due */
	uint32_t attempt;
	int open;
	bool slow;
	int64_t read_bytes, taken_bytes; /* of the present attempt's events */
	int64_t taken_ns; /* when it last got on */
	bool stalled; /* it may be that it holds back no more */
};

struct change {
	struct apd_change change;
	struct world *world;
	struct srun *run;
	bool asked_before;
};

struct load {
	struct apd_list link;
	struct apd_load *load;
};

struct world {
	uint64_t seed, random[2], step;
	bool story;
	struct apd_clock clock;
	int64_t now;
	struct apd_runtime *rt;
	struct apd_runtime_config config;
	bool recovering, stopping, stopped, draining;

	struct apd_storage storage;
	struct apd_list batches; /* apd_batch.link */
	struct apd_list loads; /* apd_load.link */
	struct apd_list rows;
	struct apd_list ended_rows;
	size_t n_ended_rows;
	bool threads[N_THREADS];
	struct apd_id thread_ids[N_THREADS];
	unsigned fail_percent, usual_fail_percent;
	bool sync_storage;
	bool calm; /* the daemon lives long */
	unsigned changes; /* deletions under way */

	struct apd_host host;
	struct agent agents[N_AGENTS];
	struct slot *active[N_AGENTS * MAX_WORKERS * MAX_SLOTS];
	size_t n_active;
	unsigned in_sink; /* the runtime is inside a sink call or another input */

	struct apd_map by_id;
	struct srun **by_serial;
	uint64_t n_serials;
	struct srun **live;
	size_t n_live, cap_live;
	struct client *clients[MAX_CLIENTS];
	size_t n_clients;

	uint64_t created, ended, crashes, restarts, missed, events;
};

/* world.c */
uint64_t sim_random(struct world *w);
unsigned sim_below(struct world *w, unsigned n);
bool sim_chance(struct world *w, unsigned percent);
void sim_fail(struct world *w, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
void sim_story(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_init(struct world *w, uint64_t seed, bool story);
void world_finish(struct world *w);
void world_step(struct world *w);
void world_drain(struct world *w);

#define SIM_CHECK(w, cond, ...)                   \
	do {                                      \
		if (!(cond))                      \
			sim_fail(w, __VA_ARGS__); \
	} while (0)

/* ledger.c */
struct srun *ledger_add(struct world *w);
struct srun *ledger_find(struct world *w, const struct apd_id *id);
struct srun *ledger_by_input(struct world *w, struct apd_str input);
void ledger_learn_id(struct world *w, struct srun *run, const struct apd_id *id);
struct srun *ledger_ref(struct srun *run);
void ledger_unref(struct world *w, struct srun *run);
void ledger_retire(struct world *w, struct srun *run);
struct srun *ledger_pick(struct world *w);
void ledger_told_end(struct world *w, struct srun *run, const struct apd_run_row *row);
void ledger_finish(struct world *w);

/* storage.c */
void storage_init(struct world *w);
void storage_step(struct world *w, unsigned most);
void storage_outage(struct world *w);
void storage_crash(struct world *w);
void storage_finish(struct world *w);

/* host.c, agents.c */
void host_init(struct world *w);
void host_crash(struct world *w);
void host_timers(struct world *w);
void host_wake(struct world *w);
void slot_free(struct world *w, struct slot *slot);
void worker_kill(struct world *w, struct worker *worker, const char *reason);
void agents_step(struct world *w);
void agents_change(struct world *w);
void agents_finish_all(struct world *w);

/* clients.c, streams.c */
void clients_create(struct world *w);
void clients_join(struct world *w);
void clients_cancel(struct world *w);
void clients_look(struct world *w);
void clients_delete(struct world *w);
void clients_leave(struct world *w);
void clients_hang_up(struct world *w);
void clients_crash(struct world *w);
void client_free(struct client *c);
void stream_begin(struct client *c, uint64_t after);
void stream_end(struct client *c);
void stream_read(struct client *c, unsigned most);
void streams_step(struct world *w);
void streams_read_all(struct world *w);

/* checks.c */
void checks_cheap(struct world *w);
void checks_full(struct world *w);
void checks_at_rest(struct world *w);

#endif
