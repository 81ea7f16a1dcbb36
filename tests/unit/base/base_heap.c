/* The timer heap, against an array that does the same slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/id.h"

#define TIMERS 64

static struct apd_timer timers[TIMERS];
static bool set[TIMERS];

/* The earliest time that is set, or INT64_MAX. */
static int64_t earliest(void)
{
	int64_t at = INT64_MAX;

	for (int i = 0; i < TIMERS; i++)
		if (set[i] && timers[i].at_ns < at)
			at = timers[i].at_ns;
	return at;
}

static void test_random(void **state)
{
	struct apd_heap heap = {0};
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init(&gen, 3);
	for (int i = 0; i < 50000; i++) {
		uint64_t r = apd_id_random(&gen);
		size_t t = r / 16 % (i % 2000 < 1000 ? TIMERS : 5), count = 0;

		if (r % 16 < 8) {
			apd_heap_set(&heap, &timers[t], (int64_t)(r >> 32 & 255) - 128);
			set[t] = true;
		} else if (r % 16 < 14) {
			apd_heap_clear(&heap, &timers[t]);
			set[t] = false;
		} else if (apd_heap_top(&heap)) {
			struct apd_timer *top = apd_heap_top(&heap);

			apd_heap_clear(&heap, top);
			set[top - timers] = false;
		}
		for (int k = 0; k < TIMERS; k++) {
			count += set[k];
			assert_int_equal(timers[k].index != 0, set[k]);
			if (set[k])
				assert_ptr_equal(heap.items[timers[k].index - 1], &timers[k]);
		}
		assert_int_equal(heap.count, count);
		if (count)
			assert_true(apd_heap_top(&heap)->at_ns == earliest());
		else
			assert_null(apd_heap_top(&heap));
	}
	apd_heap_finish(&heap);
}

/* Taken from the top, the timers come in the order of their times. */
static void test_order(void **state)
{
	struct apd_timer some[1000] = {0};
	struct apd_heap heap = {0};
	struct apd_id_gen gen;
	int64_t last = INT64_MIN;

	(void)state;
	apd_id_gen_init(&gen, 4);
	for (int i = 0; i < 1000; i++)
		apd_heap_set(&heap, &some[i], (int64_t)apd_id_random(&gen));
	for (int i = 0; i < 1000; i++) {
		struct apd_timer *top = apd_heap_top(&heap);

		assert_true(top->at_ns >= last);
		last = top->at_ns;
		apd_heap_clear(&heap, top);
	}
	assert_null(apd_heap_top(&heap));
	apd_heap_clear(&heap, &some[0]);
	apd_heap_finish(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
