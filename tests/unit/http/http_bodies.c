/* Bodies: of known size and chunked, too large, too many, and with unclear ends. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lab.h"

#define POST "POST /echo HTTP/1.1\r\nHost: localhost\r\n"

static int set_up(void **state)
{
	struct lab *lab = apd_malloc(sizeof(*lab));

	lab_init(lab);
	lab->config.threads = 1; /* what one connection left behind is seen by the next */
	lab->config.max_bodies = 150000;
	lab_start(lab);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	lab_finish(*state);
	free(*state);
	return 0;
}

/* Sends a head that announces len bytes, and n bytes. */
static bool send_sized(struct client *client, const char *head, size_t len, size_t n)
{
	struct apd_buf request = {0};
	bool sent;

	apd_buf_addf(&request, "%sContent-Length: %zu\r\n\r\n", head, len);
	for (size_t i = 0; i < n; i++)
		apd_buf_add_char(&request, (char)('a' + i % 26));
	sent = client_send_bytes(client, request.data, request.len);
	apd_buf_finish(&request);
	return sent;
}

/* Sends a chunked body of n bytes. */
static bool send_chunked(struct client *client, size_t n)
{
	struct apd_buf request = {0};
	bool sent;

	apd_buf_lit(&request, POST "Transfer-Encoding: chunked\r\n\r\n");
	for (size_t at = 0; at < n;) {
		size_t size = n - at < 7777 ? n - at : 7777;

		apd_buf_addf(&request, "%zx\r\n", size);
		for (size_t i = 0; i < size; i++, at++)
			apd_buf_add_char(&request, (char)('a' + at % 26));
		apd_buf_lit(&request, "\r\n");
	}
	apd_buf_lit(&request, "0\r\n\r\n");
	sent = client_send_bytes(client, request.data, request.len);
	apd_buf_finish(&request);
	return sent;
}

/* Reads an echo of n bytes. */
static void expect_echo(struct client *client, size_t n)
{
	struct answer answer;

	client_read(client, &answer);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.len, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(answer.body.data[i], 'a' + i % 26);
	answer_finish(&answer);
}

static void expect_status(struct client *client, int status, const char *code)
{
	struct answer answer;

	client_read(client, &answer);
	assert_int_equal(answer.status, status);
	if (!strstr(answer.body.data, code))
		fail_msg("%s is not in %s", code, answer.body.data);
	if (status == 503)
		assert_true(answer_header(&answer, "retry-after").len > 0);
	answer_finish(&answer);
}

static void of_known_size(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 4096, 65536, 100000};
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	for (size_t i = 0; i < APD_COUNT(sizes); i++) {
		assert_true(send_sized(&client, POST, sizes[i], sizes[i]));
		expect_echo(&client, sizes[i]);
	}
	client_close(&client);
}

static void chunked(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 7777, 65536, 100000};
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	for (size_t i = 0; i < APD_COUNT(sizes); i++) {
		assert_true(send_chunked(&client, sizes[i]));
		expect_echo(&client, sizes[i]);
	}
	client_close(&client);
}

static void byte_by_byte(void **state)
{
	static const char text[] = POST "Transfer-Encoding: chunked\r\n\r\n"
					"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n";
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		assert_true(client_send_bytes(&client, text + i, 1));
	expect_echo(&client, 5);
	client_close(&client);
}

