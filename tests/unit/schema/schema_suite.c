/*
 * The public JSON Schema test suite, as far as it is there: a folder of one
 * draft's tests, named by APD_SCHEMA_SUITE or where Debian's package
 * json-schema-test-suite puts it. Skipped (exit code 77) when there is none.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "schema/schema.h"

#define PACKAGED "/usr/share/json-schema-test-suite/tests/"

/* Where one program's answers are counted. */
struct tally {
	unsigned right, wrong, refused;
};

static char folder[400];

/* Files about what this validator does not do, by design. */
static bool is_left_out(const char *name)
{
	static const char *const names[] = {
		"dynamicRef.json", /* a $dynamicRef is a plain $ref */
		"format.json", /* formats are asserted */
		"refRemote.json", /* there is but one document */
		"vocabulary.json", /* there is but one vocabulary */
		/* keywords that older drafts have otherwise */
		"additionalItems.json",
		"definitions.json",
		"dependencies.json",
	};
	bool old = !strstr(folder, "2020-12");

	for (size_t i = 0; i < APD_COUNT(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return old && (strcmp(name, "items.json") == 0 || strcmp(name, "ref.json") == 0);
}

/* Reads a file; the escaped NULs in it, which the scanner refuses, become other controls. */
static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	struct apd_buf text = {0};
	char *nul;

	assert_non_null(file);
	for (;;) {
		size_t n = fread(apd_buf_reserve(&text, 65536), 1, 65536, file);

		if (n == 0)
			break;
		text.len += n;
	}
	fclose(file);
	apd_buf_add_char(&text, '\0');
	while ((nul = strstr(text.data, "\\u0000")))
		nul[5] = '1';
	return apd_buf_steal(&text);
}

/* Runs one group: a schema and the values to check with it. */
static void run_group(
	const char *name, const struct apd_json *doc, uint32_t group, struct tally *tally)
{
	uint32_t schema_token = apd_json_member(doc, group, APD_STR("schema"));
	uint32_t title = apd_json_member(doc, group, APD_STR("description"));
	uint32_t tests = apd_json_member(doc, group, APD_STR("tests"));
	struct apd_schema *schema = NULL;
	struct apd_schema_error error = {{0}, {0}};

	assert_true(schema_token && title && tests);
	if (memmem(doc->text.ptr + doc->toks[title].start, doc->toks[title].len, "dynamicRef", 10))
		return;
	if (apd_schema_compile(apd_json_slice(doc, schema_token), &schema, &error) < 0) {
		print_message("%s: %.*s: refused: %s: %s\n", name,
			APD_STR_FMT(apd_json_slice(doc, title)), error.path, error.message);
		/* Other documents are out of reach; nothing else may be refused. */
		if (strstr(error.message, "which is not in this document"))
			tally->refused++;
		else
			tally->wrong++;
		return;
	}
	apd_json_each_item (doc, tests, test) {
		uint32_t data = apd_json_member(doc, test, APD_STR("data"));
		uint32_t valid = apd_json_member(doc, test, APD_STR("valid"));
		uint32_t what = apd_json_member(doc, test, APD_STR("description"));
		bool expected = apd_json_type(doc, valid) == APD_JSON_TRUE;
		bool got = apd_schema_check(schema, doc, data, &error) == 0;

		assert_int_equal(got, apd_schema_check(schema, doc, data, NULL) == 0);
		tally->right += got == expected;
		tally->wrong += got != expected;
		if (got != expected)
			print_message("%s: %.*s: %.*s: should be %s\n", name,
				APD_STR_FMT(apd_json_slice(doc, title)),
				APD_STR_FMT(apd_json_slice(doc, what)),
				expected ? "valid" : "invalid");
	}
	apd_schema_destroy(schema);
}

static void run_file(const char *path, const char *name, struct tally *tally)
{
	struct apd_json doc = {0};
	char *text = read_file(path);

	if (apd_json_scan(&doc, apd_str(text)) < 0) {
		print_message("%s: line %u: %s\n", name, doc.error_line, doc.error);
		tally->wrong++;
	} else {
		apd_json_each_item (&doc, 0, group)
			run_group(name, &doc, group, tally);
	}
	apd_json_finish(&doc);
	free(text);
}

/* Runs all files of a folder; returns how many there were. */
static unsigned run_folder(const char *path, struct tally *tally)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	unsigned files = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		char file[700];

		if (!dot || strcmp(dot, ".json") != 0 || is_left_out(entry->d_name))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		run_file(file, entry->d_name, tally);
		files++;
	}
	closedir(dir);
	return files;
}

static void keywords_are_as_the_suite_says(void **state)
{
	struct tally tally = {0, 0, 0};

	(void)state;
	assert_true(run_folder(folder, &tally) > 20);
	print_message("%u right, %u wrong, %u schemas need other documents\n", tally.right,
		tally.wrong, tally.refused);
	assert_int_equal(tally.wrong, 0);
	assert_true(tally.right > 300);
	assert_true(tally.refused < 12);
}

static void formats_are_as_the_suite_says(void **state)
{
	static const char *const names[] = {"date-time", "date", "time", "duration", "email",
		"idn-email", "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference", "uuid",
		"json-pointer", "relative-json-pointer", "unknown"};
	struct tally tally = {0, 0, 0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(names); i++) {
		char path[700];

		snprintf(path, sizeof(path), "%s/optional/format/%s.json", folder, names[i]);
		if (access(path, R_OK) == 0)
			run_file(path, names[i], &tally);
	}
	print_message("%u right, %u wrong\n", tally.right, tally.wrong);
	assert_int_equal(tally.wrong, 0);
}

/* Finds the folder; false if there is none. */
static bool find_folder(void)
{
	static const char *const packaged[] = {PACKAGED "draft2020-12", PACKAGED "draft7"};
	const char *named = getenv("APD_SCHEMA_SUITE");
	char probe[500];

	for (size_t i = 0; i < (named ? 1 : APD_COUNT(packaged)); i++) {
		snprintf(folder, sizeof(folder), "%s", named ? named : packaged[i]);
		snprintf(probe, sizeof(probe), "%s/type.json", folder);
		if (access(probe, R_OK) == 0)
			return true;
	}
	return false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keywords_are_as_the_suite_says),
		cmocka_unit_test(formats_are_as_the_suite_says),
	};

	if (!find_folder()) {
		printf("skipped: no JSON Schema test suite here\n");
		return 77;
	}
	printf("the suite in %s\n", folder);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
