/* Strings, members and numbers of a scanned text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json_scan.h"

static void scan(struct apd_json *json, const char *text)
{
	if (apd_json_scan(json, apd_str(text)) < 0)
		fail_msg("%s: %s", text, json->error);
}

static void test_strings(void **state)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{"\"\"", ""},
		{"\"plain\"", "plain"},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
		{"\"a\\u0041b\"", "aAb"},
		{"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
			"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"},
		{"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
		{"\"x\\ud83d\\ude00y\"", "x\xf0\x9f\x98\x80y"},
		{"\"\\\\u0041\"", "\\u0041"},
		{"\"\xc3\xa4\\n\xc3\xa4\"", "\xc3\xa4\n\xc3\xa4"},
	};
	struct apd_json json = {0};
	struct apd_buf scratch = {0}, out = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_str expected = apd_str(cases[i].out), s;

		scan(&json, cases[i].in);
		s = apd_json_string(&json, 0, &scratch);
		assert_true(apd_str_eq(s, expected));
		assert_int_equal(s.ptr == cases[i].in + 1, !json.toks[0].escaped);
		apd_buf_clear(&out);
		apd_buf_lit(&out, "<");
		apd_json_unescape(&json, 0, &out);
		assert_true(apd_str_is((struct apd_str){out.data + 1, out.len - 1}, cases[i].out));
		assert_int_equal(out.data[out.len], '\0');
		assert_true(apd_json_is(&json, 0, expected));
		assert_false(apd_json_is(&json, 0, APD_STR("other")));
		if (expected.len) {
			expected.len--;
			assert_false(apd_json_is(&json, 0, expected));
			assert_false(apd_json_is(&json, 0, APD_STR("")));
		}
		apd_buf_lit(&out, "x");
		assert_false(apd_json_is(&json, 0, (struct apd_str){out.data + 1, out.len - 1}));
	}
	apd_buf_finish(&scratch);
	apd_buf_finish(&out);
	apd_json_finish(&json);
}

static void test_string_order(void **state)
{
	/* In order, but for neighbours with the same rank. */
	static const struct {
		const char *text;
		int rank;
	} cases[] = {
		{"\"\"", 0},
		{"\"\\n\"", 1},
		{"\"\\u000a\"", 1},
		{"\"\\na\"", 2},
		{"\"a\"", 3},
		{"\"\\u0061\"", 3},
		{"\"aa\"", 4},
		{"\"\\u0061b\"", 5},
		{"\"b\"", 6},
		{"\"\xc3\xa4\"", 7},
		{"\"\\u00e4\"", 7},
		{"\"\\ud83d\\ude00\"", 8},
		{"\"\xf0\x9f\x98\x80\"", 8},
	};
	struct apd_json a = {0}, b = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++)
		for (size_t j = 0; j < APD_COUNT(cases); j++) {
			int expected = cases[i].rank - cases[j].rank, order;

			scan(&a, cases[i].text);
			scan(&b, cases[j].text);
			order = apd_json_compare_strings(&a, 0, &b, 0);
			assert_int_equal(order < 0, expected < 0);
			assert_int_equal(order > 0, expected > 0);
			assert_int_equal(apd_json_same_string(&a, 0, &b, 0), expected == 0);
		}
	apd_json_finish(&a);
	apd_json_finish(&b);
}

static void test_members(void **state)
{
	struct apd_json json = {0};
	uint32_t sum = 0;

	(void)state;
	scan(&json, "{\"a\":{\"b\":1},\"b\":[2,[3],4],\"\\u0063\":null,\"\":5}");
	assert_int_equal(apd_json_member(&json, 0, APD_STR("a")), 2);
	assert_int_equal(apd_json_member(&json, 0, APD_STR("b")), 6);
	assert_int_equal(apd_json_member(&json, 2, APD_STR("b")), 4);
	assert_int_equal(apd_json_member(&json, 2, APD_STR("a")), 0);
	assert_int_equal(apd_json_member(&json, 0, APD_STR("d")), 0);
	assert_int_equal(
		apd_json_type(&json, apd_json_member(&json, 0, APD_STR("c"))), APD_JSON_NULL);
	assert_int_equal(apd_json_given(&json, 0, APD_STR("c")), 0);
	assert_int_equal(apd_json_given(&json, 0, APD_STR("x")), 0);
	assert_int_equal(apd_json_given(&json, 0, APD_STR("b")), 6);
	assert_true(apd_json_given(&json, 0, APD_STR("")) > 0);
	apd_json_each_item (&json, 6, i)
		sum = sum * 100 + i;
	assert_int_equal(sum, 70810);
	sum = 0;
	apd_json_each_member (&json, 0, k)
		sum++;
	assert_int_equal(sum, 4);
	scan(&json, "{}");
	assert_int_equal(apd_json_member(&json, 0, APD_STR("a")), 0);
	apd_json_finish(&json);
}

