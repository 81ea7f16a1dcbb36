/* The keywords for strings. */
#include "schema/internal.h"

/* Reads "format"; one that is not known says nothing. */
static int compile_format(
	struct schema_compile *c, struct schema_string_rules *rules, uint32_t token)
{
	if (!token)
		return 0;
	if (apd_json_type(c->doc, token) != APD_JSON_STRING)
		return apd_schema_refuse(c, token, "expected the name of a format");
	rules->format = apd_schema_format_find(apd_json_string(c->doc, token, &c->scratch));
	return 0;
}

int apd_schema_string_compile(
	struct schema_compile *c, struct schema_node *node, const uint32_t *kw)
{
	struct schema_string_rules rules = {.max_length = SCHEMA_NO_LIMIT};
	int r;

	if (!kw[KW_MIN_LENGTH] && !kw[KW_MAX_LENGTH] && !kw[KW_PATTERN] && !kw[KW_FORMAT])
		return 0;
	r = apd_schema_compile_count(c, kw[KW_MIN_LENGTH], &rules.min_length);
	if (r == 0)
		r = apd_schema_compile_count(c, kw[KW_MAX_LENGTH], &rules.max_length);
	if (r == 0)
		r = compile_format(c, &rules, kw[KW_FORMAT]);
	if (r == 0 && kw[KW_PATTERN])
		r = apd_schema_pattern_compile(c, kw[KW_PATTERN], &rules.pattern);
	if (r < 0)
		return r;
	if (!rules.min_length && rules.max_length == SCHEMA_NO_LIMIT && !rules.pattern &&
		!rules.format)
		return 0;
	node->string = apd_schema_alloc(&c->schema->blocks, 1, sizeof(rules));
	*node->string = rules;
	return 0;
}

/* How many code points a string has. */
static size_t count_points(struct apd_str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return n;
}

/* Checks the length; the code points are counted only where the bytes do not settle it. */
static bool check_length(
	struct schema_check *c, const struct schema_node *node, uint32_t i, struct apd_str s)
{
	const struct schema_string_rules *rules = node->string;
	size_t points;

	if (s.len / 4 >= rules->min_length && s.len <= rules->max_length)
		return true;
	if (!apd_schema_spend(c, (int64_t)s.len / 64))
		return false;
	points = count_points(s);
	if (points < rules->min_length && points == 0)
		return apd_schema_fail(c, node, i, "expected at least %zu character%s",
			rules->min_length, rules->min_length == 1 ? "" : "s");
	if (points < rules->min_length)
		return apd_schema_fail(c, node, i, "expected at least %zu characters, got %zu",
			rules->min_length, points);
	if (points > rules->max_length)
		return apd_schema_fail(c, node, i, "expected at most %zu character%s, got %zu",
			rules->max_length, rules->max_length == 1 ? "" : "s", points);
	return true;
}

bool apd_schema_string_check(struct schema_check *c, const struct schema_node *node, uint32_t i)
{
	const struct schema_string_rules *rules = node->string;
	struct apd_str s = apd_schema_string(c, i);
	char quote[64];

	if (!check_length(c, node, i, s))
		return false;
	if (rules->format) {
		if (!apd_schema_spend(c, (int64_t)s.len / 64))
			return false;
		if (!rules->format->matches(s))
			return apd_schema_fail(c, node, i, "expected %s, got %s",
				rules->format->expected, apd_schema_quote(c->doc, i, quote));
	}
	if (rules->pattern && !apd_schema_pattern_matches(c, rules->pattern, s))
		return apd_schema_fail(c, node, i, "expected text that matches %.*s, got %s",
			rules->pattern->text.len < 100 ? (int)rules->pattern->text.len : 100,
			rules->pattern->text.ptr, apd_schema_quote(c->doc, i, quote));
	return true;
}
