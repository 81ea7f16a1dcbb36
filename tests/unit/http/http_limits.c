/* Slow, silent and too many clients: each costs only itself. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "lab.h"

#define HELLO "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define WAIT  "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"

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

static void half_a_head(void **state)
{
	struct lab *lab = *state;
	struct client silent, slow;

	lab->config.send_timeout_ms = 50;
	lab_start(lab);
	client_open(&silent, lab->port);
	client_open(&slow, lab->port);
	client_send(&slow, "GET /hello HTTP/1.1\r\nHost:");
	ask(lab->port, HELLO, 200);
	client_expect_end(&slow);
	client_expect_end(&silent);
	ask(lab->port, HELLO, 200);
	client_close(&slow);
	client_close(&silent);
}

/* A byte every ten milliseconds is activity, but no request. */
static void drops(void **state)
{
	struct lab *lab = *state;
	struct client client;
	unsigned n = 0;

	lab->config.send_timeout_ms = 200;
	lab_start(lab);
	client_open(&client, lab->port);
	client_send(
		&client, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n");
	for (; n < 2000; n++) {
		struct pollfd p = {.fd = client.fd, .events = POLLIN};

		if (poll(&p, 1, 10) == 1 || !client_send_bytes(&client, "x", 1))
			break;
	}
	assert_true(n < 2000);
	client_expect_end(&client);
	assert_int_equal(lab_count(lab, &lab->n_handled), 0);
	client_close(&client);
}

static void idle_between_requests(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	lab->config.idle_timeout_ms = 50;
	lab_start(lab);
	client_open(&client, lab->port);
	client_ask(&client, HELLO, 200, &answer);
	answer_finish(&answer);
	client_expect_end(&client);
	client_close(&client);
}

/* What waits for its answer has no deadline: neither of these is for it. */
static void waiting_is_not_idle(void **state)
{
	struct lab *lab = *state;
	struct client client, other;
	struct answer answer;

	lab->config.idle_timeout_ms = lab->config.send_timeout_ms = 30;
	lab->config.threads = 1;
	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	/* Three others run into their time-outs, one after the other, on the same thread. */
	for (int i = 0; i < 3; i++) {
		client_open(&other, lab->port);
		client_expect_end(&other);
		client_close(&other);
	}
	assert_int_equal(lab_count(lab, &lab->n_gone), 0);
	lab_answer(lab, "at last");
	client_read(&client, &answer);
	assert_int_equal(answer.status, 200);
	answer_finish(&answer);
	client_close(&client);
}

/* Waits until the server has no connections. */
static void expect_no_connections(struct lab *lab)
{
	struct apd_http_stats stats;

	for (int i = 0; i < 4000; i++) {
		apd_http_server_stats(lab->server, &stats);
		if (stats.connections == 0)
			return;
		poll(NULL, 0, 5);
	}
	fail_msg("%llu connections are still open", (unsigned long long)stats.connections);
}

static void answer_that_nobody_takes(void **state)
{
	struct lab *lab = *state;
	struct client client;
	size_t total = 0;
	char bytes[4096];
	ssize_t n;

	lab->big = 64 << 20;
	lab->config.stall_timeout_ms = 50;
	lab_start(lab);
	client_open_narrow(&client, lab->port);
	client_send(&client, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
	client_expect(&client, "\r\n\r\n");
	expect_no_connections(lab);
	while ((n = recv(client.fd, bytes, sizeof(bytes), 0)) > 0)
		total += (size_t)n;
	assert_true(total < lab->big);
	client_close(&client);
}

/* A reader that is slower than the deadline, but moves, gets its answer whole. */
static void answer_that_is_taken_slowly(void **state)
{
	struct lab *lab = *state;
	struct client client;
	size_t total = 0;
	char *bytes = apd_malloc(262144);
	ssize_t n;

	lab->big = 32 << 20;
	lab->config.stall_timeout_ms = 700;
	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (total < lab->big && (n = recv(client.fd, bytes, 262144, 0)) > 0) {
		total += (size_t)n;
		poll(NULL, 0, 10);
	}
	assert_true(total >= lab->big);
	client_close(&client);
	free(bytes);
}

static void too_many_connections(void **state)
{
	struct lab *lab = *state;
	struct client clients[5];
	struct answer answer;

	lab->config.max_connections = 4;
	lab_start(lab);
	for (unsigned i = 0; i < 4; i++) {
		client_open(&clients[i], lab->port);
		client_ask(&clients[i], HELLO, 200, &answer);
		answer_finish(&answer);
	}
	client_open(&clients[4], lab->port);
	client_ask(&clients[4], HELLO, 503, &answer);
	assert_true(answer_header(&answer, "retry-after").len > 0);
	answer_finish(&answer);
	client_expect_end(&clients[4]);
	/* The others go on, and there is room when they are gone. */
	for (unsigned i = 0; i < 5; i++) {
		if (i < 4) {
			client_ask(&clients[i], HELLO, 200, &answer);
			answer_finish(&answer);
		}
		client_close(&clients[i]);
	}
	expect_no_connections(lab);
	ask(lab->port, HELLO, 200);
}

/* Streams count as connections although libmicrohttpd knows nothing of them. */
static void streams_are_connections(void **state)
{
	struct lab *lab = *state;
	struct client clients[4];

	lab->config.max_connections = 4;
	lab_start(lab);
	for (unsigned i = 0; i < 4; i++) {
		client_open(&clients[i], lab->port);
		client_send(&clients[i], "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
		client_expect(&clients[i], "\r\n\r\n");
		lab_wait_for(lab, &lab->n_streams, i + 1);
	}
	ask(lab->port, HELLO, 503);
	for (unsigned i = 0; i < 4; i++)
		client_close(&clients[i]);
	lab_wait_for(lab, &lab->n_left, 4);
	expect_no_connections(lab);
	ask(lab->port, HELLO, 200);
}

/* libmicrohttpd's own thread stalls when 128 connections are ready at once. */
static void many_at_once(void **state)
{
	enum { N = 256 };
	struct client *clients = apd_calloc(N, sizeof(*clients));
	struct lab *lab = *state;
	struct answer answer;

	lab->config.threads = 1;
	lab_start(lab);
	for (unsigned i = 0; i < N; i++)
		client_open(&clients[i], lab->port);
	for (unsigned round = 0; round < 5; round++) {
		for (unsigned i = 0; i < N; i++)
			client_send(&clients[i], round % 2 ? WAIT : HELLO);
		if (round % 2) {
			lab_wait_for(lab, &lab->n_waiting, (round / 2 + 1) * N);
			for (unsigned i = 0; i < N; i++)
				lab_answer(lab, "later");
		}
		for (unsigned i = 0; i < N; i++) {
			client_read(&clients[i], &answer);
			assert_int_equal(answer.status, 200);
			answer_finish(&answer);
		}
	}
	for (unsigned i = 0; i < N; i++)
		client_close(&clients[i]);
	free(clients);
}

static void head_too_large(void **state)
{
	struct lab *lab = *state;
	struct apd_buf request = {0};
	struct client client;
	struct answer answer;

	lab_start(lab);
	apd_buf_lit(&request, "GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Fill: ");
	for (int i = 0; i < 4500; i++)
		apd_buf_lit(&request, "y");
	apd_buf_lit(&request, "\r\n\r\n");
	ask(lab->port, request.data, 200);
	apd_buf_clear(&request);
	apd_buf_lit(&request, "GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Fill: ");
	for (int i = 0; i < 20000; i++)
		apd_buf_lit(&request, "y");
	client_open(&client, lab->port);
	client_send_bytes(&client, request.data, request.len);
	client_read_head(&client, &answer);
	assert_int_equal(answer.status, 431);
	answer_finish(&answer);
	client_close(&client);
	apd_buf_finish(&request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(half_a_head, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(idle_between_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waiting_is_not_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_that_nobody_takes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answer_that_is_taken_slowly, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(streams_are_connections, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(head_too_large, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
