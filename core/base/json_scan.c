/*
 * The JSON scanner: one pass over the text, with a stack of its own instead of
 * recursion. A position is passed on from function to function; NULL means that
 * the scan failed and that the scanner knows why.
 */
#include "base/json_scan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_keys.h"
#include "base/json_skip.h"

/* Objects with more keys are checked for duplicates with a hash table. */
#define SMALL_OBJECT 16
#define MAX_COUNT    0xffffff

/* An array or an object whose end was not seen yet. */
struct frame {
	uint64_t seen; /* a bit for each key so far; two keys may share one */
	uint32_t tok; /* its token */
	uint32_t count; /* items or keys so far */
	byte close; /* the byte that ends it */
	bool escaped; /* one of its keys is */
};

struct scanner {
	struct apd_json *json;
	const byte *begin;
	const byte *end;
	const byte *error_at;
	const char *error;
	uint32_t depth;
	struct frame stack[APD_JSON_MAX_DEPTH];
};

/* Notes what is wrong and where. */
static __attribute__((cold, noinline)) const byte *fail(
	struct scanner *s, const byte *at, const char *error)
{
	s->error = error;
	s->error_at = at;
	return NULL;
}

/* Notes that something else should be here, or that the text ends too early. */
static __attribute__((cold, noinline)) const byte *expected(
	struct scanner *s, const byte *at, const char *error)
{
	return fail(s, at, at == s->end ? "unexpected end" : error);
}

static __attribute__((cold, noinline)) void grow_tokens(struct apd_json *json)
{
	json->cap = json->cap ? json->cap * 2 : 64;
	json->toks = apd_realloc(json->toks, json->cap * sizeof(*json->toks));
}

/* Adds a token for a value that is complete, or whose end is set later. */
static inline struct apd_json_tok *add_token(
	struct scanner *s, enum apd_json_type type, const byte *start, const byte *end)
{
	struct apd_json *json = s->json;
	struct apd_json_tok *tok;

	if (UNLIKELY(json->count == json->cap))
		grow_tokens(json);
	tok = &json->toks[json->count++];
	*tok = (struct apd_json_tok){
		.start = (uint32_t)(start - s->begin),
		.len = (uint32_t)(end - start),
		.next = json->count,
		.type = (unsigned)type & 0xf,
	};
	return tok;
}

/* Skips characters beyond ASCII; all of RFC 3629's rules hold. */
static const byte *scan_utf8(struct scanner *s, const byte *at)
{
	const byte *end = s->end;

	while (at < end && *at >= 0x80) {
		byte first = *at, low = 0x80, high = 0xbf;
		int more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;

		if (first < 0xc2 || first > 0xf4 || end - at <= more)
			return fail(s, at, "invalid UTF-8");
		if (first == 0xe0)
			low = 0xa0;
		else if (first == 0xed)
			high = 0x9f;
		else if (first == 0xf0)
			low = 0x90;
		else if (first == 0xf4)
			high = 0x8f;
		if (at[1] < low || at[1] > high || (more > 1 && (at[2] & 0xc0) != 0x80) ||
			(more > 2 && (at[3] & 0xc0) != 0x80))
			return fail(s, at, "invalid UTF-8");
		at += 1 + more;
	}
	return at;
}

