/* Percent-decoding, targets and query parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http/url.h"

static void decodes(void **state)
{
	static const struct {
		const char *in;
		bool plus;
		const char *out;
	} cases[] = {
		{"", false, ""},
		{"plain", false, "plain"},
		{"a%20b", false, "a b"},
		{"a+b", false, "a+b"},
		{"a+b", true, "a b"},
		{"%2Fx%2f", false, "/x/"},
		{"%", false, "%"},
		{"%4", false, "%4"},
		{"%zz%41", false, "%zzA"},
		{"%%41", false, "%A"},
		{"%c3%A9", false, "\xc3\xa9"},
		{"100%25", true, "100%"},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		char out[32];
		size_t n = apd_http_url_decode(apd_str(cases[i].in), cases[i].plus, out);

		assert_true(apd_str_is((struct apd_str){out, n}, cases[i].out));
	}
}

static void decodes_in_place(void **state)
{
	char text[] = "a%20%62";

	(void)state;
	assert_int_equal(apd_http_url_decode(APD_STR("a%20%62"), false, text), 3);
	assert_memory_equal(text, "a b", 3);
	strcpy(text, "%41%42");
	assert_int_equal(apd_http_url_decode(apd_str(text), false, text), 2);
	assert_memory_equal(text, "AB", 2);
}

static void splits(void **state)
{
	static const struct {
		const char *target;
		const char *path;
		const char *query; /* NULL: none */
	} cases[] = {
		{"/", "/", NULL},
		{"/a/b?c=d", "/a/b", "c=d"},
		{"/a?", "/a", ""},
		{"/a?b?c", "/a", "b?c"},
		{"http://h:1/a?b", "/a", "b"},
		{"http://h", "/", NULL},
		{"*", "*", NULL},
		{"", "", NULL},
		{"/a://b", "/a://b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_str path, query;

		apd_http_url_split(apd_str(cases[i].target), &path, &query);
		assert_true(apd_str_is(path, cases[i].path));
		assert_int_equal(query.ptr != NULL, cases[i].query != NULL);
		if (cases[i].query)
			assert_true(apd_str_is(query, cases[i].query));
	}
}

static void finds_parameters(void **state)
{
	struct apd_str query = APD_STR("a=1&b=2&a=3&empty=&bare&%61=4&two+words=x&=nameless&&");
	static const struct {
		const char *name;
		unsigned n;
		const char *value; /* NULL: none */
	} cases[] = {
		{"a", 0, "1"},
		{"a", 1, "3"},
		{"a", 2, "4"},
		{"a", 3, NULL},
		{"b", 0, "2"},
		{"empty", 0, ""},
		{"bare", 0, ""},
		{"two words", 0, "x"},
		{"c", 0, NULL},
		{"", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_str value =
			apd_http_query_find(query, apd_str(cases[i].name), cases[i].n);

		assert_int_equal(value.ptr != NULL, cases[i].value != NULL);
		if (cases[i].value)
			assert_true(apd_str_is(value, cases[i].value));
	}
	assert_null(apd_http_query_find(APD_STR_ABSENT, APD_STR("a"), 0).ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes),
		cmocka_unit_test(decodes_in_place),
		cmocka_unit_test(splits),
		cmocka_unit_test(finds_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
