/*
 * ap/sugar/read.h - reading JSON text without a tree.  No part of the ABI.
 *
 * Every function takes the text of one value and gives slices of it, so nothing
 * is allocated and nothing must be freed.  What the host hands to an agent is
 * valid JSON; for other text the answers may be useless, but reading stays
 * inside of it.  Each call scans what it must: for many look-ups in a big
 * document use a JSON library (see <ap/jansson.h>).
 *
 *	ap_str last = ap_json_last(run->messages);
 *	ap_str content = ap_json_get(last, "content");
 *
 *	if (ap_json_kind(content) == AP_JSON_STRING)
 *		ap_json_add_text(&b, content);
 *
 * An absent value ({NULL, 0}) may go into each of them: absent comes out.
 */
#ifndef AP_SUGAR_READ_H
#define AP_SUGAR_READ_H

#include <ap/agent.h>

#include <stdlib.h>

#include <ap/sugar/buf.h>

enum {
	AP_JSON_ABSENT = 0, /* also: no JSON */
	AP_JSON_NULL,
	AP_JSON_BOOL,
	AP_JSON_NUMBER,
	AP_JSON_STRING,
	AP_JSON_ARRAY,
	AP_JSON_OBJECT
};

static inline int ap_json_space_(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The first place from at on that is no white space; s.len if there is none. */
static inline size_t ap_json_skip_(ap_str s, size_t at)
{
	while (at < s.len && ap_json_space_(s.ptr[at]))
		at++;
	return at;
}

/* s without white space around it; absent if there is nothing else. [any] */
static inline ap_str ap_json_trim(ap_str s)
{
	size_t start = ap_json_skip_(s, 0);

	while (s.len > start && ap_json_space_(s.ptr[s.len - 1]))
		s.len--;
	return s.len > start ? ap_mem(s.ptr + start, s.len - start) : ap_mem(NULL, 0);
}

/* What a value is: one of AP_JSON_..., told by its first byte. [any] */
static inline int ap_json_kind(ap_str value)
{
	size_t at = ap_json_skip_(value, 0);

	if (at == value.len)
		return AP_JSON_ABSENT;
	switch (value.ptr[at]) {
	case '{':
		return AP_JSON_OBJECT;
	case '[':
		return AP_JSON_ARRAY;
	case '"':
		return AP_JSON_STRING;
	case 't':
	case 'f':
		return AP_JSON_BOOL;
	case 'n':
		return AP_JSON_NULL;
	case '-':
		return AP_JSON_NUMBER;
	default:
		return value.ptr[at] >= '0' && value.ptr[at] <= '9' ? AP_JSON_NUMBER
								    : AP_JSON_ABSENT;
	}
}

/* The place behind the string that begins at `at`, or s.len + 1 if it does not end. */
static inline size_t ap_json_string_end_(ap_str s, size_t at)
{
	for (at++; at < s.len; at++) {
		if (s.ptr[at] == '"')
			return at + 1;
		if (s.ptr[at] == '\\')
			at++;
	}
	return s.len + 1;
}

/* The place behind the value that begins at `at`, or s.len + 1 if it does not end. */
static inline size_t ap_json_value_end_(ap_str s, size_t at)
{
	size_t depth = 0;

	while (at < s.len) {
		char c = s.ptr[at];

		if (c == '"') {
			at = ap_json_string_end_(s, at);
			if (depth == 0 || at > s.len)
				return at;
			continue;
		}
		if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return at;
			if (--depth == 0)
				return at + 1;
		} else if (depth == 0 && (c == ',' || c == ':' || ap_json_space_(c))) {
			return at;
		}
		at++;
	}
	return depth == 0 ? at : s.len + 1;
}

/*
 * Walks an array or an object: 1 with the next item in *ret_value (of an object
 * its key, as a JSON string, in *ret_key, which may be NULL), or 0 at the end,
 * or for anything else.  Start with *at = 0. [any]
 */
static inline int ap_json_next(ap_str container, size_t *at, ap_str *ret_key, ap_str *ret_value)
{
	int kind = ap_json_kind(container);
	size_t i = *at, end;
	ap_str key = {NULL, 0};

	if (kind != AP_JSON_ARRAY && kind != AP_JSON_OBJECT)
		return 0;
	i = ap_json_skip_(container, i);
	if (i == container.len || (*at != 0 && container.ptr[i] != ','))
		return 0;
	i = ap_json_skip_(container, i + 1); /* past '[', '{' or ',' */
	if (kind == AP_JSON_OBJECT) {
		if (i == container.len || container.ptr[i] != '"')
			return 0;
		end = ap_json_string_end_(container, i);
		if (end > container.len)
			return 0;
		key = ap_mem(container.ptr + i, end - i);
		i = ap_json_skip_(container, end);
		if (i == container.len || container.ptr[i] != ':')
			return 0;
		i = ap_json_skip_(container, i + 1);
	}
	end = ap_json_value_end_(container, i);
	if (end > container.len || end == i)
		return 0;
	if (ret_key)
		*ret_key = key;
	*ret_value = ap_mem(container.ptr + i, end - i);
	*at = end;
	return 1;
}

