/*
 * What the files of the server share. A thread owns everything but the atomics:
 * its connections (libmicrohttpd's, or ours when their socket was taken over as
 * a stream), its requests and its timers.
 */
#ifndef APD_HTTP_INTERNAL_H
#define APD_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "http/route.h"
#include "http/server.h"

#define APD_HTTP_ROOM "http" /* in log lines */

/* Connections beyond the limit that still get a 503 rather than a closed socket. */
#define APD_HTTP_EXCESS 64

/* What is not read but dropped of a request may be so many times as long as a good body. */
#define APD_HTTP_DISCARD_LIMIT 4

/* What an epoll event or a timer is about; the first member of what it is in. */
enum apd_http_watch_type {
	APD_HTTP_WATCH_DAEMON, /* libmicrohttpd has events */
	APD_HTTP_WATCH_LISTEN, /* connections wait */
	APD_HTTP_WATCH_WAKE, /* another thread wants this one's attention */
	APD_HTTP_WATCH_CONNECTION,
	APD_HTTP_WATCH_STREAM,
	APD_HTTP_WATCH_LINGER,
};

struct apd_http_watch {
	enum apd_http_watch_type type;
	struct apd_timer timer;
};

/*
 * Counters: written by one thread, read by any. The relaxed load and store cost
 * nothing, where an atomic addition would cost a bus lock a request.
 */
typedef _Atomic uint64_t apd_http_counter;

static inline void apd_http_count(apd_http_counter *counter, int64_t by)
{
	uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, now + (uint64_t)by, memory_order_relaxed);
}

struct apd_http_thread {
	struct apd_http_server *server;
	unsigned index;
	pthread_t id;
	bool running;
	int listen_fd;
	int epoll_fd;
	int wake_fd;
	int dead_fd; /* an end of a socketpair whose other end is closed: takeover.c */
	struct MHD_Daemon *daemon;
	struct apd_http_watch daemon_watch;
	struct apd_http_watch listen_watch; /* the timer is for listening again */
	struct apd_http_watch wake_watch;
	struct apd_mailbox mailbox;
	struct apd_heap timers;
	int64_t now_ns; /* as of this turn of the loop */
	bool resumed; /* libmicrohttpd has to run, although its sockets are quiet */
	bool starved; /* there was no descriptor for a connection */
	int64_t starved_ns; /* when the last time */
	bool draining; /* no new requests, no streams */
	bool reported; /* told stop() that nothing is in flight */
	struct apd_list requests; /* all that libmicrohttpd or a caller has */
	struct apd_list gone; /* those whose client left before they were suspended */
	struct apd_list orphans; /* those that outlived their thread, until they are answered */
	struct apd_list streams; /* all */
	struct apd_list ready; /* streams that want to be looked at */
	struct apd_list lingers; /* sockets that are about to be closed, the oldest first */
	unsigned n_lingers;
	struct apd_list spare; /* requests to be used again */
	unsigned n_spare;
	uint64_t in_flight; /* requests being handled or answered */
	struct apd_buf scratch; /* what a stream's source just gave */
	apd_http_counter n_requests;
	apd_http_counter n_responses[6];
	apd_http_counter n_streams;
	apd_http_counter n_suspended;
};

struct apd_http_server {
	struct apd_http_config config;
	char *host;
	char **cors_origins; /* NULL-terminated; NULL: CORS is off */
	bool loopback; /* bound to one: Host must be one */
	uint16_t port;
	struct apd_http_node *routes;
	void *data;
	struct apd_http_thread *threads;
	unsigned n_threads;
	bool started;
	_Atomic bool draining;
	_Atomic bool stopping;
	_Atomic uint64_t connections;
	_Atomic uint64_t body_bytes;
	pthread_mutex_t lock; /* for the two below */
	pthread_cond_t quiet;
	unsigned n_quiet; /* draining threads with nothing in flight */
};

/* One connection of libmicrohttpd's: its socket_context. */
struct apd_http_connection {
	struct apd_http_watch watch; /* the timer is for the deadline */
	struct apd_http_thread *thread;
	struct MHD_Connection *mhd;
	struct apd_http_request *request; /* the one that waits or is answered, or NULL */
	int fd;
	bool watched; /* fd is in our epoll set */
	bool left; /* the client closed its side */
	bool excess; /* over the limit: gets a 503 */
	bool taken; /* others have the socket, and its place among the connections */
	bool sending; /* an answer is on its way: the deadline is for progress */
	int64_t deadline_ns; /* 0: none */
	uint64_t acked; /* bytes the client's kernel had at the last look */
};

enum apd_http_state {
	APD_HTTP_READING, /* the body comes in */
	APD_HTTP_HANDLING, /* the handler runs */
	APD_HTTP_SUSPENDED, /* waits for its answer */
	APD_HTTP_ANSWERED, /* libmicrohttpd has the answer */
	APD_HTTP_DROPPED, /* libmicrohttpd is to close the connection */
	APD_HTTP_ORPHAN, /* the server stopped before the answer */
};

struct apd_http_header {
	struct apd_http_header *next;
	const char *name;
	const char *value;
};

