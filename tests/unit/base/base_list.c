/* The linked list, against an array that does the same slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/id.h"
#include "base/list.h"

#define ITEMS 20

struct item {
	int number;
	struct apd_list link;
};

/* The oracle: two lists as arrays. */
struct naive {
	struct item *items[ITEMS];
	size_t count;
};

static void naive_remove(struct naive *naive, const struct item *item)
{
	for (size_t i = 0; i < naive->count; i++)
		if (naive->items[i] == item) {
			memmove(&naive->items[i], &naive->items[i + 1],
				(naive->count - i - 1) * sizeof(struct item *));
			naive->count--;
			return;
		}
}

static void check(struct apd_list *list, const struct naive *naive)
{
	const struct apd_list *link = list;
	struct item *item;
	size_t n = 0;

	apd_list_each (item, list, link) {
		assert_true(n < naive->count);
		assert_ptr_equal(item, naive->items[n]);
		n++;
	}
	assert_int_equal(n, naive->count);
	while (n-- > 0) {
		link = link->prev;
		assert_ptr_equal(link, &naive->items[n]->link);
	}
	assert_int_equal(apd_list_empty(list), naive->count == 0);
	if (naive->count)
		assert_ptr_equal(apd_list_first(list, struct item, link), naive->items[0]);
}

static void test_random(void **state)
{
	struct item items[ITEMS] = {0};
	struct apd_list lists[2];
	struct naive naive[2] = {0};
	struct apd_id_gen gen;

	(void)state;
	apd_id_gen_init(&gen, 1);
	apd_list_init(&lists[0]);
	apd_list_init(&lists[1]);
	for (int i = 0; i < 20000; i++) {
		uint64_t r = apd_id_random(&gen);
		struct item *item = &items[r / 8 % ITEMS];
		size_t l = r >> 40 & 1;

		if (r % 64 == 0) {
			apd_list_splice(&lists[l], &lists[!l]);
			for (size_t k = 0; k < naive[!l].count; k++)
				naive[l].items[naive[l].count++] = naive[!l].items[k];
			naive[!l].count = 0;
		} else {
			apd_list_remove(&item->link);
			assert_false(apd_list_linked(&item->link));
			naive_remove(&naive[0], item);
			naive_remove(&naive[1], item);
		}
		if (r % 8 == 1) {
			apd_list_append(&lists[l], &item->link);
			naive[l].items[naive[l].count++] = item;
		} else if (r % 8 == 2) {
			apd_list_prepend(&lists[l], &item->link);
			memmove(naive[l].items + 1, naive[l].items,
				naive[l].count++ * sizeof(struct item *));
			naive[l].items[0] = item;
		}
		check(&lists[0], &naive[0]);
		check(&lists[1], &naive[1]);
	}
}

static void test_removing_while_walking(void **state)
{
	struct item items[10] = {0}, *item, *tmp;
	struct apd_list list;
	int sum = 0;

	(void)state;
	apd_list_init(&list);
	for (int i = 0; i < 10; i++) {
		items[i].number = i;
		apd_list_append(&list, &items[i].link);
		assert_true(apd_list_linked(&items[i].link));
	}
	apd_list_each_safe (item, tmp, &list, link)
		if (item->number % 2)
			apd_list_remove(&item->link);
	apd_list_each (item, &list, link)
		sum = sum * 10 + item->number;
	assert_int_equal(sum, 2468);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_removing_while_walking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
