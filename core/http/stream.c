/*
 * Streams: sockets taken over from libmicrohttpd, fed by a source. A stream
 * that has nothing to do is a timer and an entry in the epoll set; one that
 * has is in its thread's ready list, which is worked off once a turn of the
 * loop. All of a stream's work is done there, so that no callback of a source
 * runs inside another one's.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http/internal.h"

#define PULL_MAX   65536 /* bytes asked of a source at once */
#define UNSENT_MAX 131072 /* bytes that the kernel takes of us before it has sent them */
#define KEEP_MAX   262144 /* bytes of the thread's scratch memory that are kept */
#define TURN_MAX   512 /* streams looked at before requests have their turn again */

struct apd_http_stream {
	struct apd_http_watch watch; /* the timer is for heartbeats, or for a stalled client */
	struct apd_http_thread *thread;
	struct apd_http_source source;
	void *data;
	struct apd_list link; /* in streams */
	struct apd_list ready; /* in ready */
	struct apd_buf unsent; /* what the socket did not take */
	size_t unsent_at;
	int64_t moved_ns; /* when the socket last took bytes */
	int fd; /* -1: there never was a client, only closed() is due */
	bool chunked;
	bool blocked; /* wait for the socket before anything else */
	bool due; /* pull() may have something */
	bool ending; /* close when all is sent */
	bool left; /* the client is gone, or was never served */
};

static void make_ready(struct apd_http_stream *stream)
{
	if (!apd_list_linked(&stream->ready))
		apd_list_append(&stream->thread->ready, &stream->ready);
}

/* Sets the timer if it is not set, or too late for what it is for now. */
static void arm(struct apd_http_stream *stream)
{
	const struct apd_http_config *config = &stream->thread->server->config;
	unsigned ms = stream->blocked ? config->stall_timeout_ms : config->heartbeat_ms;
	int64_t at = stream->moved_ns + ms * APD_NS_PER_MS;
	struct apd_timer *timer = &stream->watch.timer;

	if (ms && (timer->index == 0 || timer->at_ns > at))
		apd_heap_set(&stream->thread->timers, timer, at);
}

/* Frees the stream; its source hears of it last. */
static void stream_destroy(struct apd_http_stream *stream)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): one that was freed is in no list. */
	struct apd_http_thread *thread = stream->thread;
	struct apd_http_source source = stream->source;
	void *data = stream->data;
	bool left = stream->left;
	char rest[512];

	if (stream->fd >= 0) {
		/* Closing with unread input would reset the connection under the last event. */
		while (recv(stream->fd, rest, sizeof(rest), MSG_DONTWAIT) == sizeof(rest))
			;
		/* close() is not enough: a child between fork and exec still has the socket, so
		 * that epoll would tell of it with the pointer to what is freed here. */
		epoll_ctl(thread->epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
		close(stream->fd);
		apd_http_count(&thread->n_streams, -1);
		atomic_fetch_sub_explicit(&thread->server->connections, 1, memory_order_relaxed);
	}
	apd_heap_clear(&thread->timers, &stream->watch.timer);
	apd_list_remove(&stream->ready);
	apd_list_remove(&stream->link);
	apd_buf_finish(&stream->unsent);
	free(stream);
	source.closed(data, left);
}

/* Keeps what the socket did not take of these ranges. */
static void keep_unsent(
	struct apd_http_stream *stream, const struct iovec *parts, int n, size_t taken)
{
	for (int i = 0; i < n; i++) {
		size_t skip = taken < parts[i].iov_len ? taken : parts[i].iov_len;

		taken -= skip;
		apd_buf_add(
			&stream->unsent, (char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
	}
	stream->unsent_at = 0;
	stream->blocked = true;
	stream->moved_ns = stream->thread->now_ns; /* the client's time begins now */
	arm(stream);
}

/* Sends ranges, or keeps them; nothing may be unsent before. */
static void send_parts(struct apd_http_stream *stream, struct iovec *parts, int n)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)n};
	size_t total = 0;
	ssize_t taken;

	for (int i = 0; i < n; i++)
		total += parts[i].iov_len;
	taken = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (taken < 0 && errno != EAGAIN && errno != EINTR) {
		stream->left = true;
		return;
	}
	if (taken > 0)
		stream->moved_ns = stream->thread->now_ns;
	if (taken < 0)
		taken = 0;
	if ((size_t)taken < total)
		keep_unsent(stream, parts, n, (size_t)taken);
}

