/* The scalars of apd.yaml. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "apd/config_scalar.h"
#include "base/alloc.h"

struct number {
	const char *text;
	int64_t value; /* -1: none */
};

/* Checks that texts are the numbers they should be, and that what is none leaves the value alone. */
static void check_numbers(const struct number *numbers, size_t n,
	int (*read)(struct apd_str text, int64_t *ret_value))
{
	for (size_t i = 0; i < n; i++) {
		int64_t value = 77;

		if (numbers[i].value < 0) {
			if (read(apd_str(numbers[i].text), &value) != -EINVAL)
				fail_msg("\"%s\" was taken", numbers[i].text);
			continue;
		}
		if (read(apd_str(numbers[i].text), &value) != 0 || value != numbers[i].value)
			fail_msg("\"%s\" became %lld", numbers[i].text, (long long)value);
	}
}

static void counts_are_digits(void **state)
{
	static const struct number numbers[] = {
		{"0", 0},
		{"7", 7},
		{"007", 7},
		{"9223372036854775807", INT64_MAX},
		{"9223372036854775808", -1},
		{"99999999999999999999", -1},
		{"", -1},
		{"-1", -1},
		{"+1", -1},
		{"1.5", -1},
		{"1e3", -1},
		{" 1", -1},
		{"1 ", -1},
		{"0x10", -1},
		{"1k", -1},
		{"one", -1},
	};

	(void)state;
	check_numbers(numbers, APD_COUNT(numbers), config_scalar_count);
}

static void sizes_have_units(void **state)
{
	static const struct number numbers[] = {
		{"4096", 4096},
		{"12B", 12},
		{"64KiB", 65536},
		{"16MiB", 16 << 20},
		{"1GiB", 1 << 30},
		{"0", 0},
		{"8589934591GiB", 8589934591LL << 30},
		{"8589934592GiB", -1},
		{"1KB", -1},
		{"1kib", -1},
		{"1 KiB", -1},
		{"KiB", -1},
		{"1.5GiB", -1},
		{"", -1},
	};

	(void)state;
	check_numbers(numbers, APD_COUNT(numbers), config_scalar_bytes);
}

static void durations_need_units(void **state)
{
	static const struct number numbers[] = {
		{"0", 0},
		{"1ns", 1},
		{"2us", 2000},
		{"250ms", 250000000},
		{"10s", 10000000000},
		{"15m", 900000000000},
		{"24h", 86400000000000},
		{"7d", 604800000000000},
		{"106752d", -1},
		{"106751d", 9223286400000000000},
		{"10", -1},
		{"00", -1},
		{"1h30m", -1},
		{"s", -1},
		{"-1s", -1},
		{"1S", -1},
		{"", -1},
	};

	(void)state;
	check_numbers(numbers, APD_COUNT(numbers), config_scalar_duration);
}

static void check_show(enum config_type type, int64_t value, const char *expected)
{
	struct apd_buf out = {0};

	config_scalar_show(&out, type, value);
	assert_string_equal(out.data, expected);
	apd_buf_finish(&out);
}

static void values_are_shown_with_the_largest_unit_that_fits(void **state)
{
	(void)state;
	check_show(CONFIG_COUNT, 0, "0");
	check_show(CONFIG_COUNT, 1000000, "1000000");
	check_show(CONFIG_BYTES, 1024, "1KiB");
	check_show(CONFIG_BYTES, 1025, "1025B");
	check_show(CONFIG_BYTES, 1LL << 40, "1024GiB");
	check_show(CONFIG_DURATION, 1000000, "1ms");
	check_show(CONFIG_DURATION, 90000000000, "90s");
	check_show(CONFIG_DURATION, 86400000000000, "1d");
}

static void check_json(const char *text, bool plain, const char *expected)
{
	struct apd_buf out = {0};

	config_scalar_add_json(&out, apd_str(text), plain);
	assert_string_equal(out.data, expected);
	apd_buf_finish(&out);
}

static void plain_scalars_become_what_they_read_as(void **state)
{
	(void)state;
	check_json("", true, "null");
	check_json("~", true, "null");
	check_json("null", true, "null");
	check_json("true", true, "true");
	check_json("false", true, "false");
	check_json("12", true, "12");
	check_json("-1.50e3", true, "-1.50e3");
	check_json("yes", true, "\"yes\"");
	check_json("0x10", true, "\"0x10\"");
	check_json("01", true, "\"01\"");
	check_json("1 2", true, "\"1 2\"");
	check_json("[1]", true, "\"[1]\"");
	check_json("{}", true, "\"{}\"");
	check_json("\"a\"", true, "\"\\\"a\\\"\"");
	check_json("99999999999999999999", true, "\"99999999999999999999\"");
	check_json("true", false, "\"true\"");
	check_json("", false, "\"\"");
	check_json("12", false, "\"12\"");
}

static size_t distance(const char *a, const char *b)
{
	return config_scalar_distance(apd_str(a), apd_str(b));
}

static void distances_count_changed_letters(void **state)
{
	char longest[66];

	(void)state;
	assert_int_equal(distance("max", "max"), 0);
	assert_int_equal(distance("maxx", "max"), 1);
	assert_int_equal(distance("mx", "max"), 1);
	assert_int_equal(distance("mix", "max"), 1);
	assert_int_equal(distance("kitten", "sitting"), 3);
	assert_int_equal(distance("", "abc"), 3);
	assert_int_equal(distance("abc", ""), 3);
	memset(longest, 'a', sizeof(longest));
	longest[65] = '\0';
	assert_true(distance(longest, "a") == SIZE_MAX);
	assert_true(distance("a", longest) == SIZE_MAX);
	longest[64] = '\0';
	assert_int_equal(distance(longest, "a"), 63);
}

static void agent_ids_have_few_letters(void **state)
{
	char longest[66];

	(void)state;
	assert_true(config_scalar_is_agent_id(APD_STR("a")));
	assert_true(config_scalar_is_agent_id(APD_STR("My-agent_2.0")));
	assert_false(config_scalar_is_agent_id(APD_STR("")));
	assert_false(config_scalar_is_agent_id(APD_STR_ABSENT));
	assert_false(config_scalar_is_agent_id(APD_STR("a b")));
	assert_false(config_scalar_is_agent_id(APD_STR("a/b")));
	assert_false(config_scalar_is_agent_id(APD_STR("\xc3\xa4")));
	assert_false(config_scalar_is_agent_id((struct apd_str){"a\0b", 3}));
	memset(longest, 'a', sizeof(longest));
	assert_true(config_scalar_is_agent_id((struct apd_str){longest, 64}));
	assert_false(config_scalar_is_agent_id((struct apd_str){longest, 65}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_digits),
		cmocka_unit_test(sizes_have_units),
		cmocka_unit_test(durations_need_units),
		cmocka_unit_test(values_are_shown_with_the_largest_unit_that_fits),
		cmocka_unit_test(plain_scalars_become_what_they_read_as),
		cmocka_unit_test(distances_count_changed_letters),
		cmocka_unit_test(agent_ids_have_few_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
