/* Executions: making them, running them, stopping them, and keeping them for later. */
#include "worker/exec.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "worker/exec_pool.h"

_Thread_local struct apd_exec *apd_exec_current;
_Thread_local bool apd_exec_in_stop;

/* A payload over this is freed with its run. */
#define KEEP_PAYLOAD (64u << 10)

static struct apd_exec **bucket_of(struct apd_worker *worker, uint32_t number)
{
	return &worker->execs[number % APD_EXEC_BUCKETS];
}

/* The execution with a number, or NULL. The worker's lock is held. */
static struct apd_exec *find(struct apd_worker *worker, uint32_t number)
{
	struct apd_exec *exec = *bucket_of(worker, number);

	while (exec && exec->number != number)
		exec = exec->next;
	return exec;
}

/* Finds an execution and takes its lock, or gives NULL. invoke() may have returned by then. */
static struct apd_exec *lock_exec(struct apd_worker *worker, uint32_t number)
{
	struct apd_exec *exec;

	pthread_mutex_lock(&worker->lock);
	exec = find(worker, number);
	if (exec)
		pthread_mutex_lock(&exec->lock);
	pthread_mutex_unlock(&worker->lock);
	return exec;
}

/* Points the strings of ap_run into the payload: 0 or -EBADMSG. */
static int take_fields(struct apd_exec *exec, struct apd_invoke *ret_invoke)
{
	ap_run *run = &exec->run;
	ap_str *const strings[] = {&run->run_id, &run->thread_id, &run->agent_id, &run->input,
		&run->messages, &run->transcript, &run->config, &run->metadata, &run->values,
		&run->resume, &run->jump, &run->continuation};
	struct apd_fields fields = {exec->payload.data, exec->payload.data + exec->payload.len};
	struct apd_str s;
	int r;

	r = apd_fields_struct(&fields, ret_invoke, sizeof(*ret_invoke));
	for (size_t i = 0; i < APD_COUNT(strings) && r == 0; i++) {
		r = apd_fields_next(&fields, &s);
		if (r == 0)
			*strings[i] = (ap_str){s.ptr, s.len};
	}
	return r;
}

/* Brings the agent's optional stop() about, once. Locked. */
static void post_stop(struct apd_exec *exec, bool call_help)
{
	if (!exec->instance->agent->stop || exec->stop_posted)
		return;
	exec->stop_posted = exec->stop_pending = true;
	apd_crew_add(&exec->worker->crew, &exec->stop_job, true, call_help);
}

/* Calls the agent's stop(), unless its invoke() returned meanwhile. */
static void execute_stop(struct apd_job *job, struct apd_crew_thread *thread)
{
	struct apd_exec *exec = apd_container_of(job, struct apd_exec, stop_job);
	const struct apd_instance *instance = exec->instance;
	bool over;

	(void)thread;
	pthread_mutex_lock(&exec->lock);
	over = atomic_load(&exec->halt) & APD_HALT_OVER;
	pthread_mutex_unlock(&exec->lock);
	if (!over) {
		apd_exec_in_stop = true;
		instance->agent->stop(instance->self, &exec->run);
		apd_exec_in_stop = false;
	}
	pthread_mutex_lock(&exec->lock);
	exec->stop_pending = false;
	pthread_cond_broadcast(&exec->changed);
	pthread_mutex_unlock(&exec->lock);
}

/* Names returns that say something else than the agent did. */
static void check_status(struct apd_exec *exec, ap_status status)
{
	if (status > AP_INTERRUPTED)
		apd_misuse(exec->worker, exec->number, "invoke() returned the unknown status %d",
			status);
	else if (status == AP_INTERRUPTED && !exec->asked)
		apd_misuse(exec->worker, exec->number,
			"invoke() returned AP_INTERRUPTED without interrupt()");
}

/* Lets the last ops and stop() out; afterwards nobody but the caller is in the execution. */
static void close_exec(struct apd_exec *exec)
{
	bool taken_back = false;

	pthread_mutex_lock(&exec->lock);
	atomic_fetch_or(&exec->halt, APD_HALT_OVER);
	pthread_cond_broadcast(&exec->changed);
	if (exec->stop_pending) {
		pthread_mutex_unlock(&exec->lock);
		taken_back = apd_crew_take_back(&exec->worker->crew, &exec->stop_job);
		pthread_mutex_lock(&exec->lock);
	}
	while ((exec->stop_pending && !taken_back) || atomic_load(&exec->ops))
		pthread_cond_wait(&exec->changed, &exec->lock);
	pthread_mutex_unlock(&exec->lock);
}

