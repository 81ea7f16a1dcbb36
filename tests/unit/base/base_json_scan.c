/* The scanner: what it takes, what it refuses and where, and the tokens it leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json_scan.h"

/* Scans a copy without anything behind it, so that the sanitizers see reads beyond the end. */
static int scan_copy(struct apd_json *json, struct apd_str text, char **ret_copy)
{
	*ret_copy = apd_malloc(text.len);
	memcpy(*ret_copy, text.ptr, text.len);
	return apd_json_scan(json, (struct apd_str){*ret_copy, text.len});
}

static void test_valid(void **state)
{
	static const char *const valid[] = {
		"null",
		"true",
		"false",
		"0",
		"-0",
		"1",
		"-1",
		"10",
		"1.5",
		"0.0",
		"-0.0",
		"1e5",
		"1E+5",
		"1e-5",
		"1.25e+17",
		"1e999",
		"1e-999",
		"0e0",
		"9223372036854775807",
		"-9223372036854775808",
		"9223372036854775808",
		"18446744073709551615",
		"99999999999999999999.0",
		"123456789012345678901234567890e0",
		"\"\"",
		"\"a\"",
		"\"0123456789abcde\"",
		"\"0123456789abcdef\"",
		"\"0123456789abcdefg\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u0041\\u00e9\\u20AC\"",
		"\"\\ud83d\\ude00\"",
		"\"\\uD800\\uDC00\"",
		"\"\\udbff\\udfff\"",
		"\"\\uffff\"",
		"\"\x7f\"",
		"\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"",
		"\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
		"[]",
		"[[]]",
		"[[],[]]",
		"[ ]",
		"{}",
		"{ }",
		"[1]",
		"[1,2]",
		" [ 1 , 2 ] ",
		"\t\r\n[\n1\r,\t2 ]\n",
		"{\"a\":1}",
		" { \"a\" : 1 , \"b\" : [ { } ] } ",
		"{\"\":0}",
		"{\"a\":{\"a\":{\"a\":1}}}",
		"[{\"a\":1},{\"a\":1}]",
		"{\"a\":1,\"A\":2,\"a \":3,\"\\u0061a\":4}",
		"{\"ab\":1,\"ba\":2,\"aab\":3,\"abb\":4}",
	};
	struct apd_json json = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(valid); i++) {
		char *copy;

		if (scan_copy(&json, apd_str(valid[i]), &copy) < 0)
			fail_msg("%s: %s", valid[i], json.error);
		assert_null(json.error);
		assert_int_equal(json.toks[0].next, json.count);
		free(copy);
	}
	apd_json_finish(&json);
	assert_null(json.toks);
}

struct refusal {
	const char *text;
	uint32_t line, column;
	const char *error;
};

static void check_refusals(const struct refusal *cases, size_t n)
{
	struct apd_json json = {0};

	for (size_t i = 0; i < n; i++) {
		const struct refusal *c = &cases[i];
		char *copy;

		if (scan_copy(&json, apd_str(c->text), &copy) != -EINVAL)
			fail_msg("%s was taken", c->text);
		if (json.error_line != c->line || json.error_column != c->column ||
			strcmp(json.error, c->error) != 0)
			fail_msg("%s: %u:%u %s", c->text, json.error_line, json.error_column,
				json.error);
		assert_int_equal(json.count, 0);
		free(copy);
	}
	apd_json_finish(&json);
}

