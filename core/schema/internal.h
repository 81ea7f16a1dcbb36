/*
 * What the files of this room share. A schema is a graph of nodes, one for
 * each place of the document that is used as a schema; a node has a set of
 * rules for each group of keywords that it uses.
 *
 * A file of a group (object.c, array.c, ...) has both halves: *_compile reads
 * the group's keywords into rules, *_check asserts the rules on a value.
 */
#ifndef APD_SCHEMA_INTERNAL_H
#define APD_SCHEMA_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json_scan.h"
#include "base/map.h"
#include "base/str.h"
#include "schema/schema.h"

#define SCHEMA_KEYWORDS(X)                                 \
	X(REF, "$ref")                                     \
	X(DYNAMIC_REF, "$dynamicRef")                      \
	X(TYPE, "type")                                    \
	X(ENUM, "enum")                                    \
	X(CONST, "const")                                  \
	X(PROPERTIES, "properties")                        \
	X(REQUIRED, "required")                            \
	X(ADDITIONAL_PROPERTIES, "additionalProperties")   \
	X(PATTERN_PROPERTIES, "patternProperties")         \
	X(PROPERTY_NAMES, "propertyNames")                 \
	X(MIN_PROPERTIES, "minProperties")                 \
	X(MAX_PROPERTIES, "maxProperties")                 \
	X(DEPENDENT_REQUIRED, "dependentRequired")         \
	X(DEPENDENT_SCHEMAS, "dependentSchemas")           \
	X(UNEVALUATED_PROPERTIES, "unevaluatedProperties") \
	X(ITEMS, "items")                                  \
	X(PREFIX_ITEMS, "prefixItems")                     \
	X(CONTAINS, "contains")                            \
	X(MIN_CONTAINS, "minContains")                     \
	X(MAX_CONTAINS, "maxContains")                     \
	X(MIN_ITEMS, "minItems")                           \
	X(MAX_ITEMS, "maxItems")                           \
	X(UNIQUE_ITEMS, "uniqueItems")                     \
	X(UNEVALUATED_ITEMS, "unevaluatedItems")           \
	X(MINIMUM, "minimum")                              \
	X(MAXIMUM, "maximum")                              \
	X(EXCLUSIVE_MINIMUM, "exclusiveMinimum")           \
	X(EXCLUSIVE_MAXIMUM, "exclusiveMaximum")           \
	X(MULTIPLE_OF, "multipleOf")                       \
	X(MIN_LENGTH, "minLength")                         \
	X(MAX_LENGTH, "maxLength")                         \
	X(PATTERN, "pattern")                              \
	X(FORMAT, "format")                                \
	X(ALL_OF, "allOf")                                 \
	X(ANY_OF, "anyOf")                                 \
	X(ONE_OF, "oneOf")                                 \
	X(NOT, "not")                                      \
	X(IF, "if")                                        \
	X(THEN, "then")                                    \
	X(ELSE, "else")

enum schema_keyword {
#define X(name, word) KW_##name,
	SCHEMA_KEYWORDS(X)
#undef X
		KW_COUNT,
};

/* How deep checks may nest, counted in nodes: two to four of them a level of the value. */
#define SCHEMA_MAX_DEPTH 512

/* A bit for each enum apd_json_type, and one for reals without a fraction. */
#define SCHEMA_TYPE(type)   (1u << (type))
#define SCHEMA_WHOLE_REAL   (1u << 15)
#define SCHEMA_TYPE_NULL    SCHEMA_TYPE(APD_JSON_NULL)
#define SCHEMA_TYPE_BOOLEAN (SCHEMA_TYPE(APD_JSON_FALSE) | SCHEMA_TYPE(APD_JSON_TRUE))
#define SCHEMA_TYPE_INTEGER (SCHEMA_TYPE(APD_JSON_INTEGER) | SCHEMA_WHOLE_REAL)
#define SCHEMA_TYPE_NUMBER  (SCHEMA_TYPE_INTEGER | SCHEMA_TYPE(APD_JSON_REAL))
#define SCHEMA_TYPE_STRING  SCHEMA_TYPE(APD_JSON_STRING)
#define SCHEMA_TYPE_ARRAY   SCHEMA_TYPE(APD_JSON_ARRAY)
#define SCHEMA_TYPE_OBJECT  SCHEMA_TYPE(APD_JSON_OBJECT)
#define SCHEMA_TYPE_ANY                                                                     \
	(SCHEMA_TYPE_NULL | SCHEMA_TYPE_BOOLEAN | SCHEMA_TYPE_NUMBER | SCHEMA_TYPE_STRING | \
		SCHEMA_TYPE_ARRAY | SCHEMA_TYPE_OBJECT)

