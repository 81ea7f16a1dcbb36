/*
 * References: which places of a document have a URI or an anchor, and which
 * place a $ref means. Identifiers count only where a schema can be, so that
 * an "$id" in an example or an enum is what it looks like.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "schema/internal.h"

/* Following a pointer walks past members; this many are some tenths of a second. */
#define MAX_LOOKED_AT 50000000

/* What the value of a keyword holds, as far as schemas go. */
enum holds { HOLDS_NONE, HOLDS_SCHEMA, HOLDS_LIST, HOLDS_MAP };

static enum holds holds_of(const struct apd_json *doc, uint32_t key)
{
	static const struct {
		struct apd_str word;
		enum holds holds;
	} known[] = {
		{APD_STR("properties"), HOLDS_MAP},
		{APD_STR("$defs"), HOLDS_MAP},
		{APD_STR("definitions"), HOLDS_MAP},
		{APD_STR("patternProperties"), HOLDS_MAP},
		{APD_STR("dependentSchemas"), HOLDS_MAP},
		{APD_STR("allOf"), HOLDS_LIST},
		{APD_STR("anyOf"), HOLDS_LIST},
		{APD_STR("oneOf"), HOLDS_LIST},
		{APD_STR("prefixItems"), HOLDS_LIST},
		{APD_STR("items"), HOLDS_SCHEMA},
		{APD_STR("additionalProperties"), HOLDS_SCHEMA},
		{APD_STR("propertyNames"), HOLDS_SCHEMA},
		{APD_STR("contains"), HOLDS_SCHEMA},
		{APD_STR("not"), HOLDS_SCHEMA},
		{APD_STR("if"), HOLDS_SCHEMA},
		{APD_STR("then"), HOLDS_SCHEMA},
		{APD_STR("else"), HOLDS_SCHEMA},
		{APD_STR("unevaluatedItems"), HOLDS_SCHEMA},
		{APD_STR("unevaluatedProperties"), HOLDS_SCHEMA},
		{APD_STR("contentSchema"), HOLDS_SCHEMA},
	};

	for (size_t i = 0; i < APD_COUNT(known); i++)
		if (apd_json_is(doc, key, known[i].word))
			return known[i].holds;
	return HOLDS_NONE;
}

/* The string that a member of a schema is, or absent. */
static struct apd_str string_member(struct schema_compile *c, uint32_t token, const char *name)
{
	uint32_t value = apd_json_member(c->doc, token, apd_str(name));

	if (!value || apd_json_type(c->doc, value) != APD_JSON_STRING)
		return APD_STR_ABSENT;
	return apd_json_string(c->doc, value, &c->scratch);
}

/* Notes that a URI, or URI#anchor, means a token; the first one to say so wins. */
static void put(struct schema_refs *refs, const struct apd_buf *uri, uint32_t token)
{
	if (!apd_map_get(&refs->by_uri, apd_buf_str(uri)))
		apd_map_put(&refs->by_uri, apd_schema_copy(&refs->blocks, apd_buf_str(uri)),
			(void *)((uintptr_t)token + 1));
}

/* What a URI, or URI#anchor, means, or SCHEMA_NO_TOKEN. */
static uint32_t get(const struct schema_refs *refs, const struct apd_buf *uri)
{
	uintptr_t found = (uintptr_t)apd_map_get(&refs->by_uri, apd_buf_str(uri));

	return found ? (uint32_t)(found - 1) : SCHEMA_NO_TOKEN;
}

/* Adds a resource and returns its index. */
static uint32_t add_resource(struct schema_refs *refs, struct apd_str uri, uint32_t token)
{
	if (refs->resource_count == refs->resource_cap) {
		refs->resource_cap = refs->resource_cap ? refs->resource_cap * 2 : 8;
		refs->resources =
			apd_realloc(refs->resources, refs->resource_cap * sizeof(*refs->resources));
	}
	refs->resources[refs->resource_count] = (struct schema_resource){
		.uri = apd_schema_copy(&refs->blocks, uri), .token = token};
	return (uint32_t)refs->resource_count++;
}

/* Gives the schema at a token its own resource if it has an $id; returns the one it is in. */
static uint32_t note_id(struct schema_compile *c, uint32_t token, uint32_t resource)
{
	struct schema_refs *refs = &c->refs;
	struct apd_str id = string_member(c, token, "$id");
	struct apd_buf uri = {0};

	if (refs->resource_of[token])
		return refs->resource_of[token];
	if (!id.len || id.ptr[0] == '#')
		return resource;
	apd_schema_uri_resolve(refs->resources[resource].uri, id, &uri);
	put(refs, &uri, token);
	resource = add_resource(refs, apd_buf_str(&uri), token);
	refs->resource_of[token] = resource;
	apd_buf_finish(&uri);
	return resource;
}

/* Notes the anchor of the schema at a token. */
static void note_anchor(
	struct schema_compile *c, uint32_t token, uint32_t resource, const char *keyword)
{
	struct apd_str name = string_member(c, token, keyword);
	struct apd_buf uri = {0};

	if (!name.len)
		return;
	apd_buf_add_str(&uri, c->refs.resources[resource].uri);
	apd_buf_add_char(&uri, '#');
	apd_buf_add_str(&uri, name);
	put(&c->refs, &uri, token);
	apd_buf_finish(&uri);
}

