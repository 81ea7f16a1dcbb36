/* apd check: the command, and the list of checks. */
#include "apd/check/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apd/command.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/log.h"
#include "host/plugin_file.h"

/* Seconds for what must be quick, and for many quick things. */
#define QUICK 10
#define MANY  30

const struct apd_check_test apd_check_tests[] = {
	{.name = "symbol-exported-alone",
		.about = "the file exports ap_plugin_v1 and nothing else",
		.run = apd_check_symbol_exported_alone,
		.seconds = QUICK},
	{.name = "abi-fields",
		.about = "magic, versions, sizes and pointers are as <ap/agent.h> says",
		.run = apd_check_abi_fields,
		.gate = true,
		.seconds = QUICK},
	{.name = "ids-unique",
		.about = "every agent has an id of its own, of characters that ids have",
		.run = apd_check_ids_unique,
		.gate = true,
		.seconds = QUICK},
	{.name = "schemas-are-json-schema",
		.about = "schemas and metadata are what they should be",
		.run = apd_check_schemas,
		.gate = true,
		.seconds = QUICK},
	{.name = "describe-under-100ms",
		.about = "the plugin is loaded and described within 100 ms (the best of 5)",
		.run = apd_check_describe,
		.gate = true,
		.attempts = 5,
		.seconds = QUICK},
	{.name = "create-destroy-1000",
		.about = "instances come and go, and leave no memory behind",
		.run = apd_check_create_destroy,
		.gate = true,
		.seconds = MANY},
	{.name = "create-bad-config",
		.about = "create() takes odd settings, or says what is wrong with them",
		.run = apd_check_create_bad_config,
		.seconds = MANY},
	{.name = "unknown-extension-null",
		.about = "a host without extensions will do, and made-up ones are not there",
		.run = apd_check_unknown_extension,
		.seconds = MANY},
	{.name = "run-empty-input",
		.about = "a run with the least input ends, or stops when told to",
		.run = apd_check_run_empty_input},
	{.name = "run-random-input",
		.about = "so do runs with inputs by chance",
		.run = apd_check_run_random_input},
	{.name = "stop-before-start",
		.about = "a run that was cancelled before it began ends soon",
		.run = apd_check_stop_before_start},
	{.name = "stop-while-running",
		.about = "a run that is cancelled or rolled back ends soon",
		.run = apd_check_stop_while_running},
	{.name = "deadline-passed",
		.about = "a run that is out of time ends soon, and says so",
		.run = apd_check_deadline_passed},
	{.name = "emit-returns-cancelled",
		.about = "a run ends when emit() fails, whichever emit() it is",
		.run = apd_check_emit_returns_cancelled},
	{.name = "interrupt-then-resume",
		.about = "a run that asked goes on when it was answered",
		.run = apd_check_interrupt_then_resume},
	{.name = "resume-in-new-process",
		.about = "it does so in another process too",
		.run = apd_check_resume_in_new_process},
	{.name = "concurrent-runs",
		.about = "as many runs at once as max_concurrency allows (8 at most)",
		.run = apd_check_concurrent_runs},
	{.name = "no-threads-left",
		.about = "no thread outlives destroy() and deinit()",
		.run = apd_check_no_threads_left},
	{.name = "no-fds-left", .about = "no descriptor does", .run = apd_check_no_fds_left},
	{0},
};

enum {
	OPT_JSON,
	OPT_IN_PROCESS,
	OPT_ONLY,
	OPT_SETTINGS,
	OPT_GRACE,
	OPT_SEED,
	OPT_LIST,
	OPT_HELP,
};