/* Sends what was kept. */
static void send_unsent(struct apd_http_stream *stream)
{
	size_t len = stream->unsent.len - stream->unsent_at;
	ssize_t taken = send(stream->fd, stream->unsent.data + stream->unsent_at, len,
		MSG_NOSIGNAL | MSG_DONTWAIT);

	if (taken < 0) {
		if (errno != EAGAIN && errno != EINTR)
			stream->left = true;
		return;
	}
	stream->moved_ns = stream->thread->now_ns;
	stream->unsent_at += (size_t)taken;
	if (stream->unsent_at == stream->unsent.len) {
		apd_buf_finish(&stream->unsent); /* thousands of idle streams keep no buffers */
		stream->unsent_at = 0;
		stream->blocked = false;
	}
}

/* Sends bytes as one chunk, and the end of the body when it is the last. */
static void send_chunk(struct apd_http_stream *stream, struct apd_str bytes, bool last)
{
	static const char hex[] = "0123456789abcdef";
	char head[] = "00000000\r\n";
	struct iovec parts[3];
	int n = 0;

	for (int i = 0; i < 8; i++)
		head[i] = hex[bytes.len >> (28 - 4 * i) & 15];
	if (bytes.len && stream->chunked)
		parts[n++] = (struct iovec){head, sizeof(head) - 1};
	if (bytes.len)
		parts[n++] = (struct iovec){(char *)bytes.ptr, bytes.len};
	if (stream->chunked && last)
		parts[n++] = bytes.len ? (struct iovec){"\r\n0\r\n\r\n", 7}
				       : (struct iovec){"0\r\n\r\n", 5};
	else if (stream->chunked && bytes.len)
		parts[n++] = (struct iovec){"\r\n", 2};
	if (n)
		send_parts(stream, parts, n);
}

/* Asks the source for events and sends them. */
static void pull(struct apd_http_stream *stream)
{
	struct apd_buf *scratch = &stream->thread->scratch;
	int r;

	stream->due = false;
	apd_buf_clear(scratch);
	r = stream->source.pull(stream->data, scratch, PULL_MAX);
	if (r > 0)
		stream->due = true;
	if (r < 0)
		stream->ending = true;
	send_chunk(stream, apd_buf_str(scratch), r < 0);
	if (scratch->cap > KEEP_MAX)
		apd_buf_finish(scratch);
}

/* Does what there is to do for a stream; it may be gone afterwards. */
static void stream_run(struct apd_http_stream *stream)
{
	if (stream->blocked && !stream->left)
		send_unsent(stream);
	if (!stream->blocked && !stream->left && !stream->ending && stream->due)
		pull(stream);
	if (stream->left || (stream->ending && !stream->blocked)) {
		stream_destroy(stream);
		return;
	}
	if (stream->due && !stream->blocked)
		make_ready(stream);
	arm(stream);
}

/* Works off the ready list, a part at a time. */
void apd_http_streams_run(struct apd_http_thread *thread)
{
	struct apd_list now;

	apd_list_init(&now);
	apd_list_splice(&now, &thread->ready);
	for (unsigned n = 0; n < TURN_MAX && !apd_list_empty(&now); n++) {
		struct apd_http_stream *stream =
			apd_list_first(&now, struct apd_http_stream, ready);

		apd_list_remove(&stream->ready);
		stream_run(stream);
	}
	/* The rest goes first in the next turn. */
	apd_list_splice(&now, &thread->ready);
	apd_list_splice(&thread->ready, &now);
}

/* Ends all streams without another byte: clients see that there was no end, and come back. */
void apd_http_streams_end(struct apd_http_thread *thread)
{
	while (!apd_list_empty(&thread->streams))
		stream_destroy(apd_list_first(&thread->streams, struct apd_http_stream, link));
}

/* The socket of a stream has room, or its client left. */
void apd_http_stream_event(struct apd_http_stream *stream, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		stream->left = true;
	if (stream->left || stream->blocked)
		make_ready(stream);
}

