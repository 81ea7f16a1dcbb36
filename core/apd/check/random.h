/* Values made by chance that match a JSON Schema, always the same for the same seed. */
#ifndef APD_APD_CHECK_RANDOM_H
#define APD_APD_CHECK_RANDOM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/id.h"

/*
 * Adds a value that matches the schema (absent: any value) to out: the least
 * there is, or one of any size up to some hundred bytes. False, and out as it
 * was, when none could be made.
 */
bool apd_check_random(
	struct apd_id_gen *random, struct apd_str schema, bool least, struct apd_buf *out);

/* True if the value matches the schema; absent: any does. */
bool apd_check_matches(struct apd_str schema, struct apd_str value);

#endif
