/* UUIDs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/id.h"

static void test_text(void **state)
{
	static const char lower[] = "0198c2f4-7a1b-7cde-8f01-23456789abcd";
	struct apd_id id, again;
	char text[APD_ID_TEXT + 1];

	(void)state;
	assert_int_equal(apd_id_parse(apd_str(lower), &id), 0);
	assert_int_equal(id.bytes[0], 0x01);
	assert_int_equal(id.bytes[15], 0xcd);
	apd_id_format(&id, text);
	assert_string_equal(text, lower);
	assert_int_equal(apd_id_parse(APD_STR("0198C2F4-7A1B-7CDE-8F01-23456789ABCD"), &again), 0);
	assert_true(apd_id_eq(&id, &again));
	assert_false(apd_id_is_nil(&id));
	assert_int_equal(apd_id_parse(APD_STR("00000000-0000-0000-0000-000000000000"), &again), 0);
	assert_true(apd_id_is_nil(&again));
	assert_false(apd_id_eq(&id, &again));
}

static void test_bad_text(void **state)
{
	static const char *const bad[] = {
		"",
		"0198c2f4-7a1b-7cde-8f01-23456789abc",
		"0198c2f4-7a1b-7cde-8f01-23456789abcde",
		"0198c2f47a1b7cde8f0123456789abcd",
		"0198c2f4-7a1b-7cde-8f01-23456789abcg",
		"0198c2f4-7a1b-7cde-8f01_23456789abcd",
		"0198c2f-47a1b-7cde-8f01-23456789abcd",
		"{198c2f4-7a1b-7cde-8f01-23456789abc}",
		"0198c2f4-7a1b-7cde-8f01-2345678 abcd",
		"------------------------------------",
	};
	struct apd_id id = {{7}};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(bad); i++)
		assert_int_equal(apd_id_parse(apd_str(bad[i]), &id), -EINVAL);
	assert_int_equal(apd_id_parse(APD_STR_ABSENT, &id), -EINVAL);
	assert_int_equal(id.bytes[0], 7);
}

/* The milliseconds in a version 7 UUID. */
static uint64_t ms_of(const struct apd_id *id)
{
	uint64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | id->bytes[i];
	return ms;
}

static void test_layout(void **state)
{
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init_random(&gen);
	for (int64_t i = 0; i < 1000; i++) {
		int64_t wall_us = 1763917445123456 + i * 1000;
		struct apd_id id = apd_id_next(&gen, wall_us);

		assert_int_equal(id.bytes[6] >> 4, 7);
		assert_int_equal(id.bytes[8] >> 6, 2);
		assert_true(ms_of(&id) == (uint64_t)wall_us / 1000);
	}
}

/* Ids rise while the clock stands still, goes back and jumps. */
static void test_rising(void **state)
{
	struct apd_id_gen gen;
	struct apd_id last = {{0}};
	int64_t wall_us = 1763917445123456;

	(void)state;
	apd_id_gen_init(&gen, 5);
	for (int i = 0; i < 100000; i++) {
		uint64_t r = apd_id_random(&gen);
		struct apd_id id = apd_id_next(&gen, wall_us);

		assert_true(memcmp(id.bytes, last.bytes, sizeof(id.bytes)) > 0);
		last = id;
		if (r % 100 == 0)
			wall_us += (int64_t)(r >> 40 & 0xfffff) - 0x80000;
	}
}

/* A counter that runs over moves on to the next millisecond. */
static void test_counter_runs_over(void **state)
{
	struct apd_id_gen gen;
	struct apd_id before, after;

	(void)state;
	apd_id_gen_init(&gen, 6);
	apd_id_next(&gen, 1000000);
	gen.counter = (1u << 26) - 2;
	before = apd_id_next(&gen, 1000000);
	after = apd_id_next(&gen, 1000000);
	assert_true(ms_of(&before) == 1000);
	assert_true(ms_of(&after) == 1001);
	assert_true(memcmp(after.bytes, before.bytes, sizeof(after.bytes)) > 0);
}

static void test_seeds(void **state)
{
	struct apd_id_gen a, b, c;
	struct apd_id x, y, z;

	(void)state;
	apd_id_gen_init(&a, 7);
	apd_id_gen_init(&b, 7);
	apd_id_gen_init(&c, 8);
	for (int i = 0; i < 100; i++) {
		x = apd_id_next(&a, 1000);
		y = apd_id_next(&b, 1000);
		z = apd_id_next(&c, 1000);
		assert_true(apd_id_eq(&x, &y));
		assert_false(apd_id_eq(&x, &z));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_rising),
		cmocka_unit_test(test_counter_runs_over),
		cmocka_unit_test(test_seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
