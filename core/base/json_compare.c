/*
 * Equality and containment of scanned values. The recursion is as deep as the
 * values are nested, which the scanner bounds.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_scan.h"

/* Objects with more members are looked up in by way of sorted keys. */
#define SMALL_OBJECT 16

typedef bool (*match_fn)(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j);

/* True if two values that are not both arrays or both objects are equal. */
static bool same_scalar(const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j)
{
	enum apd_json_type s = apd_json_type(a, i), t = apd_json_type(b, j);
	bool numbers = (s == APD_JSON_INTEGER || s == APD_JSON_REAL) &&
		(t == APD_JSON_INTEGER || t == APD_JSON_REAL);

	if (numbers)
		return apd_json_compare_numbers(a, i, b, j) == 0;
	if (s == APD_JSON_STRING && t == APD_JSON_STRING)
		return apd_json_same_string(a, i, b, j);
	return s == t;
}

static int compare_keys(const void *a, const void *b, void *data)
{
	const uint32_t *i = a, *j = b;

	return apd_json_compare_strings(data, *i, data, *j);
}

/* The keys from index `from` to `end`, sorted; free() them. */
static uint32_t *sort_keys(
	const struct apd_json *json, uint32_t from, uint32_t end, size_t *ret_count)
{
	size_t count = 0;
	uint32_t *keys;

	for (uint32_t k = from; k < end; k = json->toks[k + 1].next)
		count++;
	keys = apd_malloc(count * sizeof(*keys));
	count = 0;
	for (uint32_t k = from; k < end; k = json->toks[k + 1].next)
		keys[count++] = k;
	qsort_r(keys, count, sizeof(*keys), compare_keys, (void *)json);
	*ret_count = count;
	return keys;
}

/* The rest of match_members for large objects: keys sorted, then side by side. */
static bool match_sorted(const struct apd_json *a, uint32_t k, uint32_t a_end,
	const struct apd_json *b, uint32_t l, uint32_t b_end, match_fn match)
{
	size_t n, m, at = 0, matched = 0;
	uint32_t *haystack = sort_keys(a, k, a_end, &n), *needles = sort_keys(b, l, b_end, &m);

	while (matched < m && at < n) {
		uint32_t hay = haystack[at++], needle = needles[matched];
		int order = apd_json_compare_strings(a, hay, b, needle);

		if (order > 0 || (order == 0 && !match(a, hay + 1, b, needle + 1)))
			break;
		matched += order == 0;
	}
	free(haystack);
	free(needles);
	return matched == m;
}

/* True if each member of object j of b has its match under the same key of object i of a. */
static bool match_members(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j, match_fn match)
{
	uint32_t from = i + 1, l = j + 1, a_end = a->toks[i].next, b_end = b->toks[j].next;

	/* Mostly the same program wrote both, so that the keys come in the same order. */
	while (from < a_end && l < b_end && apd_json_same_string(a, from, b, l)) {
		if (!match(a, from + 1, b, l + 1))
			return false;
		from = a->toks[from + 1].next;
		l = b->toks[l + 1].next;
	}
	/* Keys are unique: the rest of b has its matches in the rest of a. */
	if (l < b_end && a->toks[i].count > SMALL_OBJECT && b->toks[j].count > SMALL_OBJECT)
		return match_sorted(a, from, a_end, b, l, b_end, match);
	for (; l < b_end; l = b->toks[l + 1].next) {
		uint32_t k = from;

		while (k < a_end && !apd_json_same_string(a, k, b, l))
			k = a->toks[k + 1].next;
		if (k >= a_end || !match(a, k + 1, b, l + 1))
			return false;
	}
	return true;
}

bool apd_json_equal(const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j)
{
	const struct apd_json_tok *x = &a->toks[i], *y = &b->toks[j];

	if (x->type == APD_JSON_ARRAY && y->type == APD_JSON_ARRAY) {
		uint32_t k = i + 1, l = j + 1;

		while (k < x->next && l < y->next) {
			if (!apd_json_equal(a, k, b, l))
				return false;
			k = a->toks[k].next;
			l = b->toks[l].next;
		}
		return k == x->next && l == y->next;
	}
	if (x->type == APD_JSON_OBJECT && y->type == APD_JSON_OBJECT)
		return x->count == y->count && match_members(a, i, b, j, apd_json_equal);
	return same_scalar(a, i, b, j);
}

bool apd_json_contains(const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j)
{
	enum apd_json_type s = apd_json_type(a, i), t = apd_json_type(b, j);

	if (s == APD_JSON_OBJECT && t == APD_JSON_OBJECT)
		return match_members(a, i, b, j, apd_json_contains);
	if (s != APD_JSON_ARRAY || t != APD_JSON_ARRAY)
		return same_scalar(a, i, b, j);
	apd_json_each_item (b, j, l) {
		uint32_t k = i + 1;

		while (k < a->toks[i].next && !apd_json_contains(a, k, b, l))
			k = a->toks[k].next;
		if (k >= a->toks[i].next)
			return false;
	}
	return true;
}
