/* Questions of all sizes, what a resumed run gets, and what commit() says when it cannot. */
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define MIB (1u << 20)

/* The bytes that asks_much leaves. */
static char byte_at(size_t i)
{
	return (char)(i * 31 + (i >> 8));
}

static void test_questions_with_namespaces(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "asks_much", "asks_much", false);
	driver_invoke(&d, 1, "\"3 6 600\"", CREDIT);
	driver_expect(&d, APD_FRAME_ASK);
	assert_int_equal(d.frame.arg, 3);
	assert_int_equal(driver_field(&d, 0).len, 600);
	for (size_t i = 0; i < 600; i++)
		assert_int_equal(driver_field(&d, 0).ptr[i], byte_at(i));
	assert_string_equal(driver_field(&d, 1).ptr, "q0");
	assert_string_equal(driver_field(&d, 2).ptr, "[\"outer\",\"inner\"]");
	assert_string_equal(driver_field(&d, 3).ptr, "\"pppp\"");
	assert_string_equal(driver_field(&d, 7).ptr, "q2");
	assert_string_equal(driver_field(&d, 8).ptr, "[\"outer\",\"inner\"]");
	driver_expect_done(&d, 1, AP_INTERRUPTED);
	driver_quit(&d);
}

/* All texts of the questions and the continuation together have the size of a commit: 4096 here. */
static void test_limits(void **state)
{
	static const char *const beyond[] = {"\"1001 6 3\"", "\"1 4000 100\"", "\"1 6 4097\""};
	struct driver d;

	(void)state;
	driver_serve(&d, "asks_much", "asks_much", false);
	for (uint32_t i = 0; i < APD_COUNT(beyond); i++) {
		driver_invoke(&d, i + 1, beyond[i], CREDIT);
		driver_expect_commit(&d, "{\"status\":[-8]}");
		driver_expect_done(&d, i + 1, AP_OK);
	}
	driver_invoke(&d, 9, "\"1 4000 60\"", CREDIT);
	driver_expect(&d, APD_FRAME_ASK);
	driver_expect_done(&d, 9, AP_INTERRUPTED);
	driver_quit(&d);
}

static void test_large_answers(void **state)
{
	const struct apd_invoke what = {.attempt = 1, .credit = CREDIT};
	char *resume = malloc(3 * MIB), *left = malloc(2 * MIB);
	struct driver d;

	(void)state;
	memset(resume, ' ', 3 * MIB);
	memcpy(resume, "[]", 2);
	for (size_t i = 0; i < 2 * MIB; i++)
		left[i] = byte_at(i);
	driver_serve(&d, "asks_much", "asks_much", false);
	driver_invoke_with(&d, 1, "null", &what, (struct apd_str){resume, 3 * MIB},
		(struct apd_str){left, 2 * MIB});
	driver_expect_commit(&d,
		"{\"continuation\":2097152,\"same\":2097152,\"resume\":3145728,\"transcript\":0,"
		"\"jump\":null}");
	driver_expect_done(&d, 1, AP_OK);
	driver_quit(&d);
	free(resume);
	free(left);
}

static void test_commit_that_cannot_be_stored(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "commits", "commits", false);
	driver_invoke(&d, 1, "2", CREDIT);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_committed(&d, AP_OK);
	driver_expect(&d, APD_FRAME_COMMIT);
	driver_committed(&d, AP_E_UNAVAILABLE);
	driver_expect_done(&d, 1, AP_E_UNAVAILABLE);
	driver_quit(&d);
}

static void test_late_commits(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "commits_late", "commits_late", false);
	driver_invoke(&d, 1, "null", CREDIT);
	driver_expect_commit(&d, "{\"early\":true}");
	driver_send(&d, APD_FRAME_STOP, 1, APD_STOP_CANCEL, NULL, 0);
	driver_expect_commit(&d, "{\"late\":true}");
	driver_expect_done(&d, 1, AP_E_CANCELLED);
	driver_invoke(&d, 2, "null", CREDIT);
	driver_expect_commit(&d, "{\"early\":true}");
	driver_send(&d, APD_FRAME_STOP, 2, APD_STOP_DEADLINE, NULL, 0);
	driver_expect_commit(&d, "{\"late\":true}");
	driver_expect_done(&d, 2, AP_E_DEADLINE);
	driver_invoke(&d, 3, "null", CREDIT);
	driver_expect_commit(&d, "{\"early\":true}");
	driver_send(&d, APD_FRAME_STOP, 3, APD_STOP_ROLLBACK, NULL, 0);
	driver_expect_done(&d, 3, AP_E_CANCELLED);
	assert_string_equal(d.logs.data,
		"the late commit gave 0\nthe late commit gave 0\nthe late commit gave -4\n");
	driver_quit(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions_with_namespaces),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_large_answers),
		cmocka_unit_test(test_commit_that_cannot_be_stored),
		cmocka_unit_test(test_late_commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
