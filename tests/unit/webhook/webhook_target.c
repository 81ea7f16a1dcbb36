/* URLs: what is one, which host it counts for, and what of it may stand in a log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "webhook/target.h"

static void check_host(const char *url, const char *host)
{
	struct apd_target target;
	struct apd_buf error = {0};

	if (apd_target_init(&target, apd_str(url), &error) != 0)
		fail_msg("%s: %s", url, error.data);
	assert_string_equal(target.host.data, host);
	apd_target_finish(&target);
}

static void hosts(void **state)
{
	(void)state;
	check_host("http://example.org", "example.org:80");
	check_host("https://example.org/a?b#c", "example.org:443");
	check_host("HTTPS://EXAMPLE.org:8443/", "example.org:8443");
	check_host("http://u:p@example.org:80/", "example.org:80");
	check_host("http://[::1]:99/", "[::1]:99");
	/* Other ways to write 127.0.0.1. */
	check_host("http://2130706433/", "127.0.0.1:80");
	check_host("http://0x7f.1/", "127.0.0.1:80");
	check_host("http://0177.0.0.1/", "127.0.0.1:80");
}

static void check_refused(struct apd_str url, const char *sentence)
{
	struct apd_target target;
	struct apd_buf error = {0};

	if (apd_target_init(&target, url, &error) == 0)
		fail_msg("taken: %s", url.ptr);
	assert_string_equal(error.data, sentence);
	apd_buf_finish(&error);
}

static void what_is_no_url_is_refused(void **state)
{
	static char long_url[20000];

	(void)state;
	check_refused(APD_STR(""), "not a URL");
	check_refused(APD_STR("example.org"), "not a URL");
	check_refused(APD_STR("/path"), "not a URL");
	check_refused(APD_STR("http://"), "not a URL");
	check_refused(APD_STR("http://a b/"), "not a URL");
	check_refused(APD_STR("http://a/\nx"), "not a URL");
	check_refused(APD_STR("http://a/\0x"), "not a URL");
	check_refused(APD_STR("http://a:99999/"), "not a URL");
	check_refused(APD_STR("ftp://example.org/"), "neither http nor https");
	check_refused(APD_STR("file:///etc/passwd"), "neither http nor https");
	check_refused(APD_STR("gopher://127.0.0.1:6379/_x"), "neither http nor https");
	check_refused(APD_STR("javascript:alert(1)"), "not a URL");
	memset(long_url, 'a', sizeof(long_url));
	memcpy(long_url, "http://", 7);
	check_refused((struct apd_str){long_url, sizeof(long_url)}, "not a URL");
}

static void check_text(const char *url, const char *text)
{
	struct apd_buf out = {0};

	apd_target_add_text(&out, apd_str(url));
	assert_string_equal(out.data, text);
	apd_buf_finish(&out);
}

static void logs_name_no_secrets(void **state)
{
	(void)state;
	check_text("http://example.org/a/b", "http://example.org/a/b");
	check_text("https://user:secret@example.org:8443/a?token=secret#secret",
		"https://example.org:8443/a");
	check_text("https://secret@example.org", "https://example.org/");
	check_text("https://user:secret@", "(not a URL of http or https)");
	check_text("ftp://user:secret@host/", "(not a URL of http or https)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(what_is_no_url_is_refused),
		cmocka_unit_test(logs_name_no_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
