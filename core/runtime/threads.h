/*
 * Kept threads within the runtime: what is in memory of one, whose turn it is,
 * and what waits for it.
 *
 * A kept thread is read from storage before the first thing is done with it,
 * and stays in memory while somebody needs it and for a while after. Whatever
 * is asked of it is a demand. Demands are taken in the order in which they
 * came, once the thread is known, and only one at a time that changes the
 * thread's own row, so that none is based on a row that then does not come to
 * be.
 */
#ifndef APD_RUNTIME_THREADS_H
#define APD_RUNTIME_THREADS_H

#include "runtime/runtime.h"

enum thread_phase {
	THREAD_UNKNOWN = 0, /* what storage has of it is not in memory */
	THREAD_LOADING,
	THREAD_ABSENT, /* there is none */
	THREAD_THERE,
};

struct thread;
struct thread_load;

/* Something that waits for a kept thread. Embedded in a run or in a thread_work. */
struct demand {
	struct apd_list link; /* in thread.demands */
	bool changes_row; /* the thread's own row must not be on its way meanwhile */
	/* The thread is known and it is the demand's turn: 0; or it cannot be read: an errno. */
	void (*go)(struct apd_runtime *rt, struct demand *demand, int result);
	/* The runtime shuts down: it cannot be met any more. */
	void (*drop)(struct apd_runtime *rt, struct demand *demand);
	/* The thread of that id is another one now. */
	void (*move)(struct demand *demand, struct thread *to);
};

/* What storage has of a kept thread, as far as it is durable. */
struct thread_tip {
	struct apd_checkpoint_row *head; /* the newest checkpoint, or NULL */
	struct apd_state *state; /* at the head */
	size_t chain; /* what reading the state costs: weights since the last whole one */
};

/* A thread in memory: an ephemeral run's own, or a kept one. */
struct thread {
	struct apd_id id;
	bool kept;
	bool gone; /* deleted: another thread may have the id by now */
	bool held; /* a change of its row is on its way: demands wait */
	bool pumping;
	enum thread_phase phase;
	struct apd_run *active; /* the run whose turn it is */
	struct apd_list turns; /* run.turn_link: those that wait for theirs */
	struct apd_list demands;
	struct thread_work *deletion; /* waits for the runs to end */
	struct thread_load *load;

	struct apd_thread_row *row; /* when it is there */
	struct thread_tip tip;
	struct apd_id newest; /* the next checkpoint's id is greater */

	struct apd_event_log *log; /* NULL until somebody may read it */
	bool log_closed;
	struct apd_list runs; /* kept: run.thread_link of all in memory */
	struct apd_list watches;
	struct apd_list news; /* in runtime.news */
	uint32_t listeners[8];

	struct apd_list idle_link; /* in runtime.idle: nobody needs it now */
	int64_t idle_ns; /* until when it stays */
	size_t idle_bytes;
};

/* A client's call about a thread, until it is answered. */
struct thread_work {
	struct apd_list all; /* in runtime.works */
	struct apd_list answer; /* in runtime.answers */
	struct demand demand;
	struct apd_runtime *runtime;
	struct thread *thread; /* NULL once it is answered */
	struct apd_thread_call *call;
	struct apd_problem problem;
	struct apd_batch batch;
	struct apd_load load; /* of an older checkpoint */
	bool existing; /* create: one that is there is no problem */
	struct apd_thread_row *row; /* what the thread's row becomes */
	struct thread_tip tip; /* what its state becomes */
	struct apd_thread_patch patch;
};

/* thread.c: threads in memory */
struct thread *apd_rt_thread_find(struct apd_runtime *rt, const struct apd_id *id);
/* The kept thread of that id; makes one of which nothing is known. */
struct thread *apd_rt_thread_get(struct apd_runtime *rt, const struct apd_id *id);
/* Gives an ephemeral run a thread of its own. */
void apd_rt_thread_own(struct apd_runtime *rt, struct apd_run *run, const struct apd_id *id);
/* The run is one of the kept thread's: it has its turn, or waits for it. */
void apd_rt_thread_enter(struct apd_runtime *rt, struct apd_run *run);
/* The run leaves memory. */
void apd_rt_thread_leave(struct apd_runtime *rt, struct apd_run *run);
/* The run is over, or does not come to be: the next one has its turn. */
void apd_rt_thread_turn_over(struct apd_runtime *rt, struct apd_run *run);
/* True while runs of it have not ended. */
bool apd_rt_thread_busy(const struct thread *thread);
/* The thread was deleted: the next one of that id is another, and takes what waits. */
void apd_rt_thread_deleted(struct apd_runtime *rt, struct thread *thread);
/* Frees the thread, or lets it wait for a while, when nobody needs it any more. */
void apd_rt_thread_settle(struct apd_runtime *rt, struct thread *thread);
/* Lets go of threads that are over what is kept for later. */
void apd_rt_threads_trim(struct apd_runtime *rt);
void apd_rt_threads_finish(struct apd_runtime *rt);

