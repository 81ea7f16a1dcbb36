/* A worker's other end. */
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/worker.h"

/* Far more than anything takes, also under a sanitizer on a busy machine. */
#define PATIENCE_MS 60000

extern char **environ;

struct apd_setup driver_setup(void)
{
	return (struct apd_setup){
		.emit_max = 1024,
		.commit_max = 4096,
		.log_max = 8192,
		.parent = (int32_t)getpid(),
		.debug = 1,
	};
}

/* Starts apd-worker with its two descriptors. */
static pid_t spawn(int socket_fd, int plugin_fd)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = {"apd-worker", NULL};
	int high_socket = fcntl(socket_fd, F_DUPFD_CLOEXEC, 10);
	int high_plugin = fcntl(plugin_fd, F_DUPFD_CLOEXEC, 10);
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, high_socket, APD_WORKER_SOCKET_FD);
	posix_spawn_file_actions_adddup2(&actions, high_plugin, APD_WORKER_PLUGIN_FD);
	assert_int_equal(posix_spawn(&pid, APD_WORKER_PATH, &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(high_socket);
	close(high_plugin);
	return pid;
}

static void *serve(void *arg)
{
	struct driver *d = arg;

	d->status = apd_worker_serve(d->worker_fd, d->plugin_fd, true);
	return NULL;
}

void driver_start(
	struct driver *d, const char *plugin, const struct apd_setup *setup, bool in_process)
{
	const struct apd_str fields[] = {
		{(const char *)setup, sizeof(*setup)},
		apd_str(plugin),
		APD_STR_ABSENT,
		APD_STR_ABSENT,
		APD_STR_ABSENT,
	};
	char path[512];
	int pair[2];

	*d = (struct driver){.reader.max = 64u << 20};
	snprintf(path, sizeof(path), "%s/%s.so", APD_PLUGIN_DIR, plugin);
	d->plugin_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(d->plugin_fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	d->fd = pair[0];
	d->worker_fd = pair[1];
	driver_send(d, APD_FRAME_SETUP, 0, 0, fields, 5);
	if (in_process) {
		assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
		return;
	}
	d->pid = spawn(pair[1], d->plugin_fd);
	close(pair[1]);
	close(d->plugin_fd);
}

void driver_serve(struct driver *d, const char *plugin, const char *agent, bool in_process)
{
	const struct apd_setup setup = driver_setup();
	const struct apd_str fields[] = {apd_str(agent), APD_STR("me"), APD_STR("{}")};
	int32_t status;

	driver_start(d, plugin, &setup, in_process);
	driver_expect(d, APD_FRAME_HELLO);
	driver_send(d, APD_FRAME_CREATE, 0, 0, fields, 3);
	driver_expect(d, APD_FRAME_CREATED);
	assert_int_equal(driver_field(d, 0).len, 4);
	memcpy(&status, driver_field(d, 0).ptr, 4);
	assert_int_equal(status, AP_OK);
}

void driver_send(struct driver *d, uint16_t type, uint32_t run, uint32_t arg,
	const struct apd_str *fields, size_t n)
{
	struct apd_buf out = {0};
	size_t at = 0;

	apd_frame_add(&out, type, run, arg, fields, n);
	while (at < out.len) {
		ssize_t sent = send(d->fd, out.data + at, out.len - at, MSG_NOSIGNAL);

		assert_true(sent > 0);
		at += (size_t)sent;
	}
	apd_buf_finish(&out);
}

void driver_invoke_with(struct driver *d, uint32_t run, const char *input,
	const struct apd_invoke *what, struct apd_str resume, struct apd_str continuation)
{
	const struct apd_str fields[] = {
		{(const char *)what, sizeof(*what)},
		APD_STR("run-id"),
		APD_STR("thread-id"),
		APD_STR("me"),
		apd_str(input),
		APD_STR_ABSENT,
		APD_STR_ABSENT,
		APD_STR("{}"),
		APD_STR("{}"),
		APD_STR("{}"),
		resume,
		APD_STR_ABSENT,
		continuation,
	};

	driver_send(d, APD_FRAME_INVOKE, run, 0, fields, APD_COUNT(fields));
}

void driver_invoke(struct driver *d, uint32_t run, const char *input, uint32_t credit)
{
	const struct apd_invoke what = {.attempt = 1, .credit = credit};

	driver_invoke_with(d, run, input, &what, APD_STR_ABSENT, APD_STR_ABSENT);
}

void driver_committed(struct driver *d, ap_status status)
{
	const struct apd_str field = {(const char *)&status, sizeof(status)};

	driver_send(d, APD_FRAME_COMMITTED, d->frame.run, d->frame.arg, &field, 1);
}

/* Reads the next message of any type: false at the end of the stream. */
static bool read_message(struct driver *d)
{
	int r;

	while ((r = apd_frame_reader_next(&d->reader, &d->frame, &d->payload)) == 0) {
		struct pollfd readable = {.fd = d->fd, .events = POLLIN};
		size_t room;
		char *to = apd_frame_reader_room(&d->reader, &room);
		ssize_t n;

		assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
		n = recv(d->fd, to, room, 0);
		if (n <= 0)
			return false;
		apd_frame_reader_got(&d->reader, (size_t)n);
	}
	assert_int_equal(r, 1);
	return true;
}

int driver_next(struct driver *d)
{
	while (read_message(d)) {
		struct apd_buf *keep = d->frame.type == APD_FRAME_LOG ? &d->logs
			: d->frame.type == APD_FRAME_MISUSE           ? &d->misuses
								      : NULL;

		if (!keep)
			return d->frame.type;
		apd_buf_add_str(keep, driver_field(d, 0));
		apd_buf_add_char(keep, '\n');
	}
	return 0;
}

struct apd_str driver_field(struct driver *d, size_t index)
{
	struct apd_fields fields = {d->payload.ptr, d->payload.ptr + d->payload.len};
	struct apd_str field;

	for (size_t i = 0; i <= index; i++)
		assert_int_equal(apd_fields_next(&fields, &field), 0);
	return field;
}

void driver_expect(struct driver *d, int type)
{
	int found = driver_next(d);

	if (found == APD_FRAME_FAILED && type != APD_FRAME_FAILED)
		print_error("FAILED: %s: %s\n", driver_field(d, 0).ptr, driver_field(d, 1).ptr);
	if (found != type && d->logs.len)
		print_error("logs: %s\n", d->logs.data);
	assert_int_equal(found, type);
}

void driver_expect_commit(struct driver *d, const char *patch)
{
	driver_expect(d, APD_FRAME_COMMIT);
	assert_string_equal(driver_field(d, 2).ptr, patch);
	driver_committed(d, AP_OK);
}

void driver_expect_done(struct driver *d, uint32_t run, ap_status status)
{
	driver_expect(d, APD_FRAME_DONE);
	assert_int_equal(d->frame.run, run);
	assert_int_equal((int32_t)d->frame.arg, status);
}

int driver_end(struct driver *d)
{
	int status = 0;

	while (driver_next(d))
		;
	if (d->pid) {
		assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	} else {
		pthread_join(d->thread, NULL);
		status = d->status;
	}
	close(d->fd);
	apd_frame_reader_finish(&d->reader);
	return status;
}

void driver_quit(struct driver *d)
{
	driver_send(d, APD_FRAME_QUIT, 0, 0, NULL, 0);
	assert_int_equal(driver_end(d), 0);
	apd_buf_finish(&d->logs);
	apd_buf_finish(&d->misuses);
}
