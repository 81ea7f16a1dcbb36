/* A child's end: what it died of, and letting go of it. Also the thread in a process's place. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/child.h"

/* Reads after the death, each of at most 256 KiB: more than a socket holds. */
#define LAST_READS 64

/* A worker on a thread of this process. Freed by whoever is last: it may outlive its child. */
struct apd_child_thread {
	_Atomic unsigned refs;
	pthread_t id;
	int (*serve)(int socket_fd, int plugin_fd);
	int socket, plugin;
	int ended; /* eventfd */
	int status;
};

static void thread_unref(struct apd_child_thread *thread)
{
	if (atomic_fetch_sub_explicit(&thread->refs, 1, memory_order_acq_rel) != 1)
		return;
	close(thread->ended);
	free(thread);
}

static void *serve(void *data)
{
	struct apd_child_thread *thread = data;
	uint64_t one = 1;

	thread->status = thread->serve(thread->socket, thread->plugin);
	while (write(thread->ended, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	thread_unref(thread);
	return NULL;
}

int apd_child_start_thread(struct apd_child *child, const struct apd_child_spec *spec, int socket)
{
	struct apd_child_thread *thread = apd_calloc(1, sizeof(*thread));
	int r;

	atomic_init(&thread->refs, 2);
	thread->serve = spec->in_process;
	thread->socket = socket;
	thread->plugin = dup(spec->plugin_fd);
	thread->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	child->death_fd = thread->ended;
	r = thread->plugin < 0 || thread->ended < 0
		? errno
		: pthread_create(&thread->id, NULL, serve, thread);
	if (r == 0) {
		child->thread = thread;
		return 0;
	}
	if (thread->ended >= 0)
		close(thread->ended);
	if (thread->plugin >= 0)
		close(thread->plugin);
	close(socket);
	free(thread);
	return -r;
}

/* Puts the reason of a death in words. */
static void explain(const siginfo_t *info, char *out, size_t size)
{
	const char *name;

	if (info->si_code == CLD_EXITED) {
		snprintf(out, size, "exit status %d", info->si_status);
		return;
	}
	name = sigabbrev_np(info->si_status);
	if (name)
		snprintf(out, size, "SIG%s", name);
	else
		snprintf(out, size, "signal %d", info->si_status);
}

/* Takes what it still sent before it died. */
static void read_rest(struct apd_child *child)
{
	for (int i = 0; i < LAST_READS && !child->muted && apd_child_read(child) > 0; i++)
		;
	for (int i = 0; i < LAST_READS && child->output_fd >= 0; i++) {
		if (apd_child_read_output(child) <= 0)
			break;
	}
}

/* Buries a thread that has returned. */
static void thread_ended(struct apd_child *child)
{
	char reason[48];

	read_rest(child);
	pthread_join(child->thread->id, NULL);
	child->thread_joined = true;
	snprintf(reason, sizeof(reason), "exit status %d", child->thread->status);
	apd_child_bury(child, child->why[0] ? child->why : reason);
}

void apd_child_on_death(uv_poll_t *poll, int status, int events)
{
	struct apd_child *child = poll->data;
	char reason[48] = "it vanished";
	siginfo_t info = {0};

	(void)status;
	(void)events;
	if (child->gone)
		return;
	if (child->thread) {
		thread_ended(child);
		return;
	}
	/* While it is not waited for, its number is no other group's. */
	kill(-child->pid, SIGKILL);
	read_rest(child);
	if (waitid(P_PIDFD, (id_t)child->death_fd, &info, WEXITED | WNOHANG) == 0) {
		if (info.si_pid == 0)
			return;
		explain(&info, reason, sizeof(reason));
	}
	child->pid = 0;
	apd_child_bury(child, child->why[0] ? child->why : reason);
}

static void on_closed(uv_handle_t *handle)
{
	struct apd_child *child = handle->data;

	if (--child->open_handles)
		return;
	close(child->socket);
	if (child->output_fd >= 0)
		close(child->output_fd);
	if (child->thread) /* it may still be in the plugin's code: the last to leave frees */
		thread_unref(child->thread);
	else if (child->death_fd >= 0)
		close(child->death_fd);
	apd_frame_reader_finish(&child->reader);
	apd_buf_finish(&child->out);
	apd_output_finish(&child->output);
	child->ops->closed(child);
}

void apd_child_bury(struct apd_child *child, const char *reason)
{
	char copy[sizeof(child->why)];

	if (child->gone)
		return;
	snprintf(copy, sizeof(copy), "%s", reason);
	child->muted = true;
	child->gone = true;
	apd_kin_remove(&child->kin);
	if (child->thread && !child->thread_joined)
		pthread_detach(child->thread->id);
	apd_deadline_clear(child->deadlines, &child->give_up);
	uv_close((uv_handle_t *)&child->socket_poll, on_closed);
	uv_close((uv_handle_t *)&child->death_poll, on_closed);
	if (child->output_fd >= 0)
		uv_close((uv_handle_t *)&child->output_poll, on_closed);
	child->ops->dead(child, copy);
}
