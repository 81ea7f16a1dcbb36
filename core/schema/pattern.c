/*
 * Patterns: regular expressions as ECMA-262 has them, run by PCRE2.
 *
 * What they may cost is bounded by counting what PCRE2 counts, its backtracks:
 * a match starts with a low limit, and each higher one is paid for in steps.
 * For that to hold nothing may repeat uncounted, which is why PCRE2 must not
 * make repeats possessive by itself, and patterns must not do so either.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"
#include "schema/internal.h"

#define MAX_PATTERN        4096
#define FIRST_LIMIT        2048 /* backtracks for a short string, before any are paid for */
#define LOWEST_LIMIT       64
#define HIGHEST_LIMIT      (1u << 20)
#define LIMITS_PER_STEP    64
#define LOOKED_AT_PER_STEP 256
#define HEAP_KIB           16384
#define COST_OF_STARTING   4

/* True for "(" followed by something that ECMA-262 has, or by what only sets options. */
static bool is_portable_group(struct apd_str s)
{
	size_t i = 2;

	if (s.len >= 2 && s.ptr[1] == '*')
		return false;
	if (s.len < 3 || s.ptr[1] != '?')
		return true;
	if (s.ptr[2] == ':' || s.ptr[2] == '=' || s.ptr[2] == '!')
		return true;
	if (s.ptr[2] == '<')
		return true;
	while (i < s.len && strchr("ims-", s.ptr[i]))
		i++;
	return i > 2 && i < s.len && (s.ptr[i] == ':' || s.ptr[i] == ')');
}

