/* The compiler: from places in a document to nodes, one after another, without recursion. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "schema/internal.h"

void *apd_schema_alloc(struct schema_block **blocks, size_t n, size_t size)
{
	struct schema_block *block = apd_calloc(1, sizeof(*block) + n * size);

	block->next = *blocks;
	*blocks = block;
	return block->data;
}

struct apd_str apd_schema_copy(struct schema_block **blocks, struct apd_str s)
{
	char *copy = apd_schema_alloc(blocks, s.len + 1, 1);

	if (s.len)
		memcpy(copy, s.ptr, s.len);
	return (struct apd_str){copy, s.len};
}

void apd_schema_free_blocks(struct schema_block **blocks)
{
	while (*blocks) {
		struct schema_block *block = *blocks;

		*blocks = block->next;
		free(block);
	}
}

int apd_schema_refuse(struct schema_compile *c, uint32_t token, const char *fmt, ...)
{
	va_list ap;

	if (!c->error)
		return -EINVAL;
	apd_schema_path(c->doc, 0, token, c->error->path, sizeof(c->error->path));
	va_start(ap, fmt);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start() has set it. */
	vsnprintf(c->error->message, sizeof(c->error->message), fmt, ap);
	va_end(ap);
	apd_schema_trim_utf8(c->error->message);
	return -EINVAL;
}

const struct schema_node *apd_schema_node_at(
	struct schema_compile *c, uint32_t token, uint32_t resource)
{
	struct schema_node *node = c->by_token[token];

	if (node)
		return node;
	node = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*node));
	node->token = token;
	node->resource = resource;
	if (c->refs.resource_of && c->refs.resource_of[token])
		node->resource = c->refs.resource_of[token];
	node->types = SCHEMA_TYPE_ANY;
	if (c->node_count == c->node_cap) {
		c->node_cap = c->node_cap ? c->node_cap * 2 : 32;
		c->nodes = apd_realloc(c->nodes, c->node_cap * sizeof(struct schema_node *));
	}
	c->nodes[c->node_count++] = node;
	c->by_token[token] = node;
	return node;
}

int apd_schema_compile_list(struct schema_compile *c, const struct schema_node *parent,
	uint32_t token, const struct schema_node ***ret_nodes, size_t *ret_count)
{
	const struct schema_node **nodes;
	size_t count = 0;

	if (apd_json_type(c->doc, token) != APD_JSON_ARRAY)
		return apd_schema_refuse(c, token, "expected an array of schemas");
	apd_json_each_item (c->doc, token, i)
		count++;
	if (count == 0)
		return apd_schema_refuse(c, token, "expected at least one schema");
	nodes = apd_schema_alloc(&c->schema->blocks, count, sizeof(struct schema_node *));
	*ret_count = count;
	count = 0;
	apd_json_each_item (c->doc, token, i)
		nodes[count++] = apd_schema_node_at(c, i, parent->resource);
	*ret_nodes = nodes;
	return 0;
}

int apd_schema_compile_count(struct schema_compile *c, uint32_t token, size_t *ret_count)
{
	struct schema_number n;
	uint64_t value;

	if (!token)
		return 0;
	if (apd_json_type(c->doc, token) != APD_JSON_INTEGER &&
		apd_json_type(c->doc, token) != APD_JSON_REAL)
		return apd_schema_refuse(c, token, "expected a count");
	n = apd_schema_number_read(apd_json_slice(c->doc, token));
	if ((n.negative && n.mantissa) || !apd_schema_number_whole(&n))
		return apd_schema_refuse(c, token, "expected a whole number of at least 0");
	value = n.mantissa;
	/* A count too large to be reached may as well be the largest there is. */
	for (int32_t e = n.exponent; e > 0 && value; e--)
		if (__builtin_mul_overflow(value, 10, &value)) {
			value = UINT64_MAX;
			break;
		}
	*ret_count = value < SCHEMA_NO_LIMIT ? (size_t)value : SCHEMA_NO_LIMIT - 1;
	return 0;
}

struct apd_str apd_schema_compile_string(struct schema_compile *c, uint32_t token)
{
	return apd_schema_copy(&c->schema->blocks, apd_json_string(c->doc, token, &c->scratch));
}

