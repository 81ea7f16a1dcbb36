/* The JSON scanner on any bytes, with jansson as the judge. */
#include <stdio.h>
#include <stdlib.h>

#include "json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One struct for all inputs: what a scan leaves behind must not matter to the next. */
static struct apd_json json;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *trouble = json_oracle_check(&json, (struct apd_str){(const char *)data, size});

	if (trouble) {
		fprintf(stderr, "%s\n", trouble);
		abort();
	}
	return 0;
}