static void continues(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	client_send(&client, POST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	client_expect(&client, "100 Continue\r\n\r\n");
	client_send(&client, "abc");
	expect_echo(&client, 3);
	client_close(&client);
}

static void announced_too_large(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	assert_true(send_sized(&client, POST, 100001, 0));
	expect_status(&client, 413, "body_too_large");
	client_expect_end(&client);
	client_close(&client);
	client_open(&client, lab->port);
	assert_true(send_sized(&client, POST "Expect: 100-continue\r\n", 100001, 0));
	client_expect(&client, "HTTP/1.1 413 ");
	client_expect_end(&client);
	client_close(&client);
	assert_int_equal(lab_count(lab, &lab->n_handled), 0);
}

/* Sends all of a body before it reads: the refusal must still be there, and the body be dropped. */
static void sent_before_reading(void **state)
{
	static const size_t sizes[] = {100001, 399999};
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client client;

	for (size_t i = 0; i < APD_COUNT(sizes); i++) {
		client_open_narrow(&client, lab->port);
		assert_true(send_sized(&client, POST, sizes[i], sizes[i]));
		expect_status(&client, 413, "body_too_large");
		client_expect_end(&client);
		apd_http_server_stats(lab->server, &stats);
		assert_int_equal(stats.body_bytes, 0);
		assert_int_equal(stats.suspended, 0);
		client_close(&client);
	}
	assert_int_equal(lab_count(lab, &lab->n_handled), 0);
}

/* Who sends for ever is cut off. */
static void sent_without_end(void **state)
{
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client client;
	char *bytes = apd_calloc(1, 1 << 20);
	unsigned n = 0;

	client_open(&client, lab->port);
	assert_true(send_sized(&client, POST, 1u << 31, 0));
	while (n < 64 && client_send_bytes(&client, bytes, 1 << 20))
		n++;
	assert_true(n < 64);
	client_close(&client);
	for (int i = 0; i < 5000; i++) {
		apd_http_server_stats(lab->server, &stats);
		if (stats.connections == 0)
			break;
		poll(NULL, 0, 2);
	}
	assert_int_equal(stats.connections, 0);
	free(bytes);
}

static void chunked_too_large(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	assert_true(send_chunked(&client, 100001));
	expect_status(&client, 413, "body_too_large");
	assert_true(send_chunked(&client, 399999));
	expect_status(&client, 413, "body_too_large");
	assert_true(send_chunked(&client, 10));
	expect_echo(&client, 10);
	client_close(&client);
}

static void chunked_without_end(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	send_chunked(&client, 600000);
	client_expect_end(&client);
	client_close(&client);
	assert_int_equal(lab_count(lab, &lab->n_handled), 0);
}

static void bounded_in_all(void **state)
{
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client waits, client;
	struct answer answer;

	client_open(&waits, lab->port);
	assert_true(
		send_sized(&waits, "POST /wait HTTP/1.1\r\nHost: localhost\r\n", 100000, 100000));
	lab_wait_for(lab, &lab->n_waiting, 1);
	apd_http_server_stats(lab->server, &stats);
	assert_int_equal(stats.body_bytes, 100000);

	client_open(&client, lab->port);
	assert_true(send_chunked(&client, 60000));
	expect_status(&client, 503, "overloaded");
	assert_true(send_chunked(&client, 50000));
	expect_echo(&client, 50000);
	assert_true(send_sized(&client, POST, 60000, 0));
	expect_status(&client, 503, "overloaded");
	client_expect_end(&client);
	client_close(&client);

	lab_answer(lab, "done");
	client_read(&waits, &answer);
	answer_finish(&answer);
	client_open(&client, lab->port);
	assert_true(send_sized(&client, POST, 100000, 100000));
	expect_echo(&client, 100000);
	client_close(&client);
	client_close(&waits);
}

/* Asks until the server holds no bytes of bodies; a request gives it the time to notice. */
static void expect_no_bytes(struct lab *lab)
{
	struct apd_http_stats stats;

	for (int i = 0; i < 5000; i++) {
		ask(lab->port, "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", 200);
		apd_http_server_stats(lab->server, &stats);
		if (stats.body_bytes == 0)
			return;
	}
	fail_msg("%llu bytes are still held", (unsigned long long)stats.body_bytes);
}

static void lies_cost_nobody(void **state)
{
	struct lab *lab = *state;
	struct client liars[20], client;

	for (size_t i = 0; i < APD_COUNT(liars); i++) {
		client_open(&liars[i], lab->port);
		assert_true(send_sized(&liars[i], POST, 100000, 1));
	}
	client_open(&client, lab->port);
	assert_true(send_sized(&client, POST, 100000, 100000));
	expect_echo(&client, 100000);
	client_close(&client);
	for (size_t i = 0; i < APD_COUNT(liars); i++)
		client_close(&liars[i]);
	expect_no_bytes(lab);
}

static void unclear_ends(void **state)
{
	static const char *const heads[] = {
		"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: gzip\r\n",
		"Transfer-Encoding: gzip, chunked\r\n",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length: 3\r\nContent-Length: 4\r\n",
		"Content-Length: +3\r\n",
		"Content-Length: 3 3\r\n",
		"Content-Length: 99999999999999999999999\r\n",
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < APD_COUNT(heads); i++) {
		struct client client;
		struct answer answer;

		client_open(&client, lab->port);
		client_send(&client, POST);
		client_send(&client, heads[i]);
		client_send(&client, "\r\n");
		client_read(&client, &answer);
		if (answer.status != 400 && answer.status != 413)
			fail_msg("%s was answered %d", heads[i], answer.status);
		answer_finish(&answer);
		client_expect_end(&client);
		client_close(&client);
	}
	assert_int_equal(lab_count(lab, &lab->n_handled), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_known_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(chunked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(continues, set_up, tear_down),
		cmocka_unit_test_setup_teardown(announced_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sent_before_reading, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sent_without_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(chunked_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(chunked_without_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bounded_in_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lies_cost_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(unclear_ends, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