static void test_bad_structure(void **state)
{
	static const struct refusal cases[] = {
		{"", 1, 1, "unexpected end"},
		{" \n ", 2, 2, "unexpected end"},
		{"[", 1, 2, "unexpected end"},
		{"{", 1, 2, "unexpected end"},
		{"[1", 1, 3, "unexpected end"},
		{"[1,", 1, 4, "unexpected end"},
		{"{\"a\"", 1, 5, "unexpected end"},
		{"{\"a\":", 1, 6, "unexpected end"},
		{"{\"a\":1", 1, 7, "unexpected end"},
		{"{\"a\":1,", 1, 8, "unexpected end"},
		{"x", 1, 1, "expected a value"},
		{"]", 1, 1, "expected a value"},
		{"[,1]", 1, 2, "expected a value"},
		{"[1,]", 1, 4, "expected a value"},
		{"[1,,2]", 1, 4, "expected a value"},
		{"[}", 1, 2, "expected a value"},
		{"{\"a\":}", 1, 6, "expected a value"},
		{"{\"a\":,", 1, 6, "expected a value"},
		{"'a'", 1, 1, "expected a value"},
		{"\xef\xbb\xbf[]", 1, 1, "expected a value"},
		{"// c\n1", 1, 1, "expected a value"},
		{"\f1", 1, 1, "expected a value"},
		{"[1 2]", 1, 4, "expected ',' or ']'"},
		{"[1}", 1, 3, "expected ',' or ']'"},
		{"[\n  1,\n  2\n  3\n]", 4, 3, "expected ',' or ']'"},
		{"{\"a\":1]", 1, 7, "expected ',' or '}'"},
		{"{\"a\":1 \"b\":2}", 1, 8, "expected ',' or '}'"},
		{"{]", 1, 2, "expected a key"},
		{"{,}", 1, 2, "expected a key"},
		{"{1:2}", 1, 2, "expected a key"},
		{"{\"a\":1,}", 1, 8, "expected a key"},
		{"{\"a\":1,null:2}", 1, 8, "expected a key"},
		{"{\"a\"}", 1, 5, "expected ':'"},
		{"{\"a\",1}", 1, 5, "expected ':'"},
		{"{\"a\" 1}", 1, 6, "expected ':'"},
		{"1 2", 1, 3, "expected the end"},
		{"[]]", 1, 3, "expected the end"},
		{"{}\r\n,", 2, 1, "expected the end"},
		{"null\x01", 1, 5, "expected the end"},
		{"nul", 1, 4, "unexpected end"},
		{"nulx", 1, 1, "expected a value"},
		{"True", 1, 1, "expected a value"},
		{"falsE", 1, 1, "expected a value"},
		{"nullnull", 1, 5, "expected the end"},
		{"NaN", 1, 1, "expected a value"},
		{"Infinity", 1, 1, "expected a value"},
	};

	(void)state;
	check_refusals(cases, APD_COUNT(cases));
}

static void test_bad_scalars(void **state)
{
	static const struct refusal cases[] = {
		{"-", 1, 2, "unexpected end"},
		{"1.", 1, 3, "unexpected end"},
		{"1e", 1, 3, "unexpected end"},
		{"1e+", 1, 4, "unexpected end"},
		{"[-]", 1, 3, "invalid number"},
		{"-a", 1, 2, "invalid number"},
		{"--1", 1, 2, "invalid number"},
		{"[1.]", 1, 4, "invalid number"},
		{"[1.e1]", 1, 4, "invalid number"},
		{"[1e]", 1, 4, "invalid number"},
		{"[1e-]", 1, 5, "invalid number"},
		{"01", 1, 1, "invalid number"},
		{"-01", 1, 1, "invalid number"},
		{"00", 1, 1, "invalid number"},
		{"+1", 1, 1, "expected a value"},
		{".5", 1, 1, "expected a value"},
		{"1.5.5", 1, 4, "expected the end"},
		{"0x10", 1, 2, "expected the end"},
		{"1_0", 1, 2, "expected the end"},
		{"18446744073709551616", 1, 1, "integer out of range"},
		{"[1,\n 100000000000000000000]", 2, 2, "integer out of range"},
		{"-9223372036854775809", 1, 1, "integer out of range"},
		{"-10000000000000000000", 1, 1, "integer out of range"},
		{"\"", 1, 2, "unexpected end"},
		{"\"abc", 1, 5, "unexpected end"},
		{"\"\\", 1, 3, "unexpected end"},
		{"\"\\x\"", 1, 2, "invalid escape"},
		{"\"\\'\"", 1, 2, "invalid escape"},
		{"\"ab\\u12\"", 1, 4, "invalid escape"},
		{"\"\\u12g4\"", 1, 2, "invalid escape"},
		{"\"\\U0041\"", 1, 2, "invalid escape"},
		{"\"\\u 041\"", 1, 2, "invalid escape"},
		{"\"\\u0000\"", 1, 2, "\\u0000 is not allowed"},
		{"{\"\\u0000\":1}", 1, 3, "\\u0000 is not allowed"},
		{"\"\\ud800\"", 1, 2, "lone surrogate"},
		{"\"\\udc00\"", 1, 2, "lone surrogate"},
		{"\"\\ud800\\ud800\"", 1, 2, "lone surrogate"},
		{"\"\\ud800\\n23456\"", 1, 2, "lone surrogate"},
		{"\"\\ud800\\u0041\"", 1, 2, "lone surrogate"},
		{"\"\\ud800\\udcxx\"", 1, 2, "lone surrogate"},
		{"\"a\nb\"", 1, 3, "control character in a string"},
		{"\"\t\"", 1, 2, "control character in a string"},
		{"\"0123456789abcdef\x1f\"", 1, 18, "control character in a string"},
		{"\"\x80\"", 1, 2, "invalid UTF-8"},
		{"\"a\xff\"", 1, 3, "invalid UTF-8"},
		{"\"\xc3\"", 1, 2, "invalid UTF-8"},
		{"\"\xc3", 1, 2, "invalid UTF-8"},
		{"\"\xc0\x80\"", 1, 2, "invalid UTF-8"},
		{"\"\xc1\xbf\"", 1, 2, "invalid UTF-8"},
		{"\"\xe0\x9f\xbf\"", 1, 2, "invalid UTF-8"},
		{"\"\xed\xa0\x80\"", 1, 2, "invalid UTF-8"},
		{"\"\xe2\x82\"", 1, 2, "invalid UTF-8"},
		{"\"\xe2\x28\xa1\"", 1, 2, "invalid UTF-8"},
		{"\"\xf0\x8f\xbf\xbf\"", 1, 2, "invalid UTF-8"},
		{"\"\xf4\x90\x80\x80\"", 1, 2, "invalid UTF-8"},
		{"\"\xf5\x80\x80\x80\"", 1, 2, "invalid UTF-8"},
		{"\"\xf0\x9f\x98\"", 1, 2, "invalid UTF-8"},
		{"\"\xc3\xa4\xc3\xa4\xf0\x9f\x98\xc3\"", 1, 6, "invalid UTF-8"},
	};

	(void)state;
	check_refusals(cases, APD_COUNT(cases));
}

