/*
 * What the files of this room share: the runtime's own structures, and which
 * file does what with them.
 *
 * A run is in one phase at a time:
 *
 *	LOADING -> CREATING -> WAITING -> QUEUED -> STARTING -> EXECUTING -> FINISHING -> ENDED
 *
 * A write-behind run begins QUEUED or EXECUTING and goes straight to ENDED. A
 * lost or requeued run goes back to QUEUED. LOADING and WAITING are for runs on
 * kept threads, which are in threads.h. What clients are told is put on a list
 * and told in flush(), so that nobody is called back from deep within.
 */
#ifndef APD_RUNTIME_INTERNAL_H
#define APD_RUNTIME_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/json_scan.h"
#include "base/list.h"
#include "base/map.h"
#include "runtime/runtime.h"
#include "runtime/threads.h"
#include "storage/state.h"

/* A time at which something is to be done. */
struct timer {
	struct apd_timer at;
	void (*fire)(struct apd_runtime *runtime, struct timer *timer);
};

enum run_phase {
	RUN_LOADING = 1, /* waits until its thread is known: nothing of it exists */
	RUN_CREATING, /* its creation is on its way to storage; perhaps it holds a slot already */
	RUN_WAITING, /* exists; runs before it on its thread have not ended */
	RUN_QUEUED, /* waits for a slot */
	RUN_STARTING, /* holds a slot; its start is on its way to storage */
	RUN_EXECUTING, /* invoked */
	RUN_FINISHING, /* over; its end is on its way to storage */
	RUN_ENDED, /* over, and told so */
};

/* What agent runs wait for: slots of one agent. */
struct queue {
	struct apd_list all; /* in runtime.all_queues */
	struct apd_text *agent_id;
	struct apd_list runs; /* run.queue_link, first in first out */
	struct apd_list alone; /* those that must have a worker for themselves */
	struct apd_list dirty; /* in runtime.dirty when it may be that one can start */
	uint32_t waiting; /* runs that are counted: those here, and those that will come */
};

struct open_items;
struct save;

struct apd_run {
	struct apd_list all; /* in runtime.all, in order of creation */
	struct apd_list queue_link; /* in a queue's list */
	struct apd_list thread_link; /* in a kept thread's */
	struct apd_list turn_link; /* in its thread's turns */
	struct apd_list tell_link; /* in runtime.tell: callbacks are due */
	struct apd_list linger_link; /* in runtime.lingering */
	struct apd_list calls; /* who waits */

	struct apd_id id;
	enum run_phase phase;
	enum apd_run_status status;
	enum apd_run_mode mode;
	bool behind; /* write-behind: nobody was promised anything */
	bool keep_going;
	bool delete_thread;
	bool create_thread;
	bool known; /* clients can know of it: durable, or write-behind */
	bool accept_due; /* the creator has not been told yet that the run exists */
	bool end_due; /* waiters have not been told yet that it ended */
	bool counted; /* in its queue's waiting */
	bool alone;
	bool cancel_later; /* the creator left before the run was durable */
	bool cancel_asked, deadline_passed, rollback, shutdown_asked;
	bool asked; /* the agent asked a person */
	bool deleted; /* a client deleted it after its end */
	bool messages_in; /* the request's messages are in the state */
	bool began; /* kept: its input checkpoint was made, behind base_id */
	bool began_durable; /* and is in storage */
	bool base_known; /* what base says is in memory: not after a restart */
	bool reloaded; /* its thread turned out to be gone and was read again */
	bool requeue; /* at shutdown: to be put back once its start has come back */
	enum apd_stop_reason stop_told; /* what the agent heard, or 0 */
	bool invoked; /* the present attempt was sent to the agent */
	bool saving; /* behind: its final row is on its way */
	bool gone; /* rolled back or deleted: nobody finds it any more */

	uint32_t attempt; /* of the present or last invocation */
	uint32_t attempt_durable; /* as storage has it */
	uint32_t listening; /* as the host knows it */
	int64_t step; /* ephemeral: of the next commit */
	struct apd_id checkpoint_id; /* ephemeral: of the last one */
	uint64_t log_before; /* the number before the run's first event */
	int64_t deadline_ns; /* of the present attempt, 0: none */
	int64_t created_us, started_us, ended_us, updated_us;

