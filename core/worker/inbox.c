/* The inbox: reading what the daemon sent and acting on it. No plugin code runs here. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/exec.h"

/* Takes the answer to a commit. */
static int on_committed(
	struct apd_worker *worker, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	int32_t status;

	if (apd_fields_struct(&fields, &status, sizeof(status)) < 0)
		return -EBADMSG;
	apd_exec_committed(worker, frame->run, frame->arg, status);
	return 0;
}

/* Acts on one message: 0 or -EBADMSG. Types that it does not know are skipped. */
static int act(struct apd_worker *worker, const struct apd_frame *frame, struct apd_str payload,
	struct apd_list *jobs)
{
	switch (frame->type) {
	case APD_FRAME_INVOKE:
		return apd_exec_create(worker, frame, payload, jobs);
	case APD_FRAME_STOP:
		if (frame->arg < APD_STOP_CANCEL || frame->arg > APD_STOP_ROLLBACK)
			return -EBADMSG;
		apd_exec_stop(worker, frame->run, frame->arg);
		return 0;
	case APD_FRAME_COMMITTED:
		return on_committed(worker, frame, payload);
	case APD_FRAME_CREDIT:
		if (frame->run)
			apd_exec_credit(worker, frame->run, frame->arg);
		else
			apd_host_log_credit(worker, frame->arg);
		return 0;
	case APD_FRAME_LISTENING:
		apd_exec_listening(worker, frame->run, frame->arg);
		return 0;
	case APD_FRAME_PING:
		apd_sender_add(
			&worker->sender, APD_SEND_NOW, APD_FRAME_PONG, 0, frame->arg, NULL, 0);
		return 0;
	case APD_FRAME_CREATE:
		apd_chores_add(&worker->chores, APD_CHORE_CREATE, frame->arg, payload);
		return 0;
	case APD_FRAME_QUIT:
		atomic_store(&worker->quitting, true);
		apd_sender_spare(&worker->sender);
		apd_chores_add(&worker->chores, APD_CHORE_QUIT, 0, APD_STR_ABSENT);
		return 0;
	default:
		return 0;
	}
}

int apd_inbox_drain(struct apd_worker *worker)
{
	struct apd_list jobs;
	struct apd_frame frame;
	struct apd_str payload;
	int r;

	apd_list_init(&jobs);
	while ((r = apd_frame_reader_next(&worker->reader, &frame, &payload)) > 0) {
		r = act(worker, &frame, payload, &jobs);
		if (r < 0)
			break;
	}
	if (!apd_list_empty(&jobs))
		apd_crew_add_all(&worker->crew, &jobs);
	return r;
}

/* Ends what this worker is for: the process at once, or its runs and the caller's wait. */
static int lose(struct apd_worker *worker, int r)
{
	static const char nonsense[] = "apd-worker: the daemon sent a bad frame\n";

	/* After QUIT the daemon need not stay: what is left to do is the plugin's. */
	if (atomic_load(&worker->quitting))
		return r;
	if (r == -EBADMSG || r == -EMSGSIZE) {
		if (write(STDERR_FILENO, nonsense, sizeof(nonsense) - 1) < 0)
			r = -EBADMSG;
	}
	if (!worker->in_process)
		_exit(r == -EBADMSG || r == -EMSGSIZE ? 2 : 1);
	if (!atomic_exchange(&worker->lost, true)) {
		apd_exec_stop_all(worker);
		apd_chores_add(&worker->chores, APD_CHORE_LOST, 0, APD_STR_ABSENT);
	}
	return r;
}

/*
 * One read and what follows from it: 1 if there may be more to read, 0 if there
 * is not, or a negative errno.
 */
static int read_once(struct apd_worker *worker)
{
	size_t room;
	char *to = apd_frame_reader_room(&worker->reader, &room);
	ssize_t n;
	int r;

	do
		n = recv(worker->socket, to, room, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	apd_frame_reader_got(&worker->reader, (size_t)n);
	r = apd_inbox_drain(worker);
	if (r < 0)
		return r;
	return (size_t)n == room;
}

int apd_inbox_read(void *data)
{
	struct apd_worker *worker = data;
	int r = 1;

	/* Several listeners may be here; what one did not read the next one does. */
	pthread_mutex_lock(&worker->read_lock);
	while (r > 0 && !atomic_load(&worker->lost) && !atomic_load(&worker->quitting))
		r = read_once(worker);
	if (r < 0)
		lose(worker, r);
	pthread_mutex_unlock(&worker->read_lock);
	return r;
}
