/* What a scanned text holds: strings, numbers and members. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_scan.h"

/* A string between its quotes as it stands in the text. */
static struct apd_str inner(const struct apd_json *json, uint32_t i)
{
	const struct apd_json_tok *tok = &json->toks[i];

	return (struct apd_str){json->text.ptr + tok->start + 1, tok->len - 2};
}

/* The value of four hexadecimal digits that were checked before. */
static unsigned hex4(const char *at)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		unsigned c = (unsigned char)at[i];

		value = value << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return value;
}

/* Writes a code point as UTF-8; returns how many bytes. */
static size_t put_utf8(unsigned c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Decodes the escape at *at, which was checked before, and moves on. */
static size_t take_escape(const char **at, char out[4])
{
	const char *p = *at;
	unsigned unit;

	*at += 2;
	switch (p[1]) {
	case 'b':
		out[0] = '\b';
		return 1;
	case 'f':
		out[0] = '\f';
		return 1;
	case 'n':
		out[0] = '\n';
		return 1;
	case 'r':
		out[0] = '\r';
		return 1;
	case 't':
		out[0] = '\t';
		return 1;
	case 'u':
		break;
	default:
		out[0] = p[1];
		return 1;
	}
	unit = hex4(p + 2);
	*at += 4;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		unit = 0x10000 + ((unit - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);
		*at += 6;
	}
	return put_utf8(unit, out);
}

size_t apd_json_unescape_to(const struct apd_json *json, uint32_t i, char *out)
{
	struct apd_str s = inner(json, i);
	const char *at = s.ptr, *end = s.ptr + s.len;
	char *to = out;

	while (at < end) {
		const char *escape = memchr(at, '\\', (size_t)(end - at));
		size_t n = (size_t)((escape ? escape : end) - at);

		memcpy(to, at, n);
		to += n;
		at += n;
		if (escape) {
			char bytes[4];

			n = take_escape(&at, bytes);
			memcpy(to, bytes, n);
			to += n;
		}
	}
	return (size_t)(to - out);
}

void apd_json_unescape(const struct apd_json *json, uint32_t i, struct apd_buf *out)
{
	char *to = apd_buf_reserve(out, json->toks[i].len);

	out->len += apd_json_unescape_to(json, i, to);
	out->data[out->len] = '\0';
}

struct apd_str apd_json_string(const struct apd_json *json, uint32_t i, struct apd_buf *scratch)
{
	if (!json->toks[i].escaped)
		return inner(json, i);
	apd_buf_clear(scratch);
	apd_json_unescape(json, i, scratch);
	return apd_buf_str(scratch);
}

/* Reads a string byte by byte, unescaped. */
struct reader {
	const char *at, *end;
	char bytes[4]; /* what the last escape stood for */
	size_t have, used;
};

/* The next byte, or -1 at the end. */
static int next_byte(struct reader *r)
{
	if (r->used < r->have)
		return (unsigned char)r->bytes[r->used++];
	if (r->at == r->end)
		return -1;
	if (*r->at != '\\')
		return (unsigned char)*r->at++;
	r->have = take_escape(&r->at, r->bytes);
	r->used = 1;
	return (unsigned char)r->bytes[0];
}

int apd_json_compare_strings(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j)
{
	struct apd_str s = inner(a, i), t = inner(b, j);

	if (!a->toks[i].escaped && !b->toks[j].escaped) {
		int order = memcmp(s.ptr, t.ptr, s.len < t.len ? s.len : t.len);

		return order ? order : (s.len > t.len) - (s.len < t.len);
	}
	struct reader x = {.at = s.ptr, .end = s.ptr + s.len};
	struct reader y = {.at = t.ptr, .end = t.ptr + t.len};

	for (;;) {
		int c = next_byte(&x), d = next_byte(&y);

		if (c != d)
			return c - d;
		if (c < 0)
			return 0;
	}
}

bool apd_json_same_string(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j)
{
	if (!a->toks[i].escaped && !b->toks[j].escaped)
		return apd_str_eq(inner(a, i), inner(b, j));
	return apd_json_compare_strings(a, i, b, j) == 0;
}

bool apd_json_is(const struct apd_json *json, uint32_t i, struct apd_str s)
{
	struct apd_str text = inner(json, i);

	if (!json->toks[i].escaped)
		return apd_str_eq(text, s);
	struct reader r = {.at = text.ptr, .end = text.ptr + text.len};

	for (size_t n = 0; n < s.len; n++)
		if (next_byte(&r) != (unsigned char)s.ptr[n])
			return false;
	return next_byte(&r) < 0;
}

const char *apd_json_type_name(enum apd_json_type type)
{
	static const char *const names[] = {
		[APD_JSON_NULL] = "null",
		[APD_JSON_FALSE] = "false",
		[APD_JSON_TRUE] = "true",
		[APD_JSON_INTEGER] = "an integer",
		[APD_JSON_REAL] = "a number",
		[APD_JSON_STRING] = "a string",
		[APD_JSON_ARRAY] = "an array",
		[APD_JSON_OBJECT] = "an object",
	};

	return type >= APD_JSON_NULL && type <= APD_JSON_OBJECT ? names[type] : "nothing";
}

uint32_t apd_json_member(const struct apd_json *json, uint32_t i, struct apd_str key)
{
	apd_json_each_member (json, i, k)
		if (apd_json_is(json, k, key))
			return k + 1;
	return 0;
}

uint32_t apd_json_given(const struct apd_json *json, uint32_t i, struct apd_str key)
{
	uint32_t value = apd_json_member(json, i, key);

	return value && apd_json_type(json, value) != APD_JSON_NULL ? value : 0;
}
