/* Random documents, whole and damaged, for the scanner and for jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/id.h"
#include "json_oracle.h"

static struct apd_id_gen gen;

/* A number from 0 to n - 1. */
static unsigned pick(unsigned n)
{
	return (unsigned)(apd_id_random(&gen) >> 20) % n;
}

static void add_space(struct apd_buf *out)
{
	static const char *const spaces[] = {"", "", "", "", "", " ", "\n", "\t", "\r\n", "    "};

	apd_buf_add_cstr(out, spaces[pick(APD_COUNT(spaces))]);
}

static void add_string(struct apd_buf *out)
{
	static const char *const pieces[] = {"a", "b", "plain text of some length", "\\n", "\\\"",
		"\\\\", "\\/", "\\u0061", "\\u00e4", "\xc3\xa4", "\xe2\x82\xac", "\\u20AC",
		"\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\x7f", " ", "{", "]", "0123456789abcdef"};
	unsigned n = pick(4) ? pick(3) : pick(12);

	apd_buf_lit(out, "\"");
	while (n-- > 0)
		apd_buf_add_cstr(out, pieces[pick(APD_COUNT(pieces))]);
	apd_buf_lit(out, "\"");
}

static void add_number(struct apd_buf *out)
{
	static const char *const edges[] = {"0", "-0", "9223372036854775807",
		"-9223372036854775808", "9223372036854775808", "18446744073709551615",
		"18446744073709551616", "-9223372036854775809", "1e308", "1e309", "0.1", "1e-400",
		"123456789012345678.5", "0e0"};

	switch (pick(4)) {
	case 0:
		apd_buf_add_cstr(out, edges[pick(APD_COUNT(edges))]);
		break;
	case 1:
		apd_buf_addf(out, "%s%u.%u%s%u", pick(2) ? "-" : "", pick(1000), pick(1000),
			pick(2) ? "e" : "E+", pick(300));
		break;
	default:
		apd_buf_add_i64(out, (int64_t)apd_id_random(&gen) >> pick(64));
	}
}

static void add_value(struct apd_buf *out, unsigned depth);

/* Keys are mostly unique, sometimes many, now and then twice the same. */
static void add_object(struct apd_buf *out, unsigned depth)
{
	unsigned n = pick(20) ? pick(6) : pick(60);

	apd_buf_lit(out, "{");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			apd_buf_lit(out, ",");
		add_space(out);
		if (pick(30) == 0)
			add_string(out);
		else
			apd_buf_addf(out, "\"%s%u\"", pick(3) ? "k" : "\\u006b", i);
		add_space(out);
		apd_buf_lit(out, ":");
		add_value(out, depth + 1);
	}
	add_space(out);
	apd_buf_lit(out, "}");
}

static void add_array(struct apd_buf *out, unsigned depth)
{
	unsigned n = pick(20) ? pick(6) : pick(60);

	apd_buf_lit(out, "[");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			apd_buf_lit(out, ",");
		add_value(out, depth + 1);
	}
	add_space(out);
	apd_buf_lit(out, "]");
}

static void add_value(struct apd_buf *out, unsigned depth)
{
	static const char *const words[] = {"null", "true", "false"};
	unsigned kind = pick(depth == 0 ? 30 : depth > 6 ? 3 : 7);

	add_space(out);
	if (depth == 0 && kind >= 3)
		kind = 3 + kind % 4;
	if (kind == 0)
		apd_buf_add_cstr(out, words[pick(3)]);
	else if (kind == 1)
		add_number(out);
	else if (kind == 2)
		add_string(out);
	else if (kind < 5)
		add_array(out, depth);
	else
		add_object(out, depth);
	add_space(out);
}

/* Changes, adds or takes out a few bytes. */
static void damage(struct apd_buf *text)
{
	static const char bytes[] = "{}[]:,\"\\0123456789.-+eEu tfn\x01\x80\xc3\xa4\xed\xff\n";

	for (unsigned n = 1 + pick(3); n > 0 && text->len > 0; n--) {
		size_t at = pick((unsigned)text->len);
		char byte = bytes[pick(sizeof(bytes))];

		switch (pick(4)) {
		case 0:
			text->data[at] = byte;
			break;
		case 1:
			memmove(text->data + at, text->data + at + 1, text->len - at);
			text->len--;
			break;
		case 2:
			apd_buf_reserve(text, 1);
			memmove(text->data + at + 1, text->data + at, text->len - at + 1);
			text->data[at] = byte;
			text->len++;
			break;
		default:
			text->len = pick(10) ? text->len : at;
		}
	}
}

/* Runs both on a copy without anything behind it. */
static bool check(struct apd_json *json, const struct apd_buf *text)
{
	char *copy = apd_malloc(text->len);
	const char *trouble;
	bool taken;

	memcpy(copy, text->data, text->len);
	trouble = json_oracle_check(json, (struct apd_str){copy, text->len});
	taken = !json->error;
	free(copy);
	if (trouble)
		fail_msg("%s (%u:%u %s): %.*s", trouble, json->error_line, json->error_column,
			json->error ? json->error : "", (int)text->len, text->data);
	return taken;
}

static void test_random(void **state)
{
	struct apd_json json = {0};
	struct apd_buf text = {0};
	int taken = 0, damaged_taken = 0, rounds = 3000;

	(void)state;
	apd_id_gen_init(&gen, 11);
	for (int i = 0; i < rounds; i++) {
		apd_buf_clear(&text);
		add_value(&text, 0);
		if (text.len > 20000)
			continue;
		taken += check(&json, &text);
		for (int k = 0; k < 3; k++) {
			damage(&text);
			damaged_taken += check(&json, &text);
		}
	}
	/* Most are valid, and damage is not always fatal: both ways are walked. */
	assert_in_range(taken, rounds / 2, rounds);
	assert_in_range(damaged_taken, rounds / 10, rounds * 2);
	apd_buf_finish(&text);
	apd_json_finish(&json);
}

/* Every prefix of a text with all there is. */
static void test_prefixes(void **state)
{
	static const char text[] = " {\"a\":[1,-2.5e+3,\"\\u00e4\\ud83d\\ude00\xe2\x82\xac\"],"
				   "\"b\":{\"\":null,\"t\":true,\"f\":false}} ";
	struct apd_json json = {0};

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		struct apd_buf prefix = {0};

		apd_buf_add(&prefix, text, n);
		assert_int_equal(check(&json, &prefix), n >= sizeof(text) - 2);
		apd_buf_finish(&prefix);
	}
	apd_json_finish(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
