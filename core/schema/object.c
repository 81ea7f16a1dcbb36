/* The keywords for objects. */
#include <stdlib.h>

#include "base/alloc.h"
#include "schema/internal.h"

/* The slot of a name, or the free one where it goes. */
static size_t find_slot(const struct schema_object_rules *rules, struct apd_str name, uint64_t hash)
{
	size_t slot = (size_t)hash & rules->slot_mask;

	for (; rules->slots[slot]; slot = (slot + 1) & rules->slot_mask) {
		const struct schema_name *entry = &rules->names[rules->slots[slot] - 1];

		if (entry->hash == hash && apd_str_eq(entry->name, name))
			break;
	}
	return slot;
}

const struct schema_name *apd_schema_object_name(
	const struct schema_object_rules *rules, struct apd_str key)
{
	uint32_t index;

	if (rules->name_count == 0)
		return NULL;
	index = rules->slots[find_slot(rules, key, apd_hash(key))];
	return index ? &rules->names[index - 1] : NULL;
}

/* The entry of a name, new if need be. */
static struct schema_name *add_name(struct schema_object_rules *rules, struct apd_str name)
{
	uint64_t hash = apd_hash(name);
	size_t slot = find_slot(rules, name, hash);

	if (!rules->slots[slot]) {
		rules->names[rules->name_count] = (struct schema_name){.name = name, .hash = hash};
		rules->slots[slot] = (uint32_t)++rules->name_count;
	}
	return &rules->names[rules->slots[slot] - 1];
}

/* Makes room for the names of "properties" and "required". */
static void reserve_names(
	struct schema_compile *c, struct schema_object_rules *rules, const uint32_t *kw)
{
	size_t count = 0, slots = 4;

	if (kw[KW_PROPERTIES])
		apd_json_each_member (c->doc, kw[KW_PROPERTIES], k)
			count++;
	if (kw[KW_REQUIRED])
		apd_json_each_item (c->doc, kw[KW_REQUIRED], i)
			count++;
	while (slots < count * 2)
		slots *= 2;
	rules->names = apd_schema_alloc(&c->schema->blocks, count, sizeof(*rules->names));
	rules->slots = apd_schema_alloc(&c->schema->blocks, slots, sizeof(*rules->slots));
	rules->slot_mask = slots - 1;
}

/* Refuses a keyword that is not of the type it has to be. */
static int need(struct schema_compile *c, uint32_t token, enum apd_json_type type)
{
	if (!token || apd_json_type(c->doc, token) == type)
		return 0;
	return apd_schema_refuse(
		c, token, "expected an %s", type == APD_JSON_OBJECT ? "object" : "array");
}

/* Reads "properties" and "required". */
static int compile_names(struct schema_compile *c, const struct schema_node *node,
	struct schema_object_rules *rules, const uint32_t *kw)
{
	int r = need(c, kw[KW_PROPERTIES], APD_JSON_OBJECT);

	if (r == 0)
		r = need(c, kw[KW_REQUIRED], APD_JSON_ARRAY);
	if (r < 0)
		return r;
	reserve_names(c, rules, kw);
	if (kw[KW_PROPERTIES])
		apd_json_each_member (c->doc, kw[KW_PROPERTIES], k)
			add_name(rules, apd_schema_compile_string(c, k))->node =
				apd_schema_node_at(c, k + 1, node->resource);
	rules->property_count = rules->name_count;
	if (!kw[KW_REQUIRED])
		return 0;
	apd_json_each_item (c->doc, kw[KW_REQUIRED], i) {
		struct schema_name *entry;

		if (apd_json_type(c->doc, i) != APD_JSON_STRING)
			return apd_schema_refuse(c, i, "expected the name of a member");
		entry = add_name(rules, apd_schema_compile_string(c, i));
		rules->required_count += !entry->required;
		entry->required = true;
	}
	return 0;
}

/* Reads "patternProperties". */
static int compile_patterns(struct schema_compile *c, const struct schema_node *node,
	struct schema_object_rules *rules, uint32_t token)
{
	size_t count = 0;
	int r = need(c, token, APD_JSON_OBJECT);

