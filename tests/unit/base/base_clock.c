/* Times and RFC 3339. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"

static void test_good(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"},
		{"2026-11-23T17:04:05.123456Z", "2026-11-23T17:04:05.123456Z"},
		{"2026-11-23t17:04:05.1z", "2026-11-23T17:04:05.100000Z"},
		{"2026-11-23T17:04:05.1234567899Z", "2026-11-23T17:04:05.123456Z"},
		{"2026-11-23T17:04:05+01:00", "2026-11-23T16:04:05.000000Z"},
		{"2026-11-23T17:04:05-23:59", "2026-11-24T17:03:05.000000Z"},
		{"2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000000Z"},
		{"2026-11-23T17:04:05-00:00", "2026-11-23T17:04:05.000000Z"},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z"},
		{"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"},
		{"2016-12-31T18:59:60-05:00", "2017-01-01T00:00:00.000000Z"},
		{"2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000000Z"},
		{"0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"},
		{"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
	};
	char text[APD_TIME_TEXT + 1];
	int64_t wall_us;

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		assert_int_equal(apd_time_parse(apd_str(cases[i].in), &wall_us), 0);
		apd_time_format(wall_us, text);
		assert_string_equal(text, cases[i].out);
	}
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-23",
		"2026-11-23T17:04:05",
		"2026-11-23 17:04:05Z",
		"2026-11-23T17:04Z",
		"2026-11-23T17:04:05.Z",
		"2026-11-23T17:04:05,5Z",
		"2026-11-23T17:04:05Zx",
		"2026-11-23T17:04:05ZZ",
		" 2026-11-23T17:04:05Z",
		"26-11-23T17:04:05Z",
		"+2026-11-23T17:04:05Z",
		"2026-00-23T17:04:05Z",
		"2026-13-23T17:04:05Z",
		"2026-11-00T17:04:05Z",
		"2026-11-31T17:04:05Z",
		"2026-02-29T17:04:05Z",
		"1900-02-29T17:04:05Z",
		"2026-11-23T24:00:00Z",
		"2026-11-23T17:60:05Z",
		"2026-11-23T17:04:61Z",
		"2026-11-23T17:04:60Z",
		"2016-12-31T23:59:60+01:00",
		"2026-11-23T17:04:05+24:00",
		"2026-11-23T17:04:05+01:60",
		"2026-11-23T17:04:05+0100",
		"2026-11-23T17:04:05+01",
		"2026-11-23T17:04:05+",
		"2026-11-23T1a:04:05Z",
		"0000-01-01T00:00:00+00:01",
		"9999-12-31T23:59:60Z",
		"9999-12-31T23:59:00-00:01",
	};
	int64_t wall_us = 42;

	(void)state;
	for (size_t i = 0; i < APD_COUNT(bad); i++)
		assert_int_equal(apd_time_parse(apd_str(bad[i]), &wall_us), -EINVAL);
	assert_int_equal(apd_time_parse(APD_STR_ABSENT, &wall_us), -EINVAL);
	assert_int_equal(apd_time_parse(APD_STR("2026-11-23T17:04:05\0"), &wall_us), -EINVAL);
	assert_int_equal(wall_us, 42);
}

/* Random times, with the C library as the oracle of the calendar. */
static void test_random(void **state)
{
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init(&gen, 9);
	for (int i = 0; i < 20000; i++) {
		int64_t span = 9000LL * 365 * 86400 * 1000000, again;
		int64_t wall_us = (int64_t)(apd_id_random(&gen) % (uint64_t)span) -
			1900LL * 365 * 86400 * 1000000;
		time_t second = (time_t)(wall_us / 1000000 - (wall_us % 1000000 < 0));
		char text[APD_TIME_TEXT + 1], expected[64];
		struct tm tm;

		apd_time_format(wall_us, text);
		assert_non_null(gmtime_r(&second, &tm));
		snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, (int)(wall_us - (int64_t)second * 1000000));
		assert_string_equal(text, expected);
		assert_int_equal(apd_time_parse(apd_str(text), &again), 0);
		assert_true(again == wall_us);
	}
}

static void test_out_of_range(void **state)
{
	char text[APD_TIME_TEXT + 1];

	(void)state;
	apd_time_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
	apd_time_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
}

static void test_clocks(void **state)
{
	const struct apd_clock *clock = &apd_clock_system;
	int64_t a = clock->mono_ns(clock), b = apd_clock_mono_ns();
	int64_t wall = clock->wall_us(clock), now = (int64_t)time(NULL) * 1000000;

	(void)state;
	assert_true(b >= a);
	assert_true(wall > now - 60000000 && wall < now + 60000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
