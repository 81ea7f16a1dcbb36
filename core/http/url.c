/* Percent-decoding and query parameters. */
#include "http/url.h"

/* Decodes the character at *at and moves on behind it. */
static char decode_one(struct apd_str in, size_t *at, bool plus)
{
	char c = in.ptr[(*at)++];

	if (c == '+' && plus)
		return ' ';
	if (c == '%' && in.len - *at >= 2) {
		int high = apd_hex_value(in.ptr[*at]), low = apd_hex_value(in.ptr[*at + 1]);

		if (high >= 0 && low >= 0) {
			*at += 2;
			return (char)(high * 16 + low);
		}
	}
	return c;
}

size_t apd_http_url_decode(struct apd_str in, bool plus, char *out)
{
	size_t at = 0, n = 0;

	while (at < in.len)
		out[n++] = decode_one(in, &at, plus);
	return n;
}

/* The part of s before the first c, and the rest behind it (absent without a c). */
static struct apd_str cut(struct apd_str s, char c, struct apd_str *ret_rest)
{
	const char *found = s.len ? memchr(s.ptr, c, s.len) : NULL;

	if (!found) {
		*ret_rest = APD_STR_ABSENT;
		return s;
	}
	*ret_rest = (struct apd_str){found + 1, s.len - (size_t)(found + 1 - s.ptr)};
	return (struct apd_str){s.ptr, (size_t)(found - s.ptr)};
}

/* Removes "scheme://authority" from an absolute-form target. */
static struct apd_str without_authority(struct apd_str target)
{
	const char *colons = target.len ? memmem(target.ptr, target.len, "://", 3) : NULL;
	struct apd_str rest;
	const char *slash;

	if (target.len == 0 || target.ptr[0] == '/' || !colons)
		return target;
	rest.ptr = colons + 3;
	rest.len = target.len - (size_t)(rest.ptr - target.ptr);
	slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
	if (!slash)
		return APD_STR("/");
	return (struct apd_str){slash, target.len - (size_t)(slash - target.ptr)};
}

void apd_http_url_split(struct apd_str target, struct apd_str *ret_path, struct apd_str *ret_query)
{
	struct apd_str query;

	*ret_path = cut(without_authority(target), '?', &query);
	*ret_query = query;
}

/* True if the encoded text reads as s. */
static bool decodes_to(struct apd_str encoded, struct apd_str s)
{
	size_t at = 0, n = 0;

	while (at < encoded.len) {
		if (n == s.len || decode_one(encoded, &at, true) != s.ptr[n])
			return false;
		n++;
	}
	return n == s.len;
}

struct apd_str apd_http_query_find(struct apd_str query, struct apd_str name, unsigned n)
{
	while (query.ptr) {
		struct apd_str rest, value;
		struct apd_str key = cut(cut(query, '&', &rest), '=', &value);

		if (key.len && decodes_to(key, name) && n-- == 0)
			return value.ptr ? value : APD_STR("");
		query = rest;
	}
	return APD_STR_ABSENT;
}
