/*
 * Skipping bytes, many at a time: the inner loops of the JSON scanner, of no use
 * to others. All return the first byte that is something else, or the end.
 */
#ifndef APD_BASE_JSON_SKIP_H
#define APD_BASE_JSON_SKIP_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef unsigned char byte;

static inline bool is_space(byte c)
{
	const uint64_t spaces = 1ull << ' ' | 1ull << '\n' | 1ull << '\r' | 1ull << '\t';

	return c <= ' ' && (spaces >> c & 1);
}

static inline bool is_digit(byte c)
{
	return c >= '0' && c <= '9';
}

/* Skips the indentation of a text that is laid out for people. */
static inline const byte *skip_spaces(const byte *at, const byte *end)
{
	while (at < end && is_space(*at)) {
		uint64_t word;

		at++;
		for (; end - at >= 8; at += 8) {
			memcpy(&word, at, 8);
			if (word != 0x2020202020202020u)
				break;
		}
	}
	return at;
}

/* Skips what may stand between values; mostly there is nothing. */
static inline const byte *skip_space(const byte *at, const byte *end)
{
	if (LIKELY(at < end) && LIKELY(*at > ' '))
		return at;
	return skip_spaces(at, end);
}

static inline const byte *skip_digits(const byte *at, const byte *end)
{
	while (at < end && is_digit(*at))
		at++;
	return at;
}

#ifdef __SSE2__
/* Which of 16 bytes are special in a string, as a bit mask. */
static inline unsigned special_mask(const byte *at)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
	__m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
	__m128i any = _mm_or_si128(_mm_or_si128(quote, backslash), _mm_or_si128(control, v));

	return (unsigned)_mm_movemask_epi8(any);
}
#else
/* True if one of 8 bytes is special in a string; borrows may blur which. */
static inline bool has_special(const byte *at)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t v, quote, backslash;

	memcpy(&v, at, 8);
	quote = v ^ ones * '"';
	backslash = v ^ ones * '\\';
	return ((v | (v - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops) != 0;
}
#endif

/* Skips bytes that stand for themselves: ASCII but for quotes, backslashes and controls. */
static inline const byte *skip_plain(const byte *at, const byte *end)
{
#ifdef __SSE2__
	for (; end - at >= 16; at += 16) {
		unsigned mask = special_mask(at);

		if (mask)
			return at + __builtin_ctz(mask);
	}
#else
	while (end - at >= 8 && !has_special(at))
		at += 8;
#endif
	while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return at;
}

#endif
