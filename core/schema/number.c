/* Numbers: exact decimals, and the keywords that limit them. */
#include "schema/internal.h"

/* Beyond this no double goes; larger exponents are all the same. */
#define MAX_EXPONENT 1000000

__extension__ typedef unsigned __int128 wide;

/* Adds a digit; the first one that does not fit and all behind it are left out. */
static void add_digit(struct schema_number *n, char ch, bool fraction, bool *full)
{
	uint64_t digit = (uint64_t)(ch - '0');

	if (!*full && n->mantissa > (UINT64_MAX - digit) / 10)
		*full = true;
	if (!*full && n->exponent > -MAX_EXPONENT) {
		n->mantissa = n->mantissa * 10 + digit;
		n->exponent -= fraction;
	} else if (*full && !fraction && n->exponent < MAX_EXPONENT) {
		n->exponent++;
	}
}

/* Reads the exponent after the 'e'. */
static int32_t read_exponent(struct apd_str text, size_t i)
{
	bool negative = i < text.len && text.ptr[i] == '-';
	int32_t value = 0;

	if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
		i++;
	for (; i < text.len; i++)
		if (value < MAX_EXPONENT)
			value = value * 10 + (text.ptr[i] - '0');
	return negative ? -value : value;
}

struct schema_number apd_schema_number_read(struct apd_str text)
{
	struct schema_number n = {.negative = text.ptr[0] == '-'};
	bool fraction = false, full = false;

	for (size_t i = n.negative; i < text.len; i++) {
		char ch = text.ptr[i];

		if (ch == 'e' || ch == 'E') {
			n.exponent += read_exponent(text, i + 1);
			break;
		}
		if (ch == '.')
			fraction = true;
		else
			add_digit(&n, ch, fraction, &full);
	}
	if (n.mantissa == 0)
		return (struct schema_number){0};
	while (n.mantissa % 10 == 0) {
		n.mantissa /= 10;
		n.exponent++;
	}
	return n;
}

static int digits_of(uint64_t mantissa)
{
	int n = 1;

	while (mantissa >= 10) {
		mantissa /= 10;
		n++;
	}
	return n;
}

/* Compares two positive numbers. */
static int compare_sizes(const struct schema_number *a, const struct schema_number *b)
{
	int digits_a = digits_of(a->mantissa), digits_b = digits_of(b->mantissa);
	int high_a = digits_a + a->exponent, high_b = digits_b + b->exponent;
	wide wide_a = a->mantissa, wide_b = b->mantissa;

	if (high_a != high_b)
		return high_a < high_b ? -1 : 1;
	for (; digits_a < digits_b; digits_a++)
		wide_a *= 10;
	for (; digits_b < digits_a; digits_b++)
		wide_b *= 10;
	return wide_a < wide_b ? -1 : wide_a > wide_b;
}

int apd_schema_number_compare(const struct schema_number *a, const struct schema_number *b)
{
	int sign_a = a->mantissa == 0 ? 0 : a->negative ? -1 : 1;
	int sign_b = b->mantissa == 0 ? 0 : b->negative ? -1 : 1;

	if (sign_a != sign_b)
		return sign_a < sign_b ? -1 : 1;
	if (sign_a == 0)
		return 0;
	return sign_a > 0 ? compare_sizes(a, b) : compare_sizes(b, a);
}

/* Ten to the exponent, modulo m. */
static uint64_t power_modulo(uint32_t exponent, uint64_t m)
{
	wide result = 1 % m, base = 10 % m;

	for (; exponent; exponent >>= 1) {
		if (exponent & 1)
			result = result * base % m;
		base = base * base % m;
	}
	return (uint64_t)result;
}

bool apd_schema_number_divides(const struct schema_number *a, const struct schema_number *b)
{
	wide divisor = b->mantissa;

	if (a->mantissa == 0)
		return true;
	if (a->exponent >= b->exponent) {
		uint32_t up = (uint32_t)(a->exponent - b->exponent);

		return (wide)(a->mantissa % b->mantissa) * power_modulo(up, b->mantissa) %
			b->mantissa ==
			0;
	}
	for (int32_t e = a->exponent; e < b->exponent; e++) {
		divisor *= 10;
		if (divisor > a->mantissa)
			return false;
	}
	return a->mantissa % divisor == 0;
}

/* Reads the number that a keyword is. */
static int compile_bound(struct schema_compile *c, struct schema_node *node, uint32_t token,
	struct schema_bound *ret_bound)
{
	if (!token)
		return 0;
	if (apd_json_type(c->doc, token) != APD_JSON_INTEGER &&
		apd_json_type(c->doc, token) != APD_JSON_REAL)
		return apd_schema_refuse(c, token, "expected a number");
	ret_bound->text = apd_schema_copy(&c->schema->blocks, apd_json_slice(c->doc, token));
	ret_bound->value = apd_schema_number_read(ret_bound->text);
	if (ret_bound == &node->number->multiple_of &&
		(ret_bound->value.negative || !ret_bound->value.mantissa))
		return apd_schema_refuse(c, token, "expected a number over 0");
	return 0;
}

int apd_schema_number_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw)
{
	struct schema_number_rules *rules;
	int r;

	if (!kw[KW_MINIMUM] && !kw[KW_MAXIMUM] && !kw[KW_EXCLUSIVE_MINIMUM] &&
		!kw[KW_EXCLUSIVE_MAXIMUM] && !kw[KW_MULTIPLE_OF])
		return 0;
	rules = node->number = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*rules));
	r = compile_bound(c, node, kw[KW_MINIMUM], &rules->minimum);
	if (r == 0)
		r = compile_bound(c, node, kw[KW_MAXIMUM], &rules->maximum);
	if (r == 0)
		r = compile_bound(c, node, kw[KW_EXCLUSIVE_MINIMUM], &rules->above);
	if (r == 0)
		r = compile_bound(c, node, kw[KW_EXCLUSIVE_MAXIMUM], &rules->below);
	if (r == 0)
		r = compile_bound(c, node, kw[KW_MULTIPLE_OF], &rules->multiple_of);
	return r;
}

/* Words the failure of one bound. */
static bool fail_bound(struct schema_check *c, const struct schema_node *node, uint32_t i,
	const char *words, const struct schema_bound *bound)
{
	char quote[64];

	return apd_schema_fail(c, node, i, "expected %s %.*s, got %s", words,
		APD_STR_FMT(bound->text), apd_schema_quote(c->doc, i, quote));
}

bool apd_schema_number_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_number_rules *rules = node->number;
	struct schema_number n = apd_schema_number_read(apd_json_slice(c->doc, i));

	if (rules->minimum.text.ptr && apd_schema_number_compare(&n, &rules->minimum.value) < 0)
		return fail_bound(c, node, i, "at least", &rules->minimum);
	if (rules->maximum.text.ptr && apd_schema_number_compare(&n, &rules->maximum.value) > 0)
		return fail_bound(c, node, i, "at most", &rules->maximum);
	if (rules->above.text.ptr && apd_schema_number_compare(&n, &rules->above.value) <= 0)
		return fail_bound(c, node, i, "more than", &rules->above);
	if (rules->below.text.ptr && apd_schema_number_compare(&n, &rules->below.value) >= 0)
		return fail_bound(c, node, i, "less than", &rules->below);
	if (rules->multiple_of.text.ptr &&
		!apd_schema_number_divides(&n, &rules->multiple_of.value))
		return fail_bound(c, node, i, "a multiple of", &rules->multiple_of);
	return true;
}
