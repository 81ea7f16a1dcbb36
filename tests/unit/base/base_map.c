/* The hash map, against an array that does the same slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/map.h"

#define KEYS 300

static char keys[KEYS][8];
static int values[2 * KEYS];

static struct apd_str key_of(size_t i)
{
	return apd_str(keys[i]);
}

/* A walk meets every element once. */
static void check_walk(const struct apd_map *map, int *const *oracle)
{
	size_t at = 0, met = 0, expected = 0;
	int seen[2 * KEYS] = {0};
	int *value;

	while ((value = apd_map_next(map, &at))) {
		assert_int_equal(seen[value - values]++, 0);
		met++;
	}
	for (size_t i = 0; i < KEYS; i++)
		if (oracle[i]) {
			assert_int_equal(seen[oracle[i] - values], 1);
			expected++;
		}
	assert_int_equal(met, expected);
	assert_int_equal(map->count, expected);
}

static void test_random(void **state)
{
	int *oracle[KEYS] = {0};
	struct apd_map map = {0};
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init(&gen, 2);
	for (size_t i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "%zu", i * i % 1000 * 1000 + i);
	for (int i = 0; i < 50000; i++) {
		uint64_t r = apd_id_random(&gen);
		/* Now few keys, now all: the map is nearly empty and nearly full in turn. */
		size_t k = r / 16 % (i % 2000 < 1000 ? KEYS : 10);
		int *value = &values[k + (r >> 50 & 1) * KEYS];

		if (r % 16 < 7) {
			assert_ptr_equal(apd_map_put(&map, key_of(k), value), oracle[k]);
			oracle[k] = value;
		} else if (r % 16 < 14) {
			assert_ptr_equal(apd_map_remove(&map, key_of(k)), oracle[k]);
			oracle[k] = NULL;
		}
		k = r >> 32 & 255;
		assert_ptr_equal(apd_map_get(&map, key_of(k)), oracle[k]);
		if (i % 500 == 0)
			check_walk(&map, oracle);
	}
	for (size_t i = 0; i < KEYS; i++)
		assert_ptr_equal(apd_map_get(&map, key_of(i)), oracle[i]);
	apd_map_finish(&map);
	assert_int_equal(map.count, 0);
}

static void test_keys(void **state)
{
	struct apd_id a = {{1}}, b = {{2}};
	struct apd_map map = {0};
	int x, y, z;

	(void)state;
	assert_null(apd_map_get(&map, APD_STR("a")));
	assert_null(apd_map_remove(&map, APD_STR("a")));
	apd_map_put(&map, APD_STR(""), &x);
	apd_map_put(&map, APD_STR("a\0b"), &y);
	apd_map_put(&map, APD_STR("a"), &z);
	assert_ptr_equal(apd_map_get(&map, APD_STR("")), &x);
	assert_ptr_equal(apd_map_get(&map, APD_STR("a\0b")), &y);
	assert_ptr_equal(apd_map_get(&map, APD_STR("a")), &z);
	assert_null(apd_map_get(&map, APD_STR("a\0")));
	apd_map_put(&map, apd_id_key(&a), &x);
	assert_ptr_equal(apd_map_get(&map, apd_id_key(&a)), &x);
	assert_null(apd_map_get(&map, apd_id_key(&b)));
	apd_map_finish(&map);
}

/* Keys that differ little spread over all values of the lowest bits. */
static void test_hash(void **state)
{
	unsigned buckets[64] = {0};
	char key[16];

	(void)state;
	for (int i = 0; i < 6400; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		assert_true(apd_hash(apd_str(key)) == apd_hash(apd_str(key)));
		buckets[apd_hash(apd_str(key)) % 64]++;
	}
	for (int i = 0; i < 64; i++)
		assert_in_range(buckets[i], 40, 180);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
