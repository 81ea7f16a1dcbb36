/* A child's start, its socket and its pipe. */
#include "host/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "host/spawn.h"

/* Bytes read in one turn of the loop, so that one worker does not starve the others. */
#define READ_MAX (256u << 10)

/* A buffer that grew beyond this is given back once it is empty. */
#define KEEP_MAX (1u << 20)

/* How long a killed child may take to be gone. A thread cannot be killed. */
#define GIVE_UP_NS APD_NS_PER_S

/* Hands on the messages that are whole. */
static void take_frames(struct apd_child *child)
{
	struct apd_frame frame;
	struct apd_str payload;
	const char *why = NULL;
	int r = 0;

	while (!child->muted && !why &&
		(r = apd_frame_reader_next(&child->reader, &frame, &payload)) > 0)
		why = child->ops->frame(child, &frame, payload);
	if (r == -EMSGSIZE)
		why = "it sent a message over worker.max_message";
	else if (r < 0)
		why = "it sent a malformed frame";
	if (why)
		apd_child_kill(child, why);
}

ssize_t apd_child_read(struct apd_child *child)
{
	size_t room;
	char *at = apd_frame_reader_room(&child->reader, &room);
	ssize_t n = recv(child->socket, at, room < READ_MAX ? room : READ_MAX, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	apd_frame_reader_got(&child->reader, (size_t)n);
	take_frames(child);
	return n;
}

/* The deadline of a child that closed its socket or was killed has passed. */
static void on_give_up(struct apd_deadline *deadline)
{
	struct apd_child *child = apd_container_of(deadline, struct apd_child, give_up);

	if (child->why[0] == '\0') {
		apd_child_kill(child, "it closed its socket");
		return;
	}
	if (child->thread)
		apd_child_bury(child, child->why);
}

static void mute(struct apd_child *child)
{
	child->muted = true;
	if (!uv_is_closing((uv_handle_t *)&child->socket_poll))
		uv_poll_stop(&child->socket_poll);
}

/* The socket can be read or, if one waits for that, written. */
static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct apd_child *child = poll->data;
	ssize_t n = 1;

	if (status == 0 && (events & UV_WRITABLE)) {
		child->blocked = false;
		apd_child_flush(child);
		if (!child->blocked && !child->muted) {
			uv_poll_start(&child->socket_poll, UV_READABLE, on_socket);
			child->polls_write = false;
			if (child->ops->drained)
				child->ops->drained(child);
		}
	}
	if (child->muted)
		return;
	if (status < 0 || (events & (UV_READABLE | UV_DISCONNECT)))
		n = status < 0 ? 0 : apd_child_read(child);
	if (n > 0 || n == -EAGAIN || n == -EINTR || child->muted)
		return;
	/* Its death, and the reason, follow at once if it is dying; what it sent is read then. */
	uv_poll_stop(&child->socket_poll);
	child->shut = true;
	apd_deadline_set_in(child->deadlines, &child->give_up, GIVE_UP_NS);
}

void apd_child_flush(struct apd_child *child)
{
	if (child->blocked || child->muted || child->gone)
		return;
	if (child->shut)
		child->out_at = child->out.len;
	while (child->out_at < child->out.len) {
		ssize_t n = send(child->socket, child->out.data + child->out_at,
			child->out.len - child->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			/* It is dying: what comes from it still counts. */
			child->out_at = child->out.len;
			break;
		}
		if (n < 0) {
			child->blocked = true;
			if (!child->polls_write)
				uv_poll_start(
					&child->socket_poll, UV_READABLE | UV_WRITABLE, on_socket);
			child->polls_write = true;
			return;
		}
		child->out_at += (size_t)n;
	}
	child->out_at = 0;
	apd_buf_clear(&child->out);
	if (child->out.cap > KEEP_MAX)
		apd_buf_finish(&child->out);
}

void apd_child_kill(struct apd_child *child, const char *why)
{
	if (child->gone)
		return;
	if (why && child->why[0] == '\0')
		snprintf(child->why, sizeof(child->why), "%s", why);
	if (child->why[0] == '\0')
		snprintf(child->why, sizeof(child->why), "it was killed");
	mute(child);
	if (child->pid)
		kill(-child->pid, SIGKILL);
	else
		shutdown(child->socket, SHUT_RDWR);
	apd_deadline_set_in(child->deadlines, &child->give_up, GIVE_UP_NS);
}

