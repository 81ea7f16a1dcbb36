/* Immutable, reference-counted text. */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct apd_text *apd_text_alloc(size_t len)
{
	struct apd_text *text = apd_malloc(sizeof(*text) + len + 1);

	atomic_init(&text->refs, 1);
	text->len = len;
	text->data[len] = '\0';
	return text;
}

struct apd_text *apd_text_create(struct apd_str s)
{
	struct apd_text *text = apd_text_alloc(s.len);

	if (s.len)
		memcpy(text->data, s.ptr, s.len);
	return text;
}

struct apd_text *apd_text_ref(struct apd_text *text)
{
	if (text)
		atomic_fetch_add_explicit(&text->refs, 1, memory_order_relaxed);
	return text;
}

void apd_text_unref(struct apd_text *text)
{
	if (text && atomic_fetch_sub_explicit(&text->refs, 1, memory_order_acq_rel) == 1)
		free(text);
}
