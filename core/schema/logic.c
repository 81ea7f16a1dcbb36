/* The keywords that apply schemas to the value itself: allOf, anyOf, oneOf, not, if, $ref. */
#include "base/alloc.h"
#include "schema/internal.h"

/* The node of a keyword that is a schema, or NULL. */
static const struct schema_node *keyword_node(
	struct schema_compile *c, const struct schema_node *node, uint32_t token)
{
	return token ? apd_schema_node_at(c, token, node->resource) : NULL;
}

int apd_schema_logic_compile(struct schema_compile *c, struct schema_node *node, const uint32_t *kw)
{
	struct schema_logic *logic;
	int r = 0;

	if (!kw[KW_ALL_OF] && !kw[KW_ANY_OF] && !kw[KW_ONE_OF] && !kw[KW_NOT] && !kw[KW_IF] &&
		!kw[KW_DEPENDENT_SCHEMAS])
		return 0;
	logic = node->logic = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*logic));
	logic->not_ = keyword_node(c, node, kw[KW_NOT]);
	logic->if_ = keyword_node(c, node, kw[KW_IF]);
	logic->then_ = keyword_node(c, node, kw[KW_THEN]);
	logic->else_ = keyword_node(c, node, kw[KW_ELSE]);
	if (kw[KW_ALL_OF])
		r = apd_schema_compile_list(c, node, kw[KW_ALL_OF], &logic->all, &logic->all_count);
	if (r == 0 && kw[KW_ANY_OF])
		r = apd_schema_compile_list(c, node, kw[KW_ANY_OF], &logic->any, &logic->any_count);
	if (r == 0 && kw[KW_ONE_OF])
		r = apd_schema_compile_list(c, node, kw[KW_ONE_OF], &logic->one, &logic->one_count);
	if (r == 0)
		r = apd_schema_dependents_compile(c, node, kw[KW_DEPENDENT_SCHEMAS], true,
			&logic->dependents, &logic->dependent_count);
	return r;
}

static bool check_any(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_logic *logic = node->logic;

	for (size_t n = 0; n < logic->any_count; n++)
		if (apd_schema_node_try(c, logic->any[n], i))
			return true;
	return apd_schema_union_fail(c, node, logic->any, logic->any_count, i);
}

static bool check_one(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_logic *logic = node->logic;
	size_t found = 0;

	for (size_t n = 0; n < logic->one_count && found < 2 && !c->exhausted; n++)
		found += apd_schema_node_try(c, logic->one[n], i);
	if (found == 1)
		return true;
	if (found == 2)
		return apd_schema_fail(
			c, node, i, "matches more than one form where only one may match");
	return apd_schema_union_fail(c, node, logic->one, logic->one_count, i);
}

static bool check_if(struct schema_check *c, const struct schema_logic *logic, uint32_t i)
{
	const struct schema_node *next =
		apd_schema_node_try(c, logic->if_, i) ? logic->then_ : logic->else_;

	return !next || apd_schema_node_check(c, next, i);
}

/* Checks "dependentSchemas". */
static bool check_dependents(struct schema_check *c, const struct schema_logic *logic, uint32_t o)
{
	if (apd_json_type(c->doc, o) != APD_JSON_OBJECT)
		return true;
	for (size_t n = 0; n < logic->dependent_count; n++) {
		const struct schema_dependent *d = &logic->dependents[n];

		if (!apd_schema_spend(c, c->doc->toks[o].count + 1))
			return false;
		if (apd_json_member(c->doc, o, d->name) && !apd_schema_node_check(c, d->node, o))
			return false;
	}
	return true;
}

bool apd_schema_logic_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_logic *logic = node->logic;

	if (logic->ref && !apd_schema_node_check(c, logic->ref, i))
		return false;
	if (logic->dynamic_ref && !apd_schema_node_check(c, logic->dynamic_ref, i))
		return false;
	for (size_t n = 0; n < logic->all_count; n++)
		if (!apd_schema_node_check(c, logic->all[n], i))
			return false;
	if (logic->any_count && !check_any(c, node, i))
		return false;
	if (logic->one_count && !check_one(c, node, i))
		return false;
	if (logic->not_ && apd_schema_node_try(c, logic->not_, i))
		return apd_schema_fail(c, node, i, "matches what it must not match");
	if (logic->if_ && !check_if(c, logic, i))
		return false;
	return check_dependents(c, logic, i);
}
