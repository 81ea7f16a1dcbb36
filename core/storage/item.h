/*
 * Items of the store: long-term memory, a JSON object under a namespace and a
 * key. Rows are immutable once made and reference-counted.
 *
 * A namespace is a path of non-empty strings. Storage keeps it as one text in
 * which prefixes are prefixes: each element followed by a byte 0x1f, with
 * 0x1f, 0x1e in elements escaped behind 0x1e; the root is empty.
 */
#ifndef APD_STORAGE_ITEM_H
#define APD_STORAGE_ITEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json_scan.h"
#include "base/text.h"

struct apd_item_row {
	_Atomic unsigned refs;
	struct apd_str ns; /* as storage keeps it */
	struct apd_str key;
	struct apd_str value; /* JSON object */
	int64_t created_us; /* wall clock; kept when the item is replaced */
	int64_t updated_us;
	int64_t expires_us; /* 0: never */
	/*
	 * What full-text search finds it by: absent: all text in value; "[]": nothing;
	 * else a JSON array of the paths that count ("title", "author.name").
	 */
	struct apd_str index;
	double score; /* of a search with a query: the more the better; else 0 */
	struct apd_text *text; /* what the ranges point into; may be NULL */
};

/* Makes a row with one reference; the ranges of `from` are copied into a text of its own. [any] */
struct apd_item_row *apd_item_row_create(const struct apd_item_row *from);
struct apd_item_row *apd_item_row_ref(struct apd_item_row *row);
void apd_item_row_unref(struct apd_item_row *row);

/* Adds the protocol's Item. [any] */
void apd_item_row_add_json(struct apd_buf *out, const struct apd_item_row *row);

#define APD_NAMESPACE_DEPTH_MAX 64
#define APD_NAMESPACE_MAX       4096 /* bytes of one as storage keeps it */
#define APD_ITEM_KEY_MAX        1024 /* bytes */

/*
 * Adds the namespace that value i, a scanned array of non-empty strings, names, as storage keeps
 * it: 0, -EINVAL for anything else, -E2BIG when it is too deep or too long. [any]
 */
int apd_namespace_of_json(struct apd_buf *out, const struct apd_json *json, uint32_t i);

/* Adds the namespace as a JSON array. [any] */
void apd_namespace_add_json(struct apd_buf *out, struct apd_str ns);

/* Takes the first element off, unescaped: false when there is none left. [any] */
bool apd_namespace_next(struct apd_str *ns, struct apd_buf *element);

/* What /store/items/search asks for. Absent members do not filter. Ranges must live until done(). */
struct apd_item_query {
	struct apd_str ns_prefix; /* as storage keeps it; empty: all */
	struct apd_str
		filter; /* JSON object: members contain, or {"$eq","$ne","$gt","$gte","$lt","$lte"} */
	struct apd_str text; /* words to look for, or absent */
	uint32_t limit;
	uint64_t offset;
};

/* What /store/namespaces asks for. */
struct apd_namespace_query {
	struct apd_str prefix,
		suffix; /* JSON arrays of strings, "*" for any one element; or absent */
	uint32_t max_depth; /* 0: as deep as they are */
	uint32_t limit;
	uint64_t offset;
};

#endif
