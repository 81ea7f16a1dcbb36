/* Serving a plugin from the first frame to the last. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "worker/confine.h"
#include "worker/exec.h"
#include "worker/worker.h"

/* How long runs within this process may take to end after the daemon is gone. */
#define LOST_GRACE_MS 10000

/* Tells which step failed and why; returns the exit status. */
static int tell_failure(struct apd_worker *worker, const char *step, struct apd_str message)
{
	const struct apd_str fields[] = {apd_str(step), message};

	apd_sender_add(&worker->sender, APD_SEND_NOW, APD_FRAME_FAILED, 0, 0, fields, 2);
	return 1;
}

/* Reads until a message is whole: 0, or negative when none will come. */
static int read_message(
	struct apd_worker *worker, struct apd_frame *ret_frame, struct apd_str *ret_payload)
{
	int r;

	while ((r = apd_frame_reader_next(&worker->reader, ret_frame, ret_payload)) == 0) {
		struct pollfd readable = {.fd = worker->socket, .events = POLLIN};
		size_t room;
		char *to = apd_frame_reader_room(&worker->reader, &room);
		ssize_t n;

		poll(&readable, 1, -1);
		n = recv(worker->socket, to, room, 0);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n > 0)
			apd_frame_reader_got(&worker->reader, (size_t)n);
	}
	return r < 0 ? r : 0;
}

/* Takes SETUP, the first message of all: 0 or a negative errno. The grants last until the next. */
static int take_setup(struct apd_worker *worker, struct apd_grants *ret_grants)
{
	struct apd_frame frame;
	struct apd_str payload, file;
	struct apd_fields fields;
	struct apd_grants grants;
	int r;

	r = read_message(worker, &frame, &payload);
	if (r < 0)
		return r;
	fields = (struct apd_fields){payload.ptr, payload.ptr + payload.len};
	if (frame.type != APD_FRAME_SETUP ||
		apd_fields_struct(&fields, &worker->setup, sizeof(worker->setup)) < 0 ||
		apd_fields_next(&fields, &file) < 0 ||
		apd_fields_next(&fields, &grants.groups) < 0 ||
		apd_fields_next(&fields, &grants.read_paths) < 0 ||
		apd_fields_next(&fields, &grants.write_paths) < 0)
		return -EBADMSG;
	*ret_grants = grants;
	worker->file = apd_strndup(file.ptr ? file.ptr : "", file.len);
	return 0;
}

/* Calls the plugin's init(): 0, or -EINVAL with what it says. */
static int init_plugin(struct apd_worker *worker, struct apd_buf *error)
{
	ap_error e = {.size = sizeof(e)};
	ap_status s;

	if (!worker->mapped.plugin.init)
		return 0;
	s = worker->mapped.plugin.init(&worker->host, &e);
	if (s >= 0)
		return 0;
	e.code[sizeof(e.code) - 1] = e.message[sizeof(e.message) - 1] = '\0';
	if (e.code[0])
		apd_buf_addf(error, "%s: ", e.code);
	if (e.message[0])
		apd_buf_add_cstr(error, e.message);
	else
		apd_buf_addf(error, "init() gave the status %d", s);
	return -EINVAL;
}

/* Everything up to HELLO: 0, or the exit status after FAILED. */
static int prepare(struct apd_worker *worker, const struct apd_grants *grants)
{
	struct apd_buf text = {0};
	struct apd_str field;
	const char *step = "";
	int r = 0;

	if (!worker->in_process)
		r = apd_confine(
			&worker->setup, grants, worker->socket, worker->plugin_fd, &step, &text);
	if (!worker->in_process)
		apd_traces_note(&worker->traces);
	if (r == 0)
		r = apd_mapped_open(&worker->mapped, worker->plugin_fd, &step, &text);
	if (r == 0) {
		step = "init";
		r = init_plugin(worker, &text);
	}
	if (r < 0) {
		r = tell_failure(worker, step, apd_buf_str(&text));
	} else {
		apd_mapped_describe(&worker->mapped, &text);
		field = apd_buf_str(&text);
		apd_sender_add(&worker->sender, APD_SEND_NOW, APD_FRAME_HELLO, 0, 0, &field, 1);
	}
	apd_buf_finish(&text);
	return r;
}

