/* Items: references, and an item as the protocol shows it. */
#include "storage/item.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_text.h"

/* Copies a range behind the others and points to the copy. */
static void own(struct apd_str *s, struct apd_text *text, size_t *at)
{
	if (!s->ptr)
		return;
	memcpy(text->data + *at, s->ptr, s->len);
	s->ptr = text->data + *at;
	*at += s->len;
}

struct apd_item_row *apd_item_row_create(const struct apd_item_row *from)
{
	struct apd_item_row *row = apd_malloc(sizeof(*row));
	size_t at = 0;

	*row = (struct apd_item_row){
		.ns = from->ns,
		.key = from->key,
		.value = from->value,
		.created_us = from->created_us,
		.updated_us = from->updated_us,
		.expires_us = from->expires_us,
		.index = from->index,
		.score = from->score,
	};
	atomic_init(&row->refs, 1);
	row->text = apd_text_alloc(row->ns.len + row->key.len + row->value.len + row->index.len);
	own(&row->ns, row->text, &at);
	own(&row->key, row->text, &at);
	own(&row->value, row->text, &at);
	own(&row->index, row->text, &at);
	return row;
}

struct apd_item_row *apd_item_row_ref(struct apd_item_row *row)
{
	if (row)
		atomic_fetch_add_explicit(&row->refs, 1, memory_order_relaxed);
	return row;
}

void apd_item_row_unref(struct apd_item_row *row)
{
	if (!row || atomic_fetch_sub_explicit(&row->refs, 1, memory_order_acq_rel) != 1)
		return;
	apd_text_unref(row->text);
	free(row);
}

void apd_item_row_add_json(struct apd_buf *out, const struct apd_item_row *row)
{
	apd_buf_lit(out, "{");
	apd_json_add_key(out, "namespace");
	apd_namespace_add_json(out, row->ns);
	apd_json_member_str(out, "key", row->key);
	apd_json_member_raw(out, "value", row->value);
	apd_json_member_time(out, "created_at", row->created_us);
	apd_json_member_time(out, "updated_at", row->updated_us);
	if (row->expires_us)
		apd_json_member_time(out, "expires_at", row->expires_us);
	if (row->score > 0)
		apd_buf_addf(out, ",\"score\":%.6g", row->score);
	apd_buf_lit(out, "}");
}