/* The number that four hexadecimal digits stand for, or -1. */
static int hex4(const byte *at, const byte *end)
{
	int value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		byte c = at[i], lower = c | 0x20;

		if (is_digit(c))
			value = value << 4 | (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			value = value << 4 | (lower - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* Checks an escape of the \u kind, both halves of a surrogate pair at once. */
static const byte *scan_unicode_escape(struct scanner *s, const byte *at)
{
	int unit = hex4(at + 2, s->end), low;

	if (unit < 0)
		return fail(s, at, "invalid escape");
	if (unit == 0)
		return fail(s, at, "\\u0000 is not allowed");
	if (unit < 0xd800 || unit > 0xdfff)
		return at + 6;
	if (unit > 0xdbff || s->end - at < 12 || at[6] != '\\' || at[7] != 'u')
		return fail(s, at, "lone surrogate");
	low = hex4(at + 8, s->end);
	if (low < 0xdc00 || low > 0xdfff)
		return fail(s, at, "lone surrogate");
	return at + 12;
}

static const byte *scan_escape(struct scanner *s, const byte *at)
{
	if (s->end - at < 2)
		return expected(s, s->end, "invalid escape");
	switch (at[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return at + 2;
	case 'u':
		return scan_unicode_escape(s, at);
	default:
		return fail(s, at, "invalid escape");
	}
}

static inline const byte *scan_string(struct scanner *s, const byte *start)
{
	const byte *at = start + 1;
	bool escaped = false;

	for (;;) {
		at = skip_plain(at, s->end);
		if (UNLIKELY(at == s->end))
			return fail(s, at, "unexpected end");
		if (LIKELY(*at == '"'))
			break;
		if (*at == '\\') {
			escaped = true;
			at = scan_escape(s, at);
		} else if (*at >= 0x80) {
			at = scan_utf8(s, at);
		} else {
			at = fail(s, at, "control character in a string");
		}
		if (UNLIKELY(!at))
			return NULL;
	}
	at++;
	add_token(s, APD_JSON_STRING, start, at)->escaped = escaped;
	return at;
}

/* True if digits that do not begin with 0 fit int64_t with their sign, or uint64_t. */
static bool integer_fits(const byte *digits, size_t n, bool negative)
{
	const char *most = negative ? "9223372036854775808" : "18446744073709551615";
	size_t len = negative ? 19 : 20;

	return n < len || (n == len && memcmp(digits, most, len) <= 0);
}

static inline const byte *scan_number(struct scanner *s, const byte *start)
{
	enum apd_json_type type = APD_JSON_INTEGER;
	const byte *digits = start + (*start == '-'), *end = s->end;
	const byte *at = skip_digits(digits, end), *from;

	if (at == digits)
		return expected(s, at, "invalid number");
	if (*digits == '0' && at > digits + 1)
		return fail(s, start, "invalid number");
	if (at < end && *at == '.') {
		type = APD_JSON_REAL;
		from = at + 1;
		at = skip_digits(from, end);
		if (at == from)
			return expected(s, at, "invalid number");
	}
	if (at < end && (*at | 0x20) == 'e') {
		type = APD_JSON_REAL;
		from = at + 1;
		if (from < end && (*from == '+' || *from == '-'))
			from++;
		at = skip_digits(from, end);
		if (at == from)
			return expected(s, at, "invalid number");
	}
	if (type == APD_JSON_INTEGER && UNLIKELY(at - digits > 18) &&
		!integer_fits(digits, (size_t)(at - digits), *start == '-'))
		return fail(s, start, "integer out of range");
	add_token(s, type, start, at);
	return at;
}

static const byte *scan_word(
	struct scanner *s, const byte *start, enum apd_json_type type, const char *word)
{
	const byte *at = start;

	for (; *word; word++, at++) {
		if (at == s->end || *at != (byte)*word)
			return at == s->end ? fail(s, at, "unexpected end")
					    : fail(s, start, "expected a value");
	}
	add_token(s, type, start, at);
	return at;
}

/* Adds the token of an array or object, whose end follows later. */
static inline const byte *open_container(
	struct scanner *s, const byte *at, enum apd_json_type type, byte close)
{
	if (UNLIKELY(s->depth == APD_JSON_MAX_DEPTH))
		return fail(s, at, "nested deeper than 128");
	s->stack[s->depth++] = (struct frame){.tok = s->json->count, .close = close};
	add_token(s, type, at, at + 1);
	return at + 1;
}

/* Scans a scalar, or the first byte of an array or object. */
static inline const byte *scan_value(struct scanner *s, const byte *at)
{
	at = skip_space(at, s->end);
	if (UNLIKELY(at == s->end))
		return fail(s, at, "unexpected end");
	switch (*at) {
	case '"':
		return scan_string(s, at);
	case '{':
		return open_container(s, at, APD_JSON_OBJECT, '}');
	case '[':
		return open_container(s, at, APD_JSON_ARRAY, ']');
	case 't':
		return scan_word(s, at, APD_JSON_TRUE, "true");
	case 'f':
		return scan_word(s, at, APD_JSON_FALSE, "false");
	case 'n':
		return scan_word(s, at, APD_JSON_NULL, "null");
	default:
		if (LIKELY(*at == '-' || is_digit(*at)))
			return scan_number(s, at);
		return fail(s, at, "expected a value");
	}
}

/* One of 64 bits for a key: says cheaply that most keys were not there before. */
static inline uint64_t key_bit(const byte *key, uint32_t len)
{
	unsigned h = key[1] + key[len / 2] * 5u + key[len - 2] * 9u + len * 17u;

	return 1ull << (h & 63);
}

/* Scans a key and its colon. */
static inline const byte *scan_key(struct scanner *s, struct frame *frame, const byte *at)
{
	uint32_t key = s->json->count;
	const byte *start;

	at = start = skip_space(at, s->end);
	if (UNLIKELY(at == s->end || *at != '"'))
		return expected(s, at, "expected a key");
	at = scan_string(s, at);
	if (UNLIKELY(!at))
		return NULL;
	if (LIKELY(frame->count <= SMALL_OBJECT)) {
		uint64_t bit = key_bit(start, s->json->toks[key].len);

		frame->escaped |= s->json->toks[key].escaped;
		if (UNLIKELY(frame->escaped || (frame->seen & bit)) &&
			apd_json_key_seen(s->json, frame->tok, key))
			return fail(s, start, "duplicate key");
		frame->seen |= bit;
	}
	at = skip_space(at, s->end);
	if (UNLIKELY(at == s->end || *at != ':'))
		return expected(s, at, "expected ':'");
	return at + 1;
}

/* Ends the innermost array or object. */
static inline const byte *close_container(struct scanner *s, const byte *at)
{
	struct frame *frame = &s->stack[--s->depth];
	struct apd_json_tok *tok = &s->json->toks[frame->tok];

	at++;
	tok->len = (uint32_t)(at - s->begin) - tok->start;
	tok->next = s->json->count;
	tok->count = (frame->count < MAX_COUNT ? frame->count : MAX_COUNT) & MAX_COUNT;
	if (UNLIKELY(frame->count > SMALL_OBJECT && frame->close == '}')) {
		uint32_t key = apd_json_repeated_key(s->json, frame->tok, frame->count);

		if (key)
			return fail(s, s->begin + s->json->toks[key].start, "duplicate key");
	}
	return at;
}

/*
 * Goes from one value to where the next one is due: over the ends of arrays and
 * objects, a comma and a key. With nothing due it returns the end of the text.
 */
static inline const byte *scan_between(struct scanner *s, const byte *at)
{
	while (s->depth) {
		struct frame *frame = &s->stack[s->depth - 1];

		at = skip_space(at, s->end);
		if (UNLIKELY(at == s->end))
			return fail(s, at, "unexpected end");
		if (*at == frame->close) {
			at = close_container(s, at);
			if (UNLIKELY(!at))
				return NULL;
			continue;
		}
		if (frame->count++ > 0) {
			if (UNLIKELY(*at != ','))
				return fail(s, at,
					frame->close == '}' ? "expected ',' or '}'"
							    : "expected ',' or ']'");
			at++;
		}
		return frame->close == '}' ? scan_key(s, frame, at) : at;
	}
	at = skip_space(at, s->end);
	return at == s->end ? at : fail(s, at, "expected the end");
}

/* Turns the place of an error into line and column. */
static int report(struct apd_json *json, const struct scanner *s)
{
	const byte *line = s->begin, *newline;

	json->error = s->error;
	json->error_line = 1;
	while ((newline = memchr(line, '\n', (size_t)(s->error_at - line)))) {
		json->error_line++;
		line = newline + 1;
	}
	json->error_column = (uint32_t)(s->error_at - line) + 1;
	json->count = 0;
	return -EINVAL;
}

int apd_json_scan(struct apd_json *json, struct apd_str text)
{
	struct scanner s;
	const byte *at;

	json->count = 0;
	json->error = NULL;
	json->error_line = json->error_column = 0;
	json->text = text.ptr ? text : APD_STR("");
	if (text.len >= 1u << 31) {
		json->error = "too long";
		return -E2BIG;
	}
	s.json = json;
	s.begin = at = (const byte *)json->text.ptr;
	s.end = s.begin + json->text.len;
	s.depth = 0;
	do {
		at = scan_value(&s, at);
		if (LIKELY(at))
			at = scan_between(&s, at);
		if (UNLIKELY(!at))
			return report(json, &s);
	} while (s.depth);
	return 0;
}

void apd_json_finish(struct apd_json *json)
{
	free(json->toks);
	free(json->scratch);
	*json = (struct apd_json){0};
}