static void test_nul_bytes(void **state)
{
	static const struct apd_str texts[] = {
		{"\0", 1}, {"1\0", 2}, {"[\0]", 3}, {"\"\0\"", 3}, {"\"a\0b\"", 5}, {"nul\0", 4}};
	struct apd_json json = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(texts); i++)
		assert_int_equal(apd_json_scan(&json, texts[i]), -EINVAL);
	assert_int_equal(apd_json_scan(&json, APD_STR_ABSENT), -EINVAL);
	assert_string_equal(json.error, "unexpected end");
	apd_json_finish(&json);
}

/* Opens `depth` arrays or objects, the innermost empty, and closes them. */
static void add_nested(struct apd_buf *out, int depth, bool objects)
{
	apd_buf_clear(out);
	for (int i = 1; i < depth; i++)
		apd_buf_add_cstr(out, objects ? "{\"a\":" : "[");
	apd_buf_add_cstr(out, objects ? "{}" : "[]");
	for (int i = 1; i < depth; i++)
		apd_buf_add_char(out, objects ? '}' : ']');
}

static void test_depth(void **state)
{
	struct apd_buf text = {0};
	struct apd_json json = {0};

	(void)state;
	for (int objects = 0; objects < 2; objects++) {
		add_nested(&text, APD_JSON_MAX_DEPTH, objects);
		assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
		add_nested(&text, APD_JSON_MAX_DEPTH + 1, objects);
		assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), -EINVAL);
		assert_string_equal(json.error, "nested deeper than 128");
		assert_int_equal(json.error_column, APD_JSON_MAX_DEPTH * (objects ? 5 : 1) + 1);
	}
	/* What was closed does not count. */
	apd_buf_clear(&text);
	apd_buf_lit(&text, "[");
	for (int i = 0; i < 1000; i++)
		apd_buf_lit(&text, "[[]],");
	apd_buf_lit(&text, "0]");
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
	assert_int_equal(json.toks[0].count, 1001);
	apd_buf_finish(&text);
	apd_json_finish(&json);
}