/*
 * The last item of an array, or absent.  Looks from the end, so it costs the
 * length of that item and not of the array: good for a long transcript. [any]
 */
static inline ap_str ap_json_last(ap_str array)
{
	size_t depth = 0, at;
	ap_str s = ap_json_trim(array);

	if (ap_json_kind(s) != AP_JSON_ARRAY || s.len < 2 || s.ptr[s.len - 1] != ']')
		return ap_mem(NULL, 0);
	s.len--;
	for (at = s.len; at > 0; at--) {
		char c = s.ptr[at - 1];

		if (c == '"') {
			/* Back to the quote that opens: the one without a backslash before it,
			 * since in valid JSON none stands outside of a string. */
			do
				at--;
			while (at > 1 && (s.ptr[at - 1] != '"' || s.ptr[at - 2] == '\\'));
			if (at <= 1)
				break;
		} else if (c == ']' || c == '}') {
			depth++;
		} else if (depth && (c == '[' || c == '{')) {
			depth--;
		} else if (depth == 0 && (c == ',' || c == '[')) {
			return ap_json_trim(ap_mem(s.ptr + at, s.len - at));
		}
	}
	return ap_mem(NULL, 0);
}

/* Four hexadecimal digits at p as a number, or -1. */
static inline int32_t ap_json_hex_(const char *p)
{
	int32_t code = 0;

	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int digit = c >= '0' && c <= '9' ? c - '0'
			: c >= 'a' && c <= 'f'   ? c - 'a' + 10
			: c >= 'A' && c <= 'F'   ? c - 'A' + 10
						 : -1;

		if (digit < 0)
			return -1;
		code = code * 16 + digit;
	}
	return code;
}

/* Writes a code point as UTF-8; returns its length. */
static inline size_t ap_utf8_put_(char out[4], int32_t code)
{
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; i-- > 1; code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(lead[n] | code);
	return n;
}

/*
 * Decodes the escape at *at (a backslash) of a string's inside, moves *at behind
 * it and returns the length of what it stands for.  A lone surrogate and an
 * escape that is none become U+FFFD.
 */
