/* The formats of strings that are asserted, and the plain ones among them. */
#include "schema/format.h"
#include "base/alloc.h"
#include "base/id.h"

static bool is_uuid(struct apd_str s)
{
	struct apd_id id;

	return apd_id_parse(s, &id) == 0;
}

static bool is_pointer(struct apd_str s)
{
	if (s.len && s.ptr[0] != '/')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == '~' &&
			(i + 1 == s.len || (s.ptr[i + 1] != '0' && s.ptr[i + 1] != '1')))
			return false;
	return true;
}

/* A number of levels to go up, then "#" or a pointer. */
static bool is_relative_pointer(struct apd_str s)
{
	size_t n = 0;

	while (n < s.len && apd_schema_is_digit(s.ptr[n]))
		n++;
	if (n == 0 || (n > 1 && s.ptr[0] == '0'))
		return false;
	s.ptr += n;
	s.len -= n;
	return apd_str_is(s, "#") || is_pointer(s);
}

const struct schema_format *apd_schema_format_find(struct apd_str name)
{
	static const struct schema_format formats[] = {
		{"uuid", "a UUID", is_uuid},
		{"date-time", "a date and time like 2026-01-31T12:00:00Z", apd_schema_is_date_time},
		{"date", "a date like 2026-01-31", apd_schema_is_date},
		{"time", "a time like 12:00:00Z", apd_schema_is_time},
		{"duration", "a duration like PT30S", apd_schema_is_duration},
		{"uri", "an absolute URI", apd_schema_is_uri},
		{"uri-reference", "a URI reference", apd_schema_is_uri_reference},
		{"iri", "an absolute IRI", apd_schema_is_iri},
		{"iri-reference", "an IRI reference", apd_schema_is_iri_reference},
		{"email", "an email address", apd_schema_is_email},
		{"idn-email", "an email address", apd_schema_is_idn_email},
		{"hostname", "a host name", apd_schema_is_hostname},
		{"ipv4", "an IPv4 address", apd_schema_is_ipv4},
		{"ipv6", "an IPv6 address", apd_schema_is_ipv6},
		{"json-pointer", "a JSON pointer", is_pointer},
		{"relative-json-pointer", "a relative JSON pointer", is_relative_pointer},
	};

	for (size_t i = 0; i < APD_COUNT(formats); i++)
		if (apd_str_is(name, formats[i].name))
			return &formats[i];
	return NULL;
}
