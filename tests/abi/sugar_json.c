/* sugar.h: strings, buffers, writing and reading JSON text. */
#include <ap/sugar.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Compares an ap_str with a C string. */
static void assert_str(ap_str s, const char *text)
{
	if (s.len != strlen(text) || !s.ptr || memcmp(s.ptr, text, s.len) != 0)
		fail_msg("got \"%.*s\", expected \"%s\"", AP_FMT(s), text);
}

static void test_strings(void **state)
{
	char text[32];

	(void)state;
	assert_str(AP_STR("abc"), "abc");
	assert_int_equal(AP_STR("a\0b").len, 3);
	assert_null(ap_cstr(NULL).ptr);
	snprintf(text, sizeof(text), "<%.*s><%.*s>", AP_FMT(AP_STR("x")), AP_FMT(ap_cstr(NULL)));
	assert_string_equal(text, "<x><>");
	assert_true(ap_str_equal(ap_cstr(NULL), ap_cstr("")));
	assert_true(ap_str_is(ap_mem("abcd", 3), "abc"));
	assert_false(ap_str_is(ap_mem("abcd", 3), "abd"));
	assert_false(ap_str_is(ap_mem("abcd", 3), "abcd"));
	assert_str(ap_str_after(AP_STR("v1 rest"), "v1 "), "rest");
	assert_str(ap_str_after(AP_STR("v1"), "v1"), "");
	assert_null(ap_str_after(AP_STR("v2 rest"), "v1 ").ptr);
	assert_null(ap_str_after(AP_STR("v"), "v1 ").ptr);
	assert_null(ap_str_after(ap_cstr(NULL), "").ptr);
}

static void test_buf_moves_to_the_heap(void **state)
{
	char space[8];
	ap_buf b;

	(void)state;
	ap_buf_init(&b, space, sizeof(space), 0);
	ap_buf_add(&b, AP_STR("12345678"));
	assert_ptr_equal(b.ptr, space);
	for (int i = 0; i < 100; i++)
		ap_buf_add_cstr(&b, "0123456789");
	assert_int_equal(b.status, AP_OK);
	assert_int_equal(b.len, 1008);
	assert_memory_equal(b.ptr, "123456780123456789", 18);
	ap_buf_clear(&b);
	assert_int_equal(ap_buf_addf(&b, "%d-%s", 5, "x"), AP_OK);
	assert_str(ap_buf_str(&b), "5-x");
	ap_buf_free(&b);
	assert_int_equal(b.len, 0);
	ap_buf_free(&b);
}

static void test_buf_keeps_its_limit(void **state)
{
	char space[8];
	ap_buf b;

	(void)state;
	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	assert_int_equal(ap_buf_add(&b, AP_STR("12345678")), AP_OK);
	assert_int_equal(ap_buf_add_char(&b, '9'), AP_E_LIMIT);
	assert_ptr_equal(b.ptr, space);
	assert_str(ap_buf_str(&b), "12345678");
	ap_buf_clear(&b);
	assert_int_equal(ap_buf_add(&b, AP_STR("1234")), AP_OK);
	assert_int_equal(ap_buf_addf(&b, "%s", "56789"), AP_E_LIMIT);
	/* A failure sticks, so that one look at the end is enough. */
	assert_int_equal(ap_buf_add_char(&b, '5'), AP_E_LIMIT);
	assert_str(ap_buf_str(&b), "1234");
	ap_buf_free(&b);

	ap_buf_init(&b, NULL, 0, 10);
	assert_int_equal(ap_buf_add(&b, AP_STR("1234567890")), AP_OK);
	assert_int_equal(ap_buf_add_char(&b, '1'), AP_E_LIMIT);
	assert_int_equal(ap_buf_reserve(&b, SIZE_MAX), AP_E_LIMIT);
	ap_buf_free(&b);
}

/* Writes one string and compares. */
static void assert_written(ap_str text, const char *json)
{
	ap_buf b;

	ap_buf_init(&b, NULL, 0, 0);
	assert_int_equal(ap_json_add_string(&b, text), AP_OK);
	assert_str(ap_buf_str(&b), json);
	ap_buf_free(&b);
}