#define SCHEMA_NO_LIMIT SIZE_MAX
#define SCHEMA_NO_TOKEN UINT32_MAX

struct schema_node;

/* A decimal number: mantissa times ten to the exponent, without trailing zeros. */
struct schema_number {
	uint64_t mantissa;
	int32_t exponent;
	bool negative;
};

/* A limit of a number, with its text for messages. */
struct schema_bound {
	struct apd_str text; /* absent: no such limit */
	struct schema_number value;
};

struct schema_number_rules {
	struct schema_bound minimum, maximum, above, below, multiple_of;
};

struct schema_pattern {
	struct schema_pattern *next; /* in the schema, to be freed */
	void *code; /* pcre2_code */
	struct apd_str text;
	uint32_t in_vain; /* how many characters one item may look at and then not match */
	bool refers_back; /* to what a group matched */
};

/* A format that is asserted. */
struct schema_format {
	const char *name;
	const char *expected; /* "a UUID" */
	bool (*matches)(struct apd_str s);
};

struct schema_string_rules {
	size_t min_length, max_length; /* in code points */
	const struct schema_pattern *pattern;
	const struct schema_format *format;
};

/* The values of an enum or a const. */
struct schema_values {
	struct schema_values *next; /* of the same node, for enum beside const */
	struct schema_values *next_all; /* in the schema, to be freed */
	char *text;
	struct apd_json json; /* of text: the array of an enum, or the value of a const */
	bool is_const;
	struct apd_str *words; /* the values unescaped and sorted if all are strings, else NULL */
	size_t count;
};

struct schema_array_rules {
	const struct schema_node **prefix;
	size_t prefix_count;
	const struct schema_node *items, *contains, *unevaluated;
	size_t min_contains, max_contains;
	size_t min_items, max_items;
	bool unique;
};

/* A name that "properties" or "required" has. */
struct schema_name {
	struct apd_str name;
	uint64_t hash;
	const struct schema_node *node; /* NULL: only required */
	bool required;
};

struct schema_pattern_property {
	const struct schema_pattern *pattern;
	const struct schema_node *node;
};

/* What the presence of a member asks for: other members, or that the object matches a schema. */
struct schema_dependent {
	struct apd_str name;
	struct apd_str *required;
	size_t required_count;
	const struct schema_node *node;
};

struct schema_object_rules {
	struct schema_name *names; /* those of "properties" first, in their order */
	size_t name_count, property_count, required_count;
	uint32_t *slots; /* open addressing: index into names plus one; 0: free */
	size_t slot_mask;
	struct schema_pattern_property *patterns;
	size_t pattern_count;
	const struct schema_node *additional, *property_names, *unevaluated;
	struct schema_dependent *dependents; /* dependentRequired */
	size_t dependent_count;
	size_t min_properties, max_properties;
	bool walk; /* there is something to do for each member */
};

/* Schemas that apply to the value itself. */
struct schema_logic {
	const struct schema_node *ref, *dynamic_ref;
	const struct schema_node **all, **any, **one;
	size_t all_count, any_count, one_count;
	const struct schema_node *not_, *if_, *then_, *else_;
	struct schema_dependent *dependents; /* dependentSchemas */
	size_t dependent_count;
};

struct schema_node {
	const struct schema_node *alias; /* the node is but a $ref to that one */
	bool free; /* matches everything */
	bool never; /* matches nothing */
	uint32_t types;
	struct schema_values *values;
	struct schema_object_rules *object;
	struct schema_array_rules *array;
	struct schema_string_rules *string;
	struct schema_number_rules *number;
	struct schema_logic *logic;
	/* for the compiler only */
	uint32_t token;
	uint32_t resource;
	uint16_t height; /* how many nodes may follow each other on one value; 0: not known yet */
	bool open; /* being looked at */
};

/* One allocation of a list that is freed at once. */
struct schema_block {
	struct schema_block *next;
	max_align_t data[];
};

struct apd_schema {
	const struct schema_node *root;
	struct schema_block *blocks;
	struct schema_pattern *patterns;
	struct schema_values *values;
};

/* -- compiling -- */

/* A part of the document with a URI of its own. */
struct schema_resource {
	struct apd_str uri;
	uint32_t token;
};

/* What URIs and anchors of a document stand for; see refs.c. */
struct schema_refs {
	struct schema_block *blocks;
	struct apd_map by_uri; /* absolute URI, or URI#anchor -> token plus one */
	struct schema_resource *resources;
	size_t resource_count, resource_cap;
	uint32_t *resource_of; /* by token: index into resources, 0: that of the parent */
};