	struct apd_text *request; /* holds the bytes of the ranges below */
	struct apd_str body; /* the request as a Run shows it */
	struct apd_str agent_id, input, messages, config, metadata; /* within request */
	struct apd_str webhook, resume, update, jump; /* within request, or absent */
	enum apd_multitask multitask;
	struct apd_run_row *row; /* as it is told; NULL: made when somebody asks */
	struct apd_run_row *final; /* the end, not yet told */

	struct queue *queue;
	struct thread *thread; /* &own for an ephemeral run */
	struct thread own;
	struct apd_agent *agent; /* a reference, from the slot on */
	struct apd_slot *slot;
	struct apd_state *state;
	struct open_items *open;
	struct apd_text *asks; /* JSON array of the questions */
	struct apd_text *continuation; /* what the agent left with them */
	struct apd_text *error; /* why it ended without success: a JSON object */
	struct save *save; /* its creation, its start or its end, on its way */
	struct demand demand; /* LOADING: waits for its thread */
	struct apd_id base_id; /* the thread's newest checkpoint before it, or nil */
	struct thread_tip base; /* what a rollback goes back to */
	struct apd_list commits; /* kept: commits that wait for the one on its way */
	struct save *commit; /* which is this */
	struct apd_run_call *creator;

	/* Back-pressure: bytes that the agent used and that were not given back. */
	uint64_t used;
	uint64_t owed; /* of these, ready to be given back */
	bool holds; /* the creating stream has to take an event before it counts */
	struct apd_event_reader taken; /* behind the last event that it took */
	int64_t taken_ns;
	struct timer stall;

	struct timer stop; /* the deadline, then the end of the grace */
	int64_t linger_ns; /* until when */
};

/* What a batch on its way is about. */
enum save_kind {
	SAVE_CREATE = 1,
	SAVE_START,
	SAVE_FINAL,
	SAVE_BEHIND, /* final rows of write-behind runs, several in one batch */
	SAVE_REQUEUE, /* at shutdown */
	SAVE_COMMIT, /* one checkpoint */
};

struct save {
	struct apd_list all; /* in runtime.all_saves, or runtime.save_pool */
	struct apd_batch batch;
	struct apd_runtime *runtime;
	enum save_kind kind;
	bool with_start; /* CREATE: started_at rides along */
	struct apd_run *run; /* NULL once the run no longer cares */
	struct apd_run_row *start; /* CREATE, START: the row to be told when it is durable */
	struct apd_thread_row *thread_row; /* CREATE, FINAL: what the thread's row becomes */
	struct checkpoint_made made; /* CREATE, START, COMMIT: the checkpoint, or no row */
	uint32_t number, attempt; /* COMMIT: whom to answer */
	bool outbox; /* FINAL: a webhook rides along */
	bool deletes; /* FINAL: the thread goes with it */
	struct apd_run *runs[APD_COUNT(((struct apd_batch *)0)->ops)]; /* BEHIND */
	uint32_t n_runs;
	uint32_t tries;
	struct timer retry;
};

/* Reading a thread. */
struct thread_load {
	struct apd_list all; /* in runtime.all_loads */
	struct apd_load load;
	struct apd_runtime *runtime;
	struct thread *thread;
};

struct apd_runtime {
	struct apd_runtime_config config;
	const struct apd_clock *clock;
	struct apd_storage *storage;
	struct apd_host *host;
	struct apd_id_gen gen;

	struct apd_map runs; /* by run_id */
	struct apd_map threads; /* kept ones, by id */
	struct apd_map queues; /* by agent_id */
	struct apd_list all_queues;
	struct apd_heap timers;
	struct apd_list all; /* runs */
	struct apd_list pool; /* free runs, by .all */
	struct apd_list all_saves;
	struct apd_list save_pool; /* free saves */
	struct apd_list all_loads;
	struct apd_list works; /* clients' calls about threads */
	struct apd_list answers; /* those that are to be answered */
	struct apd_list dead; /* runs to be freed at the end of a flush, by .linger_link */
	uint32_t pool_count, save_pool_count;

	/* What the next flush does. */
	struct apd_list dirty; /* queues */
	struct apd_list tell; /* runs */
	struct apd_list news; /* threads */
	struct apd_list orphans; /* watches of logs whose thread is gone */
	struct apd_list outbox; /* batches */
	struct apd_list refused; /* batches of changes that were refused at once */
	struct save *behind; /* the batch of write-behind rows that is being filled */
	bool outbox_news; /* webhooks became durable */
	bool flushing;