static void test_write_strings(void **state)
{
	(void)state;
	assert_written(ap_cstr(NULL), "\"\"");
	assert_written(AP_STR("plain"), "\"plain\"");
	assert_written(AP_STR("\"\\/\b\t\n\f\r"), "\"\\\"\\\\/\\b\\t\\n\\f\\r\"");
	assert_written(AP_STR("\x01\x0b\x1f\x7f"), "\"\\u0001\\u000b\\u001f\x7f\"");
	assert_written(AP_STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
	/* What JSON for apd cannot hold: NUL, stray, overlong, surrogate, too high, cut off. */
	assert_written(AP_STR("a\0b"),
		"\"a\xef\xbf\xbd"
		"b\"");
	assert_written(AP_STR("\x80"), "\"\xef\xbf\xbd\"");
	assert_written(AP_STR("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_written(AP_STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_written(AP_STR("\xf4\x90x"), "\"\xef\xbf\xbd\xef\xbf\xbdx\"");
	assert_written(AP_STR("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void test_write_members(void **state)
{
	ap_buf b;

	(void)state;
	ap_buf_init(&b, NULL, 0, 0);
	ap_buf_add_char(&b, '{');
	ap_json_member_str(&b, "a", AP_STR("x"));
	ap_json_member_int(&b, "b", INT64_MIN);
	ap_json_member_bool(&b, "c", 1);
	ap_json_member_raw(&b, "d", AP_STR("[1]"));
	ap_json_member_raw(&b, "e", ap_cstr(NULL));
	ap_json_add_key(&b, "f");
	ap_buf_add_char(&b, '{');
	ap_json_member_bool(&b, "\"", 0);
	ap_buf_add_cstr(&b, "}}");
	assert_str(ap_buf_str(&b),
		"{\"a\":\"x\",\"b\":-9223372036854775808,\"c\":true,\"d\":[1],"
		"\"e\":null,\"f\":{\"\\\"\":false}}");
	ap_buf_free(&b);
}

static void test_kinds(void **state)
{
	(void)state;
	assert_int_equal(ap_json_kind(ap_cstr(NULL)), AP_JSON_ABSENT);
	assert_int_equal(ap_json_kind(AP_STR("  ")), AP_JSON_ABSENT);
	assert_int_equal(ap_json_kind(AP_STR("?")), AP_JSON_ABSENT);
	assert_int_equal(ap_json_kind(AP_STR(" null")), AP_JSON_NULL);
	assert_int_equal(ap_json_kind(AP_STR("true")), AP_JSON_BOOL);
	assert_int_equal(ap_json_kind(AP_STR("false")), AP_JSON_BOOL);
	assert_int_equal(ap_json_kind(AP_STR("-1")), AP_JSON_NUMBER);
	assert_int_equal(ap_json_kind(AP_STR("0")), AP_JSON_NUMBER);
	assert_int_equal(ap_json_kind(AP_STR("\"\"")), AP_JSON_STRING);
	assert_int_equal(ap_json_kind(AP_STR("\n[")), AP_JSON_ARRAY);
	assert_int_equal(ap_json_kind(AP_STR("{}")), AP_JSON_OBJECT);
}

static void test_get(void **state)
{
	ap_str o = AP_STR(" { \"a\" : 1 , \"b\\\"}\":\"x\\\"}\" ,\"c\":{\"a\":[2,\"]\"]},"
			  "\"\\u0064\":null} ");

	(void)state;
	assert_str(ap_json_get(o, "a"), "1");
	assert_str(ap_json_get(o, "b\"}"), "\"x\\\"}\"");
	assert_str(ap_json_get(o, "c"), "{\"a\":[2,\"]\"]}");
	assert_str(ap_json_get(ap_json_get(o, "c"), "a"), "[2,\"]\"]");
	assert_str(ap_json_get(o, "d"), "null");
	assert_null(ap_json_get(o, "e").ptr);
	assert_null(ap_json_get(AP_STR("{}"), "a").ptr);
	assert_null(ap_json_get(AP_STR("[\"a\",1]"), "a").ptr);
	assert_null(ap_json_get(AP_STR("\"a\""), "a").ptr);
	assert_null(ap_json_get(ap_cstr(NULL), "a").ptr);
}

static void test_next(void **state)
{
	ap_str item, key;
	size_t at = 0;

	(void)state;
	assert_true(ap_json_next(AP_STR(" [ 1 ,[2,3], \"a,]\" ]"), &at, NULL, &item));
	assert_str(item, "1");
	assert_true(ap_json_next(AP_STR(" [ 1 ,[2,3], \"a,]\" ]"), &at, &key, &item));
	assert_str(item, "[2,3]");
	assert_null(key.ptr);
	assert_true(ap_json_next(AP_STR(" [ 1 ,[2,3], \"a,]\" ]"), &at, NULL, &item));
	assert_str(item, "\"a,]\"");
	assert_false(ap_json_next(AP_STR(" [ 1 ,[2,3], \"a,]\" ]"), &at, NULL, &item));

	at = 0;
	assert_false(ap_json_next(AP_STR("[ ]"), &at, NULL, &item));
	at = 0;
	assert_false(ap_json_next(AP_STR("12"), &at, NULL, &item));
	at = 0;
	assert_true(ap_json_next(AP_STR("{\"k\":{}}"), &at, &key, &item));
	assert_str(key, "\"k\"");
	assert_str(item, "{}");
	assert_false(ap_json_next(AP_STR("{\"k\":{}}"), &at, &key, &item));
}

static void test_last(void **state)
{
	(void)state;
	assert_str(ap_json_last(AP_STR("[1]")), "1");
	assert_str(ap_json_last(AP_STR(" [1, 22 ] ")), "22");
	assert_str(ap_json_last(AP_STR("[1,\"a\"]")), "\"a\"");
	assert_str(ap_json_last(AP_STR("[1,\"a\\\",[\\\\\"]")), "\"a\\\",[\\\\\"");
	assert_str(
		ap_json_last(AP_STR("[{\"a\":1},{\"b\":[\"[{,\",{}]}]")), "{\"b\":[\"[{,\",{}]}");
	assert_str(ap_json_last(AP_STR("[\"\"]")), "\"\"");
	assert_str(ap_json_last(AP_STR("[[],[[]]]")), "[[]]");
	assert_null(ap_json_last(AP_STR("[]")).ptr);
	assert_null(ap_json_last(AP_STR("[ ]")).ptr);
	assert_null(ap_json_last(AP_STR("{}")).ptr);
	assert_null(ap_json_last(ap_cstr(NULL)).ptr);
}

/* Unescapes one string and compares. */
static void assert_read(ap_str json, const char *text)
{
	ap_buf b;

	ap_buf_init(&b, NULL, 0, 0);
	assert_str(ap_json_text(json, &b), text);
	ap_buf_clear(&b);
	assert_int_equal(ap_json_add_text(&b, json), AP_OK);
	assert_str(ap_buf_str(&b), text);
	assert_true(ap_json_is(json, text));
	assert_false(ap_json_is(json, "another"));
	ap_buf_free(&b);
}

static void test_read_strings(void **state)
{
	char space[4];
	ap_buf b;

	(void)state;
	assert_read(AP_STR("\"\""), "");
	assert_read(AP_STR(" \"plain\" "), "plain");
	assert_read(AP_STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t");
	assert_read(AP_STR("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00!\""),
		"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!");
	/* No valid JSON, but nothing that reading may trip over. */
	assert_read(AP_STR("\"\\ud83dx\""), "\xef\xbf\xbdx");
	assert_read(AP_STR("\"\\ude00\""), "\xef\xbf\xbd");
	assert_read(AP_STR("\"\\ud83d\\u0041\""),
		"\xef\xbf\xbd"
		"A");
	assert_read(AP_STR("\"\\u12\""),
		"\xef\xbf\xbd"
		"12");
	assert_read(AP_STR("\"\\x\""), "\xef\xbf\xbd");

	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	assert_null(ap_json_text(AP_STR("12"), &b).ptr);
	assert_null(ap_json_text(ap_cstr(NULL), &b).ptr);
	assert_int_equal(ap_json_add_text(&b, AP_STR("[]")), AP_E_INVALID);
	assert_int_equal(b.status, AP_OK);
	assert_null(ap_json_text(AP_STR("\"long\\n\""), &b).ptr);
	assert_int_equal(b.status, AP_E_LIMIT);
	assert_str(ap_json_text(AP_STR("\"longer\""), &b), "longer");
	assert_false(ap_json_is(AP_STR("longer"), "longer"));
	assert_false(ap_json_is(AP_STR("\"long\""), "longer"));
	assert_false(ap_json_is(AP_STR("\"longer\""), "long"));
}

static void test_read_messages(void **state)
{
	char space[16];
	ap_buf b;

	(void)state;
	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	assert_str(ap_message_read(AP_STR("{\"content\":\"a\"}"), &b), "a");
	assert_str(ap_message_read(AP_STR("{\"content\":\"a\\nb\"}"), &b), "a\nb");
	assert_str(ap_message_read(AP_STR("{\"content\":[{\"type\":\"text\",\"text\":\"a \"},"
					  "{\"type\":\"image\",\"text\":\"no\"},1,"
					  "{\"text\":\"b\",\"type\":\"text\"}]}"),
			   &b),
		"a b");
	assert_int_equal(ap_message_read(AP_STR("{\"content\":[]}"), &b).len, 0);
	assert_int_equal(ap_message_read(ap_cstr(NULL), &b).len, 0);
	assert_null(ap_message_read(AP_STR("{\"content\":[{\"type\":\"text\",\"text\":"
					   "\"longer than the space\"}]}"),
		&b)
			    .ptr);
}

static void test_read_numbers(void **state)
{
	int64_t n = 77;
	double d = 0;
	int flag = 7;

	(void)state;
	assert_int_equal(ap_json_int(AP_STR(" 42 "), &n), AP_OK);
	assert_int_equal(n, 42);
	assert_int_equal(ap_json_int(AP_STR("-9223372036854775808"), &n), AP_OK);
	assert_true(n == INT64_MIN);
	assert_int_equal(ap_json_int(AP_STR("9223372036854775807"), &n), AP_OK);
	assert_true(n == INT64_MAX);
	assert_int_equal(ap_json_int(AP_STR("5.0"), &n), AP_OK);
	assert_int_equal(n, 5);
	assert_int_equal(ap_json_int(AP_STR("-1e3"), &n), AP_OK);
	assert_int_equal(n, -1000);
	n = 77;
	assert_int_equal(ap_json_int(AP_STR("9223372036854775808"), &n), AP_E_LIMIT);
	assert_int_equal(ap_json_int(AP_STR("-9223372036854775809"), &n), AP_E_LIMIT);
	assert_int_equal(ap_json_int(AP_STR("1e300"), &n), AP_E_LIMIT);
	assert_int_equal(ap_json_int(AP_STR("1.5"), &n), AP_E_INVALID);
	assert_int_equal(ap_json_int(AP_STR("-"), &n), AP_E_INVALID);
	assert_int_equal(ap_json_int(AP_STR("12a"), &n), AP_E_INVALID);
	assert_int_equal(ap_json_int(AP_STR("\"1\""), &n), AP_E_INVALID);
	assert_int_equal(ap_json_int(ap_cstr(NULL), &n), AP_E_INVALID);
	assert_int_equal(n, 77);
	assert_int_equal(ap_json_double(AP_STR("-2.5e1"), &d), AP_OK);
	assert_true(d == -25.0);
	assert_int_equal(ap_json_double(AP_STR("true"), &d), AP_E_INVALID);
	assert_int_equal(ap_json_bool(AP_STR("true"), &flag), AP_OK);
	assert_int_equal(flag, 1);
	assert_int_equal(ap_json_bool(AP_STR(" false"), &flag), AP_OK);
	assert_int_equal(flag, 0);
	assert_int_equal(ap_json_bool(AP_STR("1"), &flag), AP_E_INVALID);
}

/* Every prefix and every single wrong byte of a text, each in memory of exactly its size. */
static void test_reading_stays_inside(void **state)
{
	static const char text[] = " {\"a\\\"\":[1,-2.5e3,\"\\ud83d\\ude00\\n\",{\"b\":null}],"
				   "\"c\":{\"d\":[true,[],{}]}}";
	static const char wrong[] = "\"\\[]{},:u0 ";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		for (size_t i = 0; i < len * sizeof(wrong); i++) {
			char *copy = malloc(len);
			ap_str s = {copy, len}, key, item;
			size_t at = 0, found = 0;
			ap_buf b;

			assert_non_null(copy);
			memcpy(copy, text, len);
			copy[i / sizeof(wrong)] = wrong[i % sizeof(wrong)];
			ap_buf_init(&b, NULL, 0, 0);
			ap_json_get(s, "c");
			ap_json_last(ap_json_get(s, "a\""));
			ap_json_last(s);
			ap_json_text(s, &b);
			ap_json_is(s, "a");
			while (ap_json_next(s, &at, &key, &item)) {
				ap_json_text(key, &b);
				ap_json_last(item);
				ap_json_text(ap_json_last(item), &b);
				found++;
			}
			assert_true(found <= len);
			ap_buf_free(&b);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_buf_moves_to_the_heap),
		cmocka_unit_test(test_buf_keeps_its_limit),
		cmocka_unit_test(test_write_strings),
		cmocka_unit_test(test_write_members),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_last),
		cmocka_unit_test(test_read_strings),
		cmocka_unit_test(test_read_messages),
		cmocka_unit_test(test_read_numbers),
		cmocka_unit_test(test_reading_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
