/*
 * How the scanner finds keys that an object has twice: by looking at all earlier
 * ones in a small object, with a hash table in a large one, so that hostile
 * texts take no more time than others. The hash has a secret seed.
 */
#include "base/json_keys.h"

#include "base/alloc.h"
#include "base/map.h"

bool apd_json_key_seen(const struct apd_json *json, uint32_t object, uint32_t key)
{
	const struct apd_json_tok *toks = json->toks, *tok = &toks[key];

	for (uint32_t k = object + 1; k < key; k = toks[k + 1].next) {
		if (toks[k].escaped || tok->escaped) {
			if (apd_json_same_string(json, k, json, key))
				return true;
		} else if (toks[k].len == tok->len &&
			!memcmp(json->text.ptr + toks[k].start, json->text.ptr + tok->start,
				tok->len)) {
			return true;
		}
	}
	return false;
}

/* Makes the scratch at least so many words big. */
static void reserve_scratch(struct apd_json *json, size_t words)
{
	if (words <= json->scratch_cap)
		return;
	json->scratch = apd_realloc(json->scratch, words * sizeof(*json->scratch));
	json->scratch_cap = (uint32_t)words;
}

/* The hash of a key as it is unescaped, which happens behind the first `used` words of scratch. */
static uint32_t hash_key(struct apd_json *json, uint32_t key, size_t used)
{
	const struct apd_json_tok *tok = &json->toks[key];
	struct apd_str text = {json->text.ptr + tok->start + 1, tok->len - 2};

	if (tok->escaped) {
		char *out;

		reserve_scratch(json, used + text.len / sizeof(uint32_t) + 1);
		out = (char *)(json->scratch + used);
		text = (struct apd_str){out, apd_json_unescape_to(json, key, out)};
	}
	return (uint32_t)(apd_hash(text) >> 32);
}

/* The scratch is a hash table of slots of two words: a key's index (0: free) and its hash. */
uint32_t apd_json_repeated_key(struct apd_json *json, uint32_t object, uint32_t keys)
{
	size_t slots = 64;

	while (slots < (size_t)keys * 2)
		slots *= 2;
	reserve_scratch(json, slots * 2);
	memset(json->scratch, 0, slots * 2 * sizeof(*json->scratch));
	for (uint32_t k = object + 1; k < json->count; k = json->toks[k + 1].next) {
		uint32_t hash = hash_key(json, k, slots * 2);
		uint32_t *slot;

		for (size_t i = hash & (slots - 1);; i = (i + 1) & (slots - 1)) {
			slot = &json->scratch[i * 2];
			if (slot[0] == 0)
				break;
			if (slot[1] == hash && apd_json_same_string(json, slot[0], json, k))
				return k;
		}
		slot[0] = k;
		slot[1] = hash;
	}
	return 0;
}
