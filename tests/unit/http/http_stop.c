/* Creating, draining, stopping: with requests and streams in every state. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lab.h"

#define HELLO  "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define WAIT   "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define STREAM "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"

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

/* Makes a server that must not be made. */
static void expect_refused(const struct apd_http_config *config)
{
	struct apd_http_server *server = NULL;
	struct apd_buf error = {0};

	assert_true(apd_http_server_create(config, NULL, 0, NULL, &server, &error) < 0);
	assert_null(server);
	assert_true(error.len > 0);
	apd_buf_finish(&error);
}

static void addresses_that_cannot_be(void **state)
{
	struct lab *lab = *state;
	struct apd_http_config config = lab->config;

	config.host = "no such host.invalid";
	expect_refused(&config);
	config.host = "192.0.2.1"; /* reserved for documentation: nobody's */
	expect_refused(&config);
	/* A second server may not share the first one's port. */
	lab_start(lab);
	config.host = "127.0.0.1";
	config.port = lab->port;
	expect_refused(&config);
}

static void port_comes_back(void **state)
{
	struct lab *lab = *state;
	struct lab second;

	lab_start(lab);
	ask(lab->port, HELLO, 200);
	lab_init(&second);
	second.config.port = lab->port;
	apd_http_server_stop(lab->server, 1000);
	lab_start(&second);
	ask(second.port, HELLO, 200);
	lab_finish(&second);
}

static void never_started(void **state)
{
	struct lab *lab = *state;
	struct apd_buf error = {0};

	assert_int_equal(
		apd_http_server_create(&lab->config, NULL, 0, NULL, &lab->server, &error), 0);
	assert_int_not_equal(apd_http_server_port(lab->server), 0);
	assert_int_equal(apd_http_server_threads(lab->server), 2);
	apd_http_server_destroy(NULL);
}

/* Checks that nobody listens on the port. */
static void expect_nobody(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
}

/* Reads an answer after which the server closes the connection. */
static void expect_last(struct client *client, int status, const char *text)
{
	struct answer answer;

	client_read(client, &answer);
	assert_int_equal(answer.status, status);
	assert_non_null(strstr(answer.body.data, text));
	assert_true(apd_str_is(answer_header(&answer, "connection"), "close"));
	answer_finish(&answer);
	client_expect_end(client);
	client_close(client);
}

static void drains(void **state)
{
	struct lab *lab = *state;
	struct client kept, waits, streams;
	struct answer answer;
	char byte;

	lab->config.threads = 1;
	lab_start(lab);
	client_open(&kept, lab->port);
	client_ask(&kept, HELLO, 200, &answer);
	answer_finish(&answer);
	client_open(&waits, lab->port);
	client_send(&waits, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	client_open(&streams, lab->port);
	client_send(&streams, STREAM);
	client_expect(&streams, "\r\n\r\n");
	lab_wait_for(lab, &lab->n_streams, 1);

	apd_http_server_drain(lab->server);
	lab_wait_for(lab, &lab->n_ended, 1);
	/* The stream ends without the chunk that ends it. */
	assert_int_equal(recv(streams.fd, &byte, 1, 0), 0);
	client_close(&streams);
	expect_nobody(lab->port);
	client_send(&kept, HELLO);
	expect_last(&kept, 503, "shutting_down");
	/* What was in flight is still answered. */
	assert_int_equal(lab_count(lab, &lab->n_gone), 0);
	lab_answer(lab, "still");
	expect_last(&waits, 200, "still");
}

static void *stop_slowly(void *data)
{
	struct lab *lab = data;

	apd_http_server_stop(lab->server, 20000);
	return NULL;
}

static void stop_waits_for_answers(void **state)
{
	struct lab *lab = *state;
	struct client client, stream;
	struct answer answer;
	pthread_t stopper;

	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	client_open(&stream, lab->port);
	client_send(&stream, STREAM);
	lab_wait_for(lab, &lab->n_streams, 1);
	pthread_create(&stopper, NULL, stop_slowly, lab);
	lab_wait_for(lab, &lab->n_ended, 1); /* it has begun */
	lab_answer(lab, "in time");
	pthread_join(stopper, NULL);
	client_read(&client, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body.data, "in time");
	answer_finish(&answer);
	assert_int_equal(lab_count(lab, &lab->n_gone), 0);
	client_close(&client);
	client_close(&stream);
}

static void stop_drops_the_rest(void **state)
{
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client clients[10], half;

	lab_start(lab);
	for (unsigned i = 0; i < 10; i++) {
		client_open(&clients[i], lab->port);
		client_send(&clients[i],
			i % 2 ? WAIT
			      : "GET /late-stream HTTP/1.1\r\n"
				"Host: localhost\r\n\r\n");
		lab_wait_for(lab, &lab->n_waiting, i + 1);
	}
	client_open(&half, lab->port);
	client_send(
		&half, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc");
	apd_http_server_stop(lab->server, 10);
	assert_int_equal(lab_count(lab, &lab->n_gone), 10);
	client_expect_end(&half);
	client_close(&half);
	for (unsigned i = 0; i < 10; i++) {
		client_expect_end(&clients[i]);
		client_close(&clients[i]);
	}
	apd_http_server_stats(lab->server, &stats);
	assert_int_equal(stats.connections, 0);
	assert_int_equal(stats.suspended, 0);
	assert_int_equal(stats.body_bytes, 0);
	/* They are answered nevertheless, each once, and the streams hear of their end. */
	for (unsigned i = 0; i < 10; i++)
		lab_answer(lab, "too late");
	apd_http_server_destroy(lab->server);
	lab->server = NULL;
	assert_int_equal(lab_count(lab, &lab->n_left), 5);
}

static void stop_with_a_gone_client(void **state)
{
	struct lab *lab = *state;
	struct client client;

	lab_start(lab);
	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	client_close(&client);
	lab_wait_for(lab, &lab->n_gone, 1);
	apd_http_server_stop(lab->server, 0);
	assert_int_equal(lab_count(lab, &lab->n_gone), 1);
}

static void stop_under_load(void **state)
{
	enum { N = 50 };
	struct lab *lab = *state;
	struct client clients[N];

	lab_start(lab);
	for (unsigned i = 0; i < N; i++) {
		client_open(&clients[i], lab->port);
		client_send(&clients[i],
			i % 3 == 0           ? WAIT HELLO
				: i % 3 == 1 ? STREAM
					     : HELLO HELLO);
	}
	lab_wait_for(lab, &lab->n_waiting, 17);
	for (unsigned i = 0; i < 8; i++)
		lab_answer(lab, "some");
	apd_http_server_stop(lab->server, 5);
	for (unsigned i = 0; i < N; i++) {
		client_expect_end(&clients[i]);
		client_close(&clients[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses_that_cannot_be, set_up, tear_down),
		cmocka_unit_test_setup_teardown(port_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(never_started, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drains, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_waits_for_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_drops_the_rest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_with_a_gone_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stop_under_load, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
