/*
 * The JSON scanner: checks a text once and notes where each value lies, in one
 * flat array that is used again for the next text. It builds no tree, copies
 * nothing and rewrites nothing: payloads stay the bytes that were sent. Uses
 * libc only, since apd-worker is built with it.
 *
 * Refused beyond RFC 8259: invalid UTF-8, lone surrogates, \u0000, duplicate
 * keys in an object, nesting over APD_JSON_MAX_DEPTH, and integers (no
 * fraction, no exponent) that fit neither int64_t nor uint64_t.
 */
#ifndef APD_BASE_JSON_SCAN_H
#define APD_BASE_JSON_SCAN_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define APD_JSON_MAX_DEPTH 128

enum apd_json_type {
	APD_JSON_NULL = 1,
	APD_JSON_FALSE,
	APD_JSON_TRUE,
	APD_JSON_INTEGER, /* no fraction and no exponent */
	APD_JSON_REAL,
	APD_JSON_STRING,
	APD_JSON_ARRAY,
	APD_JSON_OBJECT,
};

/*
 * A value. The values of an array follow it in order; those of an object
 * alternate with their keys, each key a string. `next` is the index behind the
 * value and all that is in it, so a walk is i = toks[i].next.
 */
struct apd_json_tok {
	uint32_t start; /* offset of its first byte in the text */
	uint32_t len; /* bytes of the value as written; a string with its quotes */
	uint32_t next;
	uint32_t count : 24; /* items of an array, members of an object (saturating) */
	uint32_t type : 4; /* enum apd_json_type */
	uint32_t escaped : 1; /* a string with at least one backslash */
};

/* A scanned text. All zero is ready for its first scan; toks[0] is the whole value. */
struct apd_json {
	struct apd_str text; /* borrowed from the caller of the scan */
	struct apd_json_tok *toks;
	uint32_t count;
	uint32_t cap;
	/* set when a scan failed */
	uint32_t error_line; /* from 1 */
	uint32_t error_column; /* in bytes, from 1 */
	const char *error; /* what is wrong, in words: "expected a value" */
	/* scratch for duplicate keys, kept between scans */
	uint32_t *scratch;
	uint32_t scratch_cap;
};

void apd_json_finish(struct apd_json *json);

/*
 * Scans one text, which must stay as long as the result is used. Returns 0, or
 * -EINVAL with error, error_line and error_column set, or -E2BIG for a text of
 * 2 GiB or more. What an earlier scan found is gone. [any, one thread a struct]
 */
int apd_json_scan(struct apd_json *json, struct apd_str text);

/* The value's bytes as they stand in the text. */
static inline struct apd_str apd_json_slice(const struct apd_json *json, uint32_t i)
{
	return (struct apd_str){json->text.ptr + json->toks[i].start, json->toks[i].len};
}

static inline enum apd_json_type apd_json_type(const struct apd_json *json, uint32_t i)
{
	return (enum apd_json_type)json->toks[i].type;
}

/* "an object", "a string", "null", ...: for messages. */
const char *apd_json_type_name(enum apd_json_type type);

/*
 * The index of the value of a member of the object i, or 0 (which is never a
 * member) if there is none. The key is compared unescaped.
 */
uint32_t apd_json_member(const struct apd_json *json, uint32_t i, struct apd_str key);

/* Like apd_json_member, but 0 also for a null: absent and null are the same for optional fields. */
uint32_t apd_json_given(const struct apd_json *json, uint32_t i, struct apd_str key);

/* Walks the members of object o: k is the key's index, k + 1 the value's. */
#define apd_json_each_member(json, o, k) \
	for (uint32_t k = (o) + 1; k < (json)->toks[o].next; k = (json)->toks[k + 1].next)

/* Walks the items of array a. */
#define apd_json_each_item(json, a, i) \
	for (uint32_t i = (a) + 1; i < (json)->toks[a].next; i = (json)->toks[i].next)

/* True if string i, unescaped, is s. */
bool apd_json_is(const struct apd_json *json, uint32_t i, struct apd_str s);

/* True if two strings are the same when unescaped. */
bool apd_json_same_string(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j);

/* Their order by the bytes of their UTF-8, unescaped: less than, equal to or greater than 0. */
int apd_json_compare_strings(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j);

/*
 * Writes string i, unescaped and without quotes, to out, which has room for the
 * token's len bytes; returns how many it took. No NUL is added.
 */
size_t apd_json_unescape_to(const struct apd_json *json, uint32_t i, char *out);

/* Adds string i, unescaped and without quotes, to the buffer. */
void apd_json_unescape(const struct apd_json *json, uint32_t i, struct apd_buf *out);

/*
 * String i without quotes and unescaped: a slice of the text when it has no
 * escapes, else a slice of *scratch (cleared first).
 */
struct apd_str apd_json_string(const struct apd_json *json, uint32_t i, struct apd_buf *scratch);

/*
 * The value of a number: 0, or -ERANGE where it does not fit, or -EINVAL for
 * another type. As an int64_t fits what has no fraction by value: 1.0 does, 1.5
 * does not. As a double everything fits but what is too large; it is rounded.
 */
int apd_json_int64(const struct apd_json *json, uint32_t i, int64_t *ret_value);
int apd_json_double(const struct apd_json *json, uint32_t i, double *ret_value);

/*
 * The order of two numbers by their exact value: less than, equal to or greater
 * than 0. Exponents beyond 10^17 count as that.
 */
int apd_json_compare_numbers(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j);

/*
 * Goes on with a hash (base/hash.h) by a number, in the same way for all that
 * are equal by apd_json_compare_numbers().
 */
uint64_t apd_json_hash_number(const struct apd_json *json, uint32_t i, uint64_t hash);

/*
 * True if a and b are the same JSON value: numbers by their exact value (1, 1.0
 * and 10e-1 are the same), strings unescaped, objects regardless of order.
 */
bool apd_json_equal(const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j);

/*
 * Containment, as PostgreSQL's @>: every member of an object in b is contained
 * in a's, every item of an array in b in some item of a's, scalars are equal.
 */
bool apd_json_contains(const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j);

#endif
