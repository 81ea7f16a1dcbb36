/* Checking a value: a node's keywords one group after another, within a budget of steps. */
#include <errno.h>
#include <stdio.h>

#include "schema/internal.h"

/* What any value may take, and what each of its tokens and bytes adds. */
#define STEPS_BASE      1000000
#define STEPS_PER_TOKEN 8
#define STEPS_PER_BYTE  1

bool apd_schema_type_matches(uint32_t types, const struct apd_json *doc, uint32_t i)
{
	enum apd_json_type type = apd_json_type(doc, i);
	struct schema_number n;

	if (types & SCHEMA_TYPE(type))
		return true;
	if (type != APD_JSON_REAL || !(types & SCHEMA_WHOLE_REAL))
		return false;
	n = apd_schema_number_read(apd_json_slice(doc, i));
	return apd_schema_number_whole(&n);
}

/* Asserts the keywords beside "type". */
static bool check_rules(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	if (node->values && !apd_schema_values_check(c, node, i))
		return false;
	switch (apd_json_type(c->doc, i)) {
	case APD_JSON_OBJECT:
		if (node->object && !apd_schema_object_check(c, node, i))
			return false;
		break;
	case APD_JSON_ARRAY:
		if (node->array && !apd_schema_array_check(c, node, i))
			return false;
		break;
	case APD_JSON_STRING:
		if (node->string && !apd_schema_string_check(c, node, i))
			return false;
		break;
	case APD_JSON_INTEGER:
	case APD_JSON_REAL:
		if (node->number && !apd_schema_number_check(c, node, i))
			return false;
		break;
	default:
		break;
	}
	if (node->logic && !apd_schema_logic_check(c, node, i))
		return false;
	return apd_schema_unevaluated_check(c, node, i);
}

bool apd_schema_node_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	bool ok;

	while (node->alias)
		node = node->alias;
	if (node->free)
		return true;
	if (!apd_schema_spend(c, 1))
		return false;
	if (c->depth == SCHEMA_MAX_DEPTH) {
		c->exhausted = true;
		return false;
	}
	if (node->never)
		return apd_schema_fail(c, node, i, "no value is allowed here");
	if (!apd_schema_type_matches(node->types, c->doc, i))
		return apd_schema_fail_types(c, node, i, node->types);
	c->depth++;
	ok = check_rules(c, node, i);
	c->depth--;
	return ok && !c->exhausted;
}

int apd_schema_check(const struct apd_schema *schema, const struct apd_json *doc, uint32_t i,
	struct apd_schema_error *error)
{
	const struct apd_json_tok *tok = &doc->toks[i];
	struct schema_check c = {
		.doc = doc,
		.root = i,
		.error = error,
		.quiet = !error,
		.steps = STEPS_BASE + (int64_t)(tok->next - i) * STEPS_PER_TOKEN +
			(int64_t)tok->len * STEPS_PER_BYTE,
	};
	bool ok = apd_schema_node_check(&c, schema->root, i);

	if (c.exhausted && error) {
		error->path[0] = '\0';
		snprintf(error->message, sizeof(error->message),
			"the value is too complex to be checked");
	}
	apd_buf_finish(&c.scratch);
	apd_schema_pattern_finish(&c);
	return ok && !c.exhausted ? 0 : -EINVAL;
}