/* thread_load.c: what is in memory of a thread, and what waits for it */
void apd_rt_demand_add(struct apd_runtime *rt, struct thread *thread, struct demand *demand);
/* As add(), before all others. */
void apd_rt_demand_add_first(struct apd_runtime *rt, struct thread *thread, struct demand *demand);
/* Takes on what can be taken on now. */
void apd_rt_thread_pump(struct apd_runtime *rt, struct thread *thread);
/* No demand is taken until unhold(). */
void apd_rt_thread_hold(struct thread *thread);
void apd_rt_thread_unhold(struct apd_runtime *rt, struct thread *thread);
/* What is in memory is no longer true, or not needed: it is read again when it is. */
void apd_rt_thread_forget(struct thread *thread);
/* There is no such thread. */
void apd_rt_thread_set_absent(struct thread *thread);
void apd_rt_thread_set_row(struct thread *thread, struct apd_thread_row *row);
/* The checkpoint is durable, and the state at it is the thread's. Takes no references. */
void apd_rt_thread_advance(
	struct thread *thread, struct apd_checkpoint_row *head, struct apd_state *state);
void apd_rt_thread_set_tip(struct thread *thread, const struct thread_tip *tip);
void apd_rt_tip_copy(struct thread_tip *to, const struct thread_tip *from);
void apd_rt_tip_finish(struct thread_tip *tip);
/* Drops all that waits, at shutdown. */
void apd_rt_demands_drop(struct apd_runtime *rt);
void apd_rt_loads_free(struct apd_runtime *rt);

/* thread_row.c: what becomes of a thread's own row */
struct apd_thread_row *apd_rt_thread_row_new(
	const struct apd_id *id, struct apd_str metadata, int64_t wall_us);
/* The row at the end of the run, or NULL when it does not change. A new reference. */
struct apd_thread_row *apd_rt_thread_row_ended(struct apd_runtime *rt, const struct apd_run *run);
/* The row with metadata merged into it: 0, or -EINVAL. */
int apd_rt_thread_row_merge(struct apd_runtime *rt, const struct apd_thread_row *row,
	struct apd_str metadata, struct apd_thread_row **ret_row);

/* thread_calls.c: creating, copying, deleting, and how calls are answered */
struct thread_work *apd_rt_work_create(
	struct apd_runtime *rt, const struct apd_id *thread_id, struct apd_thread_call *call);
/* Answers at the next flush: with what is wrong, or with the thread as it is. */
void apd_rt_work_refuse(struct thread_work *work, enum apd_problem_code code, const char *message);
void apd_rt_work_answer(struct thread_work *work);
/* Answers with nothing but success. */
void apd_rt_work_done(struct thread_work *work);
/* Refuses for a result of storage. */
void apd_rt_work_fail(struct thread_work *work, int result);
void apd_rt_work_submit(
	struct thread_work *work, void (*done)(struct apd_batch *batch, int result));
/* The batch has come back: lets go of it. */
void apd_rt_work_saved(struct thread_work *work, int result);
void apd_rt_works_tell(struct apd_runtime *rt);
/* Refuses what waits for runs to end, at shutdown. */
void apd_rt_works_drop(struct apd_runtime *rt);
void apd_rt_works_free(struct apd_runtime *rt);
/* The deletion waits for nothing any more. */
void apd_rt_thread_delete_now(struct apd_runtime *rt, struct thread *thread);

/* checkpoint.c: making checkpoints */
/* What a checkpoint is made of. */
struct checkpoint_plan {
	enum apd_checkpoint_source source;
	const struct apd_run *run; /* or NULL */
	struct apd_str name; /* or absent */
	struct apd_str ns; /* or absent: only carried along */
	struct apd_state_change change;
	struct apd_str removed; /* what change->removed was scanned from, or absent */
};
/* What became of it. */
struct checkpoint_made {
	struct apd_checkpoint_row *row; /* the caller's reference */
	struct apd_state *state; /* the caller's reference */
	struct apd_str patch; /* the change, which the row's text holds even where it is whole */
	struct apd_str ns; /* in the row's text as well */
};
/* Makes the checkpoint that follows on a tip of the thread: 0, or -EINVAL. */
int apd_rt_checkpoint_make(struct apd_runtime *rt, struct thread *thread,
	const struct thread_tip *tip, const struct checkpoint_plan *plan,
	struct checkpoint_made *ret_made);

/* resume.c: questions and answers */
/* Whether what the run answers fits what is asked: 0, or -1 with a problem. */
int apd_rt_resume_check(struct apd_runtime *rt, struct apd_str interrupts, struct apd_str resume,
	struct apd_problem *problem);
/* Adds the answers as the agent gets them. */
void apd_rt_resume_add(struct apd_runtime *rt, struct apd_buf *out, struct apd_str interrupts,
	struct apd_str resume);

/* strategies.c: several runs on one thread */
/* Whether the run may be created beside those there are: 0, or -1 with a problem. */
int apd_rt_strategy_check(
	struct apd_runtime *rt, const struct apd_run *run, struct apd_problem *problem);
/* The run is durable: those before it make way as it asked. */
void apd_rt_strategy_apply(struct apd_runtime *rt, struct apd_run *run);

#endif
