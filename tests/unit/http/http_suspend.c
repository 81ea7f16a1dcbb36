/* Requests that are suspended and answered later, from elsewhere, or never heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lab.h"

#define WAIT  "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HELLO "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"

static int set_up(void **state)
{
	struct lab *lab = apd_malloc(sizeof(*lab));

	lab_init(lab);
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

static void expect_text(struct client *client, const char *text)
{
	struct answer answer;

	client_read(client, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body.data, text);
	answer_finish(&answer);
}

static void answered_elsewhere(void **state)
{
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client client;

	client_open(&client, lab->port);
	for (unsigned i = 1; i <= 20; i++) {
		client_send(&client, WAIT);
		lab_wait_for(lab, &lab->n_waiting, i);
		apd_http_server_stats(lab->server, &stats);
		assert_int_equal(stats.suspended, 1);
		lab_answer(lab, "later");
		expect_text(&client, "later");
		apd_http_server_stats(lab->server, &stats);
		assert_int_equal(stats.suspended, 0);
	}
	assert_int_equal(lab_count(lab, &lab->n_gone), 0);
	client_close(&client);
}

static void pipelined(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	client_send(&client, WAIT HELLO WAIT HELLO);
	lab_wait_for(lab, &lab->n_waiting, 1);
	lab_answer(lab, "first");
	expect_text(&client, "first");
	expect_text(&client, "{\"hello\":\"world\"}");
	lab_wait_for(lab, &lab->n_waiting, 2);
	client_send(&client, HELLO);
	lab_answer(lab, "second");
	expect_text(&client, "second");
	expect_text(&client, "{\"hello\":\"world\"}");
	expect_text(&client, "{\"hello\":\"world\"}");
	client_close(&client);
}

static void out_of_order(void **state)
{
	struct lab *lab = *state;
	struct lab_wait *waits[50];
	struct client clients[50];

	for (unsigned i = 0; i < 50; i++) {
		client_open(&clients[i], lab->port);
		client_send(&clients[i], WAIT);
		lab_wait_for(lab, &lab->n_waiting, i + 1);
		waits[i] = lab_take(lab);
	}
	for (unsigned i = 50; i-- > 0;) {
		lab_answer_taken(waits[i], i % 2 ? "odd" : "even");
		expect_text(&clients[i], i % 2 ? "odd" : "even");
		client_close(&clients[i]);
	}
}

/* Answers what nobody waits for, and checks that the server goes on. */
static void answer_nobody(struct lab *lab)
{
	struct apd_http_stats stats;

	lab_answer(lab, "nobody reads this");
	do {
		ask(lab->port, HELLO, 200);
		apd_http_server_stats(lab->server, &stats);
	} while (stats.suspended);
}

static void client_closes(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	client_close(&client);
	lab_wait_for(lab, &lab->n_gone, 1);
	answer_nobody(lab);
	assert_int_equal(lab_count(lab, &lab->n_gone), 1);
}

static void client_half_closes(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	shutdown(client.fd, SHUT_WR);
	lab_wait_for(lab, &lab->n_gone, 1);
	answer_nobody(lab);
	client_expect_end(&client);
	client_close(&client);
}

static void client_resets(void **state)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(&client);
	lab_wait_for(lab, &lab->n_gone, 1);
	answer_nobody(lab);
}

/* The watch of the connection's first request serves its second. */
static void client_closes_later(void **state)
{
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 1);
	lab_answer(lab, "first");
	expect_text(&client, "first");
	client_send(&client, WAIT);
	lab_wait_for(lab, &lab->n_waiting, 2);
	assert_int_equal(lab_count(lab, &lab->n_gone), 0);
	client_close(&client);
	lab_wait_for(lab, &lab->n_gone, 1);
	answer_nobody(lab);
}

/* Leaving at once is noticed as well, whatever the server sees first. */
static void client_never_waits(void **state)
{
	struct lab *lab = *state;

	for (unsigned i = 1; i <= 100; i++) {
		struct client client;

		client_open(&client, lab->port);
		client_send(&client, i % 2 ? WAIT : WAIT HELLO);
		client_close(&client);
		lab_wait_for(lab, &lab->n_gone, i);
	}
	for (unsigned i = 0; i < 99; i++)
		lab_answer(lab, "nobody");
	answer_nobody(lab);
	assert_int_equal(lab_count(lab, &lab->n_waiting), 100);
}

static void head_of_what_waits(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_send(&client, "HEAD /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
	lab_wait_for(lab, &lab->n_waiting, 1);
	lab_answer(lab, "12345");
	client_read_head(&client, &answer);
	assert_int_equal(answer.status, 200);
	assert_true(apd_str_is(answer_header(&answer, "content-length"), "5"));
	answer_finish(&answer);
	client_send(&client, HELLO);
	expect_text(&client, "{\"hello\":\"world\"}");
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answered_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pipelined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(out_of_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_closes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_half_closes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_resets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_closes_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(client_never_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(head_of_what_waits, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
