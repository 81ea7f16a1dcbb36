/* Host and Origin headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http/hostname.h"

static void knows_loopback(void **state)
{
	static const char *const loopback[] = {"localhost", "localhost:8123", "LocalHost",
		"localhost.", "agents.localhost", "a.b.LOCALHOST:1", "127.0.0.1", "127.9.8.7:80",
		"[::1]", "[::1]:8123", "[0:0:0:0:0:0:0:1]", "127.0.0.1:"};
	static const char *const other[] = {"", ":", ":80", "example.com", "localhost.example.com",
		"notlocalhost", "evil-localhost", "127.0.0.1.example.com", "128.0.0.1", "10.0.0.1",
		"[::2]", "[::1", "[::1]x", "::1", "localhost:80x", "localhost:80:90", "127.1",
		"0x7f.0.0.1", "[]", "[", "2130706433", "127.0.0.1 ", "localhost/",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(loopback); i++)
		if (!apd_http_host_is_loopback(apd_str(loopback[i])))
			fail_msg("%s is loopback", loopback[i]);
	for (size_t i = 0; i < APD_COUNT(other); i++)
		if (apd_http_host_is_loopback(apd_str(other[i])))
			fail_msg("%s is not loopback", other[i]);
	assert_false(apd_http_host_is_loopback(
		(struct apd_str){"127.0.0.1\0.evil", sizeof("127.0.0.1\0.evil") - 1}));
}

static void compares_origins(void **state)
{
	(void)state;
	assert_true(apd_http_origin_is_host(APD_STR("http://h:1"), APD_STR("H:1")));
	assert_true(apd_http_origin_is_host(APD_STR("https://h"), APD_STR("h")));
	assert_false(apd_http_origin_is_host(APD_STR("http://h:1"), APD_STR("h:2")));
	assert_false(apd_http_origin_is_host(APD_STR("http://h"), APD_STR("hh")));
	assert_false(apd_http_origin_is_host(APD_STR("null"), APD_STR("null")));
	assert_false(apd_http_origin_is_host(APD_STR("http://"), APD_STR("")));
	assert_false(apd_http_origin_is_host(APD_STR_ABSENT, APD_STR("h")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_loopback),
		cmocka_unit_test(compares_origins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
