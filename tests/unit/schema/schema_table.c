/* Keywords, references and formats: schemas, values, and whether they match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "schema/schema.h"

struct row {
	const char *schema;
	const char *value;
	bool matches;
};

/* Compiles the schema and checks the value with it, with and without wording errors. */
static void run_row(const struct row *row)
{
	struct apd_schema_error error = {{0}, {0}};
	struct apd_schema *schema;
	struct apd_json doc = {0};
	bool matches;

	if (apd_schema_compile(apd_str(row->schema), &schema, &error) < 0)
		fail_msg("%s: refused: %s: %s", row->schema, error.path, error.message);
	assert_int_equal(apd_json_scan(&doc, apd_str(row->value)), 0);
	matches = apd_schema_check(schema, &doc, 0, &error) == 0;
	if (matches != row->matches)
		fail_msg("%s: %s: should%s match (%s)", row->schema, row->value,
			row->matches ? "" : " not", error.message);
	assert_int_equal(matches, error.message[0] == '\0');
	assert_int_equal(apd_schema_check(schema, &doc, 0, NULL) == 0, matches);
	apd_json_finish(&doc);
	apd_schema_destroy(schema);
}

#define RUN(rows)                                    \
	for (size_t i = 0; i < APD_COUNT(rows); i++) \
	run_row(&(rows)[i])

