/* Hostile schemas and values come to an end, and threads may share a schema. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "schema/schema.h"

/* Sanitizers make everything slower; what is not bounded would take hours. */
#define MOST_SECONDS 10

static struct apd_schema *compile(struct apd_str text)
{
	struct apd_schema_error error;
	struct apd_schema *schema = NULL;

	if (apd_schema_compile(text, &schema, &error) < 0)
		fail_msg("refused: %s: %s", error.path, error.message);
	return schema;
}

/* What this thread has used of a processor: others may use most of it. */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Checks a value, in bounded time; returns what the check returned. */
static int check(const char *schema_text, struct apd_str value, struct apd_schema_error *error)
{
	struct apd_schema *schema = compile(apd_str(schema_text));
	struct apd_json doc = {0};
	double start;
	int r;

	assert_int_equal(apd_json_scan(&doc, value), 0);
	start = now();
	r = apd_schema_check(schema, &doc, 0, error);
	assert_true(now() - start < MOST_SECONDS);
	apd_json_finish(&doc);
	apd_schema_destroy(schema);
	return r;
}

/* A JSON string of n times a character, and something behind it. */
static struct apd_str string_of(struct apd_buf *out, char ch, size_t n, const char *end)
{
	apd_buf_clear(out);
	apd_buf_add_char(out, '"');
	memset(apd_buf_reserve(out, n), ch, n);
	out->len += n;
	apd_buf_add_cstr(out, end);
	apd_buf_add_char(out, '"');
	return apd_buf_str(out);
}

static void patterns_come_to_an_end(void **state)
{
	static const struct {
		const char *schema;
		char fill;
		size_t length;
	} rows[] = {
		{"{\"pattern\":\"^(a+)+$\"}", 'a', 40},
		{"{\"pattern\":\"^(a|aa)+$\"}", 'a', 3000},
		{"{\"pattern\":\"(a*)*[bc]\"}", 'a', 3000},
		{"{\"pattern\":\"(x+x+)+y\"}", 'x', 1000000},
		{"{\"pattern\":\"^(?:(?=.*!).)*$\"}", 'a', 300000},
		/* These look ahead over all of the string from wherever a match may start. */
		{"{\"pattern\":\"(?=.*b)a\"}", 'a', 300000},
		{"{\"pattern\":\"(?=.*[A-Z])(?=.*\\\\d).{8,}\"}", 'a', 300000},
		{"{\"pattern\":\"^(?:(?!.*z).)*$\"}", 'a', 300000},
		{"{\"pattern\":\"(?i)^(?:(?=[\\\\p{L}]*!).)*$\"}", 'a', 300000},
		/* These do much without moving on. */
		{"{\"pattern\":\"a{60000}[bc]\"}", 'a', 299000},
		{"{\"pattern\":\"^(a*)\\\\1*\\\\1[bc]\"}", 'a', 300000},
		{"{\"pattern\":\" +$\"}", ' ', 1000000},
		{"{\"pattern\":\"a.*a.*a.*[bc]\"}", 'a', 100000},
	};
	struct apd_schema_error error;
	struct apd_buf value = {0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(rows); i++) {
		string_of(&value, rows[i].fill, rows[i].length, "!");
		assert_int_equal(check(rows[i].schema, apd_buf_str(&value), &error), -22);
		assert_string_equal(error.message, "the value is too complex to be checked");
	}
	apd_buf_finish(&value);
}

static void patterns_of_long_texts_are_not_too_complex(void **state)
{
	struct apd_schema_error error;
	struct apd_buf value = {0};

	(void)state;
	assert_int_equal(
		check("{\"pattern\":\"\\\\S\"}", string_of(&value, 'a', 1000000, ""), &error), 0);
	assert_int_equal(
		check("{\"pattern\":\"^[a-z]+$\"}", string_of(&value, 'a', 1000000, ""), &error),
		0);
	assert_int_equal(
		check("{\"pattern\":\"^(.|\\\\n)*$\"}", string_of(&value, 'a', 4000, ""), &error),
		0);
	assert_int_equal(check("{\"pattern\":\"^(?=.*[a-z])(?=.*!)(?!.*\\\\s).{8,}$\"}",
				 string_of(&value, 'a', 1000000, "!"), &error),
		0);
	assert_int_equal(check("{\"pattern\":\"[a-z]+@([a-z]+\\\\.)+[a-z]{2,}\"}",
				 string_of(&value, 'a', 100000, "@b.cd"), &error),
		0);
	assert_int_equal(
		check("{\"pattern\":\"b\"}", string_of(&value, 'a', 1000000, ""), &error), -22);
	assert_non_null(strstr(error.message, "expected text that matches b"));
	apd_buf_finish(&value);
}

