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
#define N_PLACES    10 /* threads that clients know of */
#define N_KEYS      6 /* of values, and of metadata */
#define MAX_WORKERS 3
#define MAX_SLOTS   4
#define MAX_CLIENTS 160
#define KEPT_ROWS   400 /* ended rows that storage remembers */

/* ---- states as the ledger reckons them, without a line of the runtime's ---- */

struct said {
	uint32_t id; /* of m1, m2, ...; 0: whoever stores it chooses one */
	uint32_t n; /* what it says; in a patch 0: it is taken away */
};

/* A state. Immutable; NULL is the empty one. */
struct model {
	unsigned refs;
	uint32_t values[N_KEYS]; /* of k0, k1, ...; 0: absent */
	bool has_messages;
	unsigned n_said;
	struct said said[];
};

/* What a commit, a request or a PATCH changes. Its numbers are of no other. */
struct patch {
	unsigned refs;
	uint32_t values[N_KEYS]; /* 0: stays */
	unsigned removed; /* bits of keys */
	bool says; /* there are messages, if only none */
	bool forgets; /* all messages are removed */
	unsigned n_said;
	struct said said[4];
	unsigned padding; /* of the first message */
};

/* Questions of an agent: q<serial>-0, q<serial>-1, ... */
struct questions {
	uint32_t serial; /* 0: none */
	unsigned n;
	bool continued; /* with the continuation C<serial> */
};

enum answer_kind { ANSWER_NONE, ANSWER_ONE, ANSWER_MAP };

/* What a resuming run says: R<number>, to each of some questions. */
struct answers {
	enum answer_kind kind;
	uint32_t number;
	uint32_t serial; /* MAP: of the questions */
	unsigned mask; /* MAP: which of them */
};

enum commit_state { COMMIT_SENT, COMMIT_STORING, COMMIT_DURABLE, COMMIT_FAILED };

/* An agent's commit to a kept thread. */
struct scommit {
	struct apd_list link; /* in the order of the calls */
	uint32_t number;
	enum commit_state state;
	bool orphan; /* nobody waits for its answer any more */
	struct apd_id checkpoint_id; /* from STORING on */
	struct patch *patch;
};

/* A checkpoint as it is durable, and what it must add up to. */
struct point {
	struct apd_checkpoint_row *row;
	struct apd_state *state; /* folded of the rows */
	struct model *model; /* reckoned */
	size_t chain;
};

/* A kept thread: as it is durable, and as it should be. */
struct thr {
	unsigned refs; /* its place, its existence, runs, calls */
	struct apd_list link; /* in world.thrs */
	struct apd_id id;
	unsigned number;
	const struct thr *copy_of; /* only to compare */
	int place; /* -1: none */
	bool exists;
	unsigned births, deaths;
	struct apd_thread_row *row;
	struct point *points; /* the newest last */
	size_t n_points, cap_points;
	unsigned pending, started; /* run rows */
	unsigned deleting; /* DELETEs under way */
	unsigned flying; /* checkpoints on their way */
	/* what the row has to say */
	enum apd_thread_rest rest;
	struct questions questions;
	uint32_t metadata[N_KEYS];
	bool either; /* ... or what an end that never began makes of it */
	enum apd_thread_rest other_rest;
};

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
	struct thr *thr; /* NULL: ephemeral */
	enum apd_multitask multitask;
	bool behind, keep_going, delete_thread, create_thread, webhook;
	struct patch *input; /* the request's messages and update */
	struct answers answers;
	bool jumps;
	bool exists_before; /* its thread, when it was asked for */
	unsigned births, deaths;
	struct apd_text *request;
	/* what happened */
	bool told; /* somebody heard that it exists */
	bool over; /* somebody heard that it ended */
	bool refused;
	enum apd_run_status status; /* as it was told */
	bool cancel_asked, rollback_asked, delete_asked, creator_left;
	bool deleted; /* durably */
	bool done_ok, done_failed, asked, late;
	bool overtaken; /* another run or a deletion may have stopped it */
	bool undone; /* ... or undone it */
	struct questions questions; /* of the present attempt */
	bool paused; /* the present attempt returned after it asked */
	struct apd_list commits; /* scommit.link */
	bool began; /* its input checkpoint was durable */
	size_t base_n; /* checkpoints before it */
	bool hooked; /* its webhook is in the outbox, or was */
	uint32_t attempt; /* the last that was invoked */
	uint32_t attempt_floor; /* attempts up to this one were used by earlier lives */
	uint32_t invocations;
	uint64_t lost_in; /* world.restarts plus one when a worker died under it */
	uint64_t born; /* world.restarts when it was created */
	uint64_t cancelled_in; /* world.restarts plus one when it was cancelled */
	uint64_t rolled_in; /* the same for when its agent was told that it is undone */
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
	bool many; /* threads of its own: does not wait for its commits */
	unsigned waits; /* commits that were not answered */
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