static const struct apd_option options[] = {
	[OPT_JSON] = {"--json", NULL, NULL, "prints JSON, one check a line"},
	[OPT_IN_PROCESS] = {"--in-process", NULL, NULL,
		"runs the --only check in this process, for gdb"},
	[OPT_ONLY] = {"--only", NULL, "NAME", "runs this check, and those it builds on unseen"},
	[OPT_SETTINGS] = {"--settings", NULL, "JSON", "the operator's settings for create() ({})"},
	[OPT_GRACE] = {"--grace", NULL, "SECONDS", "what a stopped run has to end (10)"},
	[OPT_SEED] = {"--seed", NULL, "NUMBER", "for inputs by chance (1)"},
	[OPT_LIST] = {"--list", NULL, NULL, "lists the checks"},
	[OPT_HELP] = {"--help", "-h", NULL, "prints this"},
	{0},
};

/* The command's state. */
struct command {
	struct apd_check_target target;
	const struct apd_check_test *only; /* or NULL */
	bool json, in_process, list, help;
	unsigned counts[3]; /* by result */
};

static const struct apd_check_test *find_test(const char *name)
{
	for (const struct apd_check_test *test = apd_check_tests; test->name; test++)
		if (strcmp(test->name, name) == 0)
			return test;
	return NULL;
}

/* Prints how a check ended. */
static void print_report(const struct command *command, const struct apd_check_test *test,
	const struct apd_check_report *report)
{
	static const char *const words[] = {"ok", "FAIL", "skip"};
	static const char *const json_words[] = {"ok", "fail", "skip"};
	struct apd_buf out = {0};

	if (command->json) {
		apd_buf_lit(&out, "{");
		apd_json_member_str(&out, "name", apd_str(test->name));
		apd_json_member_str(&out, "result", apd_str(json_words[report->result]));
		apd_json_member_str(&out, "reason", apd_str(report->reason));
		if (report->result == APD_CHECK_FAIL)
			apd_json_member_str(&out, "output", apd_str(report->output));
		apd_buf_lit(&out, "}\n");
	} else {
		apd_buf_addf(&out, "%-4s %s%s%s\n", words[report->result], test->name,
			report->reason[0] ? "  " : "", report->reason);
		for (const char *line = report->output;
			report->result == APD_CHECK_FAIL && *line;) {
			size_t len = strcspn(line, "\n");

			apd_buf_addf(&out, "     | %.*s\n", (int)len, line);
			line += len + (line[len] == '\n');
		}
	}
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	apd_buf_finish(&out);
}

/* Runs the checks in their order. */
static void run_all(struct command *command)
{
	const char *closed = NULL;

	for (const struct apd_check_test *test = apd_check_tests; test->name; test++) {
		bool shown = !command->only || command->only == test;
		struct apd_check_report report = {.result = APD_CHECK_SKIP};

		if (!shown && !test->gate)
			continue;
		if (closed)
			snprintf(report.reason, sizeof(report.reason),
				"the plugin cannot be used, see %s", closed);
		else if (command->in_process && shown)
			apd_check_here(&command->target, test, &report);
		else
			apd_check_apart(&command->target, test, &report);
		if (test->gate && !closed && report.hopeless)
			closed = test->name;
		if (shown) {
			command->counts[report.result]++;
			print_report(command, test, &report);
		}
		if (test == command->only)
			return;
	}
}

/* Takes the file: -1 when it has been said on stderr that it cannot be read. */
static int open_file(struct command *command)
{
	struct apd_check_target *target = &command->target;
	const char *slash = strrchr(target->path, '/');
	char why[APD_WHY_SIZE] = "it is not a regular file";
	int fd = open(target->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "apd check: %s: %s\n", target->path, strerror(errno));
		return -1;
	}
	target->name = slash ? slash + 1 : target->path;
	target->memfd = S_ISREG(st.st_mode)
		? apd_plugin_file_seal(fd, target->name, (size_t)st.st_size, why)
		: -1;
	close(fd);
	if (target->memfd < 0) {
		fprintf(stderr, "apd check: %s: %s\n", target->path, why);
		return -1;
	}
	return 0;
}