/* Compiling each takes a millisecond or more. */
static void many_large_patterns_are_refused(void **state)
{
	struct apd_schema_error error;
	struct apd_schema *schema;
	struct apd_buf text = {0};

	(void)state;
	apd_buf_lit(&text, "{\"allOf\":[");
	for (int i = 0; i < 100; i++) {
		apd_buf_addf(&text, "%s{\"pattern\":\"", i ? "," : "");
		for (int k = 0; k < 500; k++)
			apd_buf_lit(&text, "(a|b)+");
		apd_buf_lit(&text, "\"}");
	}
	apd_buf_lit(&text, "]}");
	assert_int_equal(apd_schema_compile(apd_buf_str(&text), &schema, &error), -22);
	assert_string_equal(error.message, "the patterns of the schema are too long together");
	apd_buf_finish(&text);
}

static void many_small_patterns_are_not_too_complex(void **state)
{
	struct apd_schema_error error;
	struct apd_buf value = {0};

	(void)state;
	apd_buf_lit(&value, "[\"a1\"");
	for (int i = 0; i < 100000; i++)
		apd_buf_addf(&value, ",\"x%d\"", i);
	apd_buf_lit(&value, "]");
	assert_int_equal(
		check("{\"items\":{\"pattern\":\"^[a-z][0-9]+$\"}}", apd_buf_str(&value), &error),
		0);
	assert_int_equal(check("{\"uniqueItems\":true}", apd_buf_str(&value), &error), 0);
	value.len--;
	apd_buf_lit(&value, ",\"x77777\"]");
	assert_int_equal(check("{\"uniqueItems\":true}", apd_buf_str(&value), &error), -22);
	assert_string_equal(error.message, "expected items that are all different");
	apd_buf_finish(&value);
}

/* Each level of the value doubles the ways to look at it. */
static void branches_come_to_an_end(void **state)
{
	static const char *const schemas[] = {
		"{\"anyOf\":[{\"items\":{\"$ref\":\"#\"},\"maxItems\":1,\"not\":{\"const\":0}},"
		"{\"items\":{\"$ref\":\"#\"},\"maxItems\":1,\"not\":{\"const\":0}}]}",
		"{\"oneOf\":[{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"},"
		"{\"contains\":{\"$ref\":\"#\"},\"type\":\"array\"}]}",
		"{\"anyOf\":[{\"items\":{\"$ref\":\"#\"}},{\"prefixItems\":[{\"$ref\":\"#\"}]}],"
		"\"unevaluatedItems\":false,\"type\":\"array\"}",
	};
	struct apd_schema_error error;
	struct apd_buf value = {0};

	(void)state;
	for (int i = 0; i < 60; i++)
		apd_buf_lit(&value, "[");
	apd_buf_lit(&value, "0");
	for (int i = 0; i < 60; i++)
		apd_buf_lit(&value, "]");
	for (size_t i = 0; i < APD_COUNT(schemas); i++) {
		assert_int_equal(check(schemas[i], apd_buf_str(&value), &error), -22);
		assert_string_equal(error.message, "the value is too complex to be checked");
		assert_string_equal(error.path, "");
		assert_int_equal(check(schemas[i], apd_buf_str(&value), NULL), -22);
	}
	apd_buf_finish(&value);
}