static inline size_t ap_json_unescape_(ap_str s, size_t *at, char out[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	size_t left = s.len - *at;
	char c = left > 1 ? s.ptr[*at + 1] : '\0';
	const char *found = c ? strchr(from, c) : NULL;
	int32_t code = -1, low;

	if (found) {
		*at += 2;
		out[0] = to[found - from];
		return 1;
	}
	if (c == 'u' && left >= 6)
		code = ap_json_hex_(s.ptr + *at + 2);
	*at += code < 0 ? (left > 1 ? 2 : 1) : 6;
	if (code >= 0xd800 && code < 0xdc00 && left >= 12 && s.ptr[*at] == '\\' &&
		s.ptr[*at + 1] == 'u') {
		low = ap_json_hex_(s.ptr + *at + 2);
		if (low >= 0xdc00 && low < 0xe000) {
			*at += 6;
			return ap_utf8_put_(
				out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
		}
	}
	return ap_utf8_put_(out, code < 0 || (code >= 0xd800 && code < 0xe000) ? 0xfffd : code);
}

/* What stands between the quotes of a JSON string, still escaped; absent for other values. */
static inline ap_str ap_json_inside_(ap_str value)
{
	ap_str s = ap_json_trim(value);

	if (s.len < 2 || s.ptr[0] != '"' || s.ptr[s.len - 1] != '"')
		return ap_mem(NULL, 0);
	return ap_mem(s.ptr + 1, s.len - 2);
}

/*
 * Adds the text of a JSON string, unescaped and without quotes.  AP_E_INVALID,
 * which does not stick, if the value is no string. [any]
 */
static inline ap_status ap_json_add_text(ap_buf *b, ap_str value)
{
	ap_str s = ap_json_inside_(value);
	size_t at = 0;

	if (!s.ptr)
		return AP_E_INVALID;
	ap_buf_reserve(b, s.len); /* the text is never longer than its JSON */
	while (at < s.len) {
		const char *slash = (const char *)memchr(s.ptr + at, '\\', s.len - at);
		size_t plain = slash ? (size_t)(slash - s.ptr) : s.len;
		char out[4];

		ap_buf_add(b, ap_mem(s.ptr + at, plain - at));
		at = plain;
		if (slash)
			ap_buf_add(b, ap_mem(out, ap_json_unescape_(s, &at, out)));
	}
	return b->status;
}

/*
 * The text of a JSON string: a slice of the value if nothing in it is escaped,
 * else in *space, which is cleared first.  Absent if the value is no string or
 * space has no room. [any]
 */
static inline ap_str ap_json_text(ap_str value, ap_buf *space)
{
	ap_str s = ap_json_inside_(value);

	if (!s.ptr || s.len == 0 || !memchr(s.ptr, '\\', s.len))
		return s;
	ap_buf_clear(space);
	if (ap_json_add_text(space, value) != AP_OK)
		return ap_mem(NULL, 0);
	return ap_buf_str(space);
}

/* Nonzero if the value is a JSON string that stands for this text. [any] */
static inline int ap_json_is(ap_str value, const char *text)
{
	ap_str s = ap_json_inside_(value), t = ap_cstr(text);
	size_t at = 0, done = 0, n;
	char out[4];

	if (!s.ptr)
		return 0;
	while (at < s.len) {
		if (s.ptr[at] == '\\') {
			n = ap_json_unescape_(s, &at, out);
		} else {
			out[0] = s.ptr[at++];
			n = 1;
		}
		if (n > t.len - done || memcmp(t.ptr + done, out, n) != 0)
			return 0;
		done += n;
	}
	return done == t.len;
}

/* The value of a member of an object, or absent. [any] */
static inline ap_str ap_json_get(ap_str object, const char *key)
{
	ap_str name, value;
	size_t at = 0;

	while (ap_json_kind(object) == AP_JSON_OBJECT && ap_json_next(object, &at, &name, &value))
		if (ap_json_is(name, key))
			return value;
	return ap_mem(NULL, 0);
}

/*
 * The text of a message: its content, or the text blocks of its content joined.
 * In *space, which is cleared first, or a slice of the message; absent if there
 * is no room. [any]
 */
static inline ap_str ap_message_read(ap_str message, ap_buf *space)
{
	ap_str content = ap_json_get(message, "content"), block;
	size_t at = 0;

	if (ap_json_kind(content) == AP_JSON_STRING)
		return ap_json_text(content, space);
	ap_buf_clear(space);
	while (ap_json_next(content, &at, NULL, &block))
		if (ap_json_is(ap_json_get(block, "type"), "text"))
			ap_json_add_text(space, ap_json_get(block, "text"));
	return space->status == AP_OK ? ap_buf_str(space) : ap_mem(NULL, 0);
}

/* The value of a number: AP_OK, or AP_E_INVALID for anything else or without an end. [any] */
static inline ap_status ap_json_double(ap_str value, double *ret_value)
{
	ap_str s = ap_json_trim(value);
	char text[128], *end;
	double number;

	if (ap_json_kind(s) != AP_JSON_NUMBER || s.len >= sizeof(text))
		return AP_E_INVALID;
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): where there are bytes is a pointer. */
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	number = strtod(text, &end);
	if (*end != '\0')
		return AP_E_INVALID;
	*ret_value = number;
	return AP_OK;
}

/*
 * The value of an integer: AP_OK, AP_E_LIMIT if it does not fit, or AP_E_INVALID.
 * 5.0 and 5e0 are 5, as JSON Schema has it. [any]
 */
static inline ap_status ap_json_int(ap_str value, int64_t *ret_value)
{
	ap_str s = ap_json_trim(value);
	size_t at = s.len && s.ptr[0] == '-';
	int64_t sum = 0; /* negative, since INT64_MIN has no opposite */
	double number;

	if (ap_json_kind(s) != AP_JSON_NUMBER || at == s.len)
		return AP_E_INVALID;
	for (; at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9'; at++) {
		int digit = s.ptr[at] - '0';

		if (sum < (INT64_MIN + digit) / 10)
			return AP_E_LIMIT;
		sum = sum * 10 - digit;
	}
	if (at < s.len) {
		if (ap_json_double(s, &number) != AP_OK)
			return AP_E_INVALID;
		if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0))
			return AP_E_LIMIT;
		if (number != (double)(int64_t)number)
			return AP_E_INVALID;
		*ret_value = (int64_t)number;
		return AP_OK;
	}
	if (s.ptr[0] != '-' && sum == INT64_MIN)
		return AP_E_LIMIT;
	*ret_value = s.ptr[0] == '-' ? sum : -sum;
	return AP_OK;
}

/* The value of true (1) or false (0): AP_OK, or AP_E_INVALID. [any] */
static inline ap_status ap_json_bool(ap_str value, int *ret_value)
{
	ap_str s = ap_json_trim(value);

	if (!ap_str_is(s, "true") && !ap_str_is(s, "false"))
		return AP_E_INVALID;
	*ret_value = s.ptr[0] == 't';
	return AP_OK;
}

#endif /* AP_SUGAR_READ_H */
