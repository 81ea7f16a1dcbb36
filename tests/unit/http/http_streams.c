/* Streams of server-sent events: framing, heartbeats, slow and leaving clients. */
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lab.h"

#define STREAM "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HELLO  "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"

static int set_up(void **state)
{
	struct lab *lab = apd_malloc(sizeof(*lab));

	lab_init(lab);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	lab_finish(*state);
	free(*state);
	return 0;
}

/* Opens a stream and reads its head. */
static void open_stream(struct lab *lab, struct client *client, unsigned n)
{
	struct answer answer;

	client_open(client, lab->port);
	client_send(client, STREAM);
	client_read_head(client, &answer);
	assert_int_equal(answer.status, 200);
	answer_finish(&answer);
	lab_wait_for(lab, &lab->n_streams, n);
}

static void head_events_end(void **state)
{
	static const char *const origins[] = {"http://page", NULL};
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	lab->config.cors_origins = origins;
	lab_start(lab);
	client_open(&client, lab->port);
	client_send(
		&client, "GET /stream HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n\r\n");
	client_read_head(&client, &answer);
	assert_int_equal(answer.status, 200);
	assert_true(apd_str_is(answer_header(&answer, "content-type"), "text/event-stream"));
	assert_true(apd_str_is(answer_header(&answer, "cache-control"), "no-cache"));
	assert_true(apd_str_is(answer_header(&answer, "x-accel-buffering"), "no"));
	assert_true(apd_str_is(answer_header(&answer, "transfer-encoding"), "chunked"));
	assert_true(apd_str_is(answer_header(&answer, "content-location"), "/threads/1/runs/2"));
	assert_true(
		apd_str_is(answer_header(&answer, "access-control-allow-origin"), "http://page"));
	assert_true(answer_header(&answer, "date").len > 0);
	answer_finish(&answer);
	lab_wait_for(lab, &lab->n_streams, 1);
	lab_feed(lab, "data: 1\n\n", false);
	client_expect(&client, "00000009\r\ndata: 1\n\n\r\n");
	lab_feed(lab, "data: 2\n\n", true);
	client_expect(&client, "00000009\r\ndata: 2\n\n\r\n0\r\n\r\n");
	client_expect_end(&client);
	lab_wait_for(lab, &lab->n_ended, 1);
	assert_int_equal(lab_count(lab, &lab->n_left), 0);
	client_close(&client);
}

static void end_without_events(void **state)
{
	struct lab *lab = *state;
	struct client client;

	lab_start(lab);
	open_stream(lab, &client, 1);
	lab_feed(lab, "", true);
	client_expect(&client, "0\r\n\r\n");
	client_expect_end(&client);
	lab_wait_for(lab, &lab->n_ended, 1);
	client_close(&client);
}

static void old_clients_get_no_chunks(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, "GET /stream HTTP/1.0\r\n\r\n");
	client_read_head(&client, &answer);
	assert_null(answer_header(&answer, "transfer-encoding").ptr);
	answer_finish(&answer);
	lab_wait_for(lab, &lab->n_streams, 1);
	lab_feed(lab, "data: 1\n\n", true);
	client_expect(&client, "data: 1\n\n");
	client_expect_end(&client);
	client_close(&client);
}

static void head_of_a_stream(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, "HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
	client_read_head(&client, &answer);
	assert_int_equal(answer.status, 200);
	assert_true(apd_str_is(answer_header(&answer, "content-type"), "text/event-stream"));
	assert_true(apd_str_is(answer_header(&answer, "content-location"), "/threads/1/runs/2"));
	answer_finish(&answer);
	lab_wait_for(lab, &lab->n_ended, 1);
	client_ask(&client, HELLO, 200, &answer);
	answer_finish(&answer);
	client_close(&client);
}

static void heartbeats(void **state)
{
	struct lab *lab = *state;
	struct client client;

	lab->config.heartbeat_ms = 20;
	lab_start(lab);
	open_stream(lab, &client, 1);
	client_expect(&client, "0000000d\r\n: heartbeat\n\n\r\n");
	client_expect(&client, "0000000d\r\n: heartbeat\n\n\r\n");
	lab_feed(lab, "data: 1\n\n", false);
	client_expect(&client, "data: 1\n\n\r\n");
	client_expect(&client, ": heartbeat\n\n\r\n");
	client_close(&client);
	lab_wait_for(lab, &lab->n_left, 1);
}

static void client_leaves(void **state)
{
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client client;

	lab_start(lab);
	open_stream(lab, &client, 1);
	apd_http_server_stats(lab->server, &stats);
	assert_int_equal(stats.streams, 1);
	client_close(&client);
	lab_wait_for(lab, &lab->n_left, 1);
	open_stream(lab, &client, 2);
	shutdown(client.fd, SHUT_WR);
	lab_wait_for(lab, &lab->n_left, 2);
	client_close(&client);
	apd_http_server_stats(lab->server, &stats);
	assert_int_equal(stats.streams, 0);
	assert_int_equal(lab_count(lab, &lab->n_ended), 0);
}

static void begun_later(void **state)
{
	struct lab *lab = *state;
	struct client client;

	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, "GET /late-stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
	lab_wait_for(lab, &lab->n_waiting, 1);
	lab_answer(lab, "");
	lab_wait_for(lab, &lab->n_streams, 1);
	lab_feed(lab, "data: 1\n\n", false);
	client_expect(&client, "\r\n\r\n00000009\r\ndata: 1\n\n\r\n");
	client_close(&client);
	lab_wait_for(lab, &lab->n_left, 1);
	assert_int_equal(lab_count(lab, &lab->n_gone), 0);
}

