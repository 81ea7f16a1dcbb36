/*
 * A borrowed byte range: who it belongs to and how long it lives is said where
 * it is used. An absent value has a NULL pointer; an empty one does not.
 */
#ifndef APD_BASE_STR_H
#define APD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct apd_str {
	const char *ptr;
	size_t len;
};

/* The range of a string literal. */
#define APD_STR(literal) ((struct apd_str){"" literal, sizeof(literal) - 1})

/* The absent range. */
#define APD_STR_ABSENT ((struct apd_str){NULL, 0})

/* The two arguments of a "%.*s". */
#define APD_STR_FMT(s) (int)(s).len, (s).len ? (s).ptr : ""

/* The range of a C string, absent for NULL. */
static inline struct apd_str apd_str(const char *cstr)
{
	return (struct apd_str){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool apd_str_eq(struct apd_str a, struct apd_str b)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): where there are bytes is a pointer. */
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool apd_str_is(struct apd_str a, const char *cstr)
{
	return apd_str_eq(a, apd_str(cstr));
}

/* The value of a hexadecimal digit in either case, or -1. */
static inline int apd_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

#endif
