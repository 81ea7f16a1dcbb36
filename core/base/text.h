/*
 * Immutable, reference-counted text: how payloads travel between threads
 * without being copied.
 */
#ifndef APD_BASE_TEXT_H
#define APD_BASE_TEXT_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/str.h"

struct apd_text {
	_Atomic unsigned refs;
	size_t len;
	char data[]; /* followed by a NUL */
};

/* Makes a text with one reference that holds a copy of s. [any] */
struct apd_text *apd_text_create(struct apd_str s);

/* Makes a text with one reference and len bytes to be filled in before it is shared. [any] */
struct apd_text *apd_text_alloc(size_t len);

/* Makes a text of what the buffer holds. The buffer stays as it is. [any] */
static inline struct apd_text *apd_text_of(const struct apd_buf *buf)
{
	return apd_text_create(apd_buf_str(buf));
}

/* Takes one more reference, which it returns; NULL stays NULL. [any] */
struct apd_text *apd_text_ref(struct apd_text *text);

/* Gives one reference back; NULL is fine. [any] */
void apd_text_unref(struct apd_text *text);

/* What the text holds, valid as long as the caller's reference; absent for NULL. [any] */
static inline struct apd_str apd_text_str(const struct apd_text *text)
{
	return text ? (struct apd_str){text->data, text->len} : APD_STR_ABSENT;
}

#endif