	if (!token || r < 0)
		return r;
	apd_json_each_member (c->doc, token, k)
		count++;
	rules->patterns = apd_schema_alloc(&c->schema->blocks, count, sizeof(*rules->patterns));
	apd_json_each_member (c->doc, token, k) {
		struct schema_pattern_property *p = &rules->patterns[rules->pattern_count++];

		r = apd_schema_pattern_compile(c, k, &p->pattern);
		if (r < 0)
			return r;
		p->node = apd_schema_node_at(c, k + 1, node->resource);
	}
	return 0;
}

/* Reads the names that one member of "dependentRequired" asks for. */
static int compile_required(
	struct schema_compile *c, struct schema_dependent *dependent, uint32_t token)
{
	size_t count = 0;
	int r = need(c, token, APD_JSON_ARRAY);

	if (r < 0)
		return r;
	apd_json_each_item (c->doc, token, i)
		count++;
	dependent->required =
		apd_schema_alloc(&c->schema->blocks, count, sizeof(*dependent->required));
	apd_json_each_item (c->doc, token, i) {
		if (apd_json_type(c->doc, i) != APD_JSON_STRING)
			return apd_schema_refuse(c, i, "expected the name of a member");
		dependent->required[dependent->required_count++] = apd_schema_compile_string(c, i);
	}
	return 0;
}

int apd_schema_dependents_compile(struct schema_compile *c, const struct schema_node *parent,
	uint32_t token, bool schemas, struct schema_dependent **ret, size_t *ret_count)
{
	struct schema_dependent *dependents;
	size_t count = 0;
	int r = need(c, token, APD_JSON_OBJECT);

	if (!token || r < 0)
		return r;
	apd_json_each_member (c->doc, token, k)
		count++;
	dependents = apd_schema_alloc(&c->schema->blocks, count, sizeof(*dependents));
	*ret = dependents;
	*ret_count = count;
	count = 0;
	apd_json_each_member (c->doc, token, k) {
		struct schema_dependent *dependent = &dependents[count++];

		dependent->name = apd_schema_compile_string(c, k);
		if (schemas)
			dependent->node = apd_schema_node_at(c, k + 1, parent->resource);
		else
			r = compile_required(c, dependent, k + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* True if any keyword for objects is there. */
static bool has_keywords(const uint32_t *kw)
{
	return kw[KW_PROPERTIES] || kw[KW_REQUIRED] || kw[KW_ADDITIONAL_PROPERTIES] ||
		kw[KW_PATTERN_PROPERTIES] || kw[KW_PROPERTY_NAMES] || kw[KW_MIN_PROPERTIES] ||
		kw[KW_MAX_PROPERTIES] || kw[KW_DEPENDENT_REQUIRED] || kw[KW_UNEVALUATED_PROPERTIES];
}

/* The node of a keyword that is a schema, or NULL. */
static const struct schema_node *keyword_node(
	struct schema_compile *c, const struct schema_node *node, uint32_t token)
{
	return token ? apd_schema_node_at(c, token, node->resource) : NULL;
}

int apd_schema_object_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw)
{
	struct schema_object_rules *rules;
	int r;

	if (!has_keywords(kw))
		return 0;
	rules = node->object = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*rules));
	rules->max_properties = SCHEMA_NO_LIMIT;
	rules->additional = keyword_node(c, node, kw[KW_ADDITIONAL_PROPERTIES]);
	rules->property_names = keyword_node(c, node, kw[KW_PROPERTY_NAMES]);
	rules->unevaluated = keyword_node(c, node, kw[KW_UNEVALUATED_PROPERTIES]);
	r = compile_names(c, node, rules, kw);
	if (r == 0)
		r = compile_patterns(c, node, rules, kw[KW_PATTERN_PROPERTIES]);
	if (r == 0)
		r = apd_schema_compile_count(c, kw[KW_MIN_PROPERTIES], &rules->min_properties);
	if (r == 0)
		r = apd_schema_compile_count(c, kw[KW_MAX_PROPERTIES], &rules->max_properties);
	if (r == 0)
		r = apd_schema_dependents_compile(c, node, kw[KW_DEPENDENT_REQUIRED], false,
			&rules->dependents, &rules->dependent_count);
	rules->walk = rules->name_count || rules->pattern_count || rules->additional ||
		rules->property_names;
	return r;
}

