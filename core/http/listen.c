/* Listening sockets, one a thread on the same port, and room for descriptors. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/internal.h"

/* Descriptors left for the rest of the process: the database, workers, and sockets in between. */
#define RESERVED 512

/* True for 127.0.0.0/8 and ::1. */
static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	return false;
}

/* The port of a bound socket. */
static uint16_t bound_port(int fd)
{
	struct sockaddr_in6 address = {
		0}; /* the larger of the two, and the port is at the same place */
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	return ntohs(address.sin6_port);
}

/*
 * A bound socket, or a negative errno. A shared one lets the threads' sockets
 * divide the connections among them.
 */
static int bind_one(const struct addrinfo *address, uint16_t port, bool shared)
{
	struct sockaddr_in6 bound = {0};
	int on = 1, off = 0, fd, r;

	memcpy(&bound, address->ai_addr, address->ai_addrlen);
	bound.sin6_port = htons(port);
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		(shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
		(address->ai_family == AF_INET6 &&
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
		bind(fd, (struct sockaddr *)&bound, address->ai_addrlen) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

/*
 * Binds all threads' sockets to one address. Sharing would also let a second
 * daemon in on our port unnoticed, so a socket that does not share asks first.
 */
static int bind_all(struct apd_http_server *server, const struct addrinfo *address)
{
	uint16_t port = server->config.port;

	if (port) {
		int probe = bind_one(address, port, false);

		if (probe < 0)
			return probe;
		close(probe);
	}
	for (unsigned i = 0; i < server->n_threads; i++) {
		int fd = bind_one(address, port, true);

		if (fd < 0) {
			while (i-- > 0) {
				close(server->threads[i].listen_fd);
				server->threads[i].listen_fd = -1;
			}
			return fd;
		}
		server->threads[i].listen_fd = fd;
		if (i == 0)
			port = bound_port(fd);
	}
	server->port = port;
	server->loopback = is_loopback(address->ai_addr);
	return 0;
}

int apd_http_listen_bind(struct apd_http_server *server, struct apd_buf *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	int r = getaddrinfo(server->host, NULL, &hints, &found);

	if (r != 0) {
		apd_buf_addf(error, "cannot find the address %s: %s", server->host,
			r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	r = -EADDRNOTAVAIL;
	for (struct addrinfo *a = found; a && r < 0; a = a->ai_next)
		if (a->ai_family == AF_INET || a->ai_family == AF_INET6)
			r = bind_all(server, a);
	freeaddrinfo(found);
	if (r < 0)
		apd_buf_addf(error, "cannot listen on %s port %u: %s", server->host,
			server->config.port, strerror(-r));
	return r;
}

unsigned apd_http_listen_limit(unsigned max_connections)
{
	rlim_t need = (rlim_t)max_connections + APD_HTTP_EXCESS + RESERVED;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= need)
		return max_connections;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= need)
		limit.rlim_cur = need;
	else
		limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= need)
		return max_connections;
	max_connections = limit.rlim_cur > APD_HTTP_EXCESS + RESERVED + 16
		? (unsigned)(limit.rlim_cur - APD_HTTP_EXCESS - RESERVED)
		: 16;
	apd_log(APD_LOG_WARN, APD_HTTP_ROOM,
		"the limit of %llu open files allows only %u connections",
		(unsigned long long)limit.rlim_cur, max_connections);
	return max_connections;
}
