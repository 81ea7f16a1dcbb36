/* The log, read back from a pipe in the place of stderr. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

static int saved_stderr, pipe_end;

/* From here on, stderr is a pipe. */
static int capture(void **state)
{
	int ends[2];

	(void)state;
	if (pipe(ends) < 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	pipe_end = ends[0];
	return 0;
}

/* Gives stderr back. */
static int restore(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(pipe_end);
	apd_log_set_level(APD_LOG_INFO);
	return 0;
}

/* Reads what was logged; a line was written at once, so one read has it. */
static void read_log(char *line, size_t size)
{
	ssize_t n = read(pipe_end, line, size - 1);

	assert_true(n > 0);
	line[n] = '\0';
}

static void test_line(void **state)
{
	char line[200];
	int64_t at;

	(void)state;
	errno = ENOENT;
	apd_log(APD_LOG_WARN, "host", "worker %d:\nforged\x7f\x1b[31m", 7);
	assert_int_equal(errno, ENOENT);
	read_log(line, sizeof(line));
	assert_int_equal(apd_time_parse((struct apd_str){line, APD_TIME_TEXT}, &at), 0);
	assert_string_equal(
		line + APD_TIME_TEXT, " warn host: worker 7:\\x0aforged\\x7f\\x1b[31m\n");
}

static void test_levels(void **state)
{
	char line[200];

	(void)state;
	assert_false(apd_log_enabled(APD_LOG_DEBUG));
	assert_true(apd_log_enabled(APD_LOG_INFO));
	apd_log_set_level(APD_LOG_ERROR);
	assert_false(apd_log_enabled(APD_LOG_WARN));
	apd_log(APD_LOG_WARN, "host", "dropped");
	apd_log(APD_LOG_ERROR, "host", "kept");
	read_log(line, sizeof(line));
	assert_string_equal(line + APD_TIME_TEXT, " error host: kept\n");
}

/* Any bytes make one line of valid UTF-8. */
static void test_any_bytes(void **state)
{
	char line[200];

	(void)state;
	apd_log(APD_LOG_WARN, "agent", "gr\xc3\xbc\xc3\x9f gr\xfc\xdf \xc2\x9b");
	read_log(line, sizeof(line));
	assert_string_equal(
		line + APD_TIME_TEXT, " warn agent: gr\xc3\xbc\xc3\x9f gr\\xfc\\xdf \\xc2\\x9b\n");
	errno = ENOENT;
	apd_log_text(APD_LOG_WARN, "agent", APD_STR("a\0\xff\nb"));
	assert_int_equal(errno, ENOENT);
	read_log(line, sizeof(line));
	assert_string_equal(line + APD_TIME_TEXT, " warn agent: a\\x00\\xff\\x0ab\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, capture, restore),
		cmocka_unit_test_setup_teardown(test_levels, capture, restore),
		cmocka_unit_test_setup_teardown(test_any_bytes, capture, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
