/* Sending and receiving frames, and what is the same for all of a session. */
#include "apd/check/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

void apd_check_send(struct apd_check_session *session, struct apd_buf *out)
{
	size_t at = 0;

	while (at < out->len) {
		ssize_t n = send(session->socket, out->data + at, out->len - at, MSG_NOSIGNAL);

		/* A worker that is gone is noticed by who waits for what it says. */
		if (n < 0 && errno != EINTR)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	apd_buf_finish(out);
}

/* Gives log credit back, and fails the check for what the host had to refuse. */
static void take_log(
	struct apd_check_session *session, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_buf out = {0};
	struct apd_str line;

	if (apd_fields_next(&fields, &line) < 0)
		return;
	/* The worker explains to authors what emit(), commit() and interrupt() refused. */
	if (frame->run && frame->arg == AP_LOG_WARN && line.ptr &&
		memmem(line.ptr, line.len, "() refused ", 11))
		apd_check_fail(session->check, "%.*s", APD_STR_FMT(line));
	apd_frame_add(&out, APD_FRAME_CREDIT, 0, (uint32_t)line.len, NULL, 0);
	apd_check_send(session, &out);
}

static void take_misuse(struct apd_check_session *session, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_str what;

	if (apd_fields_next(&fields, &what) == 0)
		apd_check_fail(session->check, "plugin misbehaving: %.*s", APD_STR_FMT(what));
}

/* Reads what has come: 1, 0 at the end, or -errno. */
static int read_some(struct apd_check_session *session, int64_t until_ns)
{
	struct pollfd readable = {.fd = session->socket, .events = POLLIN};
	int64_t left = until_ns - apd_clock_mono_ns();
	size_t room;
	char *to;
	ssize_t n;

	if (left <= 0)
		return -ETIME;
	if (poll(&readable, 1, (int)(left / APD_NS_PER_MS) + 1) <= 0)
		return 1;
	to = apd_frame_reader_room(&session->reader, &room);
	n = recv(session->socket, to, room, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : 0;
	apd_frame_reader_got(&session->reader, (size_t)n);
	return n > 0;
}

int apd_check_receive(struct apd_check_session *session, int64_t until_ns,
	struct apd_frame *ret_frame, struct apd_str *ret_payload)
{
	int r;

	for (;;) {
		r = apd_frame_reader_next(&session->reader, ret_frame, ret_payload);
		if (r < 0)
			return -EBADMSG;
		if (r == 0) {
			r = read_some(session, until_ns);
			if (r <= 0)
				return r;
		} else if (ret_frame->type == APD_FRAME_LOG) {
			take_log(session, ret_frame, *ret_payload);
		} else if (ret_frame->type == APD_FRAME_MISUSE) {
			take_misuse(session, *ret_payload);
		} else {
			return 1;
		}
	}
}
