/* Whom the server listens to: Host, Origin and CORS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lab.h"

static const char *const some[] = {"http://page", "https://other:8443", NULL};
static const char *const any[] = {"*", NULL};

/* Asks for /hello, or with POST for /echo, with these headers. */
static void check(const struct lab *lab, const char *method, const char *headers, int status)
{
	char request[512];

	snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\n%s\r\n", method,
		strcmp(method, "POST") == 0 ? "/echo" : "/hello", headers);
	ask(lab->port, request, status);
}

static void refuses_other_hosts(void **state)
{
	struct lab lab;
	struct client client;
	struct answer answer;

	(void)state;
	lab_init(&lab);
	lab_start(&lab);
	check(&lab, "GET", "Host: localhost:8123\r\n", 200);
	check(&lab, "GET", "Host: 127.0.0.1\r\n", 200);
	check(&lab, "GET", "Host: [::1]:1\r\n", 200);
	check(&lab, "GET", "Host: evil.example\r\n", 403);
	check(&lab, "POST", "Host: evil.example\r\n", 403);
	check(&lab, "GET", "", 400);
	check(&lab, "GET", "Host:\r\n", 400);
	check(&lab, "GET", "Host: localhost\r\nHost: localhost\r\n", 400);
	client_open(&client, lab.port);
	client_ask(&client, "GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, &answer);
	assert_non_null(strstr(answer.body.data, "\"code\":\"host_refused\""));
	answer_finish(&answer);
	client_close(&client);
	lab_finish(&lab);
}

static void any_host_on_any_address(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab.config.host = "0.0.0.0";
	lab_start(&lab);
	check(&lab, "GET", "Host: apd.example:8123\r\n", 200);
	check(&lab, "GET", "", 400);
	lab_finish(&lab);
}

static void refuses_other_pages(void **state)
{
	struct lab lab;

	(void)state;
	lab_init(&lab);
	lab_start(&lab);
	check(&lab, "POST", "Host: localhost:1\r\nOrigin: http://localhost:1\r\n", 200);
	check(&lab, "POST", "Host: localhost:1\r\nOrigin: http://localhost:2\r\n", 403);
	check(&lab, "POST", "Host: localhost:1\r\nOrigin: http://page\r\n", 403);
	check(&lab, "POST", "Host: localhost:1\r\nOrigin: null\r\n", 403);
	check(&lab, "GET", "Host: localhost:1\r\nOrigin: http://page\r\n", 200);
	check(&lab, "POST", "Host: localhost:1\r\n", 200);
	lab_finish(&lab);
}

static void tells_allowed_pages(void **state)
{
	struct lab lab;
	struct client client;
	struct answer answer;

	(void)state;
	lab_init(&lab);
	lab.config.cors_origins = some;
	lab_start(&lab);
	client_open(&client, lab.port);
	client_ask(&client, "GET /hello HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n\r\n",
		200, &answer);
	assert_true(
		apd_str_is(answer_header(&answer, "access-control-allow-origin"), "http://page"));
	assert_true(apd_str_is(answer_header(&answer, "access-control-expose-headers"),
		"content-location, location, x-pagination-total, x-pagination-next"));
	assert_true(apd_str_is(answer_header(&answer, "vary"), "Origin"));
	answer_finish(&answer);
	client_ask(&client, "GET /nope HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n\r\n",
		404, &answer);
	assert_non_null(answer_header(&answer, "access-control-allow-origin").ptr);
	answer_finish(&answer);
	client_ask(&client, "GET /hello HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n\r\n",
		200, &answer);
	assert_null(answer_header(&answer, "access-control-allow-origin").ptr);
	assert_true(apd_str_is(answer_header(&answer, "vary"), "Origin"));
	answer_finish(&answer);
	client_close(&client);
	check(&lab, "POST", "Host: localhost\r\nOrigin: https://other:8443\r\n", 200);
	check(&lab, "POST", "Host: localhost\r\nOrigin: https://evil\r\n", 403);
	lab_finish(&lab);
}

static void answers_preflights(void **state)
{
	struct lab lab;
	struct client client;
	struct answer answer;

	(void)state;
	lab_init(&lab);
	lab.config.cors_origins = some;
	lab_start(&lab);
	client_open(&client, lab.port);
	client_ask(&client,
		"OPTIONS /wait HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\n"
		"Access-Control-Request-Method: POST\r\n"
		"Access-Control-Request-Private-Network: true\r\n\r\n",
		204, &answer);
	assert_true(
		apd_str_is(answer_header(&answer, "access-control-allow-origin"), "http://page"));
	assert_true(apd_str_is(
		answer_header(&answer, "access-control-allow-methods"), "GET, HEAD, POST"));
	assert_true(apd_str_is(answer_header(&answer, "access-control-allow-headers"),
		"content-type, authorization, x-api-key, x-auth-scheme, last-event-id"));
	assert_true(
		apd_str_is(answer_header(&answer, "access-control-allow-private-network"), "true"));
	answer_finish(&answer);
	client_ask(&client,
		"OPTIONS /wait HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\n"
		"Access-Control-Request-Method: POST\r\n\r\n",
		204, &answer);
	assert_null(answer_header(&answer, "access-control-allow-origin").ptr);
	assert_null(answer_header(&answer, "access-control-allow-methods").ptr);
	assert_null(answer_header(&answer, "access-control-allow-private-network").ptr);
	answer_finish(&answer);
	client_close(&client);
	lab_finish(&lab);
}

static void star_allows_all(void **state)
{
	struct lab lab;
	struct client client;
	struct answer answer;

	(void)state;
	lab_init(&lab);
	lab.config.cors_origins = any;
	lab_start(&lab);
	client_open(&client, lab.port);
	client_ask(&client,
		"POST /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n"
		"Content-Length: 1\r\n\r\n1",
		200, &answer);
	assert_true(apd_str_is(answer_header(&answer, "access-control-allow-origin"), "*"));
	assert_null(answer_header(&answer, "vary").ptr);
	answer_finish(&answer);
	client_close(&client);
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_other_hosts),
		cmocka_unit_test(any_host_on_any_address),
		cmocka_unit_test(refuses_other_pages),
		cmocka_unit_test(tells_allowed_pages),
		cmocka_unit_test(answers_preflights),
		cmocka_unit_test(star_allows_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