/* The timer of a stream fired: its client stalls, or the source has been silent. */
void apd_http_stream_timer(struct apd_http_stream *stream)
{
	const struct apd_http_thread *thread = stream->thread;
	const struct apd_http_config *config = &thread->server->config;
	unsigned ms = stream->blocked ? config->stall_timeout_ms : config->heartbeat_ms;

	if (ms == 0)
		return;
	if (thread->now_ns - stream->moved_ns < ms * APD_NS_PER_MS) {
		arm(stream);
		return;
	}
	if (stream->blocked)
		stream->left = true;
	else
		send_chunk(stream, APD_STR(": heartbeat\n\n"), false);
	if (stream->left)
		make_ready(stream);
	else
		arm(stream);
}

/* Adds the head of the answer. */
static void add_head(struct apd_buf *out, struct apd_http_request *request)
{
	apd_buf_lit(out, "HTTP/1.1 200 OK\r\n");
	apd_http_add_date(out);
	apd_buf_lit(out,
		"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
		"X-Accel-Buffering: no\r\nConnection: close\r\n");
	if (!request->http_1_0)
		apd_buf_lit(out, "Transfer-Encoding: chunked\r\n");
	apd_http_cors_add_headers(request);
	for (const struct apd_http_header *h = request->headers; h; h = h->next)
		apd_buf_addf(out, "%s: %s\r\n", h->name, h->value);
	apd_buf_lit(out, "\r\n");
}

/* Puts a taken-over socket into our epoll set, with its head to be sent first. */
static void serve(struct apd_http_stream *stream, struct apd_http_request *request)
{
	struct apd_http_thread *thread = stream->thread;
	unsigned stall_ms = thread->server->config.stall_timeout_ms;
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLOUT | EPOLLET};
	int on = 1, off = 0, unsent_max = UNSENT_MAX;

	event.data.ptr = &stream->watch;
	setsockopt(stream->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
	setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* Else the kernel would hold megabytes of events for a client that reads slowly. */
	setsockopt(stream->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof(unsent_max));
	/* Heartbeats to a machine that vanished would fit the kernel's buffer for hours. */
	if (stall_ms)
		setsockopt(stream->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
	if (epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, stream->fd, &event) < 0)
		stream->left = true;
	stream->chunked = !request->http_1_0;
	add_head(&stream->unsent, request);
	stream->blocked = stream->due = true;
}

/* A stream of which only closed() is left to be called. */
static void serve_nobody(struct apd_http_stream *stream, bool left)
{
	stream->left = left;
	stream->ending = true;
}

/* Answers the HEAD of a stream. */
static void reply_head(struct apd_http_request *request)
{
	struct apd_buf none = {0};

	apd_http_request_add_header(request, "Cache-Control", "no-cache");
	apd_http_request_add_header(request, "X-Accel-Buffering", "no");
	apd_http_reply(request, 200, "text/event-stream", &none);
}

/* Answers a request that cannot become a stream. */
static void reply_unavailable(struct apd_http_request *request)
{
	struct apd_problem problem;

	if (request->thread->draining)
		apd_problem_set(
			&problem, APD_PROBLEM_SHUTTING_DOWN, "this server is shutting down");
	else
		apd_problem_set(
			&problem, APD_PROBLEM_OVERLOADED, "too many files are open for a stream");
	apd_http_reply_problem(request, &problem);
}

struct apd_http_stream *apd_http_stream_begin(
	struct apd_http_request *request, const struct apd_http_source *source, void *data)
{
	struct apd_http_thread *thread = request->thread;
	struct apd_http_stream *stream = apd_calloc(1, sizeof(*stream));
	struct apd_buf none = {0};

	stream->watch.type = APD_HTTP_WATCH_STREAM;
	stream->thread = thread;
	stream->source = *source;
	stream->data = data;
	stream->fd = -1;
	stream->moved_ns = thread->now_ns;
	apd_list_append(&thread->streams, &stream->link);
	make_ready(stream);
	if (request->state == APD_HTTP_ORPHAN || request->told_gone) {
		serve_nobody(stream, true);
		apd_http_reply(request, 200, NULL, &none);
	} else if (apd_str_is(request->method, "HEAD")) {
		serve_nobody(stream, false);
		reply_head(request);
	} else if (thread->draining || apd_http_takeover(request, &stream->fd) < 0) {
		serve_nobody(stream, true);
		reply_unavailable(request);
	} else {
		apd_http_count(&thread->n_streams, 1);
		apd_http_count(&thread->n_responses[2], 1);
		serve(stream, request);
	}
	return stream;
}

void apd_http_stream_wake(struct apd_http_stream *stream)
{
	stream->due = true;
	if (!stream->blocked)
		make_ready(stream);
}