static void test_tokens(void **state)
{
	static const char text[] = " {\"a\": [1, -2.5, \"x\\n\"], \"b\" :{}, \"c\":null} ";
	static const struct {
		enum apd_json_type type;
		const char *slice;
		uint32_t next, count;
		bool escaped;
	} expected[] = {
		{APD_JSON_OBJECT, "{\"a\": [1, -2.5, \"x\\n\"], \"b\" :{}, \"c\":null}", 10, 3, 0},
		{APD_JSON_STRING, "\"a\"", 2, 0, 0},
		{APD_JSON_ARRAY, "[1, -2.5, \"x\\n\"]", 6, 3, 0},
		{APD_JSON_INTEGER, "1", 4, 0, 0},
		{APD_JSON_REAL, "-2.5", 5, 0, 0},
		{APD_JSON_STRING, "\"x\\n\"", 6, 0, 1},
		{APD_JSON_STRING, "\"b\"", 7, 0, 0},
		{APD_JSON_OBJECT, "{}", 8, 0, 0},
		{APD_JSON_STRING, "\"c\"", 9, 0, 0},
		{APD_JSON_NULL, "null", 10, 0, 0},
	};
	struct apd_json json = {0};

	(void)state;
	assert_int_equal(apd_json_scan(&json, apd_str(text)), 0);
	assert_int_equal(json.count, APD_COUNT(expected));
	for (uint32_t i = 0; i < json.count; i++) {
		assert_int_equal(apd_json_type(&json, i), expected[i].type);
		assert_true(apd_str_is(apd_json_slice(&json, i), expected[i].slice));
		assert_int_equal(json.toks[i].next, expected[i].next);
		assert_int_equal(json.toks[i].count, expected[i].count);
		assert_int_equal(json.toks[i].escaped, expected[i].escaped);
	}
	apd_json_finish(&json);
}

/* A special byte is found wherever it stands, also near the end of the memory. */
static void test_string_lengths(void **state)
{
	static const char *const specials[] = {"\\n", "\xc3\xa4", "\x01", "\xff", ""};
	struct apd_json json = {0};

	(void)state;
	for (int len = 0; len < 70; len++)
		for (int at = 0; at <= len; at++)
			for (size_t k = 0; k < APD_COUNT(specials); k++) {
				struct apd_buf text = {0};
				char *copy;
				int rc;

				apd_buf_addf(&text, "\"%.*s%s%.*s\"", at,
					"aZ09 ~!#[]{}:,.-aZ09 ~!#[]{}:,.-aZ09 ~!#[]{}:,.-"
					"aZ09 ~!#[]{}:,.-aZ09 ~!#[]{}:,.-",
					specials[k], len - at,
					"bY18 ~!#[]{}:,.-bY18 ~!#[]{}:,.-bY18 ~!#[]{}:,.-"
					"bY18 ~!#[]{}:,.-bY18 ~!#[]{}:,.-");
				rc = scan_copy(&json, apd_buf_str(&text), &copy);
				if (k == 2 || k == 3) {
					assert_int_equal(rc, -EINVAL);
					assert_int_equal(json.error_column, at + 2);
				} else {
					assert_int_equal(rc, 0);
					assert_int_equal(json.toks[0].len, text.len);
					assert_int_equal(json.toks[0].escaped, k == 0);
				}
				free(copy);
				apd_buf_finish(&text);
			}
	apd_json_finish(&json);
}

/* The memory is used again; an error leaves nothing behind in the next scan. */
static void test_reuse(void **state)
{
	struct apd_json json = {0};
	struct apd_buf text = {0};
	const struct apd_json_tok *toks;

	(void)state;
	apd_buf_lit(&text, "[0");
	for (int i = 1; i < 1000; i++)
		apd_buf_addf(&text, ",%d", i);
	apd_buf_lit(&text, "]");
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
	toks = json.toks;
	assert_int_equal(apd_json_scan(&json, APD_STR("[1,")), -EINVAL);
	assert_int_equal(apd_json_scan(&json, APD_STR("[1,2]")), 0);
	assert_int_equal(json.count, 3);
	assert_null(json.error);
	assert_int_equal(json.error_line, 0);
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&text)), 0);
	assert_ptr_equal(json.toks, toks);
	apd_buf_finish(&text);
	apd_json_finish(&json);
}

static void test_too_long(void **state)
{
	struct apd_json json = {0};

	(void)state;
	assert_int_equal(apd_json_scan(&json, (struct apd_str){"1", 1u << 31}), -E2BIG);
	assert_non_null(json.error);
	assert_int_equal(json.count, 0);
	apd_json_finish(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_bad_structure),
		cmocka_unit_test(test_bad_scalars),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_string_lengths),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