/* Notes the identifiers of a schema and those in it; as deep as the document is. */
static void walk(struct schema_compile *c, uint32_t token, uint32_t resource)
{
	const struct apd_json *doc = c->doc;

	if (apd_json_type(doc, token) != APD_JSON_OBJECT)
		return;
	resource = note_id(c, token, resource);
	note_anchor(c, token, resource, "$anchor");
	note_anchor(c, token, resource, "$dynamicAnchor");
	apd_json_each_member (doc, token, k) {
		enum holds holds = holds_of(doc, k);
		enum apd_json_type type = apd_json_type(doc, k + 1);

		if (holds == HOLDS_SCHEMA)
			walk(c, k + 1, resource);
		if (holds == HOLDS_LIST && type == APD_JSON_ARRAY)
			apd_json_each_item (doc, k + 1, i)
				walk(c, i, resource);
		if (holds == HOLDS_MAP && type == APD_JSON_OBJECT)
			apd_json_each_member (doc, k + 1, name)
				walk(c, name + 1, resource);
	}
}

int apd_schema_refs_init(struct schema_compile *c, uint32_t at)
{
	const struct apd_json *doc = c->doc;
	uint32_t schemas = 0, resource = 0;

	c->refs.resource_of = apd_calloc(doc->count, sizeof(uint32_t));
	/* Index 0 is the document without a name; it also says "that of the parent". */
	add_resource(&c->refs, APD_STR(""), 0);
	walk(c, 0, 0);
	resource = c->refs.resource_of[0];
	if (apd_json_type(doc, 0) == APD_JSON_OBJECT)
		schemas = apd_json_member(doc, 0, APD_STR("components"));
	if (schemas && apd_json_type(doc, schemas) == APD_JSON_OBJECT)
		schemas = apd_json_member(doc, schemas, APD_STR("schemas"));
	if (schemas && apd_json_type(doc, schemas) == APD_JSON_OBJECT)
		apd_json_each_member (doc, schemas, k)
			walk(c, k + 1, resource);
	walk(c, at, resource);
	return 0;
}

void apd_schema_refs_finish(struct schema_refs *refs)
{
	apd_map_finish(&refs->by_uri);
	apd_schema_free_blocks(&refs->blocks);
	free(refs->resources);
	free(refs->resource_of);
}

/* Finds what is meant by a reference without its fragment. */
static uint32_t find_resource(
	struct schema_compile *c, uint32_t base, struct apd_str ref, uint32_t *ret_resource)
{
	struct apd_buf uri = {0};
	uint32_t token;

	*ret_resource = base;
	if (ref.len == 0)
		return c->refs.resources[base].token;
	apd_schema_uri_resolve(c->refs.resources[base].uri, ref, &uri);
	token = get(&c->refs, &uri);
	apd_buf_finish(&uri);
	if (token != SCHEMA_NO_TOKEN)
		*ret_resource = c->refs.resource_of[token];
	return token;
}

/* Finds an anchor of a resource. */
static uint32_t find_anchor(struct schema_compile *c, uint32_t resource, struct apd_str name)
{
	struct apd_buf uri = {0};
	uint32_t token;

	apd_buf_add_str(&uri, c->refs.resources[resource].uri);
	apd_buf_add_char(&uri, '#');
	apd_buf_add_str(&uri, name);
	token = get(&c->refs, &uri);
	apd_buf_finish(&uri);
	return token;
}

int apd_schema_refs_resolve(struct schema_compile *c, const struct schema_node *node,
	uint32_t ref_token, uint32_t *ret_token, uint32_t *ret_resource)
{
	struct apd_str ref, base, fragment = APD_STR("");
	struct apd_buf pointer = {0};
	uint32_t token, resource;
	const char *hash;

	if (apd_json_type(c->doc, ref_token) != APD_JSON_STRING)
		return apd_schema_refuse(c, ref_token, "expected a reference");
	if (c->looked_at > MAX_LOOKED_AT)
		return apd_schema_refuse(c, ref_token, "the document has too many references");
	ref = apd_json_string(c->doc, ref_token, &c->scratch);
	base = ref;
	hash = ref.len ? memchr(ref.ptr, '#', ref.len) : NULL;
	if (hash) {
		base.len = (size_t)(hash - ref.ptr);
		fragment = (struct apd_str){hash + 1, ref.len - base.len - 1};
	}
	token = find_resource(c, node->resource, base, &resource);
	if (token == SCHEMA_NO_TOKEN)
		return apd_schema_refuse(c, ref_token,
			"refers to \"%.*s\", which is not in this document", APD_STR_FMT(ref));
	apd_schema_percent_decode(fragment, &pointer);
	if (pointer.len && pointer.data[0] != '/')
		token = find_anchor(c, resource, apd_buf_str(&pointer));
	else
		token = apd_schema_pointer_find(c->doc, token, apd_buf_str(&pointer),
			c->refs.resource_of, &resource, &c->looked_at);
	apd_buf_finish(&pointer);
	if (token == SCHEMA_NO_TOKEN)
		return apd_schema_refuse(c, ref_token, "\"%.*s\" leads nowhere", APD_STR_FMT(ref));
	*ret_token = token;
	*ret_resource = resource;
	return 0;
}
