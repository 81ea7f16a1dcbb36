/* Several runs on one thread: which may be there together, and who makes way for whom. */
#include "runtime/internal.h"

/* True if a run of the thread will take it with it. */
static bool will_be_deleted(const struct thread *thread)
{
	const struct apd_run *run;

	if (thread->active && thread->active->delete_thread)
		return true;
	apd_list_each (run, &thread->turns, turn_link)
		if (run->delete_thread && run->phase != RUN_FINISHING)
			return true;
	return false;
}

/* Whether the run fits a thread that has others. */
static int check_beside(const struct apd_run *run, struct apd_problem *problem)
{
	const struct thread *thread = run->thread;

	if (run->multitask == APD_MULTITASK_REJECT)
		return apd_problem_set(
			problem, APD_PROBLEM_THREAD_BUSY, "The thread has an active run.");
	if (run->resume.ptr)
		return apd_problem_set(problem, APD_PROBLEM_NOT_INTERRUPTED,
			"command.resume: the thread has an active run, and so no question.");
	if (will_be_deleted(thread))
		return apd_problem_set(problem, APD_PROBLEM_INVALID_REQUEST,
			"multitask_strategy: a run of the thread will delete it when it ends.");
	if (run->delete_thread && run->multitask == APD_MULTITASK_ENQUEUE &&
		!apd_list_empty(&thread->turns))
		return apd_problem_set(problem, APD_PROBLEM_INVALID_REQUEST,
			"on_completion: the thread has runs that wait: it cannot be deleted.");
	return 0;
}

int apd_rt_strategy_check(
	struct apd_runtime *rt, const struct apd_run *run, struct apd_problem *problem)
{
	const struct thread *thread = run->thread;

	if (apd_rt_thread_busy(thread))
		return check_beside(run, problem);
	if (run->resume.ptr)
		return apd_rt_resume_check(rt,
			thread->row ? thread->row->interrupts : APD_STR_ABSENT, run->resume,
			problem);
	return 0;
}

/* Ends all that wait before the run. */
static void supersede(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_list *link = run->thread->turns.next;

	while (link != &run->turn_link) {
		struct apd_run *other = apd_container_of(link, struct apd_run, turn_link);

		link = link->next;
		if (other->phase == RUN_WAITING)
			apd_rt_run_end_superseded(rt, other);
	}
}

void apd_rt_strategy_apply(struct apd_runtime *rt, struct apd_run *run)
{
	struct apd_run *active = run->thread->active;
	bool rollback = run->multitask == APD_MULTITASK_ROLLBACK;

	if (!apd_list_linked(&run->turn_link) ||
		(!rollback && run->multitask != APD_MULTITASK_INTERRUPT))
		return;
	supersede(rt, run);
	if (!active)
		return;
	if (active->phase == RUN_QUEUED && !active->began && !rollback)
		apd_rt_run_end_superseded(rt, active);
	else
		apd_rt_run_cancel(rt, active, rollback);
}
