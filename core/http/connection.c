/*
 * libmicrohttpd's connections. Two things it does not do are done here: a
 * deadline for what a client may take its time with (its own time-out is for
 * inactivity only, so that a byte a second lives for ever), and watching the
 * sockets of suspended connections for clients that leave.
 */
#include <errno.h>
#include <linux/tcp.h> /* the C library's tcp_info lacks what we read */
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "http/internal.h"

static void *connection_create(struct apd_http_thread *thread, struct MHD_Connection *mhd)
{
	struct apd_http_connection *connection = apd_calloc(1, sizeof(*connection));
	uint64_t others =
		atomic_fetch_add_explicit(&thread->server->connections, 1, memory_order_relaxed);

	connection->watch.type = APD_HTTP_WATCH_CONNECTION;
	connection->thread = thread;
	connection->mhd = mhd;
	connection->fd =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	connection->excess = others >= thread->server->config.max_connections;
	apd_http_connection_deadline(connection, thread->server->config.send_timeout_ms);
	return connection;
}

static void connection_destroy(struct apd_http_connection *connection)
{
	struct apd_http_thread *thread = connection->thread;

	apd_http_connection_unwatch(connection);
	apd_heap_clear(&thread->timers, &connection->watch.timer);
	if (!connection->taken)
		atomic_fetch_sub_explicit(&thread->server->connections, 1, memory_order_relaxed);
	free(connection);
}

/* Called by libmicrohttpd when a connection begins, and right before it closes the socket. */
void apd_http_connection_notify(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		*context = connection_create(data, mhd);
	else if (*context)
		connection_destroy(*context);
}

/* Ours for one of libmicrohttpd's. */
struct apd_http_connection *apd_http_connection_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/*
 * Gives the connection so many milliseconds from now; 0: as long as it likes.
 * A timer that is set too early is left alone and looks again when it fires,
 * so that most requests do not touch the heap.
 */
void apd_http_connection_deadline(struct apd_http_connection *connection, unsigned ms)
{
	struct apd_http_thread *thread = connection->thread;
	struct apd_timer *timer = &connection->watch.timer;

	connection->deadline_ns = ms ? thread->now_ns + ms * APD_NS_PER_MS : 0;
	if (ms && (timer->index == 0 || timer->at_ns > connection->deadline_ns))
		apd_heap_set(&thread->timers, timer, connection->deadline_ns);
}

/* True if the client's kernel took bytes of the answer since the last look. */
static bool has_progressed(struct apd_http_connection *connection)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	bool progressed;

	if (getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	progressed = info.tcpi_bytes_acked != connection->acked;
	connection->acked = info.tcpi_bytes_acked;
	return progressed;
}

/*
 * The timer of a connection fired. One that is out of time has its socket shut
 * down: libmicrohttpd sees that as a broken connection and closes it.
 */
void apd_http_connection_timer(struct apd_http_connection *connection)
{
	struct apd_http_thread *thread = connection->thread;

	if (connection->deadline_ns == 0)
		return;
	if (connection->deadline_ns > thread->now_ns)
		apd_heap_set(&thread->timers, &connection->watch.timer, connection->deadline_ns);
	else if (connection->sending && has_progressed(connection))
		apd_http_connection_deadline(connection, thread->server->config.stall_timeout_ms);
	else
		shutdown(connection->fd, SHUT_RDWR);
}

/* The client of a watched connection closed its side. */
void apd_http_connection_event(struct apd_http_connection *connection)
{
	struct apd_http_request *request = connection->request;

	connection->left = true;
	if (request && request->state == APD_HTTP_SUSPENDED)
		apd_http_request_tell_gone(request);
}

/*
 * Watches a connection that was suspended. The socket stays in the set from
 * then on, which costs no system call for the next request: edge-triggered, it
 * tells once that the client left, and nothing else.
 */
void apd_http_connection_watch(struct apd_http_connection *connection)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET};

	if (connection->watched)
		return;
	event.data.ptr = &connection->watch;
	if (epoll_ctl(connection->thread->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) < 0)
		apd_log(APD_LOG_WARN, APD_HTTP_ROOM, "cannot watch a connection: %s",
			strerror(errno));
	else
		connection->watched = true;
}

/* Ends the watch, as long as the descriptor still means the socket. */
void apd_http_connection_unwatch(struct apd_http_connection *connection)
{
	if (connection->watched)
		epoll_ctl(connection->thread->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	connection->watched = false;
}