/* The keyword of a key, or KW_COUNT. */
static enum schema_keyword keyword_of(const struct apd_json *doc, uint32_t k)
{
	static const struct apd_str words[KW_COUNT] = {
#define X(name, word) [KW_##name] = APD_STR(word),
		SCHEMA_KEYWORDS(X)
#undef X
	};
	struct apd_str raw = {doc->text.ptr + doc->toks[k].start + 1, doc->toks[k].len - 2};

	for (int i = 0; i < KW_COUNT; i++)
		if (doc->toks[k].escaped ? apd_json_is(doc, k, words[i])
					 : apd_str_eq(raw, words[i]))
			return (enum schema_keyword)i;
	return KW_COUNT;
}

/* The types of a word of "type"; 0 if it is none. */
static uint32_t types_of(const struct apd_json *doc, uint32_t i)
{
	static const struct {
		struct apd_str word;
		uint32_t types;
	} known[] = {
		{APD_STR("null"), SCHEMA_TYPE_NULL},
		{APD_STR("boolean"), SCHEMA_TYPE_BOOLEAN},
		{APD_STR("integer"), SCHEMA_TYPE_INTEGER},
		{APD_STR("number"), SCHEMA_TYPE_NUMBER},
		{APD_STR("string"), SCHEMA_TYPE_STRING},
		{APD_STR("array"), SCHEMA_TYPE_ARRAY},
		{APD_STR("object"), SCHEMA_TYPE_OBJECT},
	};

	if (apd_json_type(doc, i) != APD_JSON_STRING)
		return 0;
	for (size_t n = 0; n < APD_COUNT(known); n++)
		if (apd_json_is(doc, i, known[n].word))
			return known[n].types;
	return 0;
}

/* Reads "type". */
static int compile_types(struct schema_compile *c, struct schema_node *node, uint32_t token)
{
	uint32_t types = 0;

	if (!token)
		return 0;
	if (apd_json_type(c->doc, token) != APD_JSON_ARRAY) {
		types = types_of(c->doc, token);
	} else {
		apd_json_each_item (c->doc, token, i) {
			uint32_t more = types_of(c->doc, i);

			if (!more)
				return apd_schema_refuse(c, i, "is not the name of a type");
			types |= more;
		}
	}
	if (!types)
		return apd_schema_refuse(c, token, "is not the name of a type");
	node->types = types;
	return 0;
}

/* Reads a $ref or $dynamicRef. */
static int compile_ref(struct schema_compile *c, struct schema_node *node, uint32_t token,
	const struct schema_node **ret_target)
{
	uint32_t target, resource;
	int r;

	if (!token)
		return 0;
	r = apd_schema_refs_resolve(c, node, token, &target, &resource);
	if (r < 0)
		return r;
	*ret_target = apd_schema_node_at(c, target, resource);
	return 0;
}

/* Makes the node an alias if a $ref is all that it has, else a rule like others. */
static void add_refs(struct schema_compile *c, struct schema_node *node,
	const struct schema_node *ref, const struct schema_node *dynamic_ref)
{
	bool other = node->types != SCHEMA_TYPE_ANY || node->values || node->object ||
		node->array || node->string || node->number || node->logic;

	if (ref && !dynamic_ref && !other) {
		node->alias = ref;
		return;
	}
	if (ref || dynamic_ref) {
		if (!node->logic)
			node->logic = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*node->logic));
		node->logic->ref = ref;
		node->logic->dynamic_ref = dynamic_ref;
		return;
	}
	node->free = !other;
}

/* Reads one schema into its node. */
static int compile_node(struct schema_compile *c, struct schema_node *node)
{
	static int (*const groups[])(
		struct schema_compile *, struct schema_node *, const uint32_t *) = {
		apd_schema_values_compile,
		apd_schema_object_compile,
		apd_schema_array_compile,
		apd_schema_string_compile,
		apd_schema_number_compile,
		apd_schema_logic_compile,
	};
	const struct schema_node *ref = NULL, *dynamic_ref = NULL;
	enum apd_json_type type = apd_json_type(c->doc, node->token);
	uint32_t kw[KW_COUNT + 1] = {0};
	int r;

	node->free = type == APD_JSON_TRUE;
	node->never = type == APD_JSON_FALSE;
	if (node->free || node->never)
		return 0;
	if (type != APD_JSON_OBJECT)
		return apd_schema_refuse(
			c, node->token, "expected a schema: an object, true or false");
	apd_json_each_member (c->doc, node->token, k)
		kw[keyword_of(c->doc, k)] = k + 1;
	r = compile_types(c, node, kw[KW_TYPE]);
	for (size_t i = 0; r == 0 && i < APD_COUNT(groups); i++)
		r = groups[i](c, node, kw);
	if (r == 0)
		r = compile_ref(c, node, kw[KW_REF], &ref);
	if (r == 0)
		r = compile_ref(c, node, kw[KW_DYNAMIC_REF], &dynamic_ref);
	if (r == 0)
		add_refs(c, node, ref, dynamic_ref);
	return r;
}

