/* The growable byte buffer. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void apd_buf_finish(struct apd_buf *buf)
{
	free(buf->data);
	*buf = (struct apd_buf){0};
}

void apd_buf_clear(struct apd_buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

char *apd_buf_reserve(struct apd_buf *buf, size_t n)
{
	size_t need = buf->len + n + 1;

	if (need > buf->cap) {
		size_t cap = buf->cap ? buf->cap * 2 : 64;

		if (cap < need)
			cap = need;
		buf->data = apd_realloc(buf->data, cap);
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void apd_buf_add(struct apd_buf *buf, const void *data, size_t len)
{
	char *end = apd_buf_reserve(buf, len);

	if (len)
		memcpy(end, data, len);
	end[len] = '\0';
	buf->len += len;
}

void apd_buf_add_str(struct apd_buf *buf, struct apd_str s)
{
	apd_buf_add(buf, s.ptr, s.len);
}

void apd_buf_add_cstr(struct apd_buf *buf, const char *s)
{
	apd_buf_add(buf, s, strlen(s));
}

void apd_buf_add_char(struct apd_buf *buf, char c)
{
	apd_buf_add(buf, &c, 1);
}

void apd_buf_add_u64(struct apd_buf *buf, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	apd_buf_add(buf, digits + at, sizeof(digits) - at);
}

void apd_buf_add_i64(struct apd_buf *buf, int64_t n)
{
	if (n < 0)
		apd_buf_add_char(buf, '-');
	apd_buf_add_u64(buf, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void apd_buf_addv(struct apd_buf *buf, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_copy() has set it. */
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return;
	vsnprintf(apd_buf_reserve(buf, (size_t)n), (size_t)n + 1, fmt, ap);
	buf->len += (size_t)n;
}

void apd_buf_addf(struct apd_buf *buf, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	apd_buf_addv(buf, fmt, ap);
	va_end(ap);
}

void apd_buf_drop(struct apd_buf *buf, size_t n)
{
	if (n >= buf->len) {
		apd_buf_clear(buf);
		return;
	}
	memmove(buf->data, buf->data + n, buf->len - n + 1);
	buf->len -= n;
}

char *apd_buf_steal(struct apd_buf *buf)
{
	char *data = apd_buf_reserve(buf, 0) - buf->len;

	data[buf->len] = '\0';
	*buf = (struct apd_buf){0};
	return data;
}