/* $defs that each refer to the next one. */
static void add_chain(struct apd_buf *out, const char *reference, size_t count)
{
	apd_buf_lit(out, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
	for (size_t i = 0; i < count; i++)
		apd_buf_addf(out, reference, i, i + 1);
	apd_buf_addf(out, "\"d%zu\":{\"type\":\"string\"}}}", count);
}

static void chains_of_references_are_bounded(void **state)
{
	static const char plain[] = "\"d%zu\":{\"$ref\":\"#/$defs/d%zu\"},";
	static const char with_others[] = "\"d%zu\":{\"allOf\":[{\"$ref\":\"#/$defs/d%zu\"}]},";
	struct apd_schema_error error;
	struct apd_schema *schema;
	struct apd_buf text = {0};

	(void)state;
	add_chain(&text, plain, 400);
	apd_schema_destroy(compile(apd_buf_str(&text)));
	apd_buf_clear(&text);
	add_chain(&text, plain, 3000);
	assert_int_equal(apd_schema_compile(apd_buf_str(&text), &schema, &error), -22);
	assert_string_equal(error.message, "the schema refers on too many times");
	apd_buf_clear(&text);
	add_chain(&text, with_others, 3000);
	assert_int_equal(apd_schema_compile(apd_buf_str(&text), &schema, &error), -22);
	assert_string_equal(error.message, "the schema refers on too many times");
	apd_buf_clear(&text);
	add_chain(&text, with_others, 30000);
	assert_int_equal(apd_schema_compile(apd_buf_str(&text), &schema, &error), -22);
	assert_string_equal(error.message, "the document has too many references");
	apd_buf_finish(&text);
}

/* The deepest value that can be scanned, under a schema with three nodes a level. */
static void the_deepest_value_can_be_checked(void **state)
{
	struct apd_schema_error error;
	struct apd_buf value = {0};

	(void)state;
	for (int i = 0; i < APD_JSON_MAX_DEPTH - 1; i++)
		apd_buf_lit(&value, "{\"a\":");
	apd_buf_lit(&value, "\"\"");
	for (int i = 0; i < APD_JSON_MAX_DEPTH - 1; i++)
		apd_buf_lit(&value, "}");
	assert_int_equal(check("{\"allOf\":[{\"anyOf\":[{\"type\":\"object\",\"properties\":"
			       "{\"a\":{\"$ref\":\"#\"}}},{\"const\":\"\"}]}]}",
				 apd_buf_str(&value), &error),
		0);
	apd_buf_finish(&value);
}

static void *check_often(void *data)
{
	struct apd_schema *schema = data;
	struct apd_json good = {0}, bad = {0};
	struct apd_schema_error error;
	uintptr_t wrong = 0;

	if (apd_json_scan(&good, APD_STR("{\"id\":\"ab\\u0063\",\"kind\":\"x\"}")) < 0 ||
		apd_json_scan(&bad, APD_STR("{\"id\":\"ABC\",\"kind\":\"x\"}")) < 0)
		wrong++;
	for (int i = 0; i < 2000 && !wrong; i++) {
		wrong += apd_schema_check(schema, &good, 0, &error) != 0;
		wrong += apd_schema_check(schema, &bad, 0, &error) == 0;
		wrong += strcmp(error.path, "/id") != 0;
	}
	apd_json_finish(&good);
	apd_json_finish(&bad);
	return (void *)wrong;
}

static void threads_share_a_schema(void **state)
{
	struct apd_schema *schema = compile(
		APD_STR("{\"properties\":{\"id\":{\"pattern\":\"^[a-z]+$\",\"maxLength\":3},"
			"\"kind\":{\"enum\":[\"x\",\"y\"]}},\"required\":[\"id\"]}"));
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < APD_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, check_often, schema), 0);
	for (size_t i = 0; i < APD_COUNT(threads); i++) {
		void *wrong = NULL;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	apd_schema_destroy(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_come_to_an_end),
		cmocka_unit_test(patterns_of_long_texts_are_not_too_complex),
		cmocka_unit_test(many_large_patterns_are_refused),
		cmocka_unit_test(many_small_patterns_are_not_too_complex),
		cmocka_unit_test(branches_come_to_an_end),
		cmocka_unit_test(chains_of_references_are_bounded),
		cmocka_unit_test(the_deepest_value_can_be_checked),
		cmocka_unit_test(threads_share_a_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
