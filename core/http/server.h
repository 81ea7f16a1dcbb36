/*
 * The HTTP server: libmicrohttpd, one daemon a thread, each driven by an epoll
 * loop of ours. Knows nothing of what the routes mean.
 *
 * A request belongs to one HTTP thread. Everything here that takes a request
 * or a stream is for that thread only, unless it says [any]; another thread
 * that has an answer posts a task to apd_http_request_mailbox() and answers
 * from there.
 */
#ifndef APD_HTTP_SERVER_H
#define APD_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mailbox.h"
#include "base/problem.h"
#include "base/text.h"

struct apd_http_server;
struct apd_http_request;
struct apd_http_stream;

struct apd_http_config {
	const char *host; /* "127.0.0.1", "::1", "0.0.0.0", a name */
	uint16_t port; /* 0: the system picks one */
	unsigned threads; /* 0: one a core */
	unsigned max_connections; /* in all */
	size_t max_header; /* bytes of a request's head */
	size_t max_body; /* bytes of one body */
	size_t max_bodies; /* bytes of all bodies in flight */
	unsigned send_timeout_ms; /* for a client to send a whole request */
	unsigned idle_timeout_ms; /* of a kept-alive connection between requests */
	unsigned stall_timeout_ms; /* for a client to take any bytes of an answer or a stream */
	unsigned heartbeat_ms; /* of a silent stream */
	const char *const *cors_origins; /* NULL-terminated; "*" allows all; NULL: CORS is off */
};

/* Handles one request: answers it, begins a stream, or suspends it. */
typedef void apd_http_handler(struct apd_http_request *request, void *data);

struct apd_http_route {
	const char *method; /* "GET" also serves HEAD */
	const char *path; /* "/runs/{run_id}/wait": braces match one segment */
	apd_http_handler *handler;
};

/*
 * Binds the address, but serves nothing yet. The routes must outlive the
 * server; data is passed to every handler; the configuration is copied. Raises
 * the soft limit of open files to what max_connections needs, and serves fewer
 * connections where the hard limit is too low. Returns 0, or a negative errno
 * with a sentence in error. [any]
 */
int apd_http_server_create(const struct apd_http_config *config,
	const struct apd_http_route *routes, size_t n_routes, void *data,
	struct apd_http_server **ret_server, struct apd_buf *error);

/* The bound port. [any] */
uint16_t apd_http_server_port(const struct apd_http_server *server);

/* How many threads serve, and the mailbox of one. [any] */
unsigned apd_http_server_threads(const struct apd_http_server *server);
struct apd_mailbox *apd_http_server_mailbox(struct apd_http_server *server, unsigned thread);

/*
 * Starts the threads; they take no signals. Returns 0, or a negative errno with
 * a sentence in error, and the server can only be destroyed. [any]
 */
int apd_http_server_start(struct apd_http_server *server, struct apd_buf *error);

/*
 * Stops taking connections and requests (new ones on kept connections get 503
 * shutting_down and are closed) and ends streams without another byte; requests
 * in flight may still be answered until stop. [any]
 */
void apd_http_server_drain(struct apd_http_server *server);

/*
 * Waits up to timeout_ms for the requests in flight, drops the rest (their
 * gone() is called), joins the threads. Afterwards nothing calls handlers, and
 * each request that was not answered is still to be answered, once, from any
 * one thread; its headers are no longer there. [any]
 */
void apd_http_server_stop(struct apd_http_server *server, unsigned timeout_ms);

/*
 * Frees a server that is stopped or was never started; NULL is fine. Runs what
 * is still in the mailboxes, so nobody may post to them any more.
 */
void apd_http_server_destroy(struct apd_http_server *server);

struct apd_http_stats {
	uint64_t requests;
	uint64_t responses[6]; /* by first digit of the status; [0] unused */
	uint64_t connections; /* open now */
	uint64_t streams; /* open now */
	uint64_t suspended; /* requests waiting for an answer now */
	uint64_t body_bytes; /* held by bodies in flight now */
};
void apd_http_server_stats(const struct apd_http_server *server, struct apd_http_stats *ret_stats);

/* What was asked; ranges live as long as the request. */
struct apd_str apd_http_request_method(const struct apd_http_request *request);
struct apd_str apd_http_request_path(const struct apd_http_request *request);
/* The n-th braced segment of the route's path, URL-decoded. */
struct apd_str apd_http_request_param(const struct apd_http_request *request, unsigned n);
/* A query parameter's first value, URL-decoded, or absent; and its n-th. */
struct apd_str apd_http_request_query(const struct apd_http_request *request, const char *name);
struct apd_str apd_http_request_query_at(
	const struct apd_http_request *request, const char *name, unsigned n);
/* A header, or absent. */
struct apd_str apd_http_request_header(const struct apd_http_request *request, const char *name);
/* The whole body as one text, a reference of the request's; take one to keep it. Never NULL. */
struct apd_text *apd_http_request_body(struct apd_http_request *request);
/* Which thread it lives on, and where to post tasks for it. [any] */
unsigned apd_http_request_thread(const struct apd_http_request *request);
struct apd_mailbox *apd_http_request_mailbox(const struct apd_http_request *request);

/* Adds a header to the coming answer or stream; both are copied. */
void apd_http_request_add_header(
	struct apd_http_request *request, const char *name, const char *value);

/*
 * Answers with a body that the server frees: the buffer's memory is taken over
 * and the buffer is empty afterwards. The request is gone with the call. Once
 * and only once a request; also after its client has left, when it only frees.
 */
void apd_http_reply(struct apd_http_request *request, int status, const char *content_type,
	struct apd_buf *body);

/* Answers with JSON. */
void apd_http_reply_json(struct apd_http_request *request, int status, struct apd_buf *body);

/* Answers 204. */
void apd_http_reply_empty(struct apd_http_request *request);

/* Answers with the problem's status and ErrorResponse (Retry-After with a 503). */
void apd_http_reply_problem(struct apd_http_request *request, const struct apd_problem *problem);

/*
 * Suspends the request: the handler may return before it is answered. gone(data)
 * is called at most once, within a millisecond after the client closed its
 * socket (or only its sending side), or when the server stops; the request must
 * still be answered. Only from the handler, and once a request.
 */
void apd_http_request_suspend(
	struct apd_http_request *request, void (*gone)(void *data), void *data);

/*
 * What feeds a stream of server-sent events.
 */
struct apd_http_source {
	/*
	 * Adds whole events to out, about max bytes of them at most; called when
	 * the socket has taken all that was added before, so the last call's
	 * bytes are with the client's kernel. Returns 1 if there is more, 0 if
	 * there is nothing now (wake the stream when there is), -1 if the stream
	 * ends after these bytes.
	 */
	int (*pull)(void *data, struct apd_buf *out, size_t max);
	/* The stream is over, by its end or because the client left (left) or the server stops. The last call. */
	void (*closed)(void *data, bool left);
};

/*
 * Turns the request into a stream: 200, text/event-stream. The request is gone
 * with the call. The headers go out at once; pull() is called soon after, not
 * from within. A comment goes out every heartbeat while the source is silent.
 * Never NULL: where nothing can be streamed (HEAD, a client that has left, no
 * descriptor left: 503) the request is answered, and closed() is called soon
 * after, without a pull().
 */
struct apd_http_stream *apd_http_stream_begin(
	struct apd_http_request *request, const struct apd_http_source *source, void *data);

/* Says that pull() has something to give. [the request's thread] */
void apd_http_stream_wake(struct apd_http_stream *stream);

#endif