static void test_integers(void **state)
{
	static const struct {
		const char *text;
		int rc;
		int64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"0.000e5", 0, 0},
		{"42", 0, 42},
		{"-42", 0, -42},
		{"1.0", 0, 1},
		{"1e3", 0, 1000},
		{"1500e-2", 0, 15},
		{"0.00012e5", 0, 12},
		{"-12.50e1", 0, -125},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775807.000", 0, INT64_MAX},
		{"922337203685477580.7e1", 0, INT64_MAX},
		{"9223372036854775808", -ERANGE, 0},
		{"-9223372036854775809.0", -ERANGE, 0},
		{"18446744073709551615", -ERANGE, 0},
		{"1e19", -ERANGE, 0},
		{"1e400", -ERANGE, 0},
		{"1e99999999999999999999999", -ERANGE, 0},
		{"1e-99999999999999999999999", -ERANGE, 0},
		{"1.5", -ERANGE, 0},
		{"0.1", -ERANGE, 0},
		{"1.00000000000000000000000000001", -ERANGE, 0},
		{"\"1\"", -EINVAL, 0},
		{"null", -EINVAL, 0},
		{"[1]", -EINVAL, 0},
	};
	struct apd_json json = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		int64_t value = 4711;

		scan(&json, cases[i].text);
		assert_int_equal(apd_json_int64(&json, 0, &value), cases[i].rc);
		assert_true(value == (cases[i].rc ? 4711 : cases[i].value));
	}
	apd_json_finish(&json);
}

static void test_doubles(void **state)
{
	static const struct {
		const char *text;
		int rc;
		double value;
	} cases[] = {
		{"0", 0, 0},
		{"1", 0, 1},
		{"-1.5", 0, -1.5},
		{"0.1", 0, 0.1},
		{"1e308", 0, 1e308},
		{"1e-999", 0, 0},
		{"18446744073709551615", 0, 18446744073709551615.0},
		{"0.1000000000000000055511151231257827021181583404541015625000000000000000000", 0,
			0.1},
		{"1e309", -ERANGE, 0},
		{"-1e309", -ERANGE, 0},
		{"true", -EINVAL, 0},
		{"\"1\"", -EINVAL, 0},
	};
	struct apd_json json = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		size_t len = strlen(cases[i].text);
		char *copy = apd_malloc(len);
		double value = 4711;

		memcpy(copy, cases[i].text, len);
		assert_int_equal(apd_json_scan(&json, (struct apd_str){copy, len}), 0);
		assert_int_equal(apd_json_double(&json, 0, &value), cases[i].rc);
		assert_true(value == (cases[i].rc ? 4711 : cases[i].value));
		free(copy);
	}
	apd_json_finish(&json);
}

static void test_number_order(void **state)
{
	/* In order, but for neighbours with the same rank. */
	static const struct {
		const char *text;
		int rank;
	} cases[] = {
		{"-1e999", -9},
		{"-18.0e18", -8},
		{"-9223372036854775808", -7},
		{"-9223372036854775807", -6},
		{"-1.5", -5},
		{"-1", -4},
		{"-10e-1", -4},
		{"-0.5", -3},
		{"-1e-999999999999999999999", -2},
		{"-0", 0},
		{"0", 0},
		{"0.0", 0},
		{"0e999999999999999999999", 0},
		{"0.001", 1},
		{"1e-3", 1},
		{"0.1", 2},
		{"0.10", 2},
		{"1e-1", 2},
		{"0.1000000000000000055511151231257827", 3},
		{"1", 4},
		{"1.0", 4},
		{"1e0", 4},
		{"0.0001E+4", 4},
		{"1.00000000000000000000000001", 5},
		{"9.99", 6},
		{"10", 7},
		{"100e-1", 7},
		{"9007199254740992", 8},
		{"9007199254740993", 9},
		{"9007199254740993.0", 9},
		{"18446744073709551614", 10},
		{"18446744073709551615", 11},
		{"1e20", 12},
		{"100000000000000000000.0", 12},
		{"1e999", 13},
		{"1e999999999999999999999", 14},
	};
	struct apd_json a = {0}, b = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++)
		for (size_t j = 0; j < APD_COUNT(cases); j++) {
			int expected = cases[i].rank - cases[j].rank, order;

			scan(&a, cases[i].text);
			scan(&b, cases[j].text);
			order = apd_json_compare_numbers(&a, 0, &b, 0);
			if ((order > 0) != (expected > 0) || (order < 0) != (expected < 0))
				fail_msg("%s, %s: %d", cases[i].text, cases[j].text, order);
			assert_int_equal(apd_json_equal(&a, 0, &b, 0), expected == 0);
		}
	apd_json_finish(&a);
	apd_json_finish(&b);
}

static void test_type_names(void **state)
{
	(void)state;
	assert_string_equal(apd_json_type_name(APD_JSON_NULL), "null");
	assert_string_equal(apd_json_type_name(APD_JSON_INTEGER), "an integer");
	assert_string_equal(apd_json_type_name(APD_JSON_OBJECT), "an object");
	assert_string_equal(apd_json_type_name((enum apd_json_type)0), "nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_string_order),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_number_order),
		cmocka_unit_test(test_type_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
