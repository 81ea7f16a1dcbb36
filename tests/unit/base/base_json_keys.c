/* Keys that an object has twice: how the scanner finds them, whatever the size. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json_scan.h"

static void test_duplicate_keys(void **state)
{
	static const struct {
		const char *text;
		uint32_t line, column;
	} cases[] = {
		{"{\"a\":1,\"a\":1}", 1, 8},
		{"{\"a\":1,\n \"b\":{\"a\":1},\n \"a\":2}", 3, 2},
		{"{\"\":1,\"\":1}", 1, 7},
		{"{\"a\":1,\"\\u0061\":1}", 1, 8},
		{"{\"\\u0061\":1,\"a\":1}", 1, 13},
		{"{\"\\u00e9\":1,\"\\u00E9\":1}", 1, 13},
		{"{\"\xc3\xa9\":1,\"\\u00E9\":1}", 1, 9},
		{"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1}", 1, 19},
		{"{\"\\/\":1,\"/\":1}", 1, 9},
		{"{\"\\n\":1,\"\\u000a\":1}", 1, 9},
		{"[{\"x\":{\"k\":[1,{}],\"l\":2,\"k\":3}}]", 1, 25},
	};

	struct apd_json json = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		assert_int_equal(apd_json_scan(&json, apd_str(cases[i].text)), -EINVAL);
		assert_string_equal(json.error, "duplicate key");
		assert_int_equal(json.error_line, cases[i].line);
		assert_int_equal(json.error_column, cases[i].column);
	}
	apd_json_finish(&json);
}

/* Adds an object of n keys; if wanted, key `again` stands a second time at the end. */
static void add_object(struct apd_buf *out, int n, int again, bool escaped)
{
	apd_buf_lit(out, "{");
	for (int i = 0; i < n; i++)
		apd_buf_addf(out, "%s\"key %d\":[%d,{\"key %d\":null}]", i ? "," : "", i, i, i);
	if (again >= 0)
		apd_buf_addf(out, ",\"%s %d\":0", escaped ? "\\u006bey" : "key", again);
	apd_buf_lit(out, "}");
}

/* Every size around the limit between the two ways of finding duplicates, and far beyond. */
static void test_duplicates_by_size(void **state)
{
	static const int sizes[] = {1, 2, 8, 14, 15, 16, 17, 18, 31, 32, 33, 100, 1000, 5000};
	struct apd_json json = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(sizes); i++) {
		int n = sizes[i], step = n < 40 ? 1 : n / 7;
		struct apd_buf text = {0};

		add_object(&text, n, -1, false);
		assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
		assert_int_equal(json.toks[0].count, n);
		for (int again = 0; again < 2 * n; again += step) {
			apd_buf_clear(&text);
			add_object(&text, n, again % n, again >= n);
			assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), -EINVAL);
			assert_string_equal(json.error, "duplicate key");
			assert_int_equal(text.data[json.error_column - 2], ',');
			assert_true(json.error_column > text.len - 25);
		}
		apd_buf_finish(&text);
	}
	apd_json_finish(&json);
}

/* Objects in objects, all large, and keys with escapes and without. */
static void test_many_keys(void **state)
{
	struct apd_buf text = {0};
	struct apd_json json = {0};

	(void)state;
	apd_buf_lit(&text, "{");
	for (int i = 0; i < 40; i++) {
		apd_buf_addf(&text, "%s\"%s%d\":", i ? "," : "", i % 2 ? "\\u00e4\\n" : "k", i);
		add_object(&text, i, -1, false);
	}
	apd_buf_lit(&text, "}");
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
	assert_true(apd_json_member(&json, 0, APD_STR("\xc3\xa4\n39")) > 0);
	apd_buf_clear(&text);
	add_object(&text, 200000, -1, false);
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
	assert_int_equal(json.toks[0].count, 200000);
	apd_buf_clear(&text);
	add_object(&text, 200000, 199999, true);
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), -EINVAL);
	assert_string_equal(json.error, "duplicate key");
	apd_buf_finish(&text);
	apd_json_finish(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duplicate_keys),
		cmocka_unit_test(test_duplicates_by_size),
		cmocka_unit_test(test_many_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
