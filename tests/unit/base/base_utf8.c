/* Text that is shown, and text that is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

static void test_visible(void **state)
{
	static const struct {
		struct apd_str in;
		const char *out;
	} cases[] = {
		{{NULL, 0}, ""},
		{APD_STR(""), ""},
		{APD_STR("plain \\ \" text"), "plain \\ \" text"},
		{APD_STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
			"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{APD_STR("a\0b\n\t\x1b[2J\x7f"), "a\\x00b\\x0a\\x09\\x1b[2J\\x7f"},
		/* Control characters of two bytes: CSI and NEL; the first that is none. */
		{APD_STR("\xc2\x9b\x33m\xc2\x85\xc2\xa0"), "\\xc2\\x9b3m\\xc2\\x85\xc2\xa0"},
		/* Too long, a surrogate, too large, alone, cut off, Latin-1. */
		{APD_STR("\xc0\x80"), "\\xc0\\x80"},
		{APD_STR("\xe0\x80\xaf"), "\\xe0\\x80\\xaf"},
		{APD_STR("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
		{APD_STR("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},
		{APD_STR("\x80x\xff"), "\\x80x\\xff"},
		{APD_STR("x\xe2\x82"), "x\\xe2\\x82"},
		{APD_STR("gr\xfc\xdf"), "gr\\xfc\\xdf"},
		{APD_STR("\xe2\x82\xc3\xa4"), "\\xe2\\x82\xc3\xa4"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct apd_buf out = {0};

		apd_buf_add_visible(&out, cases[i].in);
		assert_string_equal(out.data ? out.data : "", cases[i].out);
		apd_buf_finish(&out);
	}
}

static void test_cut(void **state)
{
	const struct apd_str text = APD_STR("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
	const struct apd_str raw = APD_STR("\x80\x80\x80\x80\x80\x80\x80\x80");

	(void)state;
	for (size_t max = 0; max < sizeof(lengths) / sizeof(lengths[0]); max++)
		assert_int_equal(apd_utf8_cut(text, max).len, lengths[max]);
	for (size_t max = 0; max <= raw.len; max++)
		assert_int_equal(apd_utf8_cut(raw, max).len, max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_visible),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