ssize_t apd_child_read_output(struct apd_child *child)
{
	char data[16384];
	ssize_t n = read(child->output_fd, data, sizeof(data));

	if (n > 0)
		apd_output_take(&child->output, data, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		uv_poll_stop(&child->output_poll);
	return n;
}

static void on_output(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	apd_child_read_output(poll->data);
}

static void watch(struct apd_child *child, uv_loop_t *loop, uv_poll_t *poll, int fd, int events,
	uv_poll_cb cb)
{
	uv_poll_init(loop, poll, fd);
	poll->data = child;
	child->open_handles++;
	uv_poll_start(poll, events, cb);
}

/* Starts the process; all descriptors given are raised and stay the caller's. */
static int start_process(
	struct apd_child *child, const struct apd_child_spec *spec, int socket, int output)
{
	char title[96];
	size_t n = 0;
	const char **env;
	struct apd_spawn spawn = {.program = spec->program,
		.title = title,
		.socket = socket,
		.plugin = spec->plugin_fd,
		.output = output};
	int r;

	while (spec->env && spec->env[n])
		n++;
	env = apd_calloc(n + 2, sizeof(*env));
	apd_kin_init(&child->kin, spec->strays);
	env[0] = child->kin.mark;
	if (n)
		memcpy(env + 1, spec->env, n * sizeof(*env));
	spawn.env = env;
	snprintf(title, sizeof(title), "apd-worker: %s", spec->name);
	r = apd_spawn_process(&spawn, &child->pid, &child->death_fd);
	if (r == 0)
		apd_kin_add(&child->kin, child->pid);
	free((void *)env);
	return r;
}

/* Makes a pair of descriptors, the first for us and non-blocking, the second for the worker. */
static int make_pair(bool is_socket, int ret_fds[2])
{
	int fds[2];
	int r = is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)
			  : pipe2(fds, O_CLOEXEC);

	if (r < 0)
		return -errno;
	fds[1] = apd_fd_raise(fds[1]);
	if (fds[1] < 0) {
		close(fds[0]);
		return fds[1];
	}
	fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) | O_NONBLOCK);
	memcpy(ret_fds, fds, sizeof(fds));
	return 0;
}

/* Starts the process or the thread, with descriptors of its own. */
static int start(struct apd_child *child, const struct apd_child_spec *spec)
{
	int sockets[2] = {-1, -1}, pipes[2] = {-1, -1};
	int r = make_pair(true, sockets);

	if (r < 0)
		return r;
	child->socket = sockets[0];
	if (spec->in_process) {
		r = apd_child_start_thread(child, spec, sockets[1]);
		if (r < 0)
			close(sockets[0]);
		return r;
	}
	r = make_pair(false, pipes);
	if (r < 0)
		goto no_pipe;
	child->output_fd = pipes[0];
	r = start_process(child, spec, sockets[1], pipes[1]);
	close(pipes[1]);
	if (r < 0)
		close(pipes[0]);
no_pipe:
	close(sockets[1]);
	if (r < 0)
		close(sockets[0]);
	return r;
}

int apd_child_start(struct apd_child *child, uv_loop_t *loop, struct apd_deadlines *deadlines,
	const struct apd_child_spec *spec, const struct apd_child_ops *ops)
{
	int r;

	*child = (struct apd_child){
		.ops = ops,
		.deadlines = deadlines,
		.output_fd = -1,
		.reader = {.max = spec->message_max},
		.give_up = {.expired = on_give_up},
		.output = {.name = spec->name, .dropped = spec->log_dropped},
	};
	r = start(child, spec);
	if (r < 0)
		return r;
	watch(child, loop, &child->socket_poll, child->socket, UV_READABLE, on_socket);
	watch(child, loop, &child->death_poll, child->death_fd, UV_READABLE, apd_child_on_death);
	if (child->output_fd >= 0)
		watch(child, loop, &child->output_poll, child->output_fd, UV_READABLE, on_output);
	return 0;
}
