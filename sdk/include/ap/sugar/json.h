/*
 * ap/sugar/json.h - writing JSON text.  No part of the ABI.
 *
 * The author keeps the grammar (braces, brackets); these keep strings, commas
 * between members and numbers right.
 *
 *	ap_buf_add_char(&b, '{');
 *	ap_json_member_str(&b, "city", name);
 *	ap_json_member_int(&b, "degrees", 21);
 *	ap_buf_add_char(&b, '}');
 */
#ifndef AP_SUGAR_JSON_H
#define AP_SUGAR_JSON_H

#include <ap/agent.h>

#include <ap/sugar/buf.h>

/*
 * The length of the UTF-8 character at the start of s, 0 if the bytes are not
 * UTF-8, or -1 if s ends in the middle of a character.
 */
static inline int ap_utf8_length_(ap_str s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char low = 0x80, high = 0xbf;
	int n;

	if (s.len == 0)
		return -1;
	if (p[0] < 0x80)
		return 1;
	n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	for (int i = 1; i < n; i++, low = 0x80, high = 0xbf) {
		if ((size_t)i == s.len)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
	}
	return n;
}

/* Adds an ASCII byte that cannot stand in a JSON string as it is. */
static inline void ap_json_add_escape_(ap_buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[] = "btn?fr"; /* 8 to 13 */
	char text[6] = {'\\', 'u', '0', '0', 0, 0};

	if (c == '"' || c == '\\') {
		text[1] = (char)c;
		ap_buf_add(b, ap_mem(text, 2));
	} else if (c >= 8 && c <= 13 && c != 11) {
		text[1] = shorts[c - 8];
		ap_buf_add(b, ap_mem(text, 2));
	} else {
		text[4] = hex[c >> 4];
		text[5] = hex[c & 15];
		ap_buf_add(b, ap_mem(text, 6));
	}
}

/*
 * Adds s as a JSON string with its quotes.  What JSON for apd cannot hold (bytes
 * that are not UTF-8, and NUL) becomes U+FFFD, so the result is always valid. [any]
 */
static inline ap_status ap_json_add_string(ap_buf *b, ap_str s)
{
	size_t plain = 0, at = 0;

	s.ptr = ap_fmt_ptr_(s); /* adding even nothing to NULL is undefined */
	ap_buf_add_char(b, '"');
	while (at < s.len) {
		unsigned char c = (unsigned char)s.ptr[at];
		int n = c >= 0x80 ? ap_utf8_length_(ap_mem(s.ptr + at, s.len - at))
				  : c >= 0x20 && c != '"' && c != '\\';

		if (n > 0) {
			at += (size_t)n;
			continue;
		}
		ap_buf_add(b, ap_mem(s.ptr + plain, at - plain));
		if (c >= 0x80 || c == 0)
			ap_buf_add(b, AP_STR("\xef\xbf\xbd"));
		else
			ap_json_add_escape_(b, c);
		plain = ++at;
	}
	ap_buf_add(b, ap_mem(s.ptr + plain, at - plain));
	return ap_buf_add_char(b, '"');
}

/* Adds a comma, unless a container or a member has just begun. [any] */
static inline ap_status ap_json_add_comma(ap_buf *b)
{
	char last = b->len ? b->ptr[b->len - 1] : '{';

	if (last != '{' && last != '[' && last != ':')
		ap_buf_add_char(b, ',');
	return b->status;
}

/* Adds `"key":`, with the comma before it where one is due. [any] */
static inline ap_status ap_json_add_key(ap_buf *b, const char *key)
{
	ap_json_add_comma(b);
	ap_json_add_string(b, ap_cstr(key));
	return ap_buf_add_char(b, ':');
}

/* Adds a member whose value is JSON text already; absent becomes null. [any] */
static inline ap_status ap_json_member_raw(ap_buf *b, const char *key, ap_str json)
{
	ap_json_add_key(b, key);
	return ap_buf_add(b, json.len ? json : AP_STR("null"));
}

/* Adds a member whose value is a string. [any] */
static inline ap_status ap_json_member_str(ap_buf *b, const char *key, ap_str value)
{
	ap_json_add_key(b, key);
	return ap_json_add_string(b, value);
}

/* Adds a member whose value is an integer. [any] */
static inline ap_status ap_json_member_int(ap_buf *b, const char *key, int64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);

	ap_json_add_key(b, key);
	return ap_buf_add(b, ap_mem(text, (size_t)n));
}

/* Adds a member whose value is true or false. [any] */
static inline ap_status ap_json_member_bool(ap_buf *b, const char *key, int value)
{
	ap_json_add_key(b, key);
	return ap_buf_add(b, value ? AP_STR("true") : AP_STR("false"));
}

#endif /* AP_SUGAR_JSON_H */