struct schema_compile {
	const struct apd_json *doc;
	struct apd_schema *schema;
	struct apd_schema_error *error; /* may be NULL */
	struct schema_refs refs;
	struct schema_node **nodes; /* in the order they were asked for: the work to do */
	size_t node_count, node_cap;
	struct schema_node **by_token;
	struct apd_buf scratch;
	size_t pattern_bytes;
	uint64_t looked_at; /* members that were walked past on the way to what $refs mean */
};

/* Zeroed memory that lives as long as the list's owner. */
void *apd_schema_alloc(struct schema_block **blocks, size_t n, size_t size);
struct apd_str apd_schema_copy(struct schema_block **blocks, struct apd_str s);
void apd_schema_free_blocks(struct schema_block **blocks);

/* Says why the schema is refused, at a token of its document; returns -EINVAL. */
int apd_schema_refuse(struct schema_compile *c, uint32_t token, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The node of a place in the document, to be compiled if it is new. */
const struct schema_node *apd_schema_node_at(
	struct schema_compile *c, uint32_t token, uint32_t resource);

/* Reads a list, of at least one schema, from an array. */
int apd_schema_compile_list(struct schema_compile *c, const struct schema_node *parent,
	uint32_t token, const struct schema_node ***ret_nodes, size_t *ret_count);

/* Reads a keyword's count; an absent keyword (0) leaves *ret_count alone. */
int apd_schema_compile_count(struct schema_compile *c, uint32_t token, size_t *ret_count);

/* String i of the document, unescaped and copied for as long as the schema lives. */
struct apd_str apd_schema_compile_string(struct schema_compile *c, uint32_t token);

/* Compiles a pattern that the string at token is. */
int apd_schema_pattern_compile(
	struct schema_compile *c, uint32_t token, const struct schema_pattern **ret_pattern);
/* Adds the pattern with the long names of character categories made short. */
void apd_schema_pattern_translate(struct apd_str s, struct apd_buf *out);

void apd_schema_pattern_free(struct schema_pattern *pattern);

/* The groups: each reads its keywords (the tokens of their values, 0: absent) into the node. */
int apd_schema_values_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw);
int apd_schema_object_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw);
int apd_schema_array_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw);
int apd_schema_string_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw);
int apd_schema_number_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw);
int apd_schema_logic_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw);

/* Reads {"name": ["other", ...]} or {"name": schema}. */
int apd_schema_dependents_compile(struct schema_compile *c, const struct schema_node *parent,
	uint32_t token, bool schemas, struct schema_dependent **ret, size_t *ret_count);

/* Refuses nodes that reach themselves without descending into the value. */
int apd_schema_refuse_loops(struct schema_compile *c);

/* Makes an anyOf of plain types a set of types. */
void apd_schema_fold_unions(struct schema_compile *c);

/* Finds the document's identifiers, also below `at`. */
int apd_schema_refs_init(struct schema_compile *c, uint32_t at);
void apd_schema_refs_finish(struct schema_refs *refs);

/* The place a $ref of a node leads to. */
int apd_schema_refs_resolve(struct schema_compile *c, const struct schema_node *node,
	uint32_t ref_token, uint32_t *ret_token, uint32_t *ret_resource);

/*
 * Follows a JSON pointer (not percent-encoded) from a token; SCHEMA_NO_TOKEN if
 * it leads nowhere. Keeps *resource in step with what is entered, and adds to
 * *looked_at how many members and items there were to look through.
 */
uint32_t apd_schema_pointer_find(const struct apd_json *doc, uint32_t from, struct apd_str pointer,
	const uint32_t *resource_of, uint32_t *resource, uint64_t *looked_at);

/* Undoes the percent encoding of a fragment. */
void apd_schema_percent_decode(struct apd_str s, struct apd_buf *out);

/* Adds the URI reference, resolved against a base and without its fragment. */
void apd_schema_uri_resolve(struct apd_str base, struct apd_str ref, struct apd_buf *out);

const struct schema_format *apd_schema_format_find(struct apd_str name);

/* Reads a JSON number. */
struct schema_number apd_schema_number_read(struct apd_str text);

/* True for a number without a fraction. */
static inline bool apd_schema_number_whole(const struct schema_number *n)
{
	return n->exponent >= 0;
}

int apd_schema_number_compare(const struct schema_number *a, const struct schema_number *b);

/* True if a is a whole number of times b, which is not zero. */
bool apd_schema_number_divides(const struct schema_number *a, const struct schema_number *b);

