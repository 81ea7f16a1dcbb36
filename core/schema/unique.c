/* uniqueItems: items are told apart by hashes, so that many items take no time to speak of. */
#include <stdlib.h>

#include "base/alloc.h"
#include "schema/internal.h"

#define ON_STACK 64

struct item {
	uint64_t hash;
	uint32_t token;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * 0x9e3779b97f4a7c15u;
	return a ^ (a >> 32);
}

/* A hash that is the same for equal values, however they are written. */
static uint64_t hash_value(struct schema_check *c, uint32_t i)
{
	const struct apd_json *doc = c->doc;
	uint64_t hash = apd_json_type(doc, i);
	struct schema_number n;

	switch (apd_json_type(doc, i)) {
	case APD_JSON_INTEGER:
	case APD_JSON_REAL:
		n = apd_schema_number_read(apd_json_slice(doc, i));
		return mix(mix(APD_JSON_REAL + n.negative, n.mantissa), (uint32_t)n.exponent);
	case APD_JSON_STRING:
		return mix(hash, apd_hash(apd_schema_string(c, i)));
	case APD_JSON_ARRAY:
		apd_json_each_item (doc, i, item)
			hash = mix(hash, hash_value(c, item));
		return hash;
	case APD_JSON_OBJECT:
		apd_json_each_member (doc, i, k)
			hash += mix(hash_value(c, k), hash_value(c, k + 1));
		return hash;
	default:
		return hash;
	}
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* True if no two neighbours of the sorted items are equal. */
static bool neighbours_differ(struct schema_check *c, const struct item *items, size_t count)
{
	for (size_t n = 1; n < count; n++) {
		uint32_t a = items[n - 1].token, b = items[n].token;

		if (items[n].hash != items[n - 1].hash)
			continue;
		if (!apd_schema_spend(c, c->doc->toks[a].next - a) ||
			apd_json_equal(c->doc, a, c->doc, b))
			return false;
	}
	return true;
}

bool apd_schema_items_differ(struct schema_check *c, uint32_t i)
{
	const struct apd_json_tok *tok = &c->doc->toks[i];
	struct item on_stack[ON_STACK], *items = on_stack;
	size_t count = 0;
	bool differ;

	/* Every token is hashed, and every byte of a string. */
	if (!apd_schema_spend(c, (int64_t)(tok->next - i) * 4 + tok->len / 64))
		return false;
	apd_json_each_item (c->doc, i, item)
		count++;
	if (count > ON_STACK)
		items = apd_malloc(count * sizeof(*items));
	count = 0;
	apd_json_each_item (c->doc, i, item)
		items[count++] = (struct item){hash_value(c, item), item};
	qsort(items, count, sizeof(*items), compare_items);
	differ = neighbours_differ(c, items, count);
	if (items != on_stack)
		free(items);
	return differ;
}
