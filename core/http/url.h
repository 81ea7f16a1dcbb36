/* URLs as requests carry them: percent-decoding, and finding a query parameter. */
#ifndef APD_HTTP_URL_H
#define APD_HTTP_URL_H

#include "base/str.h"

/*
 * Writes the decoded bytes of in to out, which has room for in.len bytes, and
 * returns how many there are. A '%' without two hexadecimal digits stays as it
 * is; with plus a '+' is a space. out may be in.ptr. [any]
 */
size_t apd_http_url_decode(struct apd_str in, bool plus, char *out);

/* Splits a request's target ("/a?b", "http://host/a?b") into path and query, both still encoded. [any] */
void apd_http_url_split(struct apd_str target, struct apd_str *ret_path, struct apd_str *ret_query);

/*
 * The n-th value, still encoded, of the parameters of that name in a query;
 * empty for a parameter without '=', absent if there are not so many. [any]
 */
struct apd_str apd_http_query_find(struct apd_str query, struct apd_str name, unsigned n);

#endif
