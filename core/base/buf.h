/* A growable byte buffer, always followed by a NUL that does not count. */
#ifndef APD_BASE_BUF_H
#define APD_BASE_BUF_H

#include <stdarg.h>
#include <stdint.h>

#include "base/str.h"

/* All zero is an empty buffer. */
struct apd_buf {
	char *data;
	size_t len;
	size_t cap;
};

/* Frees the memory and makes the buffer empty; a no-op on an empty one. */
void apd_buf_finish(struct apd_buf *buf);

/* Empties the buffer and keeps its memory. */
void apd_buf_clear(struct apd_buf *buf);

/* Makes room for n more bytes and returns where they go; set len yourself. */
char *apd_buf_reserve(struct apd_buf *buf, size_t n);

void apd_buf_add(struct apd_buf *buf, const void *data, size_t len);
void apd_buf_add_str(struct apd_buf *buf, struct apd_str s);
void apd_buf_add_cstr(struct apd_buf *buf, const char *s);
void apd_buf_add_char(struct apd_buf *buf, char c);
void apd_buf_add_u64(struct apd_buf *buf, uint64_t n);
void apd_buf_add_i64(struct apd_buf *buf, int64_t n);
void apd_buf_addf(struct apd_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void apd_buf_addv(struct apd_buf *buf, const char *fmt, va_list ap);

/* Adds a string literal. */
#define apd_buf_lit(buf, literal) apd_buf_add(buf, "" literal, sizeof(literal) - 1)

/* Removes the first n bytes. */
void apd_buf_drop(struct apd_buf *buf, size_t n);

/* The content, borrowed until the next change. */
static inline struct apd_str apd_buf_str(const struct apd_buf *buf)
{
	return (struct apd_str){buf->data ? buf->data : "", buf->len};
}

/* Hands the memory over: free() it. Never NULL. The buffer is empty afterwards. */
char *apd_buf_steal(struct apd_buf *buf);

#endif
