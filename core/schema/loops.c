/* Schemas that reach themselves without descending into the value would never come to an end. */
#include <errno.h>

#include "schema/internal.h"

static int visit(
	struct schema_compile *c, const struct schema_node *to, unsigned depth, unsigned *height);

static int visit_list(struct schema_compile *c, const struct schema_node *const *nodes,
	size_t count, unsigned depth, unsigned *height)
{
	int r = 0;

	for (size_t n = 0; n < count && r == 0; n++)
		r = visit(c, nodes[n], depth, height);
	return r;
}

/* Visits all that a node applies to the same value. */
static int visit_logic(struct schema_compile *c, const struct schema_logic *logic, unsigned depth,
	unsigned *height)
{
	const struct schema_node *single[] = {logic->ref, logic->dynamic_ref, logic->not_,
		logic->if_, logic->then_, logic->else_};
	int r = visit_list(c, single, sizeof(single) / sizeof(single[0]), depth, height);

	if (r == 0)
		r = visit_list(c, logic->all, logic->all_count, depth, height);
	if (r == 0)
		r = visit_list(c, logic->any, logic->any_count, depth, height);
	if (r == 0)
		r = visit_list(c, logic->one, logic->one_count, depth, height);
	for (size_t n = 0; n < logic->dependent_count && r == 0; n++)
		r = visit(c, logic->dependents[n].node, depth, height);
	return r;
}

/* Visits a node (NULL: nothing to visit) and what it leads to; raises *height to its height. */
static int visit(
	struct schema_compile *c, const struct schema_node *to, unsigned depth, unsigned *height)
{
	/* Nodes are handed out const, but they are the compiler's until it is done. */
	struct schema_node *node = to ? c->by_token[to->token] : NULL;
	unsigned below = 0;
	int r = 0;

	if (node && node->open)
		return apd_schema_refuse(c, node->token, "the schema refers to itself without end");
	if (node && !node->height) {
		node->open = true;
		if (depth > SCHEMA_MAX_DEPTH)
			r = -EINVAL;
		if (r == 0 && node->alias)
			r = visit(c, node->alias, depth + 1, &below);
		if (r == 0 && node->logic)
			r = visit_logic(c, node->logic, depth + 1, &below);
		node->open = false;
		node->height = (uint16_t)(below + 1);
		if (depth > SCHEMA_MAX_DEPTH || (r == 0 && below >= SCHEMA_MAX_DEPTH))
			r = apd_schema_refuse(
				c, node->token, "the schema refers on too many times");
	}
	if (node && r == 0 && *height < node->height)
		*height = node->height;
	return r;
}

int apd_schema_refuse_loops(struct schema_compile *c)
{
	unsigned height = 0;
	int r = 0;

	for (size_t i = 0; i < c->node_count && r == 0; i++)
		r = visit(c, c->nodes[i], 0, &height);
	return r;
}