/* -- checking -- */

struct schema_check {
	const struct apd_json *doc;
	uint32_t root; /* where error paths start */
	struct apd_schema_error *error;
	int64_t steps; /* what may still be done */
	unsigned depth; /* of nodes */
	unsigned quiet; /* over 0: errors are not worded, the outcome is only tried */
	bool exhausted; /* steps or depth ran out: every outcome since is void */
	uint32_t failed; /* the token that the last failure was at */
	const struct schema_node *failed_node;
	struct apd_buf scratch; /* for strings with escapes */
	void *match_data; /* pcre2_match_data and pcre2_match_context, made when first needed */
	void *match_context;
};

/* Asserts a node on value i. */
bool apd_schema_node_check(struct schema_check *c, const struct schema_node *node, uint32_t i);

/* Like apd_schema_node_check, but wording no error: for outcomes that do not decide alone. */
static inline bool apd_schema_node_try(
	struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	bool ok;

	c->quiet++;
	ok = apd_schema_node_check(c, node, i);
	c->quiet--;
	return ok;
}

bool apd_schema_values_check(struct schema_check *c, const struct schema_node *node, uint32_t i);
bool apd_schema_object_check(struct schema_check *c, const struct schema_node *node, uint32_t i);
bool apd_schema_array_check(struct schema_check *c, const struct schema_node *node, uint32_t i);
bool apd_schema_string_check(struct schema_check *c, const struct schema_node *node, uint32_t i);
bool apd_schema_number_check(struct schema_check *c, const struct schema_node *node, uint32_t i);
bool apd_schema_logic_check(struct schema_check *c, const struct schema_node *node, uint32_t i);
bool apd_schema_unevaluated_check(
	struct schema_check *c, const struct schema_node *node, uint32_t i);

/* True if no two items of array i are equal. */
bool apd_schema_items_differ(struct schema_check *c, uint32_t i);

/* The name rule of a key, or NULL. */
const struct schema_name *apd_schema_object_name(
	const struct schema_object_rules *rules, struct apd_str key);

/* True if the pattern is found in the string; false also when the steps ran out. */
bool apd_schema_pattern_matches(
	struct schema_check *c, const struct schema_pattern *pattern, struct apd_str s);

/* Frees what matching patterns has needed. */
void apd_schema_pattern_finish(struct schema_check *c);

/* Says which of several schemas' expectations to report when none of them matched value i. */
bool apd_schema_union_fail(struct schema_check *c, const struct schema_node *node,
	const struct schema_node *const *branches, size_t count, uint32_t i);

/* Takes n steps from what may still be done; false when there are none left. */
static inline bool apd_schema_spend(struct schema_check *c, int64_t n)
{
	c->steps -= n;
	if (c->steps >= 0)
		return true;
	c->exhausted = true;
	return false;
}

/* String i without its quotes, unescaped: in the text, or in the scratch until the next call. */
static inline struct apd_str apd_schema_string(struct schema_check *c, uint32_t i)
{
	const struct apd_json_tok *tok = &c->doc->toks[i];

	if (!tok->escaped)
		return (struct apd_str){c->doc->text.ptr + tok->start + 1, tok->len - 2};
	return apd_json_string(c->doc, i, &c->scratch);
}

/* True if a value of that type, namely value i, is among the types. */
bool apd_schema_type_matches(uint32_t types, const struct apd_json *doc, uint32_t i);

/* -- messages -- */

/* Notes a failure at a token, and words it unless outcomes are only tried; returns false. */
bool apd_schema_fail(struct schema_check *c, const struct schema_node *node, uint32_t token,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Failures of value i: of a type not expected, or none of the values of the nodes' enums. */
bool apd_schema_fail_types(
	struct schema_check *c, const struct schema_node *node, uint32_t i, uint32_t types);
bool apd_schema_fail_values(struct schema_check *c, const struct schema_node *node, uint32_t i,
	const struct schema_node *const *nodes, size_t count);

/* The types that a node can match, as far as that is easy to tell. */
uint32_t apd_schema_expected_types(const struct schema_node *node);

/* A value as it is written, cut when it is long; the result lives as long as `out`. */
const char *apd_schema_quote(const struct apd_json *doc, uint32_t i, char out[64]);

/* Writes the JSON pointer that leads from root to a token; a key's is that of its object. */
void apd_schema_path(
	const struct apd_json *doc, uint32_t root, uint32_t token, char *out, size_t size);

/* Cuts off a UTF-8 sequence that is not complete at the end of the text. */
void apd_schema_trim_utf8(char *text);

#endif