enum tcall_kind { CALL_CREATE, CALL_PATCH, CALL_COPY, CALL_DELETE };

/* A client's call about a thread. */
struct tcall {
	struct apd_thread_call call;
	struct apd_list link; /* in world.tcalls, or world.answered */
	struct world *world;
	enum tcall_kind kind;
	struct thr *thr;
	bool answered;
	bool was_busy; /* the thread, when it was asked */
	bool existing;
	/* when it was asked */
	bool existed;
	unsigned births, deaths;
	/* PATCH and CREATE */
	bool has_metadata;
	uint32_t metadata[N_KEYS]; /* PATCH: 0 stays, UINT32_MAX goes */
	struct patch *patch;
	bool has_at;
	struct apd_id at;
	/* what became durable of it */
	bool got_metadata, got_point, got_thread;
	struct thr *copy; /* one of the copies under way: keeps it in the ledger */
};

/* A row of the outbox. */
struct hook {
	struct apd_list link;
	struct apd_outbox_row *row;
};

struct change {
	struct apd_change change;
	struct apd_list link; /* in world.changes, or world.answered_changes */
	struct world *world;
	struct srun *run;
	bool asked_before, answered;
};

/* A read under way: what it saw, once it saw it. */
struct load {
	struct apd_list link;
	struct apd_load *load;
	bool read;
	int result;
	struct apd_load seen;
};

struct world {
	uint64_t seed, random[2], step;
	bool story;
	struct apd_clock clock;
	int64_t now;
	struct apd_runtime *rt;
	struct apd_runtime_config config;
	bool recovering, stopping, stopped, stillborn;

