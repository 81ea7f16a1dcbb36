/* One thread, poll() over all connections. */
#include "receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#define CONNECTIONS 256

enum mode { READING, HANGING, FLOODING_BODY, FLOODING_HEADERS, FLOODING_CONTINUE };

struct connection {
	int fd;
	enum mode mode;
	struct apd_buf in;
};

struct receiver {
	int fd, wake_fd;
	uint16_t port;
	pthread_t thread;
	_Atomic bool stop, released;
	struct connection connections[CONNECTIONS];
	unsigned n;
	pthread_mutex_t mutex;
	struct apd_buf *requests; /* with NULs for the ends of paths */
	unsigned n_requests, peak, accepted;
};

/* The path of a request line "POST /ok?query HTTP/1.1". */
static struct apd_str path_of(struct apd_str request)
{
	const char *from = memchr(request.ptr, ' ', request.len);
	const char *to =
		from ? memchr(from + 1, ' ', request.len - (size_t)(from + 1 - request.ptr)) : NULL;

	struct apd_str path =
		to ? (struct apd_str){from + 1, (size_t)(to - from - 1)} : APD_STR("");
	const char *query = path.len ? memchr(path.ptr, '?', path.len) : NULL;

	if (query)
		path.len = (size_t)(query - path.ptr);
	return path;
}

static unsigned count_locked(const struct receiver *receiver, const char *path)
{
	unsigned count = 0;

	for (unsigned i = 0; i < receiver->n_requests; i++)
		count += apd_str_is(path_of(apd_buf_str(&receiver->requests[i])), path);
	return count;
}

/* The length of the first whole request in the buffer, or 0. */
static size_t request_len(const struct apd_buf *in)
{
	const char *end = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL;
	const char *length = end ? strcasestr(in->data, "\r\ncontent-length:") : NULL;
	size_t len;

	if (!end)
		return 0;
	len = (size_t)(end + 4 - in->data);
	if (length && length < end)
		len += strtoul(length + 17, NULL, 10);
	return len <= in->len ? len : 0;
}

