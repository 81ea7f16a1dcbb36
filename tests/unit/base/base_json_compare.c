/* Equality and containment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/id.h"
#include "base/json_scan.h"

static void scan(struct apd_json *json, struct apd_str text)
{
	if (apd_json_scan(json, text) < 0)
		fail_msg("%.*s: %s", APD_STR_FMT(text), json->error);
}

static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"null", "null", true},
		{"null", "false", false},
		{"true", "false", false},
		{"true", "1", false},
		{"1", "1.0", true},
		{"1", "\"1\"", false},
		{"\"a\"", "\"\\u0061\"", true},
		{"\"a\"", "\"b\"", false},
		{"[]", "[]", true},
		{"[]", "{}", false},
		{"[]", "null", false},
		{"[1,2]", "[1,2]", true},
		{"[1,2]", "[2,1]", false},
		{"[1,2]", "[1]", false},
		{"[1]", "[1,2]", false},
		{"[[1],2]", "[[1,2]]", false},
		{"[ 1 , [ ] ]", "[1.0,[]]", true},
		{"{}", "{}", true},
		{"{\"a\":1}", "{}", false},
		{"{\"a\":1}", "{\"a\":1}", true},
		{"{\"a\":1}", "{\"a\":2}", false},
		{"{\"a\":1}", "{\"b\":1}", false},
		{"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
		{"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false},
		{"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
		{"{\"a\":{\"b\":[1]}}", "{\"\\u0061\":{\"b\":[10e-1]}}", true},
		{"{\"a\":null}", "{\"b\":null}", false},
	};
	struct apd_json a = {0}, b = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		scan(&a, apd_str(cases[i].a));
		scan(&b, apd_str(cases[i].b));
		if (apd_json_equal(&a, 0, &b, 0) != cases[i].equal ||
			apd_json_equal(&b, 0, &a, 0) != cases[i].equal)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
		assert_true(apd_json_equal(&a, 0, &a, 0));
	}
	apd_json_finish(&a);
	apd_json_finish(&b);
}

static void test_contains(void **state)
{
	static const struct {
		const char *a, *b;
		bool contains;
	} cases[] = {
		{"1", "1.0", true},
		{"1", "2", false},
		{"\"ab\"", "\"a\"", false},
		{"\"a\"", "\"\\u0061\"", true},
		{"null", "null", true},
		{"{}", "{}", true},
		{"{\"a\":1}", "{}", true},
		{"{}", "{\"a\":1}", false},
		{"{\"a\":1,\"b\":2}", "{\"b\":2}", true},
		{"{\"a\":1,\"b\":2,\"c\":3}", "{\"c\":3,\"a\":1}", true},
		{"{\"a\":1,\"b\":2}", "{\"b\":3}", false},
		{"{\"a\":null}", "{\"a\":null}", true},
		{"{\"b\":1}", "{\"a\":null}", false},
		{"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"c\":2}}", true},
		{"{\"a\":{\"b\":1}}", "{\"b\":1}", false},
		{"[1,2,3]", "[]", true},
		{"[1,2,3]", "[3,1]", true},
		{"[1,2,3]", "[1,1,1]", true},
		{"[1,2,3]", "[4]", false},
		{"[]", "[1]", false},
		{"[[1,2],[3]]", "[[2]]", true},
		{"[[1,2],[3]]", "[[1,3]]", false},
		{"[1,[2]]", "[2]", false},
		{"[{\"a\":1,\"b\":2}]", "[{\"b\":2}]", true},
		{"[{\"a\":1},{\"b\":2}]", "[{\"a\":1,\"b\":2}]", false},
		{"{\"tags\":[\"x\",\"y\"]}", "{\"tags\":[\"y\"]}", true},
		{"{\"tags\":[\"x\",\"y\"]}", "{\"tags\":\"y\"}", false},
		{"[1]", "1", false},
		{"[]", "{}", false},
		{"{}", "[]", false},
	};
	struct apd_json a = {0}, b = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		scan(&a, apd_str(cases[i].a));
		scan(&b, apd_str(cases[i].b));
		if (apd_json_contains(&a, 0, &b, 0) != cases[i].contains)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
		assert_true(apd_json_contains(&a, 0, &a, 0));
	}
	apd_json_finish(&a);
	apd_json_finish(&b);
}

/* Writes an object with the keys in the order of the array, but the first `skip`. */
static void write_object(struct apd_buf *out, const int *keys, int n, int skip)
{
	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	for (int i = skip; i < n; i++)
		apd_buf_addf(out, "%s\"%s%d\":{\"v\":[%d]}", i > skip ? "," : "",
			keys[i] % 3 ? "k" : "\\u006b", keys[i], keys[i]);
	apd_buf_lit(out, "}");
}

