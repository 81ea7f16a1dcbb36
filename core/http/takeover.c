/*
 * How a socket leaves libmicrohttpd.
 *
 * libmicrohttpd walks all suspended connections whenever one is resumed: beside
 * 10,000 idle streams every request would cost four times as much. It also
 * spends 10 KiB on each. So a stream's socket is taken away from it:
 *
 *   1. The connection is suspended. That is the only way to have the socket
 *      removed from libmicrohttpd's epoll set, which knows it by descriptor and
 *      open file: once the descriptor means another file it could not be
 *      removed any more, and libmicrohttpd ends the process when that fails.
 *   2. The socket gets a second descriptor, which is ours.
 *   3. One end of a socketpair, whose other end is closed, is put in place of
 *      the first descriptor. libmicrohttpd still owns that number and may close
 *      it; nothing it does with it reaches the client.
 *   4. The connection is resumed. libmicrohttpd reads the end of file from the
 *      dead socket, or calls the handler, which tells it to close (DROPPED).
 *      Both end in apd_http_receive_completed(), as for every request.
 *
 * Step 2 is the one that can fail, when the process is out of descriptors;
 * then the request is as it was, but suspended, and can be refused.
 *
 * This holds for plain sockets. Over TLS the socket is only half of the
 * connection, and a stream would have to stay with libmicrohttpd.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "http/internal.h"

/* Takes the socket of a request that is handled or suspended; returns 0 or a negative errno. */
int apd_http_takeover(struct apd_http_request *request, int *ret_fd)
{
	struct apd_http_connection *connection = request->connection;
	struct apd_http_thread *thread = request->thread;
	int fd;

	if (request->state == APD_HTTP_HANDLING) {
		MHD_suspend_connection(connection->mhd);
		request->state = APD_HTTP_SUSPENDED;
		request->suspended = true;
		apd_http_count(&thread->n_suspended, 1);
	}
	fd = fcntl(connection->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Our own epoll set knows it by descriptor and file as well. */
	apd_http_connection_unwatch(connection);
	if (dup3(thread->dead_fd, connection->fd, O_CLOEXEC) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	connection->taken = true;
	apd_http_count(&thread->n_suspended, -1);
	request->state = APD_HTTP_DROPPED;
	MHD_resume_connection(connection->mhd);
	thread->resumed = true;
	*ret_fd = fd;
	return 0;
}
