/* A client on a raw socket, which waits by poll() and fails the test after ten seconds. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct client {
	int fd;
	struct apd_buf in; /* read and not yet taken */
};

struct answer {
	int status;
	struct apd_buf head; /* status line and headers */
	struct apd_buf body;
};

void client_open(struct client *client, uint16_t port);
/* The same with a receive buffer of a few KiB. */
void client_open_narrow(struct client *client, uint16_t port);
void client_close(struct client *client);
void client_send(struct client *client, const char *text);
/* Sends as much as goes; false if the server closed the connection meanwhile. */
bool client_send_bytes(struct client *client, const void *data, size_t len);

/* Reads one answer; one to HEAD has no body. */
void client_read(struct client *client, struct answer *answer);
void client_read_head(struct client *client, struct answer *answer);
/* Reads until the text was seen and takes all up to its end; the text must come. */
void client_expect(struct client *client, const char *text);
/* Reads and discards until the server closes the connection. */
void client_expect_end(struct client *client);

void answer_finish(struct answer *answer);
/* A header's value, absent if there is none. */
struct apd_str answer_header(const struct answer *answer, const char *name);

/* Sends, reads the answer and checks its status. */
void client_ask(struct client *client, const char *request, int status, struct answer *answer);
/* The same on a connection of its own, without looking at the answer. */
void ask(uint16_t port, const char *request, int status);

#endif