static void say(struct connection *c, const char *text)
{
	size_t len = strlen(text);

	if (send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		shutdown(c->fd, SHUT_RDWR);
}

/* Answers a request as its path says. */
static void answer(struct receiver *receiver, struct connection *c, struct apd_str path)
{
	static const struct {
		const char *path, *answer;
	} plain[] = {
		{"/ok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"/no", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"},
		{"/gone", "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"},
		{"/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n"},
		{"/later", "HTTP/1.1 503 Later\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n"},
		{"/slow", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nslow"},
		{"/huge", "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"},
		{"/headers", "HTTP/1.1 200 OK\r\n"},
		{"/garbage", "\x16\x03\x01 this is no HTTP\r\n\r\n"},
	};
	bool second;

	for (size_t i = 0; i < APD_COUNT(plain); i++)
		if (apd_str_is(path, plain[i].path))
			say(c, plain[i].answer);
	if (apd_str_is(path, "/second")) {
		pthread_mutex_lock(&receiver->mutex);
		second = count_locked(receiver, "/second") > 1;
		pthread_mutex_unlock(&receiver->mutex);
		say(c, second ? plain[0].answer : plain[1].answer);
	}
	if (apd_str_is(path, "/close"))
		shutdown(c->fd, SHUT_RDWR);
	if (apd_str_is(path, "/hang")) {
		c->mode = HANGING;
		if (atomic_load(&receiver->released))
			say(c, plain[0].answer);
	}
	if (apd_str_is(path, "/huge"))
		c->mode = FLOODING_BODY;
	if (apd_str_is(path, "/headers"))
		c->mode = FLOODING_HEADERS;
	if (apd_str_is(path, "/continue"))
		c->mode = FLOODING_CONTINUE;
}

/* Takes what came in; false when the connection is over. */
static bool take(struct receiver *receiver, struct connection *c)
{
	ssize_t n = recv(c->fd, apd_buf_reserve(&c->in, 65536), 65536, MSG_DONTWAIT);
	size_t len;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->in.len += (size_t)n;
	c->in.data[c->in.len] = '\0';
	while ((len = request_len(&c->in))) {
		struct apd_buf *request;
		struct apd_buf copy = {0};

		apd_buf_add(&copy, c->in.data, len);
		apd_buf_drop(&c->in, len);
		pthread_mutex_lock(&receiver->mutex);
		receiver->requests = apd_realloc(receiver->requests,
			(receiver->n_requests + 1) * sizeof(*receiver->requests));
		request = &receiver->requests[receiver->n_requests++];
		*request = (struct apd_buf){0};
		apd_buf_add_str(request, apd_buf_str(&copy));
		pthread_mutex_unlock(&receiver->mutex);
		answer(receiver, c, path_of(apd_buf_str(&copy)));
		apd_buf_finish(&copy);
	}
	return true;
}

/* Sends some more of what has no end; false when the connection is over. */
static bool flood(struct connection *c)
{
	static const char line[] = "X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
	static const char more[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *text = c->mode == FLOODING_CONTINUE ? more : line;
	ssize_t n = send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);

	/* A part of a line is bad luck for this test, and does not happen with short ones. */
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void drop(struct receiver *receiver, unsigned i)
{
	close(receiver->connections[i].fd);
	apd_buf_finish(&receiver->connections[i].in);
	receiver->connections[i] = receiver->connections[--receiver->n];
}

static void take_connection(struct receiver *receiver)
{
	int fd = accept4(receiver->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (receiver->n == CONNECTIONS) {
		close(fd);
		return;
	}
	receiver->connections[receiver->n++] = (struct connection){.fd = fd};
	pthread_mutex_lock(&receiver->mutex);
	receiver->accepted++;
	if (receiver->n > receiver->peak)
		receiver->peak = receiver->n;
	pthread_mutex_unlock(&receiver->mutex);
}

/* Answers those that hang. */
static void release(struct receiver *receiver)
{
	uint64_t count;

	if (read(receiver->wake_fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned i = 0; atomic_load(&receiver->released) && i < receiver->n; i++) {
		struct connection *c = &receiver->connections[i];

		if (c->mode == HANGING)
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		c->mode = c->mode == HANGING ? READING : c->mode;
	}
}

static void *serve(void *data)
{
	struct receiver *receiver = data;

	while (!atomic_load(&receiver->stop)) {
		struct pollfd fds[CONNECTIONS + 2] = {
			{receiver->fd, POLLIN, 0}, {receiver->wake_fd, POLLIN, 0}};

		for (unsigned i = 0; i < receiver->n; i++)
			fds[i + 2] = (struct pollfd){receiver->connections[i].fd,
				(short)(receiver->connections[i].mode > HANGING ? POLLIN | POLLOUT
										: POLLIN),
				0};
		if (poll(fds, receiver->n + 2, -1) < 0)
			continue;
		for (unsigned i = receiver->n; i-- > 0;) {
			struct connection *c = &receiver->connections[i];
			short events = fds[i + 2].revents;

			if ((events & (POLLIN | POLLHUP | POLLERR) && !take(receiver, c)) ||
				(events & POLLOUT && !flood(c)))
				drop(receiver, i);
		}
		if (fds[1].revents)
			release(receiver);
		if (fds[0].revents)
			take_connection(receiver);
	}
	return NULL;
}

struct receiver *receiver_create(const char *address, uint16_t port)
{
	struct receiver *receiver = apd_calloc(1, sizeof(*receiver));
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(in);
	int one = 1;

	inet_pton(AF_INET, address, &in.sin_addr);
	receiver->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	receiver->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(receiver->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	pthread_mutex_init(&receiver->mutex, NULL);
	if (bind(receiver->fd, (struct sockaddr *)&in, sizeof(in)) < 0 ||
		listen(receiver->fd, 128) < 0 ||
		getsockname(receiver->fd, (struct sockaddr *)&in, &len) < 0 ||
		pthread_create(&receiver->thread, NULL, serve, receiver) != 0)
		abort();
	receiver->port = ntohs(in.sin_port);
	return receiver;
}

static void wake(struct receiver *receiver)
{
	uint64_t one = 1;

	if (write(receiver->wake_fd, &one, sizeof(one)) < 0)
		abort();
}

void receiver_destroy(struct receiver *receiver)
{
	atomic_store(&receiver->stop, true);
	wake(receiver);
	pthread_join(receiver->thread, NULL);
	while (receiver->n)
		drop(receiver, receiver->n - 1);
	for (unsigned i = 0; i < receiver->n_requests; i++)
		apd_buf_finish(&receiver->requests[i]);
	free(receiver->requests);
	close(receiver->fd);
	close(receiver->wake_fd);
	pthread_mutex_destroy(&receiver->mutex);
	free(receiver);
}

uint16_t receiver_port(const struct receiver *receiver)
{
	return receiver->port;
}

unsigned receiver_count(struct receiver *receiver, const char *path)
{
	unsigned count;

	pthread_mutex_lock(&receiver->mutex);
	count = count_locked(receiver, path);
	pthread_mutex_unlock(&receiver->mutex);
	return count;
}

unsigned receiver_peak(struct receiver *receiver)
{
	unsigned peak;

	pthread_mutex_lock(&receiver->mutex);
	peak = receiver->peak;
	pthread_mutex_unlock(&receiver->mutex);
	return peak;
}

unsigned receiver_connections(struct receiver *receiver)
{
	unsigned accepted;

	pthread_mutex_lock(&receiver->mutex);
	accepted = receiver->accepted;
	pthread_mutex_unlock(&receiver->mutex);
	return accepted;
}

char *receiver_request(struct receiver *receiver, unsigned n)
{
	char *request = NULL;

	pthread_mutex_lock(&receiver->mutex);
	if (n < receiver->n_requests)
		request = apd_strndup(receiver->requests[n].data, receiver->requests[n].len);
	pthread_mutex_unlock(&receiver->mutex);
	return request;
}

void receiver_release(struct receiver *receiver)
{
	atomic_store(&receiver->released, true);
	wake(receiver);
}
