/*
 * ap/sugar/buf.h - text under construction.  No part of the ABI.
 *
 * An ap_buf starts in memory that the caller lends (often an array on the
 * stack, so that short texts need no malloc), moves to the heap when that is
 * full, and stops at its limit.  The first failure sticks: add everything, then
 * look at status once.
 *
 *	char space[512];
 *	ap_buf b;
 *
 *	ap_buf_init(&b, space, sizeof(space), 0);
 *	ap_buf_addf(&b, "{\"left\":%d}", left);
 *	status = b.status ? b.status : ap_commit(run, "tick", ap_buf_str(&b));
 *	ap_buf_free(&b);
 *
 * One thread at a time for one buffer.
 */
#ifndef AP_SUGAR_BUF_H
#define AP_SUGAR_BUF_H

#include <ap/agent.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ap/sugar/str.h>

#if defined(__GNUC__) || defined(__clang__)
#define AP_PRINTF_(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define AP_PRINTF_(fmt, args)
#endif

typedef struct ap_buf {
	char *ptr; /* not NUL-terminated */
	size_t len;
	size_t cap;
	size_t limit; /* the most that len may be */
	ap_status status; /* AP_OK, or why something was not added: AP_E_NOMEM, AP_E_LIMIT */
	int32_t on_heap;
} ap_buf;

/*
 * Readies a buffer.  space (may be NULL) is lent until ap_buf_free and used
 * first; limit is the most bytes it may come to hold, 0 for no limit.  With
 * limit == size nothing is ever allocated. [any]
 */
static inline void ap_buf_init(ap_buf *b, char *space, size_t size, size_t limit)
{
	b->ptr = space;
	b->len = 0;
	b->cap = space ? size : 0;
	b->limit = limit ? limit : SIZE_MAX / 2;
	b->status = AP_OK;
	b->on_heap = 0;
}

/* Gives its memory back and leaves it empty, with nothing lent and no limit. [any] */
static inline void ap_buf_free(ap_buf *b)
{
	if (b->on_heap)
		free(b->ptr);
	ap_buf_init(b, NULL, 0, 0);
}

/* Empties it and forgets a failure; the memory stays. [any] */
static inline void ap_buf_clear(ap_buf *b)
{
	b->len = 0;
	b->status = AP_OK;
}

/* What it holds, until the next change. [any] */
static inline ap_str ap_buf_str(const ap_buf *b)
{
	return ap_mem(b->ptr ? b->ptr : "", b->len);
}

/* Makes room for n more bytes.  AP_OK, or the status that now sticks. [any] */
static inline ap_status ap_buf_reserve(ap_buf *b, size_t n)
{
	size_t cap = b->cap < 128 ? 256 : b->cap * 2;
	char *ptr;

	if (b->status != AP_OK)
		return b->status;
	if (n > b->limit || b->len > b->limit - n)
		return b->status = AP_E_LIMIT;
	if (n <= b->cap - b->len)
		return AP_OK;
	if (cap < b->len + n)
		cap = b->len + n;
	ptr = (char *)(b->on_heap ? realloc(b->ptr, cap) : malloc(cap));
	if (!ptr)
		return b->status = AP_E_NOMEM;
	if (!b->on_heap && b->len)
		memcpy(ptr, b->ptr, b->len);
	b->ptr = ptr;
	b->cap = cap;
	b->on_heap = 1;
	return AP_OK;
}

/* Adds bytes: all of them or, on failure, none. [any] */
static inline ap_status ap_buf_add(ap_buf *b, ap_str s)
{
	if (ap_buf_reserve(b, s.len) == AP_OK && s.len) {
		memcpy(b->ptr + b->len, s.ptr, s.len);
		b->len += s.len;
	}
	return b->status;
}

/* Adds one byte. [any] */
static inline ap_status ap_buf_add_char(ap_buf *b, char c)
{
	if (ap_buf_reserve(b, 1) == AP_OK)
		b->ptr[b->len++] = c;
	return b->status;
}

/* Adds a C string; NULL adds nothing. [any] */
static inline ap_status ap_buf_add_cstr(ap_buf *b, const char *text)
{
	return ap_buf_add(b, ap_cstr(text));
}

/* Adds what printf would print.  Strings in it are not escaped: see ap_json_add_string. [any] */
AP_PRINTF_(2, 3)
static inline ap_status ap_buf_addf(ap_buf *b, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return b->status = b->status ? b->status : AP_E_INVALID;

	/* vsnprintf also writes a NUL, which counts against the limit for a moment. */
	if (ap_buf_reserve(b, (size_t)n + 1) != AP_OK)
		return b->status;
	va_start(args, format);
	vsnprintf(b->ptr + b->len, (size_t)n + 1, format, args);
	va_end(args);
	b->len += (size_t)n;
	return AP_OK;
}

#endif /* AP_SUGAR_BUF_H */
