/* ap/sugar/str.h - making, printing and comparing ap_str.  No part of the ABI. */
#ifndef AP_SUGAR_STR_H
#define AP_SUGAR_STR_H

#include <ap/agent.h>

#include <limits.h>
#include <string.h>

/* A string literal as an ap_str. */
#ifdef __cplusplus
#define AP_STR(lit) (ap_str{"" lit, sizeof(lit) - 1})
#else
#define AP_STR(lit) ((ap_str){"" lit, sizeof(lit) - 1})
#endif

/* The two arguments of "%.*s": printf("%.*s", AP_FMT(run->input)).  Names s twice. */
#define AP_FMT(s) ap_fmt_len_(s), ap_fmt_ptr_(s)

static inline int ap_fmt_len_(ap_str s)
{
	return !s.ptr ? 0 : s.len < (size_t)INT_MAX ? (int)s.len : INT_MAX;
}

static inline const char *ap_fmt_ptr_(ap_str s)
{
	return s.ptr ? s.ptr : "";
}

/* len bytes at ptr as an ap_str. [any] */
static inline ap_str ap_mem(const char *ptr, size_t len)
{
	ap_str s;

	s.ptr = ptr;
	s.len = len;
	return s;
}

/* A C string as an ap_str; NULL is the absent string. [any] */
static inline ap_str ap_cstr(const char *text)
{
	return ap_mem(text, text ? strlen(text) : 0);
}

/* Nonzero if both hold the same bytes; absent equals empty. [any] */
static inline int ap_str_equal(ap_str a, ap_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Nonzero if s holds the bytes of a C string. [any] */
static inline int ap_str_is(ap_str s, const char *text)
{
	return ap_str_equal(s, ap_cstr(text));
}

/* What follows a prefix: absent if s does not begin with it, empty if nothing follows. [any] */
static inline ap_str ap_str_after(ap_str s, const char *prefix)
{
	ap_str p = ap_cstr(prefix);

	if (s.len < p.len || !s.ptr || memcmp(s.ptr, p.ptr, p.len) != 0)
		return ap_mem(NULL, 0);
	return ap_mem(s.ptr + p.len, s.len - p.len);
}

#endif /* AP_SUGAR_STR_H */