/* Compiles the schema at a token and all that it reaches. */
static int compile_all(struct schema_compile *c, uint32_t at, uint32_t resource)
{
	int r = 0;

	c->schema->root = apd_schema_node_at(c, at, resource);
	for (size_t i = 0; r == 0 && i < c->node_count; i++)
		r = compile_node(c, c->nodes[i]);
	if (r == 0)
		r = apd_schema_refuse_loops(c);
	if (r == 0)
		apd_schema_fold_unions(c);
	return r;
}

/* Finds the schema that a JSON pointer names, and the resource that it lies in. */
static int find_root(
	struct schema_compile *c, struct apd_str at, uint32_t *ret_token, uint32_t *ret_resource)
{
	uint32_t resource = c->refs.resource_of ? c->refs.resource_of[0] : 0;
	uint32_t token;

	apd_buf_clear(&c->scratch);
	if (at.len && at.ptr[0] == '#')
		apd_schema_percent_decode((struct apd_str){at.ptr + 1, at.len - 1}, &c->scratch);
	else
		apd_buf_add_str(&c->scratch, at);
	token = apd_schema_pointer_find(
		c->doc, 0, apd_buf_str(&c->scratch), c->refs.resource_of, &resource, &c->looked_at);
	if (token == SCHEMA_NO_TOKEN)
		return apd_schema_refuse(
			c, 0, "the document has nothing at \"%.*s\"", APD_STR_FMT(at));
	*ret_token = token;
	*ret_resource = resource;
	return 0;
}

int apd_schema_compile_at(const struct apd_json *doc, struct apd_str at,
	struct apd_schema **ret_schema, struct apd_schema_error *error)
{
	struct schema_compile c = {.doc = doc, .error = error};
	uint32_t token = 0, resource = 0;
	int r;

	c.schema = apd_calloc(1, sizeof(*c.schema));
	c.by_token = apd_calloc(doc->count, sizeof(struct schema_node *));
	r = find_root(&c, at, &token, &resource);
	if (r == 0)
		r = apd_schema_refs_init(&c, token);
	if (r == 0)
		r = find_root(&c, at, &token, &resource); /* now that resources are known */
	if (r == 0)
		r = compile_all(&c, token, resource);
	apd_schema_refs_finish(&c.refs);
	apd_buf_finish(&c.scratch);
	free(c.by_token);
	free(c.nodes);
	if (r < 0) {
		apd_schema_destroy(c.schema);
		return r;
	}
	*ret_schema = c.schema;
	return 0;
}

int apd_schema_compile(
	struct apd_str text, struct apd_schema **ret_schema, struct apd_schema_error *error)
{
	struct apd_json doc = {0};
	int r = apd_json_scan(&doc, text);

	if (r == 0) {
		r = apd_schema_compile_at(&doc, APD_STR(""), ret_schema, error);
	} else {
		if (error) {
			error->path[0] = '\0';
			snprintf(error->message, sizeof(error->message), "line %u, column %u: %s",
				doc.error_line, doc.error_column,
				r == -EINVAL ? doc.error : "the text is too large");
		}
		r = -EINVAL;
	}
	apd_json_finish(&doc);
	return r;
}

void apd_schema_destroy(struct apd_schema *schema)
{
	if (!schema)
		return;
	while (schema->patterns) {
		struct schema_pattern *pattern = schema->patterns;

		schema->patterns = pattern->next;
		apd_schema_pattern_free(pattern);
	}
	while (schema->values) {
		struct schema_values *values = schema->values;

		schema->values = values->next_all;
		apd_json_finish(&values->json);
		free(values->text);
	}
	apd_schema_free_blocks(&schema->blocks);
	free(schema);
}

struct apd_str apd_schema_property(const struct apd_schema *schema, size_t n)
{
	const struct schema_node *node = schema->root;

	while (node->alias)
		node = node->alias;
	if (!node->object || n >= node->object->property_count)
		return APD_STR_ABSENT;
	return node->object->names[n].name;
}