/* Takes a whole number of an option; false when it has been refused. */
static bool take_number(
	const char *option, const char *text, unsigned long long most, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9' || value > most) {
		fprintf(stderr, "apd check: %s: expected a number up to %llu\n", option, most);
		return false;
	}
	*ret = value;
	return true;
}

/* Looks whether the settings are an object. */
static bool check_settings(const char *text)
{
	struct apd_json json = {0};
	bool ok = apd_json_scan(&json, apd_str(text)) == 0 &&
		apd_json_type(&json, 0) == APD_JSON_OBJECT;

	if (!ok)
		fprintf(stderr, "apd check: --settings: %s\n",
			json.error ? json.error : "expected an object");
	apd_json_finish(&json);
	return ok;
}

/* Takes one argument; false when it has been refused. */
static bool take_argument(struct command *command, int option, const char *value)
{
	struct apd_check_target *target = &command->target;
	uint64_t number = 0;
	bool ok = true;

	if (option == OPT_JSON) {
		command->json = true;
	} else if (option == OPT_IN_PROCESS) {
		command->in_process = true;
	} else if (option == OPT_ONLY) {
		command->only = find_test(value);
		ok = command->only != NULL;
		if (!ok)
			fprintf(stderr, "apd check: there is no check \"%s\" (see --list)\n",
				value);
	} else if (option == OPT_SETTINGS) {
		target->settings = value;
		ok = check_settings(value);
	} else if (option == OPT_GRACE) {
		ok = take_number("--grace", value, 3600, &number);
		target->grace_ns = (int64_t)number * APD_NS_PER_S;
	} else if (option == OPT_SEED) {
		ok = take_number("--seed", value, UINT64_MAX, &target->seed);
	} else if (option == OPT_LIST) {
		command->list = true;
	} else if (option == OPT_HELP) {
		command->help = true;
	} else if (option == -2 && !target->path) {
		target->path = value;
	} else {
		if (option == -2)
			fprintf(stderr, "apd check: unexpected argument %s\n", value);
		ok = false;
	}
	return ok;
}

/* Reads the arguments: 0 to go on, 1 when all is done, -1 when they have been refused. */
static int read_arguments(struct command *command, int argc, char **argv)
{
	struct apd_arguments arguments = {options, argc, argv, 0};
	const char *value;
	int r;

	while ((r = apd_arguments_next(&arguments, &value)) != -1)
		if (!take_argument(command, r, value))
			return -1;
	if (command->help) {
		apd_arguments_help(options, "check FILE.so [OPTION]...",
			"Tests whether a plugin keeps the rules, each check in a process of its "
			"own.\n"
			"Exits with 0 when none failed, with 1 when one did.");
		return 1;
	}
	if (command->list) {
		for (const struct apd_check_test *test = apd_check_tests; test->name; test++)
			printf("%-24s %s\n", test->name, test->about);
		return 1;
	}
	if (!command->target.path) {
		fprintf(stderr, "apd check: name a plugin file\n");
		return -1;
	}
	if (command->in_process && !command->only) {
		fprintf(stderr,
			"apd check: --in-process needs --only: init() runs once in a process\n");
		return -1;
	}
	return open_file(command);
}

int apd_command_check(int argc, char **argv)
{
	struct command command = {.target = {.grace_ns = 10 * APD_NS_PER_S, .seed = 1}};
	int r = read_arguments(&command, argc, argv);

	if (r != 0)
		return r > 0 ? 0 : 2;
	apd_log_set_level(APD_LOG_ERROR);
	run_all(&command);
	if (!command.json)
		printf("%u ok, %u failed, %u skipped\n", command.counts[APD_CHECK_OK],
			command.counts[APD_CHECK_FAIL], command.counts[APD_CHECK_SKIP]);
	fflush(stdout);
	/* A plugin that failed here may have left threads, which must not see the end of all things. */
	if (command.in_process)
		_exit(command.counts[APD_CHECK_FAIL] ? 1 : 0);
	close(command.target.memfd);
	return command.counts[APD_CHECK_FAIL] ? 1 : 0;
}
