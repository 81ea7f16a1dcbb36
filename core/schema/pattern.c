/*
 * Patterns: regular expressions as ECMA-262 has them, run by PCRE2.
 *
 * What they may cost is bounded by having PCRE2 call back before every item of
 * the pattern, each time that it comes there. How far it moved since the last
 * time is what it did meanwhile: a repeat runs ahead through the string, but
 * something stands behind it. PCRE2's own match limit would not do. It is counted
 * anew for each place where a match may start, and what runs ahead or back
 * through the string between two counts costs nothing of it.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/alloc.h"
#include "schema/internal.h"

#define MAX_PATTERN      4096
#define MAX_PATTERNS     (128u << 10) /* bytes of all of a schema's, plus PATTERN_EXTRA for each */
#define PATTERN_EXTRA    32
#define HEAP_KIB         16384
#define COST_OF_STARTING 3 /* steps */

/* What is counted while matching is smaller than a step. */
#define TICKS_PER_STEP 2

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
	uint32_t options = PCRE2_UTF | PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX |
		PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C |
		PCRE2_DUPNAMES;
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

/* The largest least count of a quantifier. */
static uint32_t longest_repeat(struct apd_str s)
{
	uint32_t most = 0;

	for (size_t i = 0; i < s.len; i++) {
		uint32_t n = 0;

		if (s.ptr[i] != '{')
			continue;
		while (i + 1 < s.len && s.ptr[i + 1] >= '0' && s.ptr[i + 1] <= '9' && n < 100000)
			n = n * 10 + (uint32_t)(s.ptr[++i] - '0');
		if (n > most)
			most = n;
	}
	return most;
}

int apd_schema_pattern_compile(
	struct schema_compile *c, uint32_t token, const struct schema_pattern **ret_pattern)
{
	struct schema_pattern *pattern;
	const char *foreign;
	PCRE2_UCHAR words[120] = "out of memory";
	struct apd_buf translated = {0};
	uint32_t last_group = 0, back = 0;
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
	/* Compiling takes some microseconds a byte. */
	c->pattern_bytes += text.len + PATTERN_EXTRA;
	if (c->pattern_bytes > MAX_PATTERNS)
		return apd_schema_refuse(
			c, token, "the patterns of the schema are too long together");
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
	pcre2_pattern_info(code, PCRE2_INFO_BACKREFMAX, &last_group);
	pcre2_pattern_info(code, PCRE2_INFO_MAXLOOKBEHIND, &back);
	*pattern = (struct schema_pattern){.next = c->schema->patterns,
		.code = code,
		.text = text,
		.in_vain = longest_repeat(text) + back,
		.refers_back = last_group > 0};
	c->schema->patterns = pattern;
	*ret_pattern = pattern;
	return 0;
}

void apd_schema_pattern_free(struct schema_pattern *pattern)
{
	pcre2_code_free(pattern->code);
}

/* A match that goes on. */
struct matching {
	int64_t ticks; /* left */
	int64_t per_item;
	int64_t per_256_bytes;
	size_t at; /* where it was when it was last heard of */
};

/* Counts what was done since it was last called; ends the match when that is too much. */
static int count(pcre2_callout_block *block, void *data)
{
	struct matching *m = data;
	size_t now = block->current_position;
	size_t moved = now > m->at ? now - m->at : m->at - now;

	m->at = now;
	m->ticks -= m->per_item + (int64_t)moved * m->per_256_bytes / 256;
	return m->ticks < 0 ? PCRE2_ERROR_CALLOUT : 0;
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

/* Counts a match of the pattern; large patterns may look at much for each character. */
static struct matching begin(
	const struct schema_check *c, const struct schema_pattern *pattern, struct apd_str s)
{
	struct matching m = {
		.ticks = c->steps * TICKS_PER_STEP,
		.per_item = 1 + pattern->in_vain / 16 + (int64_t)pattern->text.len / 256,
		.per_256_bytes = 64 + (int64_t)pattern->text.len,
	};

	if (pattern->refers_back)
		m.per_item += (int64_t)s.len / 64;
	return m;
}

bool apd_schema_pattern_matches(
	struct schema_check *c, const struct schema_pattern *pattern, struct apd_str s)
{
	const pcre2_code *code = pattern->code;
	PCRE2_SPTR text = (PCRE2_SPTR)s.ptr;
	struct matching m;
	int r;

	if (!prepare(c)) {
		c->exhausted = true;
		return false;
	}
	if (!apd_schema_spend(c, COST_OF_STARTING))
		return false;
	m = begin(c, pattern, s);
	pcre2_set_callout(c->match_context, count, &m);
	r = pcre2_match(code, text, s.len, 0, PCRE2_NO_UTF_CHECK, c->match_data, c->match_context);
	if (r == PCRE2_ERROR_JIT_STACKLIMIT)
		r = pcre2_match(code, text, s.len, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
			c->match_data, c->match_context);
	c->steps = m.ticks / TICKS_PER_STEP;
	if (r < 0 && r != PCRE2_ERROR_NOMATCH)
		c->exhausted = true;
	return r >= 0;
}
