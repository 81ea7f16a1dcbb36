/* Delays: doubled, with jitter, within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/id.h"
#include "webhook/backoff.h"

#define SECOND 1000000LL

static void delays_double_up_to_an_hour(void **state)
{
	struct apd_id_gen gen;
	int64_t most = 5 * SECOND;

	(void)state;
	apd_id_gen_init(&gen, 1);
	for (uint32_t attempts = 1; attempts < 40; attempts++) {
		int64_t least_seen = INT64_MAX, most_seen = 0;

		for (int i = 0; i < 1000; i++) {
			int64_t us = apd_backoff_us(5 * SECOND, attempts, 0, apd_id_random(&gen));

			assert_in_range(us, most / 2, most);
			least_seen = us < least_seen ? us : least_seen;
			most_seen = us > most_seen ? us : most_seen;
		}
		/* The jitter uses its whole range. */
		assert_true(least_seen < most * 6 / 10);
		assert_true(most_seen > most * 9 / 10);
		most = most * 2 > APD_BACKOFF_MAX_US ? APD_BACKOFF_MAX_US : most * 2;
	}
}

static void extremes(void **state)
{
	(void)state;
	assert_int_equal(apd_backoff_us(5 * SECOND, 1, 0, 0), 5 * SECOND / 2);
	assert_true(apd_backoff_us(0, 1, 0, 0) > 0);
	assert_in_range(apd_backoff_us(5 * SECOND, UINT32_MAX, 0, UINT64_MAX),
		APD_BACKOFF_MAX_US / 2, APD_BACKOFF_MAX_US);
	assert_in_range(apd_backoff_us(INT64_MAX / 4, 3, 0, UINT64_MAX), APD_BACKOFF_MAX_US / 2,
		APD_BACKOFF_MAX_US);
}

static void wishes_count_when_they_are_longer(void **state)
{
	(void)state;
	assert_int_equal(apd_backoff_us(5 * SECOND, 1, 60 * SECOND, 7), 60 * SECOND);
	assert_in_range(apd_backoff_us(5 * SECOND, 5, SECOND, 7), 40 * SECOND, 80 * SECOND);
	assert_int_equal(apd_backoff_us(5 * SECOND, 1, 86400 * SECOND, 7), APD_BACKOFF_MAX_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_double_up_to_an_hour),
		cmocka_unit_test(extremes),
		cmocka_unit_test(wishes_count_when_they_are_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
