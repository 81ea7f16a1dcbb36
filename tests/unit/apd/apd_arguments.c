/* Reading the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apd/command.h"
#include "base/alloc.h"

enum { CONFIG, LISTEN, JSON };

static const struct apd_option options[] = {
	[CONFIG] = {"--config", "-c", "FILE", "the configuration"},
	[LISTEN] = {"--listen", NULL, "HOST:PORT", "where"},
	[JSON] = {"--json", NULL, NULL, "prints JSON"},
	{0},
};

/* A stream of the process, redirected into a file meanwhile. */
struct capture {
	FILE *stream;
	FILE *file;
	int saved;
	char text[2048];
};

static void capture_begin(struct capture *capture, FILE *stream)
{
	fflush(stream);
	capture->stream = stream;
	capture->file = tmpfile();
	assert_non_null(capture->file);
	capture->saved = fcntl(fileno(stream), F_DUPFD_CLOEXEC, 3);
	assert_true(capture->saved >= 0);
	assert_true(dup2(fileno(capture->file), fileno(stream)) >= 0);
}

static const char *capture_end(struct capture *capture)
{
	size_t n;

	fflush(capture->stream);
	dup2(capture->saved, fileno(capture->stream));
	close(capture->saved);
	rewind(capture->file);
	n = fread(capture->text, 1, sizeof(capture->text) - 1, capture->file);
	capture->text[n] = '\0';
	fclose(capture->file);
	return capture->text;
}

static void options_and_positionals_come_in_order(void **state)
{
	char *argv[] = {"one", "--config", "a.yaml", "-c", "b.yaml", "--listen=:1", "--json", "-",
		"--config=", "--listen", "--json", ""};
	static const struct {
		int result;
		const char *value;
	} expected[] = {
		{-2, "one"},
		{CONFIG, "a.yaml"},
		{CONFIG, "b.yaml"},
		{LISTEN, ":1"},
		{JSON, NULL},
		{-2, "-"},
		{CONFIG, ""},
		{LISTEN, "--json"},
		{-2, ""},
		{-1, NULL},
		{-1, NULL},
	};
	struct apd_arguments arguments = {options, APD_COUNT(argv), argv, 0};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(expected); i++) {
		const char *value = NULL;

		assert_int_equal(apd_arguments_next(&arguments, &value), expected[i].result);
		if (expected[i].value)
			assert_string_equal(value, expected[i].value);
		else
			assert_null(value);
	}
}

static void check_refused(char *first, const char *expected)
{
	char *argv[] = {first};
	struct apd_arguments arguments = {options, 1, argv, 0};
	struct capture capture;
	const char *value;
	int r;

	capture_begin(&capture, stderr);
	r = apd_arguments_next(&arguments, &value);
	capture_end(&capture);
	assert_int_equal(r, -3);
	assert_string_equal(capture.text, expected);
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	check_refused("--what", "apd: unknown option --what (see --help)\n");
	check_refused("--conf", "apd: unknown option --conf (see --help)\n");
	check_refused("--configs", "apd: unknown option --configs (see --help)\n");
	check_refused("-x", "apd: unknown option -x (see --help)\n");
	check_refused("--json=yes", "apd: --json takes no value\n");
	check_refused("--config", "apd: --config needs FILE\n");
	check_refused("-c", "apd: -c needs FILE\n");
}

static void help_has_a_line_an_option(void **state)
{
	struct capture capture;

	(void)state;
	capture_begin(&capture, stdout);
	apd_arguments_help(options, "serve [OPTION]...", "Serves.");
	capture_end(&capture);
	assert_string_equal(capture.text,
		"usage: apd serve [OPTION]...\n\nServes.\n\n"
		"  -c, --config FILE        the configuration\n"
		"  --listen HOST:PORT       where\n"
		"  --json                   prints JSON\n");
}

/* Writes a file and returns its path, which is the caller's. */
static char *write_file(const char *text)
{
	char *path = apd_strdup("/tmp/apd-test-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void a_bad_file_is_said_and_dirs_are_freed(void **state)
{
	struct apd_config config;
	struct capture capture;
	const char **dirs = NULL;
	int r;

	(void)state;
	apd_config_init(&config);
	apd_config_add(&config, &dirs, APD_STR("/somewhere"));
	capture_begin(&capture, stderr);
	r = apd_command_config(&config, "/nowhere/apd.yaml", dirs);
	capture_end(&capture);
	assert_int_equal(r, -1);
	assert_string_equal(capture.text, "apd: /nowhere/apd.yaml: No such file or directory\n");
	apd_config_finish(&config);
}

static void dirs_of_the_command_line_beat_the_file(void **state)
{
	char *path = write_file("plugins:\n  dirs: [/one, /two]\n");
	struct apd_config config;
	struct capture capture;
	const char **dirs = NULL;

	(void)state;
	apd_config_init(&config);
	/* The place of the worker is not this test's matter: it may be missing beside this binary. */
	config.worker_path = "/bin/true";
	apd_config_add(&config, &dirs, APD_STR("/three"));
	capture_begin(&capture, stderr);
	assert_int_equal(apd_command_config(&config, path, dirs), 0);
	assert_string_equal(capture_end(&capture), "");
	assert_string_equal(config.plugin_dirs[0], "/three");
	assert_null(config.plugin_dirs[1]);
	apd_config_finish(&config);
	apd_config_init(&config);
	config.worker_path = "/bin/true";
	assert_int_equal(apd_command_config(&config, path, NULL), 0);
	assert_string_equal(config.plugin_dirs[0], "/one");
	assert_string_equal(config.plugin_dirs[1], "/two");
	assert_null(config.plugin_dirs[2]);
	apd_config_finish(&config);
	unlink(path);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_positionals_come_in_order),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(help_has_a_line_an_option),
		cmocka_unit_test(a_bad_file_is_said_and_dirs_are_freed),
		cmocka_unit_test(dirs_of_the_command_line_beat_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