	struct apd_list idle; /* kept threads that nobody needs, the first to go first */
	struct timer idle_over;
	size_t idle_bytes;
	struct apd_list lingering; /* runs, the first to go first */
	struct timer linger;
	size_t logs_bytes; /* of segments */
	size_t linger_bytes; /* reckoned for ended runs that linger */
	uint64_t seq_floor; /* numbers up to this one were used by kept threads' logs */

	uint32_t waiting; /* runs in all queues */
	uint32_t executing; /* runs that hold a slot */
	uint32_t threads_count;
	uint32_t behind_rows; /* write-behind rows on their way */
	uint32_t loads; /* reads on their way */
	uint32_t saves; /* batches on their way or waiting for another try */
	uint32_t changes; /* of clients, on their way */
	struct apd_runtime_stats stats;

	bool shutting_down, shutdown_done, destroying;
	struct timer shutdown;
	void (*shutdown_done_fn)(void *data);
	void *shutdown_data;
	void (*outbox_fn)(void *data);
	void *outbox_data;

	struct apd_load recover_load;
	void (*recovered)(void *data, int result);
	void *recover_data;
	uint32_t recovering; /* threads that are still to be read */
	int recover_result;

	struct apd_json json, json2; /* scratch */
	struct apd_buf buf, buf2, buf3;
};

/* runtime.c: time */
static inline int64_t runtime_now(const struct apd_runtime *rt)
{
	return rt->clock->mono_ns(rt->clock);
}
static inline int64_t runtime_wall(const struct apd_runtime *rt)
{
	return rt->clock->wall_us(rt->clock);
}
void apd_rt_timer_set(struct apd_runtime *rt, struct timer *timer, int64_t at_ns,
	void (*fire)(struct apd_runtime *rt, struct timer *timer));
void apd_rt_timer_clear(struct apd_runtime *rt, struct timer *timer);

/* run.c: making, finding and freeing runs, and their rows */
struct apd_run *apd_rt_run_create(struct apd_runtime *rt, const struct apd_id *id);
void apd_rt_run_free(struct apd_runtime *rt, struct apd_run *run);
struct apd_run *apd_rt_run_find(struct apd_runtime *rt, const struct apd_id *id);
/*
 * A new row of the run as it is now; the caller's reference. result may be NULL, and is
 * taken over.
 */
struct apd_run_row *apd_rt_run_make_row(struct apd_run *run, struct apd_text *result);
/* The row as it is told, made when it is not there yet; borrowed. */
struct apd_run_row *apd_rt_run_told_row(struct apd_run *run);
void apd_rt_run_set_row(struct apd_run *run, struct apd_run_row *row);
/* The run is over: lets go of all but what may still be told. */
void apd_rt_run_strip(struct apd_runtime *rt, struct apd_run *run);
/* Once all was told and is durable the run lingers, or goes. */
void apd_rt_run_settle(struct apd_runtime *rt, struct apd_run *run);
/* Answers the changes that were refused. */
void apd_rt_changes_refuse(struct apd_runtime *rt);
/* Frees what was found dead. */
void apd_rt_runs_bury(struct apd_runtime *rt);

