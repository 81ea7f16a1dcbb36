/* Namespaces as text and back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/item.h"

/* The namespace of a JSON text; -errno in *r. */
static struct apd_buf of(const char *text, int *r)
{
	struct apd_json json = {0};
	struct apd_buf out = {0};

	assert_int_equal(apd_json_scan(&json, apd_str(text)), 0);
	*r = apd_namespace_of_json(&out, &json, 0);
	apd_json_finish(&json);
	return out;
}

static void assert_same(const char *text, size_t len)
{
	struct apd_buf back = {0};
	int r;
	struct apd_buf ns = of(text, &r);

	assert_int_equal(r, 0);
	assert_int_equal(ns.len, len);
	apd_namespace_add_json(&back, apd_buf_str(&ns));
	assert_string_equal(back.data, text);
	apd_buf_finish(&back);
	apd_buf_finish(&ns);
}

static void test_there_and_back(void **state)
{
	(void)state;
	assert_same("[]", 0);
	assert_same("[\"users\",\"42\"]", 9);
	assert_same("[\"a\\u001fb\",\"\\u001e\"]", 8);
	assert_same("[\"Ünïcode\",\"\\\"quoted\\\"\"]", 19);
}

/* A prefix is a prefix by elements and never by half of one. */
static void test_prefixes(void **state)
{
	struct apd_buf whole, part, half;
	int r;

	(void)state;
	whole = of("[\"users\",\"42\"]", &r);
	part = of("[\"users\"]", &r);
	half = of("[\"user\"]", &r);
	assert_memory_equal(whole.data, part.data, part.len);
	assert_memory_not_equal(whole.data, half.data, half.len);
	apd_buf_finish(&whole);
	apd_buf_finish(&part);
	apd_buf_finish(&half);
}

static void assert_refused(const char *text, int error)
{
	int r;
	struct apd_buf ns = of(text, &r);

	assert_int_equal(r, error);
	assert_int_equal(ns.len, 0);
	apd_buf_finish(&ns);
}

static void test_refused(void **state)
{
	struct apd_buf deep = {0}, wide = {0};

	(void)state;
	assert_refused("\"users\"", -EINVAL);
	assert_refused("[\"users\",\"\"]", -EINVAL);
	assert_refused("[\"users\",42]", -EINVAL);
	apd_buf_lit(&deep, "[\"a\"");
	for (int i = 0; i < APD_NAMESPACE_DEPTH_MAX; i++)
		apd_buf_lit(&deep, ",\"a\"");
	apd_buf_lit(&deep, "]");
	assert_refused(deep.data, -E2BIG);
	apd_buf_lit(&wide, "[\"");
	for (int i = 0; i < APD_NAMESPACE_MAX; i++)
		apd_buf_lit(&wide, "a");
	apd_buf_lit(&wide, "\"]");
	assert_refused(wide.data, -E2BIG);
	apd_buf_finish(&deep);
	apd_buf_finish(&wide);
}

static void test_item_json(void **state)
{
	const struct apd_item_row from = {
		.ns = APD_STR("users\x1f"),
		.key = APD_STR("name"),
		.value = APD_STR("{\"n\":1.0}"),
		.created_us = 1000000,
		.updated_us = 2000000,
	};
	struct apd_item_row *row = apd_item_row_create(&from);
	struct apd_buf out = {0};

	(void)state;
	apd_item_row_unref(apd_item_row_ref(row));
	apd_item_row_add_json(&out, row);
	assert_string_equal(out.data,
		"{\"namespace\":[\"users\"],\"key\":\"name\",\"value\":{\"n\":1.0},"
		"\"created_at\":\"1970-01-01T00:00:01.000000Z\","
		"\"updated_at\":\"1970-01-01T00:00:02.000000Z\"}");
	apd_buf_finish(&out);
	apd_item_row_unref(row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_item_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