static void test_shuffled(void **state)
{
	enum { KEYS = 20000 };
	static int keys[KEYS];
	static const int sizes[] = {2, 15, 16, 17, 18, 40, KEYS};
	struct apd_buf x = {0}, y = {0}, z = {0};
	struct apd_json a = {0}, b = {0}, c = {0};
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init(&gen, 10);
	for (size_t s = 0; s < APD_COUNT(sizes); s++) {
		int n = sizes[s];

		for (int i = 0; i < n; i++)
			keys[i] = i;
		write_object(&x, keys, n, 0);
		for (int i = n - 1; i > 0; i--) {
			int j = (int)(apd_id_random(&gen) % (uint64_t)(i + 1)), key = keys[i];

			keys[i] = keys[j];
			keys[j] = key;
		}
		write_object(&y, keys, n, 0);
		write_object(&z, keys, n, 1);
		scan(&a, apd_buf_str(&x));
		scan(&b, apd_buf_str(&y));
		scan(&c, apd_buf_str(&z));
		assert_true(apd_json_equal(&a, 0, &b, 0));
		assert_true(apd_json_contains(&a, 0, &b, 0));
		assert_true(apd_json_contains(&b, 0, &c, 0));
		assert_true(apd_json_contains(&a, 0, &c, 0));
		assert_false(apd_json_contains(&c, 0, &a, 0));
		assert_false(apd_json_equal(&a, 0, &c, 0));
		/* One key and its value differ. */
		keys[n / 2] += KEYS;
		write_object(&y, keys, n, 0);
		scan(&b, apd_buf_str(&y));
		assert_false(apd_json_equal(&a, 0, &b, 0));
		assert_false(apd_json_contains(&a, 0, &b, 0));
		keys[n / 2] -= KEYS;
	}
	apd_buf_finish(&x);
	apd_buf_finish(&y);
	apd_buf_finish(&z);
	apd_json_finish(&a);
	apd_json_finish(&b);
	apd_json_finish(&c);
}

/*
 * Objects in objects, the nested one first and the other keys in reverse order:
 * a comparison that looked at the nested one twice on each level would not end.
 */
static void test_deep_and_unordered(void **state)
{
	struct apd_buf x = {0}, y = {0};
	struct apd_json a = {0}, b = {0};

	(void)state;
	for (int depth = 1; depth < APD_JSON_MAX_DEPTH; depth++) {
		apd_buf_lit(&x, "{\"nested\":");
		apd_buf_lit(&y, "{\"nested\":");
	}
	apd_buf_lit(&x, "{}");
	apd_buf_lit(&y, "{}");
	for (int depth = 1; depth < APD_JSON_MAX_DEPTH; depth++) {
		for (int i = 0; i < 20; i++) {
			apd_buf_addf(&x, ",\"k%d\":%d", i, i);
			apd_buf_addf(&y, ",\"k%d\":%d", 19 - i, 19 - i);
		}
		apd_buf_lit(&x, "}");
		apd_buf_lit(&y, "}");
	}
	scan(&a, apd_buf_str(&x));
	scan(&b, apd_buf_str(&y));
	assert_true(apd_json_equal(&a, 0, &b, 0));
	assert_true(apd_json_contains(&a, 0, &b, 0));
	apd_buf_finish(&x);
	apd_buf_finish(&y);
	apd_json_finish(&a);
	apd_json_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_shuffled),
		cmocka_unit_test(test_deep_and_unordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