/* Checks the value of member k against the patterns its name matches. */
static bool check_patterns(
	struct schema_check *c, const struct schema_object_rules *rules, uint32_t k, bool *known)
{
	for (size_t n = 0; n < rules->pattern_count; n++) {
		const struct schema_pattern_property *p = &rules->patterns[n];

		/* The name is read again each time, for the check of a value may use the scratch. */
		if (!apd_schema_pattern_matches(c, p->pattern, apd_schema_string(c, k))) {
			if (c->exhausted)
				return false;
			continue;
		}
		*known = true;
		if (!apd_schema_node_check(c, p->node, k + 1))
			return false;
	}
	return true;
}

/* Checks a member that neither "properties" nor "patternProperties" know. */
static bool check_additional(
	struct schema_check *c, const struct schema_node *node, uint32_t o, uint32_t k)
{
	const struct schema_node *additional = node->object->additional;
	char quote[64];

	if (!additional->never)
		return apd_schema_node_check(c, additional, k + 1);
	return apd_schema_fail(
		c, node, o, "the member %s is not allowed", apd_schema_quote(c->doc, k, quote));
}

/* Names the first required member that is not there. */
static bool fail_missing(struct schema_check *c, const struct schema_node *node, uint32_t o)
{
	const struct schema_object_rules *rules = node->object;
	struct apd_str missing = APD_STR("");
	bool *found;

	if (c->quiet)
		return apd_schema_fail(c, node, o, "a member is missing");
	found = apd_calloc(rules->name_count, sizeof(*found));
	apd_json_each_member (c->doc, o, k) {
		const struct schema_name *entry =
			apd_schema_object_name(rules, apd_schema_string(c, k));

		if (entry)
			found[entry - rules->names] = true;
	}
	for (size_t n = rules->name_count; n-- > 0;)
		if (rules->names[n].required && !found[n])
			missing = rules->names[n].name;
	free(found);
	return apd_schema_fail(c, node, o, "the member \"%.*s\" is missing", APD_STR_FMT(missing));
}

/* Checks each member. */
static bool check_members(struct schema_check *c, const struct schema_node *node, uint32_t o)
{
	const struct schema_object_rules *rules = node->object;
	size_t required = 0;

	apd_json_each_member (c->doc, o, k) {
		const struct schema_name *entry =
			apd_schema_object_name(rules, apd_schema_string(c, k));
		bool known = entry && entry->node;

		if (!apd_schema_spend(c, 1))
			return false;
		required += entry && entry->required;
		if (known && !apd_schema_node_check(c, entry->node, k + 1))
			return false;
		if (rules->pattern_count && !check_patterns(c, rules, k, &known))
			return false;
		if (!known && rules->additional && !check_additional(c, node, o, k))
			return false;
		if (rules->property_names && !apd_schema_node_check(c, rules->property_names, k))
			return false;
	}
	return required == rules->required_count || fail_missing(c, node, o);
}

/* Checks "dependentRequired". */
static bool check_dependents(struct schema_check *c, const struct schema_node *node, uint32_t o)
{
	const struct schema_object_rules *rules = node->object;
	int64_t look_up = c->doc->toks[o].count + 1;

	for (size_t n = 0; n < rules->dependent_count; n++) {
		const struct schema_dependent *d = &rules->dependents[n];

		if (!apd_schema_spend(c, look_up))
			return false;
		if (!apd_json_member(c->doc, o, d->name))
			continue;
		for (size_t i = 0; i < d->required_count; i++) {
			if (!apd_schema_spend(c, look_up))
				return false;
			if (!apd_json_member(c->doc, o, d->required[i]))
				return apd_schema_fail(c, node, o,
					"the member \"%.*s\" is missing, which \"%.*s\" needs",
					APD_STR_FMT(d->required[i]), APD_STR_FMT(d->name));
		}
	}
	return true;
}

bool apd_schema_object_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_object_rules *rules = node->object;
	size_t count = c->doc->toks[i].count;

	if (rules->walk && !check_members(c, node, i))
		return false;
	if (rules->dependent_count && !check_dependents(c, node, i))
		return false;
	if (count < rules->min_properties)
		return apd_schema_fail(c, node, i, "expected at least %zu members, got %zu",
			rules->min_properties, count);
	if (count > rules->max_properties)
		return apd_schema_fail(c, node, i, "expected at most %zu members, got %zu",
			rules->max_properties, count);
	return true;
}
