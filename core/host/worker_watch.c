/* Watching over a process: idle, owing a reply, draining. */
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

/* A process that owes a reply is asked whether it lives when it was silent for so long. */
#define SILENT_NS (5 * APD_NS_PER_S)

/* So long it may take to answer before the log says so. */
#define PONG_NS (10 * APD_NS_PER_S)

/* True if the generation has another process that takes runs. */
static bool has_other(const struct apd_process *process)
{
	struct apd_process *other;

	apd_list_each (other, &process->generation->processes, link) {
		if (other != process && other->state == APD_PROCESS_READY && !other->fenced)
			return true;
	}
	return false;
}

/* Ends the process if it has been idle long enough and is not the last; else looks again later. */
static void on_idle(struct apd_deadline *deadline)
{
	struct apd_process *process = apd_container_of(deadline, struct apd_process, idle);
	struct apd_pool *pool = process->pool;
	int64_t idle_ns = pool->config->idle_ns;

	if (process->open || process->state != APD_PROCESS_READY)
		return;
	if (apd_clock_mono_ns() - process->idle_since_ns < idle_ns)
		apd_deadline_set(&pool->deadlines, deadline, process->idle_since_ns + idle_ns);
	else if (has_other(process))
		apd_process_end(process);
	else
		apd_deadline_set_in(&pool->deadlines, deadline, idle_ns);
}

void apd_watch_idle(struct apd_process *process)
{
	struct apd_pool *pool = process->pool;

	/* The deadline is not moved with every run: it looks how long it was when it expires. */
	process->idle_since_ns = apd_clock_mono_ns();
	if (pool->config->idle_ns > 0 && !apd_deadline_is_set(&process->idle))
		apd_deadline_set_in(&pool->deadlines, &process->idle, pool->config->idle_ns);
}

/* Asks a silent process that owes a reply whether it lives, once. */
static void on_ping(struct apd_deadline *deadline)
{
	struct apd_process *process = apd_container_of(deadline, struct apd_process, ping);
	struct apd_pool *pool = process->pool;
	int64_t silent = apd_clock_mono_ns() - process->heard_ns;

	if (process->state != APD_PROCESS_READY || process->stopping == 0)
		return;
	if (process->pinged) {
		process->pinged = false;
		apd_log(APD_LOG_WARN, "host", "plugin %s: its worker does not answer",
			process->generation->plugin->path);
		return;
	}
	if (silent < SILENT_NS) {
		apd_deadline_set_in(&pool->deadlines, deadline, SILENT_NS - silent);
		return;
	}
	process->pinged = true;
	apd_frame_add(&process->child.out, APD_FRAME_PING, 0, 1, NULL, 0);
	apd_process_dirty(process);
	apd_deadline_set_in(&pool->deadlines, deadline, PONG_NS);
}

void apd_watch_reply(struct apd_process *process)
{
	if (!apd_deadline_is_set(&process->ping))
		apd_deadline_set_in(&process->pool->deadlines, &process->ping, SILENT_NS);
}

void apd_watch_pong(struct apd_process *process)
{
	if (process->pinged)
		apd_deadline_clear(&process->pool->deadlines, &process->ping);
	process->pinged = false;
}

/* The neighbours of a stuck run have had their time. */
static void on_drain(struct apd_deadline *deadline)
{
	apd_process_fence_kill(apd_container_of(deadline, struct apd_process, drain));
}

void apd_watch_init(struct apd_process *process)
{
	process->idle.expired = on_idle;
	process->ping.expired = on_ping;
	process->drain.expired = on_drain;
}

void apd_watch_clear(struct apd_process *process)
{
	struct apd_deadlines *deadlines = &process->pool->deadlines;

	apd_deadline_clear(deadlines, &process->phase);
	apd_deadline_clear(deadlines, &process->idle);
	apd_deadline_clear(deadlines, &process->ping);
	apd_deadline_clear(deadlines, &process->drain);
}
