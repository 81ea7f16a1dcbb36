/* The growable buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_empty(void **state)
{
	struct apd_buf buf = {0};
	char *data;

	(void)state;
	assert_int_equal(apd_buf_str(&buf).len, 0);
	assert_non_null(apd_buf_str(&buf).ptr);
	apd_buf_clear(&buf);
	apd_buf_drop(&buf, 0);
	apd_buf_drop(&buf, 5);
	apd_buf_add(&buf, NULL, 0);
	assert_string_equal(buf.data, "");
	data = apd_buf_steal(&buf);
	assert_string_equal(data, "");
	free(data);
	data = apd_buf_steal(&buf);
	assert_string_equal(data, "");
	free(data);
	apd_buf_finish(&buf);
	apd_buf_finish(&buf);
}

static void test_adding(void **state)
{
	struct apd_buf buf = {0};

	(void)state;
	apd_buf_lit(&buf, "a");
	apd_buf_add_char(&buf, 'b');
	apd_buf_add_cstr(&buf, "cd");
	apd_buf_add_str(&buf, APD_STR("ef"));
	apd_buf_add_str(&buf, APD_STR_ABSENT);
	apd_buf_addf(&buf, "%d-%s", 12, "x");
	assert_string_equal(buf.data, "abcdef12-x");
	assert_int_equal(buf.len, 10);
	apd_buf_drop(&buf, 3);
	assert_string_equal(buf.data, "def12-x");
	assert_int_equal(buf.len, 7);
	apd_buf_drop(&buf, 7);
	assert_string_equal(buf.data, "");
	apd_buf_lit(&buf, "again");
	apd_buf_drop(&buf, 100);
	assert_int_equal(buf.len, 0);
	apd_buf_finish(&buf);
}

static void test_numbers(void **state)
{
	static const int64_t numbers[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN};
	struct apd_buf buf = {0};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		apd_buf_clear(&buf);
		apd_buf_add_i64(&buf, numbers[i]);
		snprintf(text, sizeof(text), "%lld", (long long)numbers[i]);
		assert_string_equal(buf.data, text);
	}
	apd_buf_clear(&buf);
	apd_buf_add_u64(&buf, UINT64_MAX);
	assert_string_equal(buf.data, "18446744073709551615");
	apd_buf_finish(&buf);
}

/* The NUL behind the content is always there, whatever the sizes. */
static void test_growth(void **state)
{
	(void)state;
	for (size_t n = 0; n < 300; n++) {
		struct apd_buf buf = {0};
		char *data;

		for (size_t i = 0; i < n; i++)
			apd_buf_add_char(&buf, (char)('a' + i % 26));
		apd_buf_addf(&buf, "%0*d", (int)n + 1, 7);
		assert_int_equal(buf.len, 2 * n + 1);
		assert_int_equal(strlen(buf.data), buf.len);
		assert_int_equal(buf.data[2 * n], '7');
		data = apd_buf_steal(&buf);
		assert_null(buf.data);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(data[i], 'a' + (int)(i % 26));
		free(data);
	}
}

static void test_reserve(void **state)
{
	struct apd_buf buf = {0};
	char *to;

	(void)state;
	apd_buf_lit(&buf, "head");
	to = apd_buf_reserve(&buf, 1000);
	memset(to, 'x', 1000);
	buf.len += 1000;
	assert_true(buf.cap > buf.len);
	apd_buf_drop(&buf, 1003);
	assert_int_equal(buf.data[0], 'x');
	assert_int_equal(buf.len, 1);
	apd_buf_finish(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_adding),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
