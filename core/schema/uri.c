/* URI references: resolving one against a base (RFC 3986, 5.2). */
#include "schema/internal.h"

/* The parts of a URI reference without its fragment; absent where there is none. */
struct uri {
	struct apd_str scheme, authority, path, query;
};

/* How many bytes from the front are none of the stop bytes. */
static size_t span_until(struct apd_str s, const char *stops)
{
	size_t n = 0;

	while (n < s.len && !strchr(stops, s.ptr[n]))
		n++;
	return n;
}

/* Takes n bytes off the front. */
static struct apd_str take(struct apd_str *s, size_t n)
{
	struct apd_str head = {s->ptr, n};

	s->ptr += n;
	s->len -= n;
	return head;
}

static struct uri split(struct apd_str s)
{
	struct uri uri = {.scheme = APD_STR_ABSENT};
	size_t n;

	s.len = span_until(s, "#");
	n = span_until(s, ":/?");
	if (n > 0 && n < s.len && s.ptr[n] == ':') {
		uri.scheme = take(&s, n);
		take(&s, 1);
	}
	if (s.len >= 2 && s.ptr[0] == '/' && s.ptr[1] == '/') {
		take(&s, 2);
		uri.authority = take(&s, span_until(s, "/?"));
	}
	uri.path = take(&s, span_until(s, "?"));
	if (s.len) {
		take(&s, 1);
		uri.query = s;
	}
	return uri;
}

/* Drops the last segment of what was written since `from`. */
static void drop_segment(struct apd_buf *out, size_t from)
{
	while (out->len > from && out->data[out->len - 1] != '/')
		out->len--;
	if (out->len > from)
		out->len--;
}

/* Adds a path without its "." and ".." segments. */
static void add_path(struct apd_buf *out, struct apd_str path)
{
	size_t from = out->len, at = 0;
	bool rooted = path.len && path.ptr[0] == '/';

	while (at <= path.len && path.len) {
		struct apd_str rest = {path.ptr + at, path.len - at};
		struct apd_str segment = {rest.ptr, span_until(rest, "/")};
		bool last = segment.len == rest.len;

		if (apd_str_is(segment, "..")) {
			drop_segment(out, from);
			if (last)
				apd_buf_add_char(out, '/');
		} else if (apd_str_is(segment, ".")) {
			if (last)
				apd_buf_add_char(out, '/');
		} else if (at > 0 || !rooted) {
			if (at > 0)
				apd_buf_add_char(out, '/');
			apd_buf_add_str(out, segment);
		}
		at += segment.len + 1;
	}
}

void apd_schema_uri_resolve(struct apd_str base, struct apd_str ref, struct apd_buf *out)
{
	struct uri b = split(base), r = split(ref);
	struct apd_buf merged = {0};

	if (!r.scheme.ptr) {
		r.scheme = b.scheme;
		if (!r.authority.ptr) {
			r.authority = b.authority;
			if (r.path.len == 0) {
				r.path = b.path;
				if (!r.query.ptr)
					r.query = b.query;
			} else if (r.path.ptr[0] != '/') {
				size_t n = b.path.len;

				while (n && b.path.ptr[n - 1] != '/')
					n--;
				apd_buf_add(&merged, b.path.ptr, n);
				if (n == 0 && b.authority.ptr)
					apd_buf_add_char(&merged, '/');
				apd_buf_add_str(&merged, r.path);
				r.path = apd_buf_str(&merged);
			}
		}
	}
	if (r.scheme.ptr) {
		apd_buf_add_str(out, r.scheme);
		apd_buf_add_char(out, ':');
	}
	if (r.authority.ptr) {
		apd_buf_lit(out, "//");
		apd_buf_add_str(out, r.authority);
	}
	add_path(out, r.path);
	if (r.query.ptr) {
		apd_buf_add_char(out, '?');
		apd_buf_add_str(out, r.query);
	}
	apd_buf_finish(&merged);
}

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch = (char)(ch | 0x20);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

void apd_schema_percent_decode(struct apd_str s, struct apd_buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		int high = s.ptr[i] == '%' && i + 2 < s.len ? hex_value(s.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s.ptr[i + 2]) : -1;

		if (low < 0) {
			apd_buf_add_char(out, s.ptr[i]);
		} else {
			apd_buf_add_char(out, (char)(high * 16 + low));
			i += 2;
		}
	}
}
