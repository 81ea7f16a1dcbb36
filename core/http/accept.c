/*
 * Taking connections. libmicrohttpd could do it, but when the process runs out
 * of descriptors it stops to listen, and begins again only when it happens to
 * run after one of its own connections has ended: with streams, whose sockets
 * are ours, that may be never. Here it is tried again after a moment.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/internal.h"

#define ACCEPT_MAX 128 /* connections taken before requests have their turn again */
#define PAUSE_NS   (20 * APD_NS_PER_MS)
#define QUIET_NS   APD_NS_PER_S /* so long without a shortage, and it is over */

/* True if there was no descriptor or memory for a connection, which is no fault of its own. */
static bool is_shortage(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

/* Lets the listening socket be, or watches it. */
static void listen_for(struct apd_http_thread *thread, uint32_t events)
{
	struct epoll_event event = {.events = events};

	event.data.ptr = &thread->listen_watch;
	epoll_ctl(thread->epoll_fd, EPOLL_CTL_MOD, thread->listen_fd, &event);
}

/* Leaves new connections to the kernel's queue for a moment. */
static void pause_accepting(struct apd_http_thread *thread, int err)
{
	if (!thread->starved)
		apd_log(APD_LOG_WARN, APD_HTTP_ROOM,
			"new connections have to wait until others end: %s", strerror(err));
	thread->starved = true;
	thread->starved_ns = thread->now_ns;
	listen_for(thread, 0);
	apd_heap_set(&thread->timers, &thread->listen_watch.timer, thread->now_ns + PAUSE_NS);
}

/* Hands a connection to libmicrohttpd, unless even those that would be refused are too many. */
static void take(
	struct apd_http_thread *thread, int fd, const struct sockaddr *address, socklen_t len)
{
	const struct apd_http_server *server = thread->server;
	uint64_t others = atomic_load_explicit(&server->connections, memory_order_relaxed);

	if (others >= (uint64_t)server->config.max_connections + APD_HTTP_EXCESS) {
		close(fd);
		return;
	}
	/* It closes the socket when it fails. */
	if (MHD_add_connection(thread->daemon, fd, address, len) != MHD_YES)
		apd_log(APD_LOG_WARN, APD_HTTP_ROOM, "a connection could not be taken");
	thread->resumed = true;
}

/* The listening socket has connections. */
void apd_http_accept_event(struct apd_http_thread *thread)
{
	for (unsigned n = 0; n < ACCEPT_MAX; n++) {
		struct sockaddr_in6 address; /* the larger of the two */
		socklen_t len = sizeof(address);
		int fd = accept4(thread->listen_fd, (struct sockaddr *)&address, &len,
			SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take(thread, fd, (struct sockaddr *)&address, len);
		} else if (is_shortage(errno)) {
			pause_accepting(thread, errno);
			return;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			break;
		}
		/* Else that one was gone before we came. */
	}
	/* At the edge every other one may fall short: that is told once. */
	if (!thread->starved || thread->now_ns - thread->starved_ns < QUIET_NS)
		return;
	apd_log(APD_LOG_INFO, APD_HTTP_ROOM, "new connections are taken again");
	thread->starved = false;
}

/* The moment is over. */
void apd_http_accept_timer(struct apd_http_thread *thread)
{
	listen_for(thread, EPOLLIN);
}

/* Takes no connections any more. */
void apd_http_accept_end(struct apd_http_thread *thread)
{
	apd_heap_clear(&thread->timers, &thread->listen_watch.timer);
	/* close() is not enough while a child between fork and exec has the socket, too. */
	epoll_ctl(thread->epoll_fd, EPOLL_CTL_DEL, thread->listen_fd, NULL);
	close(thread->listen_fd);
	thread->listen_fd = -1;
}