/* The length of the quantifier at the front, without a mark behind it; 0 if there is none. */
static size_t quantifier(struct apd_str s)
{
	size_t i = 1;

	if (s.len && strchr("*+?", s.ptr[0]))
		return 1;
	if (s.len < 3 || s.ptr[0] != '{')
		return 0;
	while (i < s.len && ((s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == ','))
		i++;
	return i > 1 && i < s.len && s.ptr[i] == '}' ? i + 1 : 0;
}

/* True for "\" followed by something that ECMA-262 has. */
static bool is_portable_escape(struct apd_str s)
{
	if (s.len < 2 || strchr("AzZGKQERXNCHVhgeo", s.ptr[1]))
		return false;
	if (s.ptr[1] != 'c')
		return true;
	return s.len > 2 && ((s.ptr[2] | 0x20) >= 'a' && (s.ptr[2] | 0x20) <= 'z');
}

/* What is in the pattern that other users of the schema may not understand; NULL if nothing. */
static const char *find_foreign(struct apd_str s)
{
	bool in_class = false;

	for (size_t i = 0; i < s.len; i++) {
		struct apd_str rest = {s.ptr + i, s.len - i};
		size_t n;

		if (rest.ptr[0] == '\\') {
			if (!is_portable_escape(rest))
				return "an escape that ECMA-262 does not have";
			i++;
			/* What is in braces here is no quantifier. */
			if (rest.len > 2 && strchr("upP", rest.ptr[1]) && rest.ptr[2] == '{')
				while (i + 1 < s.len && s.ptr[i] != '}')
					i++;
		} else if (in_class) {
			in_class = rest.ptr[0] != ']';
		} else if (rest.ptr[0] == '[') {
			in_class = true;
		} else if (rest.ptr[0] == '(' && !is_portable_group(rest)) {
			return "a group that ECMA-262 does not have";
		} else if ((n = quantifier(rest)) > 0) {
			if (n < rest.len && rest.ptr[n] == '+')
				return "a possessive quantifier";
			if (n < rest.len && rest.ptr[n] == '?')
				n++;
			/* "a??+" and the like are refused by PCRE2 itself. */
			i += n - 1;
		}
	}
	return NULL;
}

/* Compiles the code; NULL with *ret_code and *ret_offset set when it cannot be. */
static pcre2_code *compile_code(struct apd_str text, int *ret_code, size_t *ret_offset)
{
	uint32_t options = PCRE2_UTF | PCRE2_NO_AUTO_POSSESS | PCRE2_DOLLAR_ENDONLY |
		PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF |
		PCRE2_NEVER_BACKSLASH_C | PCRE2_DUPNAMES;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *code;

	if (!context)
		return NULL;
	pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
	pcre2_set_parens_nest_limit(context, 100);
	code = pcre2_compile(
		(PCRE2_SPTR)text.ptr, text.len, options, ret_code, ret_offset, context);
	pcre2_compile_context_free(context);
	/* Where there can be no code at run time (no JIT, or memory may not be executed), matching
	 * interprets; nothing else changes. */
	if (code)
		pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

int apd_schema_pattern_compile(
	struct schema_compile *c, uint32_t token, const struct schema_pattern **ret_pattern)
{
	struct schema_pattern *pattern;
	const char *foreign;
	PCRE2_UCHAR words[120] = "out of memory";
	struct apd_buf translated = {0};
	uint32_t options = 0;
	size_t offset = 0;
	pcre2_code *code;
	struct apd_str text;
	int error = 0;

	if (apd_json_type(c->doc, token) != APD_JSON_STRING)
		return apd_schema_refuse(c, token, "expected a pattern");
	text = apd_schema_compile_string(c, token);
	if (text.len > MAX_PATTERN)
		return apd_schema_refuse(
			c, token, "the pattern is longer than %d bytes", MAX_PATTERN);
	foreign = find_foreign(text);
	if (foreign)
		return apd_schema_refuse(c, token, "the pattern has %s", foreign);
	apd_schema_pattern_translate(text, &translated);
	code = compile_code(apd_buf_str(&translated), &error, &offset);
	apd_buf_finish(&translated);
	if (!code) {
		if (error)
			pcre2_get_error_message(error, words, sizeof(words));
		return apd_schema_refuse(
			c, token, "the pattern is wrong at byte %zu: %s", offset, (char *)words);
	}
	pattern = apd_schema_alloc(&c->schema->blocks, 1, sizeof(*pattern));
	pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
	*pattern = (struct schema_pattern){.next = c->schema->patterns,
		.code = code,
		.text = text,
		.anchored = options & PCRE2_ANCHORED};
	c->schema->patterns = pattern;
	*ret_pattern = pattern;
	return 0;
}

void apd_schema_pattern_free(struct schema_pattern *pattern)
{
	pcre2_code_free(pattern->code);
}

/* Makes what a match needs, once a check; false if there is no memory. */
static bool prepare(struct schema_check *c)
{
	if (!c->match_data)
		c->match_data = pcre2_match_data_create(1, NULL);
	if (!c->match_context) {
		c->match_context = pcre2_match_context_create(NULL);
		if (c->match_context)
			pcre2_set_heap_limit(c->match_context, HEAP_KIB);
	}
	return c->match_data && c->match_context;
}

void apd_schema_pattern_finish(struct schema_check *c)
{
	if (c->match_data)
		pcre2_match_data_free(c->match_data);
	if (c->match_context)
		pcre2_match_context_free(c->match_context);
}

/*
 * What a match may cost in steps. PCRE2 counts backtracks anew for each place
 * where the match may start. An anchored pattern has but one of these; yet each
 * backtrack may look ahead over the whole string, which is uncounted but fast.
 */
static int64_t cost_of(const struct schema_pattern *pattern, size_t len, uint32_t limit)
{
	int64_t per_step = pattern->anchored ? LOOKED_AT_PER_STEP : LIMITS_PER_STEP;

	return COST_OF_STARTING + ((int64_t)len + 1) * limit / per_step;
}

bool apd_schema_pattern_matches(
	struct schema_check *c, const struct schema_pattern *pattern, struct apd_str s)
{
	uint32_t limit = FIRST_LIMIT;
	int r = PCRE2_ERROR_MATCHLIMIT;

	if (!prepare(c)) {
		c->exhausted = true;
		return false;
	}
	limit /= s.len < FIRST_LIMIT / LOWEST_LIMIT ? (uint32_t)s.len + 1
						    : FIRST_LIMIT / LOWEST_LIMIT;
	for (; r == PCRE2_ERROR_MATCHLIMIT && limit <= HIGHEST_LIMIT; limit *= 4) {
		if (!apd_schema_spend(c, cost_of(pattern, s.len, limit)))
			return false;
		pcre2_set_match_limit(c->match_context, limit);
		r = pcre2_match(pattern->code, (PCRE2_SPTR)s.ptr, s.len, 0, PCRE2_NO_UTF_CHECK,
			c->match_data, c->match_context);
		if (r == PCRE2_ERROR_JIT_STACKLIMIT)
			r = pcre2_match(pattern->code, (PCRE2_SPTR)s.ptr, s.len, 0,
				PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, c->match_data, c->match_context);
	}
	if (r < 0 && r != PCRE2_ERROR_NOMATCH)
		c->exhausted = true;
	return r >= 0;
}
