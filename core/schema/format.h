/* The tests behind formats: each says whether a string, unescaped, is of its format. */
#ifndef APD_SCHEMA_FORMAT_H
#define APD_SCHEMA_FORMAT_H

#include "schema/internal.h"

/* Of time (RFC 3339): format_time.c. */
bool apd_schema_is_date_time(struct apd_str s);
bool apd_schema_is_date(struct apd_str s);
bool apd_schema_is_time(struct apd_str s);
bool apd_schema_is_duration(struct apd_str s);

/* Of names and addresses: format_net.c. */
bool apd_schema_is_hostname(struct apd_str s);
bool apd_schema_is_ipv4(struct apd_str s);
bool apd_schema_is_ipv6(struct apd_str s);
bool apd_schema_is_email(struct apd_str s);
bool apd_schema_is_idn_email(struct apd_str s);

/* Of URIs (RFC 3986), and of IRIs, which may have any character over ASCII: format_uri.c. */
bool apd_schema_is_uri(struct apd_str s);
bool apd_schema_is_uri_reference(struct apd_str s);
bool apd_schema_is_iri(struct apd_str s);
bool apd_schema_is_iri_reference(struct apd_str s);

static inline bool apd_schema_is_digit(char ch)
{
	return ch >= '0' && ch <= '9';
}

static inline bool apd_schema_is_letter(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
}

#endif
