/* Duplicate keys: a part of the JSON scanner, of no use to others. */
#ifndef APD_BASE_JSON_KEYS_H
#define APD_BASE_JSON_KEYS_H

#include "base/json_scan.h"

/* True if the key, the last token so far, is also an earlier one of the object; for small objects. */
bool apd_json_key_seen(const struct apd_json *json, uint32_t object, uint32_t key);

/*
 * The first key of a large object that repeats an earlier one, or 0. The object
 * is the last token with all that follows it; `keys` is how many it has.
 */
uint32_t apd_json_repeated_key(struct apd_json *json, uint32_t object, uint32_t keys);

#endif
