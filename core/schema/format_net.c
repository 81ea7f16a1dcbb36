/* Host names, addresses of machines and of people. */
#include <arpa/inet.h>

#include "schema/format.h"

/* One label of a host name: letters, digits and inner hyphens. */
static bool is_label(struct apd_str s)
{
	if (s.len == 0 || s.len > 63 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!apd_schema_is_letter(s.ptr[i]) && !apd_schema_is_digit(s.ptr[i]) &&
			s.ptr[i] != '-')
			return false;
	return true;
}

bool apd_schema_is_hostname(struct apd_str s)
{
	size_t at = 0;

	if (s.len == 0 || s.len > 253)
		return false;
	while (at <= s.len) {
		const char *dot = memchr(s.ptr + at, '.', s.len - at);
		size_t end = dot ? (size_t)(dot - s.ptr) : s.len;

		if (!is_label((struct apd_str){s.ptr + at, end - at}))
			return false;
		at = end + 1;
	}
	return true;
}

bool apd_schema_is_ipv4(struct apd_str s)
{
	unsigned parts = 0;
	size_t i = 0;

	for (;;) {
		unsigned value = 0;
		size_t from = i;

		while (i < s.len && i - from < 4 && apd_schema_is_digit(s.ptr[i]))
			value = value * 10 + (unsigned)(s.ptr[i++] - '0');
		if (i == from || value > 255 || (i - from > 1 && s.ptr[from] == '0'))
			return false;
		if (++parts == 4)
			return i == s.len;
		if (i == s.len || s.ptr[i++] != '.')
			return false;
	}
}

bool apd_schema_is_ipv6(struct apd_str s)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];

	if (s.len >= sizeof(text) || memchr(s.ptr, '\0', s.len))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* The part before the "@": words with single dots between them. */
static bool is_local_part(struct apd_str s, bool international)
{
	if (s.len == 0 || s.len > 64 || s.ptr[0] == '.' || s.ptr[s.len - 1] == '.')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];
		bool plain = apd_schema_is_letter(ch) || apd_schema_is_digit(ch) ||
			(ch && strchr("!#$%&'*+-/=?^_`{|}~", ch));

		if (ch == '.' ? s.ptr[i - 1] == '.'
			      : !plain && !(international && (unsigned char)ch >= 0x80))
			return false;
	}
	return true;
}

/* A local part in quotes, in which anything may stand. */
static bool is_quoted_part(struct apd_str s)
{
	if (s.len < 2 || s.len > 64 || s.ptr[0] != '"' || s.ptr[s.len - 1] != '"')
		return false;
	for (size_t i = 1; i + 1 < s.len; i++) {
		if (s.ptr[i] == '"' || (unsigned char)s.ptr[i] < 0x20)
			return false;
		if (s.ptr[i] == '\\' && ++i + 1 >= s.len)
			return false;
	}
	return true;
}

/* The part behind the "@": a host name, or an address in brackets. */
static bool is_domain(struct apd_str s, bool international)
{
	struct apd_str inner = {s.ptr + 1, s.len > 2 ? s.len - 2 : 0};

	if (inner.len && s.ptr[0] == '[' && s.ptr[s.len - 1] == ']') {
		if (inner.len > 5 && memcmp(inner.ptr, "IPv6:", 5) == 0)
			return apd_schema_is_ipv6((struct apd_str){inner.ptr + 5, inner.len - 5});
		return apd_schema_is_ipv4(inner);
	}
	if (!international)
		return apd_schema_is_hostname(s);
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == '@')
			return false;
	return s.len > 0;
}

static bool is_address(struct apd_str s, bool international)
{
	const char *at = s.len ? memrchr(s.ptr, '@', s.len) : NULL;
	struct apd_str local, domain;

	if (!at)
		return false;
	local = (struct apd_str){s.ptr, (size_t)(at - s.ptr)};
	domain = (struct apd_str){at + 1, s.len - local.len - 1};
	return (is_local_part(local, international) || is_quoted_part(local)) &&
		is_domain(domain, international);
}

bool apd_schema_is_email(struct apd_str s)
{
	return is_address(s, false);
}

bool apd_schema_is_idn_email(struct apd_str s)
{
	return is_address(s, true);
}
