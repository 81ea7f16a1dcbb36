/* The syntax of URIs and of references to them (RFC 3986), and of IRIs. */
#include "schema/format.h"

#define SUB_DELIMITERS "!$&'()*+,;="

/* True if all is unreserved, percent-encoded, in `extra`, or, where allowed, not ASCII. */
static bool has_only(struct apd_str s, const char *extra, bool international)
{
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];

		if (ch == '%') {
			for (int n = 0; n < 2; n++)
				if (++i >= s.len || !s.ptr[i] ||
					!strchr("0123456789abcdefABCDEF", s.ptr[i]))
					return false;
		} else if ((unsigned char)ch >= 0x80) {
			if (!international)
				return false;
		} else if (!apd_schema_is_letter(ch) && !apd_schema_is_digit(ch) &&
			(!ch || (!strchr("-._~", ch) && !strchr(extra, ch)))) {
			return false;
		}
	}
	return true;
}

/* Takes what stands before the first of the stop characters off the front. */
static struct apd_str take_until(struct apd_str *s, const char *stops)
{
	struct apd_str head = {s->ptr, 0};

	while (head.len < s->len && !strchr(stops, s->ptr[head.len]))
		head.len++;
	s->ptr += head.len;
	s->len -= head.len;
	return head;
}

/* user@host:port, the host a name, or an address in brackets. */
static bool is_authority(struct apd_str s, bool international)
{
	const char *at = s.len ? memrchr(s.ptr, '@', s.len) : NULL;
	struct apd_str host;

	if (at) {
		struct apd_str user = {s.ptr, (size_t)(at - s.ptr)};

		if (!has_only(user, SUB_DELIMITERS ":", international))
			return false;
		s = (struct apd_str){at + 1, s.len - user.len - 1};
	}
	if (s.len && s.ptr[0] == '[') {
		host = take_until(&s, "]");
		if (s.len == 0 || host.len < 2)
			return false;
		s.ptr++;
		s.len--;
		host.ptr++;
		host.len--;
		if ((host.ptr[0] | 0x20) != 'v' && !apd_schema_is_ipv6(host))
			return false;
	} else {
		host = take_until(&s, ":");
		if (!has_only(host, SUB_DELIMITERS, international))
			return false;
	}
	if (s.len && s.ptr[0] != ':')
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!apd_schema_is_digit(s.ptr[i]))
			return false;
	return true;
}

/* Takes "scheme:" off the front if it is there. */
static bool take_scheme(struct apd_str *s)
{
	size_t n = 0;

	while (n < s->len &&
		(apd_schema_is_letter(s->ptr[n]) ||
			(n &&
				(apd_schema_is_digit(s->ptr[n]) || s->ptr[n] == '+' ||
					s->ptr[n] == '-' || s->ptr[n] == '.'))))
		n++;
	if (n == 0 || n == s->len || s->ptr[n] != ':')
		return false;
	s->ptr += n + 1;
	s->len -= n + 1;
	return true;
}

static bool is_reference(struct apd_str s, bool absolute, bool international)
{
	bool scheme = take_scheme(&s);
	struct apd_str path;

	if (absolute && !scheme)
		return false;
	if (s.len >= 2 && s.ptr[0] == '/' && s.ptr[1] == '/') {
		s.ptr += 2;
		s.len -= 2;
		if (!is_authority(take_until(&s, "/?#"), international))
			return false;
	}
	path = take_until(&s, "?#");
	/* Without a scheme, a colon in the first segment would look like one. */
	if (!scheme) {
		struct apd_str rest = path, first = take_until(&rest, "/");

		if (first.len && memchr(first.ptr, ':', first.len))
			return false;
	}
	if (!has_only(path, SUB_DELIMITERS ":@/", international))
		return false;
	if (s.len && s.ptr[0] == '?' &&
		!has_only(take_until(&s, "#"), SUB_DELIMITERS ":@/?", international))
		return false;
	if (s.len == 0)
		return true;
	return has_only(
		(struct apd_str){s.ptr + 1, s.len - 1}, SUB_DELIMITERS ":@/?", international);
}

bool apd_schema_is_uri(struct apd_str s)
{
	return is_reference(s, true, false);
}

bool apd_schema_is_uri_reference(struct apd_str s)
{
	return is_reference(s, false, false);
}

bool apd_schema_is_iri(struct apd_str s)
{
	return is_reference(s, true, true);
}

bool apd_schema_is_iri_reference(struct apd_str s)
{
	return is_reference(s, false, true);
}
