/* Requests that are answered at once: routing, methods, keep-alive, pipelining. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lab.h"

#define HOST "Host: localhost\r\n"

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

static void answers(void **state)
{
	struct lab *lab = *state;
	struct apd_http_stats stats;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, &answer);
	assert_string_equal(answer.body.data, "{\"hello\":\"world\"}");
	assert_true(apd_str_is(answer_header(&answer, "content-type"), "application/json"));
	assert_null(answer_header(&answer, "access-control-allow-origin").ptr);
	answer_finish(&answer);
	apd_http_server_stats(lab->server, &stats);
	assert_int_equal(stats.requests, 1);
	assert_int_equal(stats.responses[2], 1);
	assert_int_equal(stats.connections, 1);
	assert_int_equal(apd_http_server_threads(lab->server), 2);
	client_close(&client);
}

static void routes(void **state)
{
	static const struct {
		const char *target;
		int status;
		const char *body;
	} cases[] = {
		{"/pair/1/and/2", 200, "1|2"},
		{"/pair/%61b/and/c%2Fd", 200, "ab|c/d"},
		{"/p%61ir/a+b/and/%zz", 200, "a+b|%zz"},
		{"/pair/fixed/and/2", 200, "fixed|2"},
		{"http://localhost/pair/1/and/2?x", 200, "1|2"},
		{"/query?q=1&q=two+%26%20three&x&one%20word=4&q", 200, "1;two & three;;4"},
		{"/query", 200, NULL},
		{"/pair/1/and", 404, NULL},
		{"/pair//and/2", 404, NULL},
		{"/hello/", 404, NULL},
		{"/nope", 404, NULL},
		{"/", 404, NULL},
		{"*", 404, NULL},
		{"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20", 404, NULL},
	};
	struct lab *lab = *state;
	struct client client;

	client_open(&client, lab->port);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct answer answer;
		char request[256];

		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n",
			cases[i].target);
		client_ask(&client, request, cases[i].status, &answer);
		if (cases[i].body)
			assert_string_equal(answer.body.data, cases[i].body);
		if (cases[i].status == 404)
			assert_non_null(strstr(answer.body.data, "\"code\":\"not_found\""));
		answer_finish(&answer);
	}
	client_close(&client);
}

static void long_target(void **state)
{
	struct lab *lab = *state;
	struct apd_buf request = {0};
	struct client client;
	struct answer answer;

	/* Longer than the request's own memory, shorter than the head's limit. */
	apd_buf_lit(&request, "GET /pair/");
	for (int i = 0; i < 1500; i++)
		apd_buf_lit(&request, "%41");
	apd_buf_lit(&request, "/and/2 HTTP/1.1\r\n" HOST "\r\n");
	client_open(&client, lab->port);
	client_ask(&client, request.data, 200, &answer);
	assert_int_equal(answer.body.len, 1502);
	assert_memory_equal(answer.body.data, "AAAA", 4);
	answer_finish(&answer);
	client_close(&client);
	apd_buf_finish(&request);
}

static void method_not_allowed(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_ask(&client, "DELETE /wait HTTP/1.1\r\n" HOST "\r\n", 405, &answer);
	assert_true(apd_str_is(answer_header(&answer, "allow"), "GET, HEAD, POST"));
	assert_non_null(strstr(answer.body.data, "\"code\":\"method_not_allowed\""));
	answer_finish(&answer);
	/* The connection goes on, even though the refused request had a body. */
	client_ask(&client, "PUT /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 405,
		&answer);
	answer_finish(&answer);
	client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, &answer);
	answer_finish(&answer);
	client_close(&client);
}

static void head_has_no_body(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_send(&client, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n");
	client_read_head(&client, &answer);
	assert_int_equal(answer.status, 200);
	assert_true(apd_str_is(answer_header(&answer, "content-length"), "17"));
	answer_finish(&answer);
	client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, &answer);
	answer_finish(&answer);
	client_close(&client);
}

static void options_without_cors(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_ask(&client,
		"OPTIONS /hello HTTP/1.1\r\n" HOST "Origin: http://page\r\n"
		"Access-Control-Request-Method: GET\r\n\r\n",
		204, &answer);
	assert_true(apd_str_is(answer_header(&answer, "allow"), "GET, HEAD"));
	assert_null(answer_header(&answer, "access-control-allow-origin").ptr);
	assert_null(answer_header(&answer, "access-control-allow-methods").ptr);
	answer_finish(&answer);
	client_ask(&client, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 204, &answer);
	answer_finish(&answer);
	client_ask(&client, "OPTIONS /nope HTTP/1.1\r\n" HOST "\r\n", 404, &answer);
	answer_finish(&answer);
	client_close(&client);
}

static void headers(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_ask(
		&client, "GET /headers HTTP/1.1\r\n" HOST "USER-AGENT: lab\r\n\r\n", 200, &answer);
	assert_string_equal(answer.body.data, "known");
	assert_true(apd_str_is(answer_header(&answer, "location"), "/somewhere"));
	assert_null(answer_header(&answer, "x-forged").ptr);
	assert_null(answer_header(&answer, "x-second").ptr);
	answer_finish(&answer);
	client_close(&client);
}

static void forgotten_answer(void **state)
{
	struct lab *lab = *state;

	ask(lab->port, "GET /forgets HTTP/1.1\r\n" HOST "\r\n", 500);
}

static void pipelined(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_send(&client,
		"GET /pair/1/and/2 HTTP/1.1\r\n" HOST "\r\n"
		"POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
		"GET /nope HTTP/1.1\r\n" HOST "\r\n"
		"GET /pair/3/and/4 HTTP/1.1\r\n" HOST "\r\n");
	client_read(&client, &answer);
	assert_string_equal(answer.body.data, "1|2");
	answer_finish(&answer);
	client_read(&client, &answer);
	assert_string_equal(answer.body.data, "abc");
	answer_finish(&answer);
	client_read(&client, &answer);
	assert_int_equal(answer.status, 404);
	answer_finish(&answer);
	client_read(&client, &answer);
	assert_string_equal(answer.body.data, "3|4");
	answer_finish(&answer);
	client_close(&client);
}

static void old_clients(void **state)
{
	struct lab *lab = *state;
	struct client client;
	struct answer answer;

	client_open(&client, lab->port);
	client_ask(&client, "GET /hello HTTP/1.0\r\n\r\n", 200, &answer);
	answer_finish(&answer);
	client_expect_end(&client);
	client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(routes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(long_target, set_up, tear_down),
		cmocka_unit_test_setup_teardown(method_not_allowed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(head_has_no_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(options_without_cors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(headers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forgotten_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pipelined, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_clients, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
