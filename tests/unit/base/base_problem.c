/* Problems, their words and their JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_scan.h"
#include "base/problem.h"

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(apd_problem_word(APD_PROBLEM_INVALID_JSON), "invalid_json");
	assert_int_equal(apd_problem_status(APD_PROBLEM_INVALID_JSON), 422);
	assert_string_equal(apd_problem_word(APD_PROBLEM_THREAD_BUSY), "thread_busy");
	assert_int_equal(apd_problem_status(APD_PROBLEM_THREAD_BUSY), 409);
	assert_string_equal(apd_problem_word(APD_PROBLEM_INTERNAL), "internal");
	assert_int_equal(apd_problem_status(APD_PROBLEM_INTERNAL), 500);
	assert_int_equal(apd_problem_status(APD_PROBLEM_NONE), 200);
	assert_string_equal(apd_run_error_word(APD_RUN_ERROR_AGENT_ERROR), "agent_error");
	assert_string_equal(apd_run_error_word(APD_RUN_ERROR_QUEUE_FULL), "queue_full");
}

/* Codes are words of their own among those of a status, and refusals are client or server errors. */
static void test_lists(void **state)
{
	(void)state;
	for (int a = APD_PROBLEM_NONE; a <= APD_PROBLEM_INTERNAL; a++) {
		int status = apd_problem_status((enum apd_problem_code)a);

		assert_true(a == APD_PROBLEM_NONE || (status >= 400 && status < 600));
		for (int b = APD_PROBLEM_NONE; b < a; b++)
			if (apd_problem_status((enum apd_problem_code)b) == status)
				assert_string_not_equal(
					apd_problem_word((enum apd_problem_code)a),
					apd_problem_word((enum apd_problem_code)b));
	}
}

static void test_json(void **state)
{
	struct apd_problem problem = {.path = "left over"};
	struct apd_buf out = {0};

	(void)state;
	assert_int_equal(
		apd_problem_set(&problem, APD_PROBLEM_THREAD_NOT_FOUND, "no \"%s\"", "x"), -1);
	apd_problem_add_json(&out, &problem);
	assert_string_equal(out.data,
		"{\"code\":\"thread_not_found\",\"message\":\"no \\\"x\\\"\",\"metadata\":{}}");
	apd_buf_clear(&out);
	strcpy(problem.path, "/input/a");
	apd_problem_add_json(&out, &problem);
	assert_string_equal(out.data,
		"{\"code\":\"thread_not_found\",\"message\":\"no \\\"x\\\"\","
		"\"metadata\":{\"path\":\"/input/a\"}}");
	apd_buf_finish(&out);
}

/* A message that is too long is cut, and what is left is still JSON. */
static void test_long_message(void **state)
{
	struct apd_problem problem;
	struct apd_json json = {0};
	struct apd_buf out = {0}, long_text = {0};

	(void)state;
	for (int i = 0; i < 500; i++)
		apd_buf_lit(&long_text, "\xc3\xa4");
	apd_problem_set(&problem, APD_PROBLEM_INTERNAL, "x%s", long_text.data);
	assert_int_equal(strlen(problem.message), sizeof(problem.message) - 1);
	apd_problem_set(&problem, APD_PROBLEM_INTERNAL, "%s", long_text.data);
	apd_problem_add_json(&out, &problem);
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&out)), 0);
	apd_json_finish(&json);
	apd_buf_finish(&long_text);
	apd_buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
