/* JSON pointers: following one to a token, and writing the one of a token. */
#include <string.h>

#include "schema/internal.h"

/* One segment of a pointer, unescaped: "~1" is "/" and "~0" is "~". */
static void unescape_segment(struct apd_str s, struct apd_buf *out)
{
	apd_buf_clear(out);
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];

		if (ch == '~' && i + 1 < s.len && (s.ptr[i + 1] == '0' || s.ptr[i + 1] == '1'))
			ch = s.ptr[++i] == '0' ? '~' : '/';
		apd_buf_add_char(out, ch);
	}
}

/* The item of an array that a segment names; 0 if there is none. */
static uint32_t find_item(const struct apd_json *doc, uint32_t array, struct apd_str segment)
{
	size_t index = 0;

	if (segment.len == 0 || segment.len > 9 || (segment.len > 1 && segment.ptr[0] == '0'))
		return 0;
	for (size_t i = 0; i < segment.len; i++) {
		if (segment.ptr[i] < '0' || segment.ptr[i] > '9')
			return 0;
		index = index * 10 + (size_t)(segment.ptr[i] - '0');
	}
	apd_json_each_item (doc, array, i)
		if (index-- == 0)
			return i;
	return 0;
}

uint32_t apd_schema_pointer_find(const struct apd_json *doc, uint32_t from, struct apd_str pointer,
	const uint32_t *resource_of, uint32_t *resource, uint64_t *looked_at)
{
	struct apd_buf name = {0};
	uint32_t token = from;
	size_t at = 0;

	if (pointer.len && pointer.ptr[0] != '/')
		return SCHEMA_NO_TOKEN;
	while (at < pointer.len && token != SCHEMA_NO_TOKEN) {
		size_t end = ++at;
		uint32_t next = 0;

		while (end < pointer.len && pointer.ptr[end] != '/')
			end++;
		unescape_segment((struct apd_str){pointer.ptr + at, end - at}, &name);
		at = end;
		*looked_at += doc->toks[token].count;
		if (apd_json_type(doc, token) == APD_JSON_OBJECT)
			next = apd_json_member(doc, token, apd_buf_str(&name));
		else if (apd_json_type(doc, token) == APD_JSON_ARRAY)
			next = find_item(doc, token, apd_buf_str(&name));
		token = next ? next : SCHEMA_NO_TOKEN;
		if (next && resource_of && resource_of[next])
			*resource = resource_of[next];
	}
	apd_buf_finish(&name);
	return token;
}

/* Adds an index as a segment; false if it does not fit. */
static bool add_index(char *out, size_t size, size_t *len, size_t index)
{
	char digits[24];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + index % 10);
		index /= 10;
	} while (index);
	if (*len + n + 2 > size)
		return false;
	out[(*len)++] = '/';
	while (n)
		out[(*len)++] = digits[--n];
	return true;
}

/* Adds a key as a segment; false if it does not fit. */
static bool add_key(const struct apd_json *doc, uint32_t key, char *out, size_t size, size_t *len)
{
	struct apd_buf scratch = {0};
	struct apd_str name = apd_json_string(doc, key, &scratch);
	size_t n = *len;

	out[n++] = '/';
	for (size_t i = 0; i < name.len && n < size; i++) {
		bool escape = name.ptr[i] == '/' || name.ptr[i] == '~';

		if (n + 2 + escape > size) {
			n = size;
			break;
		}
		if (escape)
			out[n++] = '~';
		out[n++] = name.ptr[i] == '/' ? '1' : name.ptr[i] == '~' ? '0' : name.ptr[i];
	}
	apd_buf_finish(&scratch);
	if (n >= size)
		return false;
	*len = n;
	return true;
}

void apd_schema_path(
	const struct apd_json *doc, uint32_t root, uint32_t token, char *out, size_t size)
{
	uint32_t at = root;
	size_t len = 0;

	while (at != token) {
		bool object = apd_json_type(doc, at) == APD_JSON_OBJECT;
		uint32_t i = at + 1;
		size_t index = 0;

		/* Find the child that the token lies in. */
		while (i + object < token && doc->toks[i + object].next <= token) {
			i = doc->toks[i + object].next;
			index++;
		}
		if (object && i == token)
			break;
		if (len + 2 > size ||
			!(object ? add_key(doc, i, out, size, &len)
				 : add_index(out, size, &len, index)))
			break;
		at = i + object;
	}
	out[len] = '\0';
}
