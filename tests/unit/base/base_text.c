/* Reference-counted text. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void test_content(void **state)
{
	struct apd_buf buf = {0};
	struct apd_text *text = apd_text_create(APD_STR("abc")), *empty;

	(void)state;
	assert_true(apd_str_is(apd_text_str(text), "abc"));
	assert_string_equal(text->data, "abc");
	empty = apd_text_create(APD_STR_ABSENT);
	assert_int_equal(empty->len, 0);
	assert_string_equal(empty->data, "");
	assert_non_null(apd_text_str(empty).ptr);
	assert_null(apd_text_str(NULL).ptr);
	apd_text_unref(text);
	apd_text_unref(empty);
	apd_buf_lit(&buf, "from a buffer");
	text = apd_text_of(&buf);
	apd_buf_finish(&buf);
	assert_string_equal(text->data, "from a buffer");
	apd_text_unref(text);
	text = apd_text_alloc(3);
	memcpy(text->data, "xyz", 3);
	assert_string_equal(text->data, "xyz");
	apd_text_unref(text);
}

static void test_references(void **state)
{
	struct apd_text *text = apd_text_create(APD_STR("abc"));

	(void)state;
	assert_null(apd_text_ref(NULL));
	apd_text_unref(NULL);
	assert_ptr_equal(apd_text_ref(text), text);
	apd_text_unref(text);
	assert_string_equal(text->data, "abc");
	apd_text_unref(text);
}

/* Takes and gives references, and then gives the one that it was started with. */
static void *use(void *data)
{
	struct apd_text *text = data;

	for (int i = 0; i < 10000; i++)
		apd_text_unref(apd_text_ref(text));
	apd_text_unref(text);
	return NULL;
}

/* Whoever is last frees it: the sanitizers see a leak or a use after free. */
static void test_threads(void **state)
{
	struct apd_text *text = apd_text_create(APD_STR("abc"));
	pthread_t threads[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use, apd_text_ref(text)), 0);
	apd_text_unref(text);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