static void flush(void *data)
{
	struct apd_worker *worker = data;

	apd_sender_flush(&worker->sender);
}

/* Undoes what was done with the plugin; no run is left. */
static void leave_plugin(struct apd_worker *worker)
{
	apd_instances_destroy(worker);
	if (worker->mapped.plugin.deinit)
		worker->mapped.plugin.deinit();
	if (!worker->in_process)
		apd_traces_report(&worker->traces, worker);
}

/* Runs agents until QUIT or until the daemon is gone. Returns the exit status. */
static int work(struct apd_worker *worker, bool *ret_abandoned)
{
	enum apd_chore_kind end;
	int r;

	r = apd_crew_init(&worker->crew, apd_inbox_read, flush, worker);
	if (r < 0)
		return tell_failure(worker, "threads", apd_str(strerror(-r)));
	/* What came together with SETUP will not make the socket readable again. */
	if (apd_inbox_drain(worker) < 0) {
		apd_crew_finish(&worker->crew);
		return 2;
	}
	apd_sender_watch(&worker->sender, worker->crew.wake_fd, worker->crew.timer_fd);
	r = apd_crew_start(&worker->crew, worker->socket);
	if (r < 0) {
		r = tell_failure(worker, "threads", apd_str(strerror(-r)));
		apd_crew_close(&worker->crew);
		apd_crew_finish(&worker->crew);
		return r;
	}
	end = apd_chores_run(worker);
	if (!apd_exec_wait_all(worker, end == APD_CHORE_QUIT ? -1 : LOST_GRACE_MS)) {
		*ret_abandoned = true;
		return 1;
	}
	apd_crew_close(&worker->crew);
	apd_sender_watch(&worker->sender, -1, -1);
	leave_plugin(worker);
	apd_sender_flush(&worker->sender);
	apd_crew_finish(&worker->crew);
	return end == APD_CHORE_QUIT ? 0 : 1;
}

static struct apd_worker *create(int socket_fd, int plugin_fd, bool in_process)
{
	struct apd_worker *worker = apd_calloc(1, sizeof(*worker));

	worker->socket = socket_fd;
	worker->plugin_fd = plugin_fd;
	worker->in_process = in_process;
	worker->reader.max = APD_TO_WORKER_MAX;
	pthread_mutex_init(&worker->read_lock, NULL);
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->ended, NULL);
	apd_sender_init(&worker->sender, socket_fd, !in_process);
	apd_chores_init(&worker->chores);
	apd_host_table_init(&worker->host, worker);
	return worker;
}

static void destroy(struct apd_worker *worker)
{
	apd_exec_forget(worker);
	apd_chores_finish(&worker->chores);
	apd_sender_finish(&worker->sender);
	apd_mapped_finish(&worker->mapped);
	apd_frame_reader_finish(&worker->reader);
	pthread_cond_destroy(&worker->ended);
	pthread_mutex_destroy(&worker->lock);
	pthread_mutex_destroy(&worker->read_lock);
	free(worker->file);
	free(worker);
}

int apd_worker_serve(int socket_fd, int plugin_fd, bool in_process)
{
	/* Kept for good where a stuck run may still use it. */
	static struct apd_worker *_Atomic abandoned_worker;
	struct apd_worker *worker = create(socket_fd, plugin_fd, in_process);
	struct apd_grants grants;
	bool abandoned = false;
	int r;

	r = take_setup(worker, &grants);
	if (r == 0)
		r = prepare(worker, &grants);
	else
		r = r == -EBADMSG || r == -EMSGSIZE ? 2 : 1;
	if (r == 0 && !worker->setup.describe)
		r = work(worker, &abandoned);
	else if (r == 0)
		leave_plugin(worker);
	if (abandoned) {
		atomic_store(&abandoned_worker, worker);
		return r;
	}
	close(socket_fd);
	/*
	 * Within another process the number of plugin_fd must never mean another
	 * file: the dynamic linker knows what is mapped by that name.
	 */
	if (!in_process)
		close(plugin_fd);
	destroy(worker);
	return r;
}
