/* The keywords for arrays. */
#include "base/alloc.h"
#include "schema/internal.h"

/* The node of a keyword that is a schema, or NULL. */
static const struct schema_node *keyword_node(
	struct schema_compile *c, const struct schema_node *node, uint32_t token)
{
	return token ? apd_schema_node_at(c, token, node->resource) : NULL;
}

/* Reads the keywords that are counts or a truth. */
static int compile_limits(
	struct schema_compile *c, struct schema_array_rules *rules, const uint32_t *kw)
{
	int r = apd_schema_compile_count(c, kw[KW_MIN_CONTAINS], &rules->min_contains);

	if (r == 0)
		r = apd_schema_compile_count(c, kw[KW_MAX_CONTAINS], &rules->max_contains);
	if (r == 0)
		r = apd_schema_compile_count(c, kw[KW_MIN_ITEMS], &rules->min_items);
	if (r == 0)
		r = apd_schema_compile_count(c, kw[KW_MAX_ITEMS], &rules->max_items);
	if (r == 0 && kw[KW_UNIQUE_ITEMS]) {
		enum apd_json_type type = apd_json_type(c->doc, kw[KW_UNIQUE_ITEMS]);

		if (type != APD_JSON_TRUE && type != APD_JSON_FALSE)
			r = apd_schema_refuse(c, kw[KW_UNIQUE_ITEMS], "expected true or false");
		rules->unique = type == APD_JSON_TRUE;
	}
	return r;
}

int apd_schema_array_compile(struct schema_compile *c, struct schema_node *node, const uint32_t *kw)
{
	struct schema_array_rules *rules;

	if (!kw[KW_ITEMS] && !kw[KW_PREFIX_ITEMS] && !kw[KW_CONTAINS] && !kw[KW_MIN_ITEMS] &&
		!kw[KW_MAX_ITEMS] && !kw[KW_UNIQUE_ITEMS] && !kw[KW_UNEVALUATED_ITEMS])
		return 0;
	rules = node->array = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*rules));
	rules->min_contains = 1;
	rules->max_contains = rules->max_items = SCHEMA_NO_LIMIT;
	rules->items = keyword_node(c, node, kw[KW_ITEMS]);
	rules->contains = keyword_node(c, node, kw[KW_CONTAINS]);
	rules->unevaluated = keyword_node(c, node, kw[KW_UNEVALUATED_ITEMS]);
	if (kw[KW_PREFIX_ITEMS]) {
		int r = apd_schema_compile_list(
			c, node, kw[KW_PREFIX_ITEMS], &rules->prefix, &rules->prefix_count);

		if (r < 0)
			return r;
	}
	return compile_limits(c, rules, kw);
}

/* Checks "prefixItems" and "items". */
static bool check_items(struct schema_check *c, const struct schema_array_rules *rules, uint32_t a)
{
	size_t n = 0;

	apd_json_each_item (c->doc, a, i) {
		const struct schema_node *node =
			n < rules->prefix_count ? rules->prefix[n] : rules->items;

		if (!node)
			break;
		if (!apd_schema_spend(c, 1) || !apd_schema_node_check(c, node, i))
			return false;
		n++;
	}
	return true;
}

/* Checks "contains" with its counts. */
static bool check_contains(struct schema_check *c, const struct schema_node *node, uint32_t a)
{
	const struct schema_array_rules *rules = node->array;
	size_t found = 0;

	if (rules->min_contains == 0 && rules->max_contains == SCHEMA_NO_LIMIT)
		return true;
	apd_json_each_item (c->doc, a, i) {
		if (!apd_schema_spend(c, 1))
			return false;
		found += apd_schema_node_try(c, rules->contains, i);
		if (found > rules->max_contains)
			return apd_schema_fail(c, node, a,
				"more than %zu of the items match \"contains\"",
				rules->max_contains);
		if (found >= rules->min_contains && rules->max_contains == SCHEMA_NO_LIMIT)
			return true;
	}
	if (found >= rules->min_contains)
		return true;
	return apd_schema_fail(c, node, a,
		"expected at least %zu items that match \"contains\", got %zu", rules->min_contains,
		found);
}

bool apd_schema_array_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_array_rules *rules = node->array;
	size_t count = c->doc->toks[i].count;

	if (count < rules->min_items)
		return apd_schema_fail(c, node, i, "expected at least %zu items, got %zu",
			rules->min_items, count);
	if (count > rules->max_items)
		return apd_schema_fail(
			c, node, i, "expected at most %zu items, got %zu", rules->max_items, count);
	if ((rules->items || rules->prefix_count) && !check_items(c, rules, i))
		return false;
	if (rules->contains && !check_contains(c, node, i))
		return false;
	if (rules->unique && !apd_schema_items_differ(c, i))
		return apd_schema_fail(c, node, i, "expected items that are all different");
	return true;
}
