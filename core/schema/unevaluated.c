/*
 * unevaluatedProperties and unevaluatedItems. Instead of collecting what each
 * keyword has looked at, which would cost every check, the question is asked
 * backwards, and only where one of the two keywords is used: is there a
 * keyword, here or in what applies to the same value, that looks at this child?
 */
#include "schema/internal.h"

/* A child of a container: member `token` (its key), or item `token`, the index-th. */
struct child {
	uint32_t container;
	uint32_t token;
	size_t index;
	bool item;
};

static bool looks_at(
	struct schema_check *c, const struct schema_node *node, const struct child *child);

/* True if one of the object's own keywords looks at the member. */
static bool object_looks_at(
	struct schema_check *c, const struct schema_object_rules *rules, const struct child *child)
{
	const struct schema_name *entry =
		apd_schema_object_name(rules, apd_schema_string(c, child->token));

	if ((entry && entry->node) || rules->additional)
		return true;
	for (size_t n = 0; n < rules->pattern_count; n++)
		if (apd_schema_pattern_matches(
			    c, rules->patterns[n].pattern, apd_schema_string(c, child->token)))
			return true;
	return false;
}

/* True if one of the array's own keywords looks at the item. */
static bool array_looks_at(
	struct schema_check *c, const struct schema_array_rules *rules, const struct child *child)
{
	return child->index < rules->prefix_count || rules->items ||
		(rules->contains && apd_schema_node_try(c, rules->contains, child->token));
}

/* True if a schema that matches the container looks at the child. */
static bool branch_looks_at(
	struct schema_check *c, const struct schema_node *branch, const struct child *child)
{
	return apd_schema_node_try(c, branch, child->container) && looks_at(c, branch, child);
}

/* True if one of several schemas that matches the container looks at the child. */
static bool any_looks_at(struct schema_check *c, const struct schema_node *const *branches,
	size_t count, const struct child *child)
{
	for (size_t n = 0; n < count; n++)
		if (branch_looks_at(c, branches[n], child))
			return true;
	return false;
}

/* True if what applies to the same container looks at the child. */
static bool logic_looks_at(
	struct schema_check *c, const struct schema_logic *logic, const struct child *child)
{
	if (logic->ref && looks_at(c, logic->ref, child))
		return true;
	if (logic->dynamic_ref && looks_at(c, logic->dynamic_ref, child))
		return true;
	for (size_t n = 0; n < logic->all_count; n++)
		if (looks_at(c, logic->all[n], child))
			return true;
	if (any_looks_at(c, logic->any, logic->any_count, child) ||
		any_looks_at(c, logic->one, logic->one_count, child))
		return true;
	if (logic->if_) {
		bool holds = apd_schema_node_try(c, logic->if_, child->container);
		const struct schema_node *next = holds ? logic->then_ : logic->else_;

		if ((holds && looks_at(c, logic->if_, child)) || (next && looks_at(c, next, child)))
			return true;
	}
	for (size_t n = 0; n < logic->dependent_count && !child->item; n++)
		if (apd_json_member(c->doc, child->container, logic->dependents[n].name) &&
			looks_at(c, logic->dependents[n].node, child))
			return true;
	return false;
}

/* True if a node, which matches the container, looks at the child. */
static bool looks_at(
	struct schema_check *c, const struct schema_node *node, const struct child *child)
{
	while (node->alias)
		node = node->alias;
	if (!apd_schema_spend(c, 1))
		return false;
	if (!child->item && node->object &&
		(node->object->unevaluated || object_looks_at(c, node->object, child)))
		return true;
	if (child->item && node->array &&
		(node->array->unevaluated || array_looks_at(c, node->array, child)))
		return true;
	return node->logic && logic_looks_at(c, node->logic, child);
}

/* True if something other than the node's own unevaluated keyword looks at the child. */
static bool is_evaluated(
	struct schema_check *c, const struct schema_node *node, const struct child *child)
{
	if (!child->item && object_looks_at(c, node->object, child))
		return true;
	if (child->item && array_looks_at(c, node->array, child))
		return true;
	return node->logic && logic_looks_at(c, node->logic, child);
}

static bool check_members(struct schema_check *c, const struct schema_node *node, uint32_t o)
{
	const struct schema_node *rest = node->object->unevaluated;
	char quote[64];

	apd_json_each_member (c->doc, o, k) {
		struct child child = {.container = o, .token = k};

		if (!apd_schema_spend(c, 1))
			return false;
		if (is_evaluated(c, node, &child))
			continue;
		if (rest->never)
			return apd_schema_fail(c, node, o, "the member %s is not allowed",
				apd_schema_quote(c->doc, k, quote));
		if (!apd_schema_node_check(c, rest, k + 1))
			return false;
	}
	return true;
}

static bool check_items(struct schema_check *c, const struct schema_node *node, uint32_t a)
{
	struct child child = {.container = a, .item = true};

	apd_json_each_item (c->doc, a, i) {
		child.token = i;
		if (!apd_schema_spend(c, 1))
			return false;
		if (!is_evaluated(c, node, &child) &&
			!apd_schema_node_check(c, node->array->unevaluated, i))
			return false;
		child.index++;
	}
	return true;
}

bool apd_schema_unevaluated_check(
	struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	enum apd_json_type type = apd_json_type(c->doc, i);

	if (type == APD_JSON_OBJECT && node->object && node->object->unevaluated)
		return check_members(c, node, i);
	if (type == APD_JSON_ARRAY && node->array && node->array->unevaluated)
		return check_items(c, node, i);
	return true;
}