/* logs.c: events into logs, watches, retention */
struct apd_event_log *apd_rt_thread_log(struct apd_runtime *rt, struct thread *thread);
void apd_rt_log_append(struct apd_runtime *rt, struct apd_run *run, struct apd_event *event);
void apd_rt_log_close(struct apd_runtime *rt, struct thread *thread);
void apd_rt_logs_note_news(struct apd_runtime *rt, struct thread *thread);
void apd_rt_logs_tell_news(struct apd_runtime *rt);
void apd_rt_logs_trim(struct apd_runtime *rt);
void apd_rt_logs_linger(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_logs_unlinger(struct apd_runtime *rt, struct apd_run *run);
/* Lets go of the thread's log and its watches. */
void apd_rt_log_drop(struct apd_runtime *rt, struct thread *thread);
uint32_t apd_rt_thread_channels(const struct thread *thread);

/* create.c */
/* Gives up a run that does not come to be; nobody but its creator can know of it. */
void apd_rt_create_fail(struct apd_runtime *rt, struct apd_run *run, enum apd_problem_code code);
void apd_rt_create_saved(
	struct apd_runtime *rt, struct save *save, struct apd_run *run, int result);

/* schedule.c: queues and slots */
struct queue *apd_rt_queue_get(struct apd_runtime *rt, struct apd_str agent_id);
bool apd_rt_queue_has_room(
	struct apd_runtime *rt, struct queue *queue, const struct apd_agent *agent);
void apd_rt_queue_count(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_queue_uncount(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_queue_push(struct apd_runtime *rt, struct apd_run *run, bool first);
void apd_rt_queue_remove(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_queue_mark(struct apd_runtime *rt, struct queue *queue);
void apd_rt_queue_pump(struct apd_runtime *rt, struct queue *queue);
void apd_rt_queue_free_all(struct apd_runtime *rt);
/* Takes a slot for the run if there is one. */
bool apd_rt_slot_acquire(struct apd_runtime *rt, struct apd_run *run, struct apd_agent *agent);
void apd_rt_slot_release(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_slot_abandon(struct apd_runtime *rt, struct apd_run *run);
/* The slot is no longer the run's, whatever became of it. */
void apd_rt_slot_forget(struct apd_runtime *rt, struct apd_run *run);

/* invoke.c: from slot to INVOKE */
void apd_rt_run_got_slot(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_run_invoke(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_start_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result);
/* The start of a run on a kept thread failed, and is not tried again. */
void apd_rt_start_give_up(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_run_update_listening(struct apd_runtime *rt, struct apd_run *run);

/* emit.c: the agent's events, and credit */
void apd_rt_sink_emitted(void *data, struct apd_slot *slot, const struct apd_emission *emission);
void apd_rt_credit_hold(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_credit_reset(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_credit_let_go(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_credit_taken(struct apd_runtime *rt, struct apd_run *run, uint64_t seq);

/* commit.c */
void apd_rt_sink_commit(void *data, struct apd_slot *slot, const struct apd_commit *commit);
/* What a request brings into the state of an ephemeral thread. */
void apd_rt_run_take_messages(struct apd_runtime *rt, struct apd_run *run);

/* commit_kept.c: commits of runs on kept threads, durable one after the other */
void apd_rt_commit_take(
	struct apd_runtime *rt, struct apd_run *run, const struct apd_commit *commit);
void apd_rt_commit_saved(
	struct apd_runtime *rt, struct save *save, struct apd_run *run, int result);
/* Hands the next commit to storage when nothing is on its way. */
void apd_rt_commits_next(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_commits_drop(struct apd_run *run);

/* begin.c: the input checkpoint of a run on a kept thread */
/* Makes it and adds it to the batch, unless the run began already. */
void apd_rt_run_begin(struct apd_runtime *rt, struct apd_run *run, struct save *save);
/* The batch is durable. */
void apd_rt_run_began(struct apd_run *run, struct save *save);
/* The batch failed: the run has not begun. */
void apd_rt_run_unbegin(struct apd_run *run);

/* open_items.c: what an attempt left open */
void apd_rt_open_items_take(
	struct apd_runtime *rt, struct apd_run *run, const struct apd_emission *e);
void apd_rt_open_items_close(struct apd_runtime *rt, struct apd_run *run, const char *why);
void apd_rt_open_items_free(struct open_items *items);

/* How a run ends. */
struct ending {
	enum apd_run_status status;
	enum apd_run_error error; /* 0: none */
	struct apd_str message;
	struct apd_str agent_code;
};

/* output.c: the result of a run as text */
/*
 * The row of the ended run, with its error and its output; the caller's reference.
 * goes: its thread goes with it, and so the checkpoint that the output could be read from.
 */
struct apd_run_row *apd_rt_output_row(struct apd_runtime *rt, struct apd_run *run, bool goes);
/* Why the run ended, as an object; NULL when nothing is wrong. */
struct apd_text *apd_rt_output_error(struct apd_runtime *rt, const struct ending *ending);
/* The row without the output that its checkpoint has anyway, now that all were told. */
void apd_rt_output_lighten(struct apd_run *run);
/* Checks the values against the agent's schema: 0, or -EINVAL with a sentence. */
int apd_rt_output_check(struct apd_runtime *rt, struct apd_run *run, char *message, size_t size);

/* finish.c: the end of a run */
/* Puts the end into the log; nothing follows there where the thread ends with its run. */
void apd_rt_log_end(struct apd_runtime *rt, struct apd_run *run, const struct apd_run_row *row);
/* Ends the run; its slot must be given up already. */
void apd_rt_run_finish(struct apd_runtime *rt, struct apd_run *run, const struct ending *ending);
/* The run is over for everybody: the row, taken over, is told; the thread is free. */
void apd_rt_run_ended(struct apd_runtime *rt, struct apd_run *run, struct apd_run_row *row);
void apd_rt_run_drop_asks(struct apd_run *run);

/* final.c: the end on its way to storage */
void apd_rt_final_saved(struct apd_runtime *rt, struct save *save, struct apd_run *run, int result);
/* Hands the end to storage if nothing of the run is on its way there. */
void apd_rt_run_finish_go(struct apd_runtime *rt, struct apd_run *run);
/* webhook_row.c */
/* Adds the webhook to the batch of the run's end. */
void apd_rt_webhook_put(struct apd_runtime *rt, struct apd_run *run, struct save *save);
/* Takes off the rows of runs that clients deleted meanwhile, before another try. */
void apd_rt_behind_skip_deleted(struct apd_runtime *rt, struct save *save);
void apd_rt_behind_saved(struct apd_runtime *rt, struct save *save, int result);
void apd_rt_sink_done(void *data, struct apd_slot *slot, ap_status status, struct apd_str code,
	struct apd_str message);
void apd_rt_sink_asked(void *data, struct apd_slot *slot, const struct apd_ask *asks, size_t n,
	struct apd_str continuation);

void apd_rt_sink_slots(void *data, struct apd_str agent_id);

/* retry.c */
void apd_rt_sink_lost(void *data, struct apd_slot *slot, const char *reason);

/* stop.c: cancel, deadline, grace */
void apd_rt_run_set_deadline(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_run_cancel(struct apd_runtime *rt, struct apd_run *run, bool rollback);
void apd_rt_tell_stop(struct apd_runtime *rt, struct apd_run *run, enum apd_stop_reason reason);
void apd_rt_run_end_cancelled(struct apd_runtime *rt, struct apd_run *run);
/* Ends a run that has not begun for one that came later. */
void apd_rt_run_end_superseded(struct apd_runtime *rt, struct apd_run *run);

/* calls.c: who waits */
void apd_rt_call_add(struct apd_run *run, struct apd_run_call *call, enum apd_run_mode mode);
/* The call's last callback is near: the run forgets it. */
struct apd_run_call *apd_rt_call_detach(struct apd_run_call *call);
void apd_rt_call_refuse(struct apd_run_call *call, const struct apd_problem *problem);
/* What a refusal says where there is no more to say. */
const char *apd_rt_refusal(enum apd_problem_code code);
/*
 * Refuses all of a list of calls; background: also creators that only wait for their run to
 * exist.
 */
void apd_rt_calls_refuse(struct apd_list *list, enum apd_problem_code code, bool background);
void apd_rt_calls_tell_later(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_calls_tell(struct apd_runtime *rt, struct apd_run *run);

/* saves.c: batches on their way */
struct save *apd_rt_save_create(struct apd_runtime *rt, enum save_kind kind, struct apd_run *run);
void apd_rt_save_submit(struct apd_runtime *rt, struct save *save);
void apd_rt_save_retry(struct apd_runtime *rt, struct save *save);
void apd_rt_save_free(struct apd_runtime *rt, struct save *save);
/* The run no longer cares for what it has on its way. */
void apd_rt_save_detach(struct apd_runtime *rt, struct apd_run *run);
/* What write-behind runs left so far goes before what is submitted next. */
void apd_rt_behind_submit(struct apd_runtime *rt);
void apd_rt_saves_flush(struct apd_runtime *rt);

/* shutdown.c */
void apd_rt_shutdown_check(struct apd_runtime *rt);
/* Ends a run that the shutdown stopped, or puts it back for the next life. */
void apd_rt_run_end_by_shutdown(struct apd_runtime *rt, struct apd_run *run);
void apd_rt_run_requeue_at_shutdown(struct apd_runtime *rt, struct apd_run *run);

#endif
