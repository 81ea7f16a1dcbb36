/*
 * Lingering: how a connection is closed on which the client still sends.
 *
 * A refusal can be due before the request has been read to its end: a body
 * announced to be too large is not worth its bytes. But the kernel resets a
 * connection that is closed with unread input, and a client that reads only
 * after it has sent all would see the reset and never the refusal. So the
 * socket is taken over from libmicrohttpd, the answer sent, our side closed,
 * and what still comes is dropped until the client closes its side. That costs
 * a descriptor and nothing else: it does not count as a connection any more, so
 * that bytes, time and number are bounded, and the oldest has to go first.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"

#define DROP_AT_ONCE 65536u /* bytes */
#define LINGERS_MAX  128 /* of the whole server; the threads share them out */

struct apd_http_linger {
	struct apd_http_watch watch; /* the timer is for giving up */
	struct apd_http_thread *thread;
	struct apd_list link; /* in lingers */
	int fd;
	uint64_t left; /* bytes that it may still send */
};

static void linger_destroy(struct apd_http_linger *linger)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): one that was freed is in no list. */
	struct apd_http_thread *thread = linger->thread;

	/* A child between fork and exec may still have the socket: see stream.c. */
	epoll_ctl(thread->epoll_fd, EPOLL_CTL_DEL, linger->fd, NULL);
	close(linger->fd);
	apd_heap_clear(&thread->timers, &linger->watch.timer);
	apd_list_remove(&linger->link);
	thread->n_lingers--;
	free(linger);
}

/* Input came, or its end: drops a part of it, so that others have their turn. */
void apd_http_linger_event(struct apd_http_linger *linger)
{
	uint64_t max = linger->left < DROP_AT_ONCE ? linger->left : DROP_AT_ONCE;
	struct apd_buf *scratch = &linger->thread->scratch;
	ssize_t n;

	apd_buf_clear(scratch);
	n = recv(linger->fd, apd_buf_reserve(scratch, max), max, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		linger->left -= (uint64_t)n;
	if (n <= 0 || linger->left == 0)
		linger_destroy(linger);
}

/* The client had time enough. */
void apd_http_linger_timer(struct apd_http_linger *linger)
{
	linger_destroy(linger);
}

/* Closes all there are. */
void apd_http_lingers_end(struct apd_http_thread *thread)
{
	while (!apd_list_empty(&thread->lingers))
		linger_destroy(apd_list_first(&thread->lingers, struct apd_http_linger, link));
}

/* Sends the answer. The send buffer is as good as empty, so that what it does not take is lost. */
static void send_answer(struct apd_http_request *request, int fd, int status,
	const char *content_type, struct apd_str body)
{
	struct apd_buf out = {0};

	apd_buf_addf(
		&out, "HTTP/1.1 %d %s\r\n", status, MHD_get_reason_phrase_for((unsigned)status));
	apd_http_add_date(&out);
	apd_buf_addf(&out, "Connection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
		content_type, body.len);
	apd_http_cors_add_headers(request);
	for (const struct apd_http_header *h = request->headers; h; h = h->next)
		apd_buf_addf(&out, "%s: %s\r\n", h->name, h->value);
	apd_buf_lit(&out, "\r\n");
	if (!apd_str_is(request->method, "HEAD"))
		apd_buf_add_str(&out, body);
	if (send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		shutdown(fd, SHUT_WR);
	apd_buf_finish(&out);
}

/* Waits for the client to close its side. */
static void watch(struct apd_http_thread *thread, int fd)
{
	const struct apd_http_config *config = &thread->server->config;
	struct apd_http_linger *linger = apd_calloc(1, sizeof(*linger));
	struct epoll_event event = {.events = EPOLLIN};

	linger->watch.type = APD_HTTP_WATCH_LINGER;
	linger->thread = thread;
	linger->fd = fd;
	linger->left = (uint64_t)config->max_body * APD_HTTP_DISCARD_LIMIT;
	apd_list_append(&thread->lingers, &linger->link);
	thread->n_lingers++;
	event.data.ptr = &linger->watch;
	if (epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		linger_destroy(linger);
		return;
	}
	if (config->send_timeout_ms)
		apd_heap_set(&thread->timers, &linger->watch.timer,
			thread->now_ns + config->send_timeout_ms * APD_NS_PER_MS);
}

/*
 * Answers a request that has not been read to its end, and lingers. The request
 * is libmicrohttpd's to drop then. Returns 0, or a negative errno when the
 * process is out of descriptors: the request is to be answered otherwise.
 */
int apd_http_linger_reply(
	struct apd_http_request *request, int status, const char *content_type, struct apd_str body)
{
	struct apd_http_thread *thread = request->thread;
	int fd, r;

	r = apd_http_takeover(request, &fd);
	if (r < 0)
		return r;
	atomic_fetch_sub_explicit(&thread->server->connections, 1, memory_order_relaxed);
	send_answer(request, fd, status, content_type, body);
	if (thread->n_lingers >= 1 + LINGERS_MAX / thread->server->n_threads)
		linger_destroy(apd_list_first(&thread->lingers, struct apd_http_linger, link));
	watch(thread, fd);
	return 0;
}
