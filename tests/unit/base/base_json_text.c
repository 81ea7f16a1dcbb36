/* The JSON text writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/json_scan.h"
#include "base/json_text.h"

static void test_strings(void **state)
{
	static const struct {
		struct apd_str in;
		const char *out;
	} cases[] = {
		{{"", 0}, "\"\""},
		{{NULL, 0}, "\"\""},
		{{"abc", 3}, "\"abc\""},
		{{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
		{{"\n\r\t\b\f\x1f\x7f", 7}, "\"\\n\\r\\t\\u0008\\u000c\\u001f\x7f\""},
		{{"a\0b", 3},
			"\"a\xef\xbf\xbd"
			"b\""},
		{{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9},
			"\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
		{{"\xff", 1}, "\"\xef\xbf\xbd\""},
		{{"a\xc3", 2}, "\"a\xef\xbf\xbd\""},
		{{"\xc0\x80", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
		{{"\xf4\x90\x80\x80", 4}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
	};
	struct apd_buf out = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		apd_buf_clear(&out);
		apd_json_add_string(&out, cases[i].in);
		assert_string_equal(out.data, cases[i].out);
	}
	apd_buf_finish(&out);
}

/* Whatever the bytes, the scanner takes the string; valid text comes back as it was. */
static void test_random_strings(void **state)
{
	struct apd_buf out = {0}, scratch = {0};
	struct apd_json json = {0};
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init(&gen, 12);
	for (int i = 0; i < 20000; i++) {
		char bytes[24];
		size_t len = apd_id_random(&gen) % sizeof(bytes);
		bool ascii = i % 2;

		for (size_t k = 0; k < len; k++) {
			bytes[k] = (char)(apd_id_random(&gen) >> 30);
			if (ascii)
				bytes[k] = (char)((bytes[k] & 0x7f) | !(bytes[k] & 0x7f));
		}
		apd_buf_clear(&out);
		apd_json_add_string(&out, (struct apd_str){bytes, len});
		assert_int_equal(apd_json_scan(&json, apd_buf_str(&out)), 0);
		if (ascii)
			assert_true(apd_str_eq(
				apd_json_string(&json, 0, &scratch), (struct apd_str){bytes, len}));
	}
	apd_buf_finish(&out);
	apd_buf_finish(&scratch);
	apd_json_finish(&json);
}

static void test_members(void **state)
{
	struct apd_buf out = {0};
	struct apd_id id;

	(void)state;
	assert_int_equal(apd_id_parse(APD_STR("0198c2f4-7a1b-7cde-8f01-23456789abcd"), &id), 0);
	apd_buf_lit(&out, "{");
	apd_json_member_str(&out, "s", APD_STR("x{"));
	apd_json_member_raw(&out, "r", APD_STR("[1,{}]"));
	apd_json_member_i64(&out, "i", INT64_MIN);
	apd_json_member_bool(&out, "t", true);
	apd_json_member_bool(&out, "f", false);
	apd_json_member_id(&out, "id", &id);
	apd_json_member_time(&out, "at", 0);
	apd_json_add_key(&out, "list");
	apd_buf_lit(&out, "[");
	for (int i = 0; i < 3; i++) {
		apd_json_add_comma(&out);
		apd_buf_add_i64(&out, i);
	}
	apd_buf_lit(&out, "]");
	apd_json_add_key(&out, "nested");
	apd_buf_lit(&out, "{");
	apd_json_member_bool(&out, "x", true);
	apd_buf_lit(&out, "}}");
	assert_string_equal(out.data,
		"{\"s\":\"x{\",\"r\":[1,{}],\"i\":-9223372036854775808,\"t\":true,\"f\":false,"
		"\"id\":\"0198c2f4-7a1b-7cde-8f01-23456789abcd\","
		"\"at\":\"1970-01-01T00:00:00.000000Z\",\"list\":[0,1,2],\"nested\":{\"x\":true}}");
	apd_buf_finish(&out);
}

static void test_pointer(void **state)
{
	struct apd_buf out = {0};

	(void)state;
	apd_json_add_pointer(&out, APD_STR("a"));
	apd_json_add_pointer(&out, APD_STR(""));
	apd_json_add_pointer(&out, APD_STR("m~n/o"));
	assert_string_equal(out.data, "/a//m~0n~1o");
	apd_buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_random_strings),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_pointer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