static void begun_for_nobody(void **state)
{
	struct lab *lab = *state;
	struct client client;

	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, "GET /late-stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
	lab_wait_for(lab, &lab->n_waiting, 1);
	client_close(&client);
	lab_wait_for(lab, &lab->n_gone, 1);
	lab_answer(lab, "");
	lab_wait_for(lab, &lab->n_left, 1);
}

/* Reads what is left of a torrent, a little at a time, and returns the x's. */
static size_t drink(struct client *client, size_t sip)
{
	char *bytes = apd_malloc(sip);
	struct apd_buf tail = {0};
	size_t total = 0;
	ssize_t n;

	while ((n = recv(client->fd, bytes, sip, 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			total += bytes[i] == 'x';
		apd_buf_add(&tail, bytes, (size_t)n);
		if (tail.len > 100)
			apd_buf_drop(&tail, tail.len - 100);
	}
	assert_int_equal(n, 0);
	assert_non_null(strstr(tail.data, "x\r\n0\r\n\r\n"));
	apd_buf_finish(&tail);
	free(bytes);
	return total;
}

static void slow_reader_gets_all(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	lab->big = 8 << 20;
	lab_start(lab);
	client_open_narrow(&client, lab->port);
	client_send(&client, "GET /torrent HTTP/1.1\r\nHost: localhost\r\n\r\n");
	client_read_head(&client, &answer);
	answer_finish(&answer);
	/* Others are served while this one does not read. */
	ask(lab->port, HELLO, 200);
	apd_buf_finish(&client.in);
	assert_true(drink(&client, 10000) > (8 << 20) - 200000);
	lab_wait_for(lab, &lab->n_ended, 1);
	client_close(&client);
}

static void stalled_reader_is_dropped(void **state)
{
	struct lab *lab = *state;
	struct client client;

	lab->big = 64 << 20;
	lab->config.stall_timeout_ms = 100;
	lab_start(lab);
	client_open_narrow(&client, lab->port);
	client_send(&client, "GET /torrent HTTP/1.1\r\nHost: localhost\r\n\r\n");
	lab_wait_for(lab, &lab->n_left, 1);
	assert_int_equal(lab_count(lab, &lab->n_ended), 0);
	client_close(&client);
}

/* A second descriptor of the server's end of a connection, as a child has before it executes. */
static int dup_of_server(const struct client *client)
{
	struct sockaddr_in mine, peer;
	socklen_t len = sizeof(mine);

	assert_int_equal(getsockname(client->fd, (struct sockaddr *)&mine, &len), 0);
	for (int fd = 0; fd < 1024; fd++) {
		len = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
			peer.sin_family == AF_INET && peer.sin_port == mine.sin_port)
			return dup(fd);
	}
	fail_msg("the server's end of the connection was not found");
	return -1;
}

/* What a closed stream's socket still tells, because a child has it, is of no interest. */
static void socket_outlives_the_stream(void **state)
{
	struct lab *lab = *state;
	struct client client;
	int fd;

	lab_start(lab);
	open_stream(lab, &client, 1);
	fd = dup_of_server(&client);
	lab_feed(lab, "", true);
	client_expect(&client, "0\r\n\r\n");
	lab_wait_for(lab, &lab->n_ended, 1);
	client_close(&client);
	for (unsigned i = 0; i < 16; i++)
		ask(lab->port, HELLO, 200);
	close(fd);
}

/* A stream that cannot have a descriptor is refused, and its source told. */
static void out_of_descriptors(void **state)
{
	struct lab *lab = *state;
	struct rlimit old, few;
	struct client client;
	struct answer answer;
	int fds[256];
	unsigned n = 0;

	lab_start(lab);
	client_open(&client, lab->port);
	client_ask(&client, HELLO, 200, &answer);
	answer_finish(&answer);
	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = 128;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < APD_COUNT(fds) && (fds[n] = dup(client.fd)) >= 0)
		n++;
	assert_true(n < APD_COUNT(fds));
	client_ask(&client, STREAM, 503, &answer);
	assert_non_null(strstr(answer.body.data, "overloaded"));
	answer_finish(&answer);
	while (n-- > 0)
		close(fds[n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	lab_wait_for(lab, &lab->n_left, 1);
	client_send(&client, STREAM);
	client_expect(&client, "text/event-stream");
	client_close(&client);
	lab_wait_for(lab, &lab->n_left, 2);
}

static void many_idle_streams(void **state)
{
	enum { N = 1000 };
	struct client *clients = apd_calloc(N, sizeof(*clients));
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client client;
	struct answer answer;

	lab_start(lab);
	for (unsigned i = 0; i < N; i++)
		open_stream(lab, &clients[i], i + 1);
	apd_http_server_stats(lab->server, &stats);
	assert_int_equal(stats.streams, N);
	client_open(&client, lab->port);
	for (unsigned i = 0; i < 100; i++) {
		client_ask(&client, HELLO, 200, &answer);
		answer_finish(&answer);
		client_send(&client, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
		lab_wait_for(lab, &lab->n_waiting, i + 1);
		lab_answer(lab, "later");
		client_read(&client, &answer);
		answer_finish(&answer);
	}
	client_close(&client);
	lab_feed(lab, "data: to all\n\n", false);
	for (unsigned i = 0; i < N; i++)
		client_expect(&clients[i], "data: to all\n\n\r\n");
	lab_feed(lab, "", true);
	for (unsigned i = 0; i < N; i++) {
		client_expect(&clients[i], "0\r\n\r\n");
		client_close(&clients[i]);
	}
	lab_wait_for(lab, &lab->n_ended, N);
	free(clients);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(head_events_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(end_without_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_clients_get_no_chunks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(head_of_a_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(heartbeats, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(begun_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(begun_for_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(slow_reader_gets_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stalled_reader_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(socket_outlives_the_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(out_of_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_idle_streams, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
