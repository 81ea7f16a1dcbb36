/* The keywords enum and const. */
#include <stdlib.h>

#include "base/alloc.h"
#include "schema/internal.h"

/* The order of words: short ones first, which settles most comparisons. */
static int compare_words(const void *a, const void *b)
{
	const struct apd_str *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->len ? memcmp(x->ptr, y->ptr, x->len) : 0;
}

/* Keeps the strings of an enum unescaped, if it has nothing but strings. */
static void keep_words(struct schema_compile *c, struct schema_values *values)
{
	const struct apd_json *json = &values->json;
	size_t n = 0;

	if (values->is_const)
		return;
	apd_json_each_item (json, 0, i)
		if (apd_json_type(json, i) != APD_JSON_STRING)
			return;
	values->words = apd_schema_alloc(&c->schema->blocks, values->count, sizeof(*values->words));
	apd_json_each_item (json, 0, i)
		values->words[n++] =
			apd_schema_copy(&c->schema->blocks, apd_json_string(json, i, &c->scratch));
	if (n)
		qsort(values->words, n, sizeof(*values->words), compare_words);
}

/* Adds the value of one of the keywords to the node. */
static int add_values(
	struct schema_compile *c, struct schema_node *node, uint32_t token, bool is_const)
{
	struct schema_values *values;
	struct apd_str text;

	if (!token)
		return 0;
	if (!is_const && apd_json_type(c->doc, token) != APD_JSON_ARRAY)
		return apd_schema_refuse(c, token, "expected an array of values");
	values = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*values));
	values->is_const = is_const;
	values->next = node->values;
	values->next_all = c->schema->values;
	node->values = c->schema->values = values;
	/* The document may go away, so the values get a text of their own. */
	text = apd_json_slice(c->doc, token);
	values->text = apd_strndup(text.ptr, text.len);
	if (apd_json_scan(&values->json, (struct apd_str){values->text, text.len}) < 0)
		return apd_schema_refuse(c, token, "%s", values->json.error);
	values->count = is_const;
	if (!is_const)
		apd_json_each_item (&values->json, 0, i)
			values->count++;
	keep_words(c, values);
	return 0;
}

int apd_schema_values_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw)
{
	int r = add_values(c, node, kw[KW_CONST], true);

	return r < 0 ? r : add_values(c, node, kw[KW_ENUM], false);
}

/* True if string i is one of the words. */
static bool is_word(struct schema_check *c, const struct schema_values *values, uint32_t i)
{
	struct apd_str s;

	if (apd_json_type(c->doc, i) != APD_JSON_STRING)
		return false;
	s = apd_schema_string(c, i);
	return bsearch(&s, values->words, values->count, sizeof(s), compare_words) != NULL;
}

/* True if value i is among the values. */
static bool is_among(struct schema_check *c, const struct schema_values *values, uint32_t i)
{
	if (values->words)
		return is_word(c, values, i);
	/* Comparing stops at the first difference: it cannot cost more than the value here. */
	if (!apd_schema_spend(c, 1 + values->json.count / 8))
		return false;
	if (values->is_const)
		return apd_json_equal(c->doc, i, &values->json, 0);
	apd_json_each_item (&values->json, 0, n)
		if (apd_json_equal(c->doc, i, &values->json, n))
			return true;
	return false;
}

bool apd_schema_values_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	for (const struct schema_values *v = node->values; v; v = v->next)
		if (!is_among(c, v, i))
			return apd_schema_fail_values(c, node, i, &node, 1);
	return true;
}