	struct apd_storage storage;
	struct apd_list batches; /* apd_batch.link */
	struct apd_list loads; /* load.link */
	struct apd_list rows;
	struct apd_list ended_rows;
	size_t n_ended_rows;
	struct apd_map threads; /* thr, by id */
	struct apd_list thrs;
	struct thr *places[N_PLACES];
	unsigned n_thrs; /* ever */
	struct apd_list hooks;
	unsigned n_hooks;
	unsigned hooks_due; /* steps since rows of the outbox are durable and were not told */
	uint32_t numbers; /* the last that was used in a patch */
	struct apd_id_gen ids; /* of threads that clients make */
	struct apd_json json, json2; /* scratch */
	struct apd_buf buf, buf2;
	unsigned fail_percent, usual_fail_percent;
	bool sync_storage;
	bool calm; /* the daemon lives long */
	struct apd_list changes; /* deletions of runs under way */
	struct apd_list tcalls; /* calls about threads under way */
	struct apd_list answered, answered_changes; /* those that must not be answered again */
	bool in_call; /* the runtime is taking a call about a thread */

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
	uint64_t failures; /* of storage */
	uint64_t points, wholes, resumes, rollbacks, calls, sweeps, hooked;
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
bool ledger_may_be_stopped(const struct srun *run);
void ledger_told_end(struct world *w, struct srun *run, const struct apd_run_row *row);
void ledger_finish(struct world *w);

/* model.c */
struct model *model_ref(struct model *model);
void model_unref(struct model *model);
struct model *model_apply(const struct model *model, const struct patch *patch);
/* Whether a state, or its JSON, is what was reckoned. */
bool model_is(const struct model *model, const struct apd_state *state);
bool model_is_json(
	struct world *w, const struct model *model, struct apd_str values, struct apd_str messages);
enum patch_kind { PATCH_COMMIT, PATCH_REQUEST, PATCH_CLIENT };
struct patch *patch_make(struct world *w, enum patch_kind kind, const struct model *before);
struct patch *patch_ref(struct patch *patch);
void patch_unref(struct patch *patch);
/* Its values as members of an object, without braces; its messages as an array. */
void patch_add_values(struct apd_buf *out, const struct patch *patch);
void patch_add_messages(struct apd_buf *out, const struct patch *patch);
void patch_add_removed(struct apd_buf *out, const struct patch *patch);

/* questions.c */
void questions_ask(struct world *w, struct slot *slot);
/* Reads what a thread's row says. */
void questions_check(struct world *w, const struct thr *thr);
struct questions questions_of(struct world *w, const struct apd_thread_row *row);
void answers_choose(struct world *w, struct srun *run);
void answers_add(struct apd_buf *out, const struct answers *answers);
void answers_check(struct world *w, const struct srun *run, const struct apd_invocation *what);
bool answers_fit(const struct answers *answers, const struct questions *questions);

/* threads.c: kept threads, durable */
struct thr *thr_find(struct world *w, const struct apd_id *id);
struct thr *thr_add(struct world *w, const struct apd_id *id);
struct thr *thr_ref(struct thr *thr);
void thr_unref(struct world *w, struct thr *thr);
void thr_place(struct world *w, struct thr *thr, int place);
struct thr *thr_pick(struct world *w);
struct point *thr_head(const struct thr *thr);
struct model *thr_model(const struct thr *thr);
struct point *thr_point(const struct thr *thr, const struct apd_id *id);
void thr_put(struct world *w, struct thr *thr, struct apd_thread_row *row);
void thr_drop(struct world *w, struct thr *thr);
void thr_copy(struct world *w, struct thr *from, struct apd_thread_row *row);
void thr_add_point(struct world *w, struct thr *thr, struct apd_checkpoint_row *row);
void thr_undo(struct world *w, struct thr *thr, const struct apd_id *after);
void thr_view(const struct thr *thr, const struct point *at, struct apd_load *load);
/* What a run's end makes of its thread. */
void thr_expect_end(
	struct world *w, struct thr *thr, const struct srun *run, const struct apd_run_row *row);
void thr_check(struct world *w, struct thr *thr);
void threads_init(struct world *w);
void threads_sweep(struct world *w);
void threads_tidy(struct world *w);
void threads_finish(struct world *w);

/* commits.c: what agents commit */
struct scommit *commit_add(struct world *w, struct slot *slot);
void commit_storing(struct world *w, const struct apd_checkpoint_row *row);
void commit_failed(struct world *w, const struct apd_checkpoint_row *row);
struct patch *commit_stored(struct world *w, const struct apd_checkpoint_row *row);
void commits_orphan(struct srun *run);
void commits_forget(struct srun *run);
void commits_answered(struct world *w, struct slot *slot, uint32_t number, ap_status status);

/* thread_calls.c */
void calls_make(struct world *w);
struct patch *calls_take_point(struct world *w, struct thr *thr,
	const struct apd_checkpoint_row *row, const struct model *parent,
	const struct apd_state *state);
void calls_take_metadata(struct world *w, struct thr *thr, const uint32_t *metadata, bool born);
void calls_take_copy(struct world *w, struct thr *from, struct thr *to);
struct thr *calls_name_copy(struct world *w, struct thr *from, const struct apd_id *to_id);
bool calls_may_create(struct world *w, const struct thr *thr);

void calls_crash(struct world *w);
void calls_forget_answered(struct world *w);
void metadata_add(struct apd_buf *out, const uint32_t *metadata);
void metadata_of(struct apd_str json, uint32_t *ret_metadata);

/* storage.c */
void storage_init(struct world *w);
void storage_step(struct world *w, unsigned most);
void storage_outage(struct world *w);
void storage_crash(struct world *w);
void storage_finish(struct world *w);
void storage_delete_thread(struct world *w, struct thr *thr, const struct apd_batch *batch);
struct srun *storage_earlier(struct world *w, const struct srun *run);

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
void clients_forget_changes(struct world *w, struct apd_list *changes);
void client_free(struct client *c);
void stream_begin(struct client *c, uint64_t after);
void stream_end(struct client *c);
void stream_read(struct client *c, unsigned most);
void streams_step(struct world *w);
void streams_read_all(struct world *w);

/* loads.c */
void load_begin(struct apd_storage *storage, struct apd_load *base);
void loads_step(struct world *w);
void loads_crash(struct world *w);

/* judge.c: what one batch does */
struct judged {
	struct thr *thr;
	struct srun *undone;
};
void judge_before(struct world *w, const struct apd_batch *batch, struct judged *judged);
void judge_after(struct world *w, const struct apd_batch *batch, const struct judged *judged);

/* requests.c: what clients ask for */
void request_webhook(const struct srun *run, char *out, size_t size);
void request_make(struct world *w, struct srun *run, struct apd_run_spec *spec);

/* checks.c */
void checks_cheap(struct world *w);
void checks_full(struct world *w);
void checks_at_rest(struct world *w);

#endif
