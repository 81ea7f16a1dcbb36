/*
 * Numbers of a scanned text: read where they stand, digit by digit, so that
 * nothing is lost on a way through a double.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/json_scan.h"

/* Exponents beyond this are taken for it: such numbers are only zeros to anybody. */
#define MAX_EXPONENT 100000000000000000LL

/* A number as 0.ddd times ten to the power of `point`, the first d not being 0. */
struct decimal {
	const char *at; /* the next digit, or the full stop among them */
	const char *end;
	int64_t point;
	int sign; /* -1, 0 for zero, 1 */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the digits behind an "e". */
static int64_t read_exponent(const char *at, const char *end)
{
	bool negative = *at == '-';
	int64_t value = 0;

	for (at += negative || *at == '+'; at < end; at++)
		if (value < MAX_EXPONENT)
			value = value * 10 + (*at - '0');
	if (value > MAX_EXPONENT)
		value = MAX_EXPONENT;
	return negative ? -value : value;
}

/* Finds the first digit that is not 0, and what it counts for. */
static struct decimal decimal_of(const struct apd_json *json, uint32_t i)
{
	struct apd_str s = apd_json_slice(json, i);
	const char *at = s.ptr, *end = s.ptr + s.len, *whole;
	struct decimal d = {.sign = 1};

	if (*at == '-') {
		d.sign = -1;
		at++;
	}
	for (whole = at; whole < end && is_digit(*whole);)
		whole++;
	for (d.end = whole; d.end < end && (*d.end | 0x20) != 'e';)
		d.end++;
	while (at < d.end && (*at == '0' || *at == '.'))
		at++;
	d.at = at;
	if (at == d.end)
		d.sign = 0;
	else if (d.end < end)
		d.point = read_exponent(d.end + 1, end);
	/* Behind the full stop, each 0 before the first digit counts one down. */
	d.point += at < whole ? whole - at : d.sign ? whole + 1 - at : 0;
	return d;
}

/* The next digit, 0 for ever behind the last. */
static int next_digit(struct decimal *d)
{
	if (d->at < d->end && *d->at == '.')
		d->at++;
	return d->at < d->end ? *d->at++ - '0' : 0;
}

int apd_json_compare_numbers(
	const struct apd_json *a, uint32_t i, const struct apd_json *b, uint32_t j)
{
	struct decimal x = decimal_of(a, i), y = decimal_of(b, j);

	if (x.sign != y.sign)
		return x.sign < y.sign ? -1 : 1;
	if (x.sign == 0)
		return 0;
	if (x.point != y.point)
		return x.point < y.point ? -x.sign : x.sign;
	while (x.at < x.end || y.at < y.end) {
		int c = next_digit(&x), d = next_digit(&y);

		if (c != d)
			return c < d ? -x.sign : x.sign;
	}
	return 0;
}

uint64_t apd_json_hash_number(const struct apd_json *json, uint32_t i, uint64_t hash)
{
	struct decimal d = decimal_of(json, i);
	uint8_t sign = (uint8_t)(d.sign + 1);
	int64_t zeros = 0;

	hash = apd_hash_add(hash, &sign, 1);
	if (d.sign == 0)
		return hash;
	/* Byte by byte, so that the machine's order of bytes does not count. */
	for (unsigned shift = 0; shift < 64; shift += 8) {
		uint8_t part = (uint8_t)((uint64_t)d.point >> shift);

		hash = apd_hash_add(hash, &part, 1);
	}
	/* Zeros count only when another digit follows. */
	while (d.at < d.end) {
		uint8_t digit = (uint8_t)next_digit(&d);

		if (digit == 0) {
			zeros++;
			continue;
		}
		for (; zeros; zeros--)
			hash = apd_hash_add(hash, "", 1);
		hash = apd_hash_add(hash, &digit, 1);
	}
	return hash;
}

static bool is_number(const struct apd_json *json, uint32_t i)
{
	enum apd_json_type type = apd_json_type(json, i);

	return type == APD_JSON_INTEGER || type == APD_JSON_REAL;
}

int apd_json_int64(const struct apd_json *json, uint32_t i, int64_t *ret_value)
{
	struct decimal d;
	uint64_t value = 0, most;

	if (!is_number(json, i))
		return -EINVAL;
	d = decimal_of(json, i);
	if (d.sign == 0) {
		*ret_value = 0;
		return 0;
	}
	/* Nothing of 20 digits fits, and 19 digits fit uint64_t. */
	if (d.point < 1 || d.point > 19)
		return -ERANGE;
	for (int64_t n = 0; n < d.point; n++)
		value = value * 10 + (uint64_t)next_digit(&d);
	while (d.at < d.end)
		if (next_digit(&d) != 0)
			return -ERANGE;
	most = d.sign < 0 ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	if (value > most)
		return -ERANGE;
	*ret_value = (int64_t)(d.sign < 0 ? 0 - value : value);
	return 0;
}

int apd_json_double(const struct apd_json *json, uint32_t i, double *ret_value)
{
	struct apd_str s = apd_json_slice(json, i);
	char on_stack[64], *text = on_stack;
	double value;

	if (!is_number(json, i))
		return -EINVAL;
	/* The text need not end with a NUL, and strtod() has to stop somewhere. */
	if (s.len >= sizeof(on_stack)) {
		text = apd_strndup(s.ptr, s.len);
	} else {
		memcpy(text, s.ptr, s.len);
		text[s.len] = '\0';
	}
	/* The process stays in the C locale, so the full stop is the decimal point. */
	value = strtod(text, NULL);
	if (text != on_stack)
		free(text);
	if (isinf(value))
		return -ERANGE;
	*ret_value = value;
	return 0;
}
