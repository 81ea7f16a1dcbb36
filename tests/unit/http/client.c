/* The client. */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 20000

static void open_with(struct client *client, uint16_t port, int receive_buffer)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_true(client->fd >= 0);
	if (receive_buffer)
		assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
					 sizeof(receive_buffer)),
			0);
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

void client_open(struct client *client, uint16_t port)
{
	open_with(client, port, 0);
}

void client_open_narrow(struct client *client, uint16_t port)
{
	open_with(client, port, 4096);
}

void client_close(struct client *client)
{
	close(client->fd);
	client->fd = -1;
	apd_buf_finish(&client->in);
}

bool client_send_bytes(struct client *client, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		struct pollfd p = {.fd = client->fd, .events = POLLOUT};
		ssize_t n;

		if (poll(&p, 1, PATIENCE_MS) != 1)
			fail_msg("the server takes no bytes");
		n = send(client->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

void client_send(struct client *client, const char *text)
{
	assert_true(client_send_bytes(client, text, strlen(text)));
}

/* Reads some more bytes; false at the end. */
static bool read_more(struct client *client)
{
	struct pollfd p = {.fd = client->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("the server sends nothing; so far: %s",
			client->in.data ? client->in.data : "");
	n = recv(client->fd, apd_buf_reserve(&client->in, 65536), 65536, 0);
	if (n <= 0)
		return false;
	client->in.len += (size_t)n;
	client->in.data[client->in.len] = '\0';
	return true;
}

/* Moves n bytes of the input, which must be there, to a buffer. */
static void take(struct client *client, size_t n, struct apd_buf *to)
{
	while (client->in.len < n)
		if (!read_more(client))
			fail_msg("the connection ended early");
	if (to)
		apd_buf_add(to, client->in.data, n);
	apd_buf_drop(&client->in, n);
}

/* Where the text ends in the input; reads until it is there. */
static size_t wait_for(struct client *client, const char *text)
{
	for (;;) {
		struct apd_str in = apd_buf_str(&client->in);
		const char *found = in.len ? memmem(in.ptr, in.len, text, strlen(text)) : NULL;

		if (found)
			return (size_t)(found - in.ptr) + strlen(text);
		if (!read_more(client))
			fail_msg("the connection ended without \"%s\"; so far: %s", text,
				client->in.data ? client->in.data : "");
	}
}

void client_expect(struct client *client, const char *text)
{
	take(client, wait_for(client, text), NULL);
}

void client_expect_end(struct client *client)
{
	do
		apd_buf_clear(&client->in);
	while (read_more(client));
}

struct apd_str answer_header(const struct answer *answer, const char *name)
{
	const char *line = answer->head.data;
	size_t len = strlen(name);

	while ((line = strstr(line, "\r\n")) != NULL) {
		line += 2;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			const char *value = line + len + 1;

			while (*value == ' ')
				value++;
			return (struct apd_str){value, strcspn(value, "\r")};
		}
	}
	return APD_STR_ABSENT;
}

void client_read_head(struct client *client, struct answer *answer)
{
	*answer = (struct answer){0};
	take(client, wait_for(client, "\r\n\r\n"), &answer->head);
	if (sscanf(answer->head.data, "HTTP/1.%*d %d", &answer->status) != 1)
		fail_msg("no status line: %s", answer->head.data);
}

void client_read(struct client *client, struct answer *answer)
{
	struct apd_str length;

	do {
		client_read_head(client, answer);
		if (answer->status == 100)
			apd_buf_finish(&answer->head);
	} while (answer->status == 100);
	length = answer_header(answer, "content-length");
	if (length.ptr)
		take(client, strtoul(length.ptr, NULL, 10), &answer->body);
	else
		assert_int_equal(answer->status, 204);
}

void answer_finish(struct answer *answer)
{
	apd_buf_finish(&answer->head);
	apd_buf_finish(&answer->body);
}

void client_ask(struct client *client, const char *request, int status, struct answer *answer)
{
	client_send(client, request);
	client_read(client, answer);
	if (answer->status != status)
		fail_msg("%.40s... was answered %d, not %d: %s", request, answer->status, status,
			answer->body.data ? answer->body.data : "");
}

void ask(uint16_t port, const char *request, int status)
{
	struct client client;
	struct answer answer;

	client_open(&client, port);
	client_ask(&client, request, status, &answer);
	answer_finish(&answer);
	client_close(&client);
}
