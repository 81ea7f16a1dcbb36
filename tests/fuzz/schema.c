/*
 * Fuzz target: a schema, a NUL, and a value to be checked with it. Compiling
 * and checking come to an end, and say why whenever they refuse.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process if something that has to hold does not. */
static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Checks the first values of the document with the schema. */
static void check_all(const struct apd_schema *schema, const struct apd_json *doc)
{
	for (uint32_t i = 0; i < doc->count && i < 2; i++) {
		struct apd_schema_error error = {{0}, {0}};
		int r = apd_schema_check(schema, doc, i, &error);

		must((r == 0) == (error.message[0] == '\0'));
		/* Wording an error takes steps too, so only this direction holds. */
		must(r != 0 || apd_schema_check(schema, doc, i, NULL) == 0);
	}
	for (size_t n = 0; apd_schema_property(schema, n).ptr; n++)
		must(n < 100000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *nul = size ? memchr(text, '\0', size) : NULL;
	struct apd_str value = APD_STR("{\"a\":[1,\"b\",null]}");
	struct apd_schema_error error = {{0}, {0}};
	struct apd_schema *schema = NULL;
	struct apd_json doc = {0};

	if (nul) {
		value = (struct apd_str){nul + 1, size - (size_t)(nul - text) - 1};
		size = (size_t)(nul - text);
	}
	if (apd_schema_compile((struct apd_str){text ? text : "", size}, &schema, &error) < 0)
		must(error.message[0] != '\0' && !schema);
	else if (apd_json_scan(&doc, value) == 0)
		check_all(schema, &doc);
	apd_schema_destroy(schema);
	apd_json_finish(&doc);
	return 0;
}
