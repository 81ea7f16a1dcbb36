/* Tags: the walk over a JSON text that makes them. They are stored, so none may ever change. */
#include "storage/sqlite/tags.h"

#include <stdlib.h>

#include "base/hash.h"

/* One walk. */
struct walk {
	const struct apd_json *json;
	struct apd_buf scratch;
	struct apd_tags *tags;
};

/* Adds a tag to those that there are, in its place. */
static void add_tag(struct apd_tags *tags, uint64_t hash)
{
	int64_t tag = (int64_t)(hash == APD_TAG_MANY ? 1 : hash);
	unsigned i = tags->n;

	while (i > 0 && tags->items[i - 1] > tag)
		i--;
	if (i > 0 && tags->items[i - 1] == tag)
		return;
	if (tags->n == APD_TAGS_MAX) {
		tags->many = true;
		return;
	}
	memmove(&tags->items[i + 1], &tags->items[i], (tags->n - i) * sizeof(tags->items[0]));
	tags->items[i] = tag;
	tags->n++;
}

/* The hash of a scalar at a path. */
static uint64_t hash_scalar(struct walk *walk, uint32_t i, uint64_t path)
{
	enum apd_json_type type = apd_json_type(walk->json, i);
	struct apd_str text;

	switch (type) {
	case APD_JSON_INTEGER:
	case APD_JSON_REAL:
		return apd_json_hash_number(walk->json, i, apd_hash_add(path, "#", 1));
	case APD_JSON_STRING:
		text = apd_json_string(walk->json, i, &walk->scratch);
		return apd_hash_add(apd_hash_add(path, "\"", 1), text.ptr, text.len);
	case APD_JSON_TRUE:
		return apd_hash_add(path, "t", 1);
	case APD_JSON_FALSE:
		return apd_hash_add(path, "f", 1);
	default:
		return apd_hash_add(path, "n", 1);
	}
}

/* Adds the tags of value i, whose path hashes to `path`; as deep as values are nested. */
static void walk_value(struct walk *walk, uint32_t i, uint64_t path)
{
	const struct apd_json *json = walk->json;

	if (walk->tags->many)
		return;
	switch (apd_json_type(json, i)) {
	case APD_JSON_OBJECT:
		apd_json_each_member (json, i, k) {
			struct apd_str key = apd_json_string(json, k, &walk->scratch);
			uint64_t member =
				apd_hash_add(apd_hash_add(path, ".", 1), key.ptr, key.len);

			/* A byte that is in no UTF-8 ends the key. */
			walk_value(walk, k + 1, apd_hash_add(member, "\xff", 1));
		}
		return;
	case APD_JSON_ARRAY:
		apd_json_each_item (json, i, k)
			walk_value(walk, k, apd_hash_add(path, "[", 1));
		return;
	default:
		add_tag(walk->tags, hash_scalar(walk, i, path));
	}
}

static void walk_all(struct apd_tags *tags, const struct apd_json *json)
{
	struct walk walk = {.json = json, .tags = tags};

	walk_value(&walk, 0, APD_HASH_START);
	apd_buf_finish(&walk.scratch);
}

void apd_tags_of_row(struct apd_tags *tags, struct apd_json *json, struct apd_str metadata)
{
	tags->n = 0;
	tags->many = false;
	if (metadata.len <= 2 || apd_json_scan(json, metadata) < 0)
		return;
	walk_all(tags, json);
	if (!tags->many)
		return;
	tags->items[0] = APD_TAG_MANY;
	tags->n = 1;
}

void apd_tags_of_filter(struct apd_tags *tags, const struct apd_json *filter)
{
	tags->n = 0;
	tags->many = false;
	walk_all(tags, filter);
}