static void types(void **state)
{
	static const struct row rows[] = {
		{"true", "{}", true},
		{"false", "{}", false},
		{"{}", "[1]", true},
		{"{\"type\":\"integer\"}", "1", true},
		{"{\"type\":\"integer\"}", "1.0", true},
		{"{\"type\":\"integer\"}", "1e2", true},
		{"{\"type\":\"integer\"}", "125e-2", false},
		{"{\"type\":\"integer\"}", "1.5", false},
		{"{\"type\":\"number\"}", "1", true},
		{"{\"type\":\"number\"}", "\"1\"", false},
		{"{\"type\":[\"string\",\"null\"]}", "null", true},
		{"{\"type\":[\"string\",\"null\"]}", "false", false},
		{"{\"type\":\"boolean\"}", "false", true},
		{"{\"type\":\"boolean\"}", "0", false},
		{"{\"\\u0074ype\":\"boolean\"}", "0", false},
		{"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "2.0", true},
		{"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "2.5", false},
		{"{\"unheard_of\":{\"type\":7}}", "1", true},
	};

	(void)state;
	RUN(rows);
}

static void numbers(void **state)
{
	static const struct row rows[] = {
		{"{\"minimum\":1.1}", "1.1", true},
		{"{\"minimum\":1.1}", "1.09999999999999999", false},
		{"{\"minimum\":-5}", "-4", true},
		{"{\"minimum\":-5}", "-6", false},
		{"{\"minimum\":0}", "-0", true},
		{"{\"minimum\":1e-400}", "0", false},
		{"{\"minimum\":0}", "-1e-400", false},
		{"{\"maximum\":18446744073709551615}", "18446744073709551615", true},
		{"{\"maximum\":18446744073709551614}", "18446744073709551615", false},
		{"{\"maximum\":9007199254740992}", "9007199254740993", false},
		{"{\"maximum\":1e308}", "1e309", false},
		{"{\"maximum\":1}", "1e999999999999", false},
		{"{\"maximum\":1}", "1e-999999999999", true},
		{"{\"maximum\":10}", "\"11\"", true},
		{"{\"exclusiveMinimum\":0}", "0.0", false},
		{"{\"exclusiveMinimum\":0}", "1e-30", true},
		{"{\"exclusiveMaximum\":100}", "1e2", false},
		{"{\"exclusiveMaximum\":100}", "99.9", true},
		{"{\"multipleOf\":0.01}", "4.02", true},
		{"{\"multipleOf\":0.01}", "4.021", false},
		{"{\"multipleOf\":0.1}", "0.3", true},
		{"{\"multipleOf\":3}", "9", true},
		{"{\"multipleOf\":3}", "-9.0", true},
		{"{\"multipleOf\":3}", "10", false},
		{"{\"multipleOf\":1e-8}", "12391239123", true},
		{"{\"multipleOf\":7}", "1e300", false},
		{"{\"multipleOf\":1000}", "1e300", true},
		{"{\"multipleOf\":1e300}", "5", false},
	};

	(void)state;
	RUN(rows);
}

static void strings(void **state)
{
	static const struct row rows[] = {
		{"{\"minLength\":2}", "\"\xf0\x9f\x92\xa9\"", false},
		{"{\"minLength\":2}", "\"\xf0\x9f\x92\xa9x\"", true},
		{"{\"maxLength\":1}", "\"\xf0\x9f\x92\xa9\"", true},
		{"{\"maxLength\":1}", "\"\\ud83d\\udca9\"", true},
		{"{\"maxLength\":2}", "\"\\n\\n\\n\"", false},
		{"{\"maxLength\":2.0}", "\"abc\"", false},
		{"{\"pattern\":\"^a+$\"}", "\"aaa\"", true},
		{"{\"pattern\":\"^a+$\"}", "\"aab\"", false},
		{"{\"pattern\":\"^a+$\"}", "\"aaa\\n\"", false},
		{"{\"pattern\":\"b\"}", "\"abc\"", true},
		{"{\"pattern\":\"^.$\"}", "\"\xc3\xa9\"", true},
		{"{\"pattern\":\"^\\\\d$\"}", "\"\xd9\xa3\"", false},
		{"{\"pattern\":\"^\\\\p{Letter}+$\"}", "\"\xd0\xb6x\"", true},
		{"{\"pattern\":\"^\\\\P{gc=Letter}+$\"}", "\"x\"", false},
		{"{\"pattern\":\"^\\\\u{41}+$\"}", "\"AA\"", true},
		{"{\"pattern\":\"^\\\\u0041$\"}", "\"A\"", true},
		{"{\"pattern\":\"^[^]$\"}", "\"\\n\"", true},
		{"{\"pattern\":\"^(?<x>a)\\\\k<x>$\"}", "\"aa\"", true},
		{"{\"pattern\":\"^(?=.*[A-Z])(?=.*\\\\d).{4,}$\"}", "\"abC4\"", true},
		{"{\"pattern\":\"^(?=.*[A-Z])(?=.*\\\\d).{4,}$\"}", "\"abcd\"", false},
		{"{\"pattern\":\"^x\"}", "3", true},
		{"{\"enum\":[\"a\",\"bb\",\"\"]}", "\"\"", true},
		{"{\"enum\":[\"a\",\"bb\",\"\"]}", "\"\\u0062b\"", true},
		{"{\"enum\":[\"a\",\"bb\",\"\"]}", "\"b\"", false},
		{"{\"enum\":[]}", "\"b\"", false},
		{"{\"enum\":[1,{\"a\":[true]}]}", "1.0", true},
		{"{\"enum\":[1,{\"a\":[true]}]}", "{\"a\":[true]}", true},
		{"{\"enum\":[1,{\"a\":[true]}]}", "{\"a\":[1]}", false},
		{"{\"const\":{\"a\":1,\"b\":2}}", "{\"b\":2,\"a\":1}", true},
		{"{\"const\":null}", "null", true},
		{"{\"const\":null}", "false", false},
		{"{\"const\":1,\"enum\":[1,2]}", "2", false},
	};

	(void)state;
	RUN(rows);
}

static void formats(void **state)
{
	static const struct row rows[] = {
		{"{\"format\":\"uuid\"}", "\"2EB8AA08-AA98-11EA-B4AA-73B441D16380\"", true},
		{"{\"format\":\"uuid\"}", "\"2eb8aa08aa9811eab4aa73b441d16380\"", false},
		{"{\"format\":\"uuid\"}", "12", true},
		{"{\"format\":\"date-time\"}", "\"2026-02-28T12:00:00.5+01:00\"", true},
		{"{\"format\":\"date-time\"}", "\"2026-02-29T12:00:00Z\"", false},
		{"{\"format\":\"date-time\"}", "\"1998-12-31T23:59:60Z\"", true},
		{"{\"format\":\"date-time\"}", "\"1998-12-31T22:59:60Z\"", false},
		{"{\"format\":\"date-time\"}", "\"1998-12-31 22:59:00Z\"", false},
		{"{\"format\":\"date\"}", "\"2024-02-29\"", true},
		{"{\"format\":\"time\"}", "\"12:00:00\"", false},
		{"{\"format\":\"duration\"}", "\"P1DT12H\"", true},
		{"{\"format\":\"duration\"}", "\"P\"", false},
		{"{\"format\":\"uri\"}", "\"https://x.org:8080/a?b=c#d\"", true},
		{"{\"format\":\"uri\"}", "\"http://[::1]:80/\"", true},
		{"{\"format\":\"uri\"}", "\"//x.org/a\"", false},
		{"{\"format\":\"uri\"}", "\"http://x.org/a b\"", false},
		{"{\"format\":\"uri\"}", "\"\"", false},
		{"{\"format\":\"uri-reference\"}", "\"\"", true},
		{"{\"format\":\"email\"}", "\"joe@example.com\"", true},
		{"{\"format\":\"email\"}", "\"joe.example.com\"", false},
		{"{\"format\":\"hostname\"}", "\"a.b-c.d\"", true},
		{"{\"format\":\"hostname\"}", "\"a..d\"", false},
		{"{\"format\":\"ipv4\"}", "\"127.0.0.1\"", true},
		{"{\"format\":\"ipv4\"}", "\"127.0.0.01\"", false},
		{"{\"format\":\"ipv6\"}", "\"::ffff:1.2.3.4\"", true},
		{"{\"format\":\"ipv6\"}", "\"1::2::3\"", false},
		{"{\"format\":\"json-pointer\"}", "\"/a~1b\"", true},
		{"{\"format\":\"json-pointer\"}", "\"/a~\"", false},
		{"{\"format\":\"no-such-format\"}", "\"anything\"", true},
	};

	(void)state;
	RUN(rows);
}

static void containers(void **state)
{
	static const struct row rows[] = {
		{"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":\"x\",\"b\":1}", true},
		{"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"\\u0061\":1}", false},
		{"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "[]", true},
		{"{\"required\":[\"a\",\"a\"]}", "{\"a\":null}", true},
		{"{\"required\":[\"a\",\"b\"]}", "{\"a\":null}", false},
		{"{\"required\":[\"\"]}", "{\"\":1}", true},
		{"{\"properties\":{\"a\":{}},\"patternProperties\":{\"^x\":{}},"
		 "\"additionalProperties\":false}",
			"{\"a\":1,\"xy\":1}", true},
		{"{\"properties\":{\"a\":{}},\"patternProperties\":{\"^x\":{}},"
		 "\"additionalProperties\":false}",
			"{\"a\":1,\"y\":1}", false},
		{"{\"patternProperties\":{\"^x\":{\"type\":\"string\"}}}", "{\"\\u0078\":1}",
			false},
		{"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":\"\"}", true},
		{"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":1}", false},
		{"{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}", false},
		{"{\"minProperties\":1,\"maxProperties\":2}", "{}", false},
		{"{\"minProperties\":1,\"maxProperties\":2}", "{\"a\":1,\"b\":1}", true},
		{"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", false},
		{"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1,\"b\":1}", true},
		{"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}", "{\"a\":1}", false},
		{"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}", "{\"c\":1}", true},
		{"{\"items\":{\"type\":\"integer\"}}", "[1,2,3]", true},
		{"{\"items\":{\"type\":\"integer\"}}", "[1,[2]]", false},
		{"{\"prefixItems\":[{\"const\":1}],\"items\":false}", "[1]", true},
		{"{\"prefixItems\":[{\"const\":1}],\"items\":false}", "[1,2]", false},
		{"{\"contains\":{\"const\":1}}", "[]", false},
		{"{\"contains\":{\"const\":1},\"minContains\":0}", "[]", true},
		{"{\"contains\":{\"const\":1},\"maxContains\":1}", "[1,2,1]", false},
		{"{\"minItems\":1,\"maxItems\":2}", "[]", false},
		{"{\"minItems\":1,\"maxItems\":2}", "[1,2,3]", false},
		{"{\"uniqueItems\":true}", "[1,2,\"1\",[1],{\"a\":1}]", true},
		{"{\"uniqueItems\":true}", "[1,2,1.0]", false},
		{"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"\\u0061\":1}]", false},
		{"{\"uniqueItems\":true}", "[0,false,null,\"\",[],{}]", true},
		{"{\"uniqueItems\":true}", "[18446744073709551615,18446744073709551614]", true},
		{"{\"uniqueItems\":false}", "[1,1]", true},
		{"{\"allOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":false}",
			"{\"a\":1}", true},
		{"{\"allOf\":[{\"properties\":{\"a\":true}}],\"unevaluatedProperties\":false}",
			"{\"a\":1,\"b\":1}", false},
		{"{\"anyOf\":[{\"prefixItems\":[{\"const\":1}]},{}],\"unevaluatedItems\":false}",
			"[1]", true},
		{"{\"anyOf\":[{\"prefixItems\":[{\"const\":1}]},{}],\"unevaluatedItems\":false}",
			"[2]", false},
	};

	(void)state;
	RUN(rows);
}

static void logic_and_references(void **state)
{
	static const struct row rows[] = {
		{"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2", true},
		{"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4", false},
		{"{\"oneOf\":[{\"minimum\":1},{\"maximum\":3}]}", "2", false},
		{"{\"oneOf\":[{\"minimum\":1},{\"maximum\":3}]}", "0", true},
		{"{\"not\":{\"type\":\"string\"}}", "\"\"", false},
		{"{\"not\":{\"type\":\"string\"}}", "1", true},
		{"{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":1},\"else\":false}",
			"\"x\"", true},
		{"{\"if\":{\"type\":\"string\"},\"then\":{\"minLength\":1},\"else\":false}", "1",
			false},
		{"{\"then\":false}", "1", true},
		{"{\"$ref\":\"#/$defs/a%25b\",\"$defs\":{\"a%b\":{\"type\":\"string\"}}}", "1",
			false},
		{"{\"$ref\":\"#/$defs/a~1b\",\"$defs\":{\"a/b\":{\"type\":\"string\"}}}", "1",
			false},
		{"{\"$ref\":\"#/$defs/a\",\"maximum\":3,\"$defs\":{\"a\":{\"type\":\"integer\"}}}",
			"4", false},
		{"{\"$ref\":\"#here\",\"$defs\":{\"a\":{\"$anchor\":\"here\",\"type\":\"null\"}}}",
			"null", true},
		{"{\"$id\":\"http://x/a/b\",\"$ref\":\"c\",\"$defs\":{\"a\":{\"$id\":"
		 "\"http://x/a/c\",\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":"
		 "\"null\"}}}}}",
			"1", false},
		{"{\"$id\":\"http://x/a/b\",\"$ref\":\"./../c\",\"$defs\":{\"a\":{\"$id\":\"/c\","
		 "\"type\":\"null\"}}}",
			"null", true},
		{"{\"allOf\":[{\"$ref\":\"#/allOf/1\"},{\"type\":\"null\"}]}", "null", true},
		{"{\"properties\":{\"next\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
			"{\"next\":{\"next\":{\"next\":{}}}}", true},
		{"{\"properties\":{\"next\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
			"{\"next\":{\"next\":{\"last\":{}}}}", false},
	};

	(void)state;
	RUN(rows);
}

static void schemas_that_are_refused(void **state)
{
	static const struct {
		const char *schema, *path, *message;
	} rows[] = {
		{"{", "", "line 1, column 2: "},
		{"[]", "", "expected a schema: an object, true or false"},
		{"{\"properties\":{\"a\":3}}", "/properties/a", "expected a schema: "},
		{"{\"items\":[{}]}", "/items", "expected a schema: "},
		{"{\"type\":\"text\"}", "/type", "is not the name of a type"},
		{"{\"type\":[]}", "/type", "is not the name of a type"},
		{"{\"type\":[\"null\",1]}", "/type/1", "is not the name of a type"},
		{"{\"minLength\":-1}", "/minLength", "expected a whole number of at least 0"},
		{"{\"minLength\":\"1\"}", "/minLength", "expected a count"},
		{"{\"minimum\":true}", "/minimum", "expected a number"},
		{"{\"multipleOf\":0.0}", "/multipleOf", "expected a number over 0"},
		{"{\"required\":\"a\"}", "/required", "expected an array"},
		{"{\"required\":[1]}", "/required/0", "expected the name of a member"},
		{"{\"properties\":[]}", "/properties", "expected an object"},
		{"{\"enum\":{}}", "/enum", "expected an array of values"},
		{"{\"allOf\":[]}", "/allOf", "expected at least one schema"},
		{"{\"anyOf\":{}}", "/anyOf", "expected an array of schemas"},
		{"{\"uniqueItems\":1}", "/uniqueItems", "expected true or false"},
		{"{\"dependentRequired\":{\"a\":{}}}", "/dependentRequired/a", "expected an array"},
		{"{\"pattern\":\"(\"}", "/pattern", "the pattern is wrong at byte 1: "},
		{"{\"pattern\":\"a++\"}", "/pattern", "the pattern has a possessive quantifier"},
		{"{\"pattern\":\"\\\\c[a++]\"}", "/pattern", "the pattern has an escape"},
		{"{\"pattern\":\"(?>a)\"}", "/pattern", "the pattern has a group"},
		{"{\"pattern\":\"(*ACCEPT)\"}", "/pattern", "the pattern has a group"},
		{"{\"pattern\":\"(?R)\"}", "/pattern", "the pattern has a group"},
		{"{\"pattern\":1}", "/pattern", "expected a pattern"},
		{"{\"format\":1}", "/format", "expected the name of a format"},
		{"{\"$ref\":1}", "/$ref", "expected a reference"},
		{"{\"$ref\":\"#/a\"}", "/$ref", "\"#/a\" leads nowhere"},
		{"{\"$ref\":\"#a\"}", "/$ref", "\"#a\" leads nowhere"},
		{"{\"enum\":[{\"$anchor\":\"a\"}],\"$ref\":\"#a\"}", "/$ref",
			"\"#a\" leads nowhere"},
		{"{\"$ref\":\"other.json#\"}", "/$ref", "refers to \"other.json#\", which is not"},
		{"{\"$ref\":\"#\"}", "", "the schema refers to itself without end"},
		{"{\"anyOf\":[{\"not\":{\"$ref\":\"#/anyOf/0\"}}]}", "/anyOf/0",
			"the schema refers to itself without end"},
		{"{\"properties\":{\"a\":{\"$ref\":\"#/properties/b\"},\"b\":{\"$ref\":"
		 "\"#/properties/a\"}}}",
			"/properties/a", "the schema refers to itself without end"},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(rows); i++) {
		struct apd_schema *schema = (struct apd_schema *)(uintptr_t)1;
		struct apd_schema_error error = {"?", "?"};

		assert_int_equal(apd_schema_compile(apd_str(rows[i].schema), &schema, NULL), -22);
		assert_int_equal(apd_schema_compile(apd_str(rows[i].schema), &schema, &error), -22);
		assert_ptr_equal(schema, (void *)(uintptr_t)1);
		assert_string_equal(error.path, rows[i].path);
		if (!strstr(error.message, rows[i].message))
			fail_msg("%s: said \"%s\"", rows[i].schema, error.message);
	}
}

static void parts_of_documents(void **state)
{
	static const char text[] =
		"{\"components\":{\"schemas\":{"
		"\"Run\":{\"properties\":{\"id\":{\"$ref\":\"#/components/schemas/Id\"},"
		"\"kind\":{\"$ref\":\"#kind\"}},\"required\":[\"other\",\"id\"]},"
		"\"Id\":{\"type\":\"string\",\"minLength\":3},"
		"\"Kind\":{\"$anchor\":\"kind\",\"enum\":[\"a\"]},"
		"\"Alias\":{\"$ref\":\"#/components/schemas/Run\",\"title\":\"The same\"}}}}";
	struct apd_json doc = {0}, value = {0};
	char *copy = apd_strdup(text);
	struct apd_schema_error error;
	struct apd_schema *run, *alias;

	(void)state;
	assert_int_equal(apd_json_scan(&doc, apd_str(copy)), 0);
	assert_int_equal(
		apd_schema_compile_at(&doc, APD_STR("#/components/schemas/Run"), &run, &error), 0);
	assert_int_equal(
		apd_schema_compile_at(&doc, APD_STR("/components/schemas/Alias"), &alias, &error),
		0);
	assert_int_equal(apd_schema_compile_at(&doc, APD_STR("#/nowhere"), &alias, &error), -22);
	assert_string_equal(error.message, "the document has nothing at \"#/nowhere\"");
	memset(copy, 'x', strlen(copy));
	apd_json_finish(&doc);
	free(copy);

	assert_int_equal(apd_json_scan(&value,
				 APD_STR("[0,{\"id\":\"abc\",\"other\":1,\"kind\":\"a\"},"
					 "{\"id\":\"ab\",\"other\":1}]")),
		0);
	assert_int_equal(apd_schema_check(run, &value, 2, &error), 0);
	assert_int_equal(apd_schema_check(alias, &value, value.toks[2].next, &error), -22);
	assert_string_equal(error.path, "/id");
	assert_string_equal(error.message, "expected at least 3 characters, got 2");

	assert_true(apd_str_is(apd_schema_property(run, 0), "id"));
	assert_true(apd_str_is(apd_schema_property(alias, 1), "kind"));
	assert_null(apd_schema_property(run, 2).ptr);
	apd_schema_destroy(run);
	apd_schema_destroy(alias);
	apd_schema_destroy(NULL);
	apd_json_finish(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types),
		cmocka_unit_test(numbers),
		cmocka_unit_test(strings),
		cmocka_unit_test(formats),
		cmocka_unit_test(containers),
		cmocka_unit_test(logic_and_references),
		cmocka_unit_test(schemas_that_are_refused),
		cmocka_unit_test(parts_of_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
