/* The words and the paths of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "schema/schema.h"

#define RUN_CREATE                                                                                \
	"{\"type\":\"object\",\"properties\":{"                                                   \
	"\"thread_id\":{\"type\":\"string\",\"format\":\"uuid\"},"                                \
	"\"input\":{\"anyOf\":[{\"type\":\"object\"},{\"type\":\"array\"},{\"type\":\"null\"}]}," \
	"\"messages\":{\"type\":\"array\",\"items\":{\"type\":\"object\","                        \
	"\"required\":[\"role\",\"content\"],\"properties\":{\"role\":{\"type\":\"string\"}}}},"  \
	"\"config\":{\"type\":\"object\",\"properties\":{"                                        \
	"\"recursion_limit\":{\"type\":\"integer\",\"minimum\":1}}},"                             \
	"\"a/b~c\":{\"maxLength\":1},"                                                            \
	"\"webhook\":{\"anyOf\":[{\"type\":\"string\",\"format\":\"uri\"},{\"type\":\"null\"}]}," \
	"\"on_completion\":{\"type\":\"string\",\"enum\":[\"delete\",\"keep\"]}},"                \
	"\"additionalProperties\":false}"

#define SHAPES                                                                          \
	"{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"circle\"},\"r\":{\"type\":" \
	"\"number\"}},\"required\":[\"kind\",\"r\"]},"                                  \
	"{\"properties\":{\"kind\":{\"const\":\"line\"},\"to\":{\"type\":\"array\"}},"  \
	"\"required\":[\"kind\",\"to\"]}]}"

static const struct {
	const char *schema, *value, *path, *message;
} rows[] = {
	{RUN_CREATE, "[]", "", "expected an object, got an array"},
	{RUN_CREATE, "{\"config\":{\"recursion_limit\":\"x\"}}", "/config/recursion_limit",
		"expected an integer, got a string"},
	{RUN_CREATE, "{\"config\":{\"recursion_limit\":1.5}}", "/config/recursion_limit",
		"expected an integer, got 1.5"},
	{RUN_CREATE, "{\"config\":{\"recursion_limit\":0}}", "/config/recursion_limit",
		"expected at least 1, got 0"},
	{RUN_CREATE, "{\"input\":3}", "/input",
		"expected an object, an array or null, got a number"},
	{RUN_CREATE, "{\"messages\":[{\"role\":\"a\",\"content\":\"\"},{\"content\":\"\"}]}",
		"/messages/1", "the member \"role\" is missing"},
	{RUN_CREATE, "{\"thread_id\":\"x\"}", "/thread_id", "expected a UUID, got \"x\""},
	{RUN_CREATE, "{\"webhook\":\"x\"}", "/webhook", "expected an absolute URI, got \"x\""},
	{RUN_CREATE, "{\"webhook\":7}", "/webhook", "expected a string or null, got a number"},
	{RUN_CREATE, "{\"on_completion\":\"drop\"}", "/on_completion",
		"expected \"delete\" or \"keep\", got \"drop\""},
	{RUN_CREATE, "{\"a/b~c\":\"xx\"}", "/a~1b~0c", "expected at most 1 character, got 2"},
	{RUN_CREATE, "{\"hook\":\"x\"}", "", "the member \"hook\" is not allowed"},
	{SHAPES, "{\"kind\":\"circle\",\"r\":\"1\"}", "/r", "expected a number, got a string"},
	{SHAPES, "{\"kind\":\"line\"}", "", "the member \"to\" is missing"},
	{SHAPES, "{\"kind\":\"disc\"}", "/kind", "expected \"circle\" or \"line\", got \"disc\""},
	{SHAPES, "{}", "", "matches none of the 2 allowed forms"},
	{SHAPES, "1", "", "matches more than one form where only one may match"},
	{"{\"enum\":[1,2,3,4,5,6,7,8,9,10]}", "{}", "",
		"expected 1, 2, 3, 4, 5, 6, 7, 8 or one of 2 others, got an object"},
	{"{\"const\":\"0123456789012345678901234567890123456789012345678901234567890\"}", "1", "",
		"expected \"0123456789012345678901234567890123456789012...\", got 1"},
	{"{\"items\":false}", "[[]]", "/0", "no value is allowed here"},
	{"{\"not\":{}}", "0", "", "matches what it must not match"},
	{"{\"pattern\":\"^a$\"}", "\"b\"", "", "expected text that matches ^a$, got \"b\""},
	{"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", "",
		"the member \"b\" is missing, which \"a\" needs"},
	{"{\"propertyNames\":{\"maxLength\":1}}", "{\"a\":1,\"bb\":1}", "",
		"expected at most 1 character, got 2"},
	{"{\"minLength\":1}", "\"\"", "", "expected at least 1 character"},
	{"{\"uniqueItems\":true}", "[1,1]", "", "expected items that are all different"},
	{"{\"multipleOf\":0.5}", "0.7", "", "expected a multiple of 0.5, got 0.7"},
	{"{\"anyOf\":[{\"const\":\"a\"},{\"enum\":[\"b\",\"a\"]}]}", "\"c\"", "",
		"expected \"a\" or \"b\", got \"c\""},
};

static void each_error_says_what_was_expected_and_where(void **state)
{
	(void)state;
	for (size_t i = 0; i < APD_COUNT(rows); i++) {
		struct apd_schema_error error = {"?", "?"};
		struct apd_json doc = {0};
		struct apd_schema *schema;

		assert_int_equal(apd_schema_compile(apd_str(rows[i].schema), &schema, &error), 0);
		assert_int_equal(apd_json_scan(&doc, apd_str(rows[i].value)), 0);
		assert_int_equal(apd_schema_check(schema, &doc, 0, &error), -22);
		assert_string_equal(error.message, rows[i].message);
		assert_string_equal(error.path, rows[i].path);
		apd_json_finish(&doc);
		apd_schema_destroy(schema);
	}
}

static void long_paths_end_at_an_ancestor(void **state)
{
	struct apd_buf text = {0}, expected = {0};
	struct apd_json doc = {0};
	struct apd_schema_error error;
	struct apd_schema *schema;

	(void)state;
	for (int i = 0; i < 30; i++)
		apd_buf_lit(&text, "{\"abcdefghi\":");
	apd_buf_lit(&text, "0");
	for (int i = 0; i < 30; i++)
		apd_buf_lit(&text, "}");
	for (int i = 0; i < 15; i++)
		apd_buf_lit(&expected, "/abcdefghi");
	assert_int_equal(apd_schema_compile(APD_STR("{\"type\":\"object\","
						    "\"additionalProperties\":{\"$ref\":\"#\"}}"),
				 &schema, &error),
		0);
	assert_int_equal(apd_json_scan(&doc, apd_buf_str(&text)), 0);
	assert_int_equal(apd_schema_check(schema, &doc, 0, &error), -22);
	assert_string_equal(error.path, expected.data);
	apd_json_finish(&doc);
	apd_schema_destroy(schema);
	apd_buf_finish(&text);
	apd_buf_finish(&expected);
}

static void words_are_cut_between_characters(void **state)
{
	struct apd_buf text = {0};
	struct apd_json doc = {0};
	struct apd_schema_error error;
	struct apd_schema *schema;

	(void)state;
	assert_int_equal(apd_schema_compile(APD_STR("{\"format\":\"uuid\"}"), &schema, &error), 0);
	for (int shift = 0; shift < 4; shift++) {
		struct apd_buf quoted = {0};

		apd_buf_clear(&text);
		apd_buf_add_char(&text, '"');
		for (int i = 0; i < shift; i++)
			apd_buf_add_char(&text, 'a');
		for (int i = 0; i < 40; i++)
			apd_buf_lit(&text, "\xf0\x9f\x92\xa9");
		apd_buf_add_char(&text, '"');
		assert_int_equal(apd_json_scan(&doc, apd_buf_str(&text)), 0);
		assert_int_equal(apd_schema_check(schema, &doc, 0, &error), -22);
		/* The scanner takes valid UTF-8 only. */
		apd_buf_addf(&quoted, "[%s]", strchr(error.message, '"'));
		assert_int_equal(apd_json_scan(&doc, apd_buf_str(&quoted)), 0);
		apd_buf_finish(&quoted);
	}
	apd_json_finish(&doc);
	apd_schema_destroy(schema);
	apd_buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_error_says_what_was_expected_and_where),
		cmocka_unit_test(long_paths_end_at_an_ancestor),
		cmocka_unit_test(words_are_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