struct apd_http_arena_block {
	struct apd_http_arena_block *next;
	char data[];
};

struct apd_http_request {
	struct apd_list link; /* in requests, orphans or spare */
	struct apd_list gone_link; /* in gone */
	struct apd_http_thread *thread;
	struct apd_http_connection *connection; /* NULL for an orphan */
	enum apd_http_state state;
	bool judged; /* the head was looked at */
	bool in_flight; /* counted as such */
	bool http_1_0;
	bool chunked;
	bool expects; /* "Expect: 100-continue" */
	bool malformed; /* the head's framing cannot be trusted */
	bool suspended; /* libmicrohttpd was told to leave it alone */
	bool closing; /* the connection ends with the answer */
	bool early; /* answered before the body was read */
	bool told_gone;
	struct apd_str method;
	struct apd_str path; /* still encoded; in the arena, as are method and query */
	struct apd_str query;
	struct apd_str host; /* in libmicrohttpd's memory, as is the origin */
	struct apd_str origin;
	unsigned n_hosts;
	uint64_t announced; /* Content-Length */
	struct apd_http_match match;
	const struct apd_http_route *route;
	int refused_status; /* 0: not refused */
	enum apd_problem_code refused_code;
	const char *refused_message;
	struct apd_text *body;
	size_t received; /* bytes of the body, also of a discarded one */
	struct apd_buf growing; /* a chunked body */
	size_t charged; /* against max_bodies */
	void (*gone)(void *data);
	void *gone_data;
	struct apd_http_header *headers;
	struct apd_http_header **headers_end;
	struct apd_http_arena_block *blocks;
	size_t arena_used;
	char arena[768];
};

/* accept.c: new connections. */
void apd_http_accept_event(struct apd_http_thread *thread);
void apd_http_accept_timer(struct apd_http_thread *thread);
void apd_http_accept_end(struct apd_http_thread *thread);

/* connection.c: libmicrohttpd's connections, their deadlines and the watch over suspended ones. */
void apd_http_connection_notify(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_ConnectionNotificationCode code);
struct apd_http_connection *apd_http_connection_of(struct MHD_Connection *mhd);
void apd_http_connection_deadline(struct apd_http_connection *connection, unsigned ms);
void apd_http_connection_timer(struct apd_http_connection *connection);
void apd_http_connection_event(struct apd_http_connection *connection);
void apd_http_connection_watch(struct apd_http_connection *connection);
void apd_http_connection_unwatch(struct apd_http_connection *connection);

/* request.c: the object of a request. */
struct apd_http_request *apd_http_request_create(struct apd_http_connection *connection);
void apd_http_request_destroy(struct apd_http_request *request);
void *apd_http_request_alloc(struct apd_http_request *request, size_t size);
void apd_http_request_flight(struct apd_http_request *request, bool begins);
void apd_http_request_tell_gone(struct apd_http_request *request);
void apd_http_request_orphan(struct apd_http_request *request);

/* receive.c: what libmicrohttpd calls with a request's head and body. */
void *apd_http_receive_target(void *data, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result apd_http_receive(void *data, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **context);
void apd_http_receive_completed(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_RequestTerminationCode code);

/* judge.c: what a request's head alone decides. */
void apd_http_judge(struct apd_http_request *request);
void apd_http_refuse(struct apd_http_request *request, int status, enum apd_problem_code code,
	const char *message);

/* cors.c: other origins' web pages. */
bool apd_http_cors_allows(const struct apd_http_server *server, struct apd_str origin);
void apd_http_cors_add_headers(struct apd_http_request *request);
void apd_http_cors_preflight(struct apd_http_request *request);

/* reply.c: answers. */
void apd_http_reply_refusal(struct apd_http_request *request);
void apd_http_reply_options(struct apd_http_request *request);
void apd_http_add_date(struct apd_buf *head);

/* takeover.c: a socket leaves libmicrohttpd. */
int apd_http_takeover(struct apd_http_request *request, int *ret_fd);

/* stream.c: taken-over sockets. */
void apd_http_stream_event(struct apd_http_stream *stream, uint32_t events);
void apd_http_stream_timer(struct apd_http_stream *stream);
void apd_http_streams_run(struct apd_http_thread *thread);
void apd_http_streams_end(struct apd_http_thread *thread);

/* linger.c: sockets on which a refused client may still send. */
struct apd_http_linger;
int apd_http_linger_reply(struct apd_http_request *request, int status, const char *content_type,
	struct apd_str body);
void apd_http_linger_event(struct apd_http_linger *linger);
void apd_http_linger_timer(struct apd_http_linger *linger);
void apd_http_lingers_end(struct apd_http_thread *thread);

/* thread.c: the loop. */
int apd_http_thread_init(
	struct apd_http_thread *thread, struct apd_http_server *server, unsigned index);
int apd_http_thread_start(struct apd_http_thread *thread);
void apd_http_thread_finish(struct apd_http_thread *thread);
void apd_http_thread_wake(struct apd_http_thread *thread);

/* listen.c: listening sockets and descriptors. */
int apd_http_listen_bind(struct apd_http_server *server, struct apd_buf *error);
unsigned apd_http_listen_limit(unsigned max_connections);

#endif