/* Takes the execution out of its worker and puts it aside. */
static void retire(struct apd_exec *exec)
{
	struct apd_worker *worker = exec->worker;
	struct apd_exec **at;

	apd_message_order_finish(&exec->order);
	apd_buf_clear(&exec->message);
	if (exec->payload.cap > KEEP_PAYLOAD)
		apd_buf_finish(&exec->payload);
	pthread_mutex_lock(&worker->lock);
	at = bucket_of(worker, exec->number);
	while (*at != exec)
		at = &(*at)->next;
	*at = exec->next;
	apd_exec_pool_put(exec);
	if (--worker->n_execs == 0)
		pthread_cond_broadcast(&worker->ended);
	pthread_mutex_unlock(&worker->lock);
}

/* Tells the daemon how invoke() ended. */
static void send_done(struct apd_exec *exec, ap_status status)
{
	struct apd_worker *worker = exec->worker;
	struct apd_str fields[2] = {APD_STR_ABSENT, APD_STR_ABSENT};
	bool alone = apd_crew_idle(&worker->crew);

	if (status < 0 && exec->code[0])
		fields[0] = apd_str(exec->code);
	if (status < 0 && exec->message.len)
		fields[1] = apd_buf_str(&exec->message);
	/* With more runs waiting more ends will follow, and may leave together. */
	apd_sender_add(&worker->sender, alone ? APD_SEND_NOW : APD_SEND_SOON, APD_FRAME_DONE,
		exec->number, (uint32_t)status, fields, APD_COUNT(fields));
}

/* Gives the thread the eventfd that its runs poll, unreadable. */
static void prepare_stop_fd(struct apd_exec *exec, struct apd_crew_thread *thread)
{
	if (thread->stop_fd < 0)
		thread->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	exec->run.stop_fd = thread->stop_fd;
}

static void clear_stop_fd(struct apd_exec *exec)
{
	eventfd_t count;

	if (exec->stop_fd_set && exec->thread->stop_fd >= 0)
		eventfd_read(exec->thread->stop_fd, &count);
}

/* Runs the agent. */
static void execute_invoke(struct apd_job *job, struct apd_crew_thread *thread)
{
	struct apd_exec *exec = apd_container_of(job, struct apd_exec, invoke_job);
	const struct apd_instance *instance = exec->instance;
	ap_status status;

	prepare_stop_fd(exec, thread);
	exec->thread = thread;
	pthread_mutex_lock(&exec->lock);
	if (atomic_fetch_and(&exec->halt, ~APD_HALT_OVER) & APD_HALT_REASON) {
		/* Stopped while it waited for a thread. */
		apd_exec_signal_stop(exec);
		post_stop(exec, true);
	}
	pthread_mutex_unlock(&exec->lock);
	apd_exec_current = exec;
	status = instance->agent->invoke(instance->self, &exec->run);
	apd_exec_current = NULL;
	close_exec(exec);
	check_status(exec, status);
	clear_stop_fd(exec);
	send_done(exec, status);
	retire(exec);
}

/* Ends a run that cannot begin: its instance does not exist. */
static void refuse(struct apd_worker *worker, uint32_t number)
{
	const struct apd_str fields[] = {
		APD_STR("no_instance"), APD_STR("The worker has no such instance.")};

	apd_sender_add(&worker->sender, APD_SEND_NOW, APD_FRAME_DONE, number,
		(uint32_t)AP_E_NOT_FOUND, fields, APD_COUNT(fields));
}

/* Sets up everything but the strings. */
static void fill_in(struct apd_exec *exec, const struct apd_invoke *invoke)
{
	ap_run *run = &exec->run;

	run->attempt = invoke->attempt;
	run->host = &exec->worker->host;
	run->deadline_ns = invoke->deadline_ns;
	run->stop_fd = -1;
	run->flags = invoke->flags;
	atomic_store(&exec->credit, invoke->credit);
	atomic_store(&exec->listening, invoke->listening);
	exec->stop_fd_set = exec->stop_posted = exec->stop_pending = exec->asked = false;
	exec->n_commits = 0;
	exec->relaxed = invoke->relaxed;
	exec->code[0] = '\0';
	apd_list_init(&exec->invoke_job.link);
	apd_list_init(&exec->stop_job.link);
	exec->invoke_job.execute = execute_invoke;
	exec->stop_job.execute = execute_stop;
	apd_message_order_init(&exec->order);
}

