/* The table of a run: check(), fail(), release(), listening(), and what all ops begin with. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "worker/exec.h"
#include "worker/texts.h"

/* A message of fail() is cut to this. */
#define MAX_MESSAGE 4096

static struct apd_exec *exec_of(const ap_run *run)
{
	return run->impl;
}

/* Names an op that came when it must not. */
static ap_status refuse(struct apd_exec *exec, const char *op)
{
	pthread_mutex_lock(&exec->lock);
	/* Without a worker there is nobody to tell. */
	if (exec->worker)
		apd_misuse(exec->worker, exec->number, "%s() %s", op,
			apd_exec_in_stop ? "in stop()" : "after invoke() returned");
	pthread_mutex_unlock(&exec->lock);
	return AP_E_MISUSE;
}

ap_status apd_exec_enter(struct apd_exec *exec, const char *op)
{
	/* Counted before the look, as the end of the run looks at the count after its mark. */
	atomic_fetch_add(&exec->ops, 1);
	if (!(atomic_load(&exec->halt) & APD_HALT_OVER) && !apd_exec_in_stop)
		return AP_OK;
	apd_exec_leave(exec);
	return refuse(exec, op);
}

void apd_exec_leave(struct apd_exec *exec)
{
	if (atomic_fetch_sub(&exec->ops, 1) != 1 || !(atomic_load(&exec->halt) & APD_HALT_OVER))
		return;
	pthread_mutex_lock(&exec->lock);
	pthread_cond_broadcast(&exec->changed);
	pthread_mutex_unlock(&exec->lock);
}

ap_status apd_exec_status(uint32_t halt)
{
	return (halt & APD_HALT_REASON) == APD_STOP_DEADLINE ? AP_E_DEADLINE : AP_E_CANCELLED;
}

void apd_exec_signal_stop(struct apd_exec *exec)
{
	if (exec->stop_fd_set)
		return;
	exec->stop_fd_set = true;
	if (exec->run.stop_fd >= 0)
		eventfd_write(exec->run.stop_fd, 1);
}

/* The deadline passed, and this is the first to see it: the run stops without waiting for STOP. */
static ap_status pass_deadline(struct apd_exec *exec)
{
	uint32_t halt;

	pthread_mutex_lock(&exec->lock);
	halt = atomic_load(&exec->halt);
	if (!halt) {
		halt = APD_STOP_DEADLINE;
		atomic_store(&exec->halt, halt);
		apd_exec_signal_stop(exec);
		pthread_cond_broadcast(&exec->changed);
	}
	pthread_mutex_unlock(&exec->lock);
	return apd_exec_status(halt);
}

ap_status apd_exec_check(const ap_run *run)
{
	struct apd_exec *exec = exec_of(run);
	uint32_t halt = atomic_load_explicit(&exec->halt, memory_order_acquire);

	if (!halt) {
		if (!run->deadline_ns || apd_clock_mono_ns() <= run->deadline_ns)
			return AP_OK;
		return pass_deadline(exec);
	}
	return halt & APD_HALT_OVER ? refuse(exec, "check") : apd_exec_status(halt);
}

void apd_exec_explain(struct apd_exec *exec, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		apd_host_log(exec->worker, exec->number, AP_LOG_WARN, apd_str(line));
}

static ap_status op_fail(ap_run *run, ap_status status, ap_str code, ap_str message)
{
	struct apd_exec *exec = exec_of(run);
	struct apd_str cut;
	ap_status s;

	s = apd_exec_enter(exec, "fail");
	if (s < 0)
		return s;
	pthread_mutex_lock(&exec->op_lock);
	cut = apd_text_cut(code, sizeof(exec->code) - 1);
	if (cut.len)
		memcpy(exec->code, cut.ptr, cut.len);
	exec->code[cut.len] = '\0';
	apd_buf_clear(&exec->message);
	apd_buf_add_str(&exec->message, apd_text_cut(message, MAX_MESSAGE));
	pthread_mutex_unlock(&exec->op_lock);
	apd_exec_leave(exec);
	return status < 0 ? status : AP_E_FAILED;
}

static void op_release(ap_run *run, ap_blob *blob)
{
	struct apd_exec *exec = exec_of(run);

	if (!blob || apd_exec_enter(exec, "release") < 0)
		return;
	/* No extension lends blobs in this version. */
	if (blob->impl || blob->str.ptr)
		apd_misuse(exec->worker, exec->number, "release() of a blob that nobody lent");
	*blob = (ap_blob){0};
	apd_exec_leave(exec);
}

static uint32_t op_listening(const ap_run *run)
{
	struct apd_exec *exec = exec_of(run);

	if (atomic_load_explicit(&exec->halt, memory_order_acquire) & APD_HALT_OVER) {
		refuse(exec, "listening");
		return 0;
	}
	return atomic_load_explicit(&exec->listening, memory_order_relaxed);
}

const ap_run_ops apd_exec_ops = {
	.size = sizeof(ap_run_ops),
	.check = apd_exec_check,
	.emit = apd_exec_emit,
	.commit = apd_exec_commit,
	.interrupt = apd_exec_interrupt,
	.fail = op_fail,
	.release = op_release,
	.listening = op_listening,
};
