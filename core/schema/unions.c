/*
 * anyOf and oneOf: which of several complaints to report when no branch
 * matches, and the shortcut for branches that are but types.
 */
#include "schema/internal.h"

#define MAX_BRANCHES 32 /* whose complaints are looked into */

/* True if all that the node says is a type. */
static bool is_type_only(const struct schema_node *node)
{
	return !node->alias && !node->free && !node->never && !node->values && !node->object &&
		!node->array && !node->string && !node->number && !node->logic;
}

void apd_schema_fold_unions(struct schema_compile *c)
{
	for (size_t i = 0; i < c->node_count; i++) {
		struct schema_node *node = c->nodes[i];
		struct schema_logic *logic = node->logic;
		uint32_t types = 0;
		size_t n = 0;

		if (!logic || node->types != SCHEMA_TYPE_ANY)
			continue;
		for (; n < logic->any_count && is_type_only(logic->any[n]); n++)
			types |= logic->any[n]->types;
		if (n == 0 || n < logic->any_count)
			continue;
		node->types = types;
		logic->any_count = 0;
		if (!logic->ref && !logic->dynamic_ref && !logic->all_count && !logic->one_count &&
			!logic->not_ && !logic->if_ && !logic->dependent_count)
			node->logic = NULL;
	}
}

/* The types of a node's own keywords and of what it refers to. */
static uint32_t expected_types(const struct schema_node *node, unsigned depth)
{
	uint32_t types, any = 0;

	while (node->alias)
		node = node->alias;
	types = node->never ? 0 : node->types;
	if (!node->logic || depth == 0)
		return types;
	if (node->logic->ref)
		types &= expected_types(node->logic->ref, depth - 1);
	for (size_t n = 0; n < node->logic->all_count; n++)
		types &= expected_types(node->logic->all[n], depth - 1);
	for (size_t n = 0; n < node->logic->any_count; n++)
		any |= expected_types(node->logic->any[n], depth - 1);
	return node->logic->any_count ? types & any : types;
}

uint32_t apd_schema_expected_types(const struct schema_node *node)
{
	return expected_types(node, 4);
}

/* What was learnt of the branches that admit the type of the value. */
struct complaints {
	const struct schema_node *last; /* the last branch that may have been meant */
	size_t count; /* how many may have been meant */
	/* branches that were not meant, for a value in them (a "kind", say) is another */
	const struct schema_node *told_apart[MAX_BRANCHES];
	size_t told_apart_count;
	uint32_t token;
	bool same_token;
};

/* Tries a branch again to see where it fails. */
static void look_into(struct schema_check *c, const struct schema_node *branch, uint32_t i,
	struct complaints *ret)
{
	c->failed = i;
	c->failed_node = NULL;
	apd_schema_node_try(c, branch, i);
	if (!c->failed_node || !c->failed_node->values || c->exhausted) {
		ret->last = branch;
		ret->count++;
		return;
	}
	if (ret->told_apart_count == 0)
		ret->token = c->failed;
	ret->same_token &= ret->token == c->failed;
	if (ret->told_apart_count < MAX_BRANCHES)
		ret->told_apart[ret->told_apart_count++] = c->failed_node;
}

bool apd_schema_union_fail(struct schema_check *c, const struct schema_node *node,
	const struct schema_node *const *branches, size_t count, uint32_t i)
{
	struct complaints found = {.same_token = true};
	uint32_t types = 0;

	if (c->quiet || c->exhausted)
		return apd_schema_fail(c, node, i, "matches none of the allowed forms");
	for (size_t n = 0; n < count; n++) {
		uint32_t admitted = apd_schema_expected_types(branches[n]);

		types |= admitted;
		if (apd_schema_type_matches(admitted, c->doc, i))
			look_into(c, branches[n], i, &found);
	}
	if (!apd_schema_type_matches(types, c->doc, i))
		return apd_schema_fail_types(c, node, i, types);
	if (found.count == 1)
		return apd_schema_node_check(c, found.last, i);
	if (found.count == 0 && found.same_token)
		return apd_schema_fail_values(
			c, node, found.token, found.told_apart, found.told_apart_count);
	return apd_schema_fail(c, node, i, "matches none of the %zu allowed forms", count);
}