int apd_exec_create(struct apd_worker *worker, const struct apd_frame *frame,
	struct apd_str payload, struct apd_list *jobs)
{
	struct apd_instance *instance = apd_instance_find(worker, frame->arg);
	struct apd_invoke invoke;
	struct apd_exec *exec;

	if (!instance) {
		refuse(worker, frame->run);
		return 0;
	}
	exec = apd_exec_pool_take(worker);
	apd_buf_clear(&exec->payload);
	apd_buf_add(&exec->payload, payload.ptr, payload.len);
	if (take_fields(exec, &invoke) < 0) {
		apd_exec_pool_put_back(exec);
		return -EBADMSG;
	}
	pthread_mutex_lock(&worker->lock);
	pthread_mutex_lock(&exec->lock);
	exec->instance = instance;
	exec->worker = worker;
	exec->number = frame->run;
	atomic_store(&exec->halt, APD_HALT_OVER);
	fill_in(exec, &invoke);
	pthread_mutex_unlock(&exec->lock);
	exec->next = *bucket_of(worker, frame->run);
	*bucket_of(worker, frame->run) = exec;
	worker->n_execs++;
	pthread_mutex_unlock(&worker->lock);
	apd_list_append(jobs, &exec->invoke_job.link);
	return 0;
}

/* Stops one execution for a reason; a rollback is never taken back. Locked. */
static void stop(struct apd_exec *exec, uint32_t reason, bool call_help)
{
	uint32_t halt = atomic_load(&exec->halt);

	if ((halt & APD_HALT_REASON) != APD_STOP_ROLLBACK)
		atomic_store(&exec->halt, (halt & APD_HALT_OVER) | reason);
	pthread_cond_broadcast(&exec->changed);
	if (!(halt & APD_HALT_OVER)) {
		apd_exec_signal_stop(exec);
		post_stop(exec, call_help);
	}
}

void apd_exec_stop(struct apd_worker *worker, uint32_t number, uint32_t reason)
{
	struct apd_exec *exec = lock_exec(worker, number);

	if (!exec)
		return;
	stop(exec, reason, false);
	pthread_mutex_unlock(&exec->lock);
}

void apd_exec_credit(struct apd_worker *worker, uint32_t number, uint32_t bytes)
{
	struct apd_exec *exec = lock_exec(worker, number);

	if (!exec)
		return;
	atomic_fetch_add(&exec->credit, bytes);
	pthread_cond_broadcast(&exec->changed);
	pthread_mutex_unlock(&exec->lock);
}

void apd_exec_listening(struct apd_worker *worker, uint32_t number, uint32_t channels)
{
	struct apd_exec *exec = lock_exec(worker, number);

	if (!exec)
		return;
	atomic_store(&exec->listening, channels);
	pthread_mutex_unlock(&exec->lock);
}

void apd_exec_committed(
	struct apd_worker *worker, uint32_t number, uint32_t commit, ap_status status)
{
	struct apd_exec *exec = lock_exec(worker, number);
	struct apd_commit_wait *wait;

	if (!exec)
		return;
	apd_list_each (wait, &exec->commits, link) {
		if (wait->number == commit) {
			wait->status = status;
			wait->answered = true;
			break;
		}
	}
	pthread_mutex_unlock(&exec->lock);
	/* After the unlock, so that who wakes up does not run into the lock at once. */
	pthread_cond_broadcast(&exec->changed);
}

void apd_exec_stop_all(struct apd_worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	for (size_t i = 0; i < APD_EXEC_BUCKETS; i++) {
		for (struct apd_exec *exec = worker->execs[i]; exec; exec = exec->next) {
			pthread_mutex_lock(&exec->lock);
			stop(exec, APD_STOP_CANCEL, true);
			pthread_mutex_unlock(&exec->lock);
		}
	}
	pthread_mutex_unlock(&worker->lock);
}

bool apd_exec_wait_all(struct apd_worker *worker, int timeout_ms)
{
	int64_t until = apd_clock_mono_ns() + timeout_ms * APD_NS_PER_MS;
	struct timespec at = {.tv_sec = until / APD_NS_PER_S, .tv_nsec = until % APD_NS_PER_S};
	bool none;
	int r = 0;

	pthread_mutex_lock(&worker->lock);
	while (worker->n_execs && r != ETIMEDOUT) {
		if (timeout_ms < 0)
			pthread_cond_wait(&worker->ended, &worker->lock);
		else
			r = pthread_cond_clockwait(
				&worker->ended, &worker->lock, CLOCK_MONOTONIC, &at);
	}
	none = worker->n_execs == 0;
	pthread_mutex_unlock(&worker->lock);
	return none;
}
