/* apd.yaml: every key, its limits, and what is said of what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "apd/config.h"
#include "apd/config_keys.h"
#include "apd/config_scalar.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

/* Parses text over the defaults; config must be finished. */
static int parse(struct apd_config *config, const char *text, struct apd_buf *error)
{
	apd_config_init(config);
	return apd_config_parse(config, "apd.yaml", apd_str(text), error);
}

/* Parses what must be good. */
static void parse_good(struct apd_config *config, const char *text)
{
	struct apd_buf error = {0};

	if (parse(config, text, &error) != 0)
		fail_msg("%s\nin\n%s", error.data, text);
	assert_int_equal(error.len, 0);
}

/* Parses what must be refused with this sentence. */
static void check_error(const char *text, const char *expected)
{
	struct apd_config config;
	struct apd_buf error = {0};

	if (parse(&config, text, &error) == 0)
		fail_msg("taken:\n%s", text);
	assert_string_equal(error.data, expected);
	apd_buf_finish(&error);
	apd_config_finish(&config);
}

static void nothing_leaves_the_defaults(void **state)
{
	static const char *const texts[] = {
		"", "# only a comment\n", "---\n", "workers:\nhttp:\nagents:\n"};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(texts); i++) {
		struct apd_config config, defaults;

		apd_config_init(&defaults);
		parse_good(&config, texts[i]);
		assert_string_equal(config.listen, "127.0.0.1:8000");
		assert_memory_equal(&config, &defaults, sizeof(config));
		apd_config_finish(&config);
		apd_config_finish(&defaults);
	}
}

static void every_kind_of_key_is_read(void **state)
{
	struct apd_config config;

	(void)state;
	parse_good(&config,
		"listen: 0.0.0.0:80\n"
		"data_dir: /var/lib/apd\n"
		"default_agent: echo\n"
		"plugins:\n"
		"  dirs: [/a, '/b c']\n"
		"  serve: listed\n"
		"workers: {max: 2, isolation: run, memory: 512MiB, debug: true}\n"
		"runs:\n"
		"  timeout: 90s\n"
		"  queue: \"77\"\n"
		"http:\n"
		"  max_body: 1MiB\n"
		"  heartbeat: 200ms\n"
		"  cors:\n"
		"    origins: https://a.example\n"
		"storage: {durability: normal, reader_threads: 4}\n"
		"events: {linger: 0}\n"
		"retention: {ephemeral_runs: 7d, threads: 90d}\n"
		"log: {level: error}\n");
	assert_string_equal(config.listen, "0.0.0.0:80");
	assert_string_equal(config.data_dir, "/var/lib/apd");
	assert_string_equal(config.default_agent, "echo");
	assert_string_equal(config.plugin_dirs[0], "/a");
	assert_string_equal(config.plugin_dirs[1], "/b c");
	assert_null(config.plugin_dirs[2]);
	assert_int_equal(config.serve, 1);
	assert_int_equal(config.workers_max, 2);
	assert_int_equal(config.isolation, APD_ISOLATE_RUN);
	assert_int_equal(config.worker_memory, 512 << 20);
	assert_true(config.worker_debug);
	assert_int_equal(config.run_timeout_ns, 90 * APD_NS_PER_S);
	assert_int_equal(config.queue, 77);
	assert_int_equal(config.max_body, 1 << 20);
	assert_int_equal(config.heartbeat_ns, 200 * APD_NS_PER_MS);
	assert_string_equal(config.cors_origins[0], "https://a.example");
	assert_null(config.cors_origins[1]);
	assert_int_equal(config.durability, 1);
	assert_int_equal(config.reader_threads, 4);
	assert_int_equal(config.linger_ns, 0);
	assert_int_equal(config.retention_ephemeral_ns, 7 * 24 * 3600 * APD_NS_PER_S);
	assert_int_equal(config.retention_threads_ns, 90 * 24 * 3600 * APD_NS_PER_S);
	assert_int_equal(config.log_level, APD_LOG_ERROR);
	apd_config_finish(&config);
}

/* The value that lies at a key's place. */
static int64_t value_at(const struct apd_config *config, const struct config_key *key)
{
	const char *place = (const char *)config + key->offset;

	return key->type == CONFIG_COUNT ? *(const uint32_t *)(const void *)place
					 : *(const int64_t *)(const void *)place;
}

/* Parses one key of a section with this number: what came of it, and the error. */
static int parse_number(struct apd_config *config, const char *section,
	const struct config_key *key, int64_t number, struct apd_buf *error)
{
	struct apd_buf text = {0};
	int r;

	apd_buf_addf(&text, "%s:\n  %s: %lld%s\n", section, key->name, (long long)number,
		key->type == CONFIG_DURATION ? "ns" : "");
	r = parse(config, text.data, error);
	apd_buf_finish(&text);
	return r;
}

/* Checks that a number just outside the limits is refused and says what they are. */
static void check_outside(const char *section, const struct config_key *key, int64_t number)
{
	struct apd_buf error = {0}, expected = {0};
	struct apd_config config;

	apd_buf_addf(&expected, "apd.yaml:2: %s.%s: must lie between ", section, key->name);
	config_scalar_show(&expected, key->type, key->least);
	apd_buf_lit(&expected, " and ");
	config_scalar_show(&expected, key->type, key->most);
	assert_int_equal(parse_number(&config, section, key, number, &error), -1);
	assert_string_equal(error.data, expected.data);
	apd_config_finish(&config);
	apd_buf_finish(&error);
	apd_buf_finish(&expected);
}

/* Checks one number's limits. */
static void check_limits(const char *section, const struct config_key *key)
{
	const int64_t inside[] = {key->least, key->most};

	for (size_t i = 0; i < APD_COUNT(inside); i++) {
		struct apd_buf error = {0};
		struct apd_config config;

		assert_int_equal(parse_number(&config, section, key, inside[i], &error), 0);
		assert_true(value_at(&config, key) == inside[i]);
		apd_config_finish(&config);
	}
	check_outside(section, key, key->most + 1);
	if (key->least > 0)
		check_outside(section, key, key->least - 1);
}

static void numbers_stay_within_the_limits_of_their_keys(void **state)
{
	unsigned checked = 0;

	(void)state;
	for (const struct config_key *section = config_root; section->name; section++) {
		if (section->type != CONFIG_SECTION)
			continue;
		for (const struct config_key *key = section->section; key->name; key++) {
			if (key->type != CONFIG_COUNT && key->type != CONFIG_BYTES &&
				key->type != CONFIG_DURATION)
				continue;
			check_limits(section->name, key);
			checked++;
		}
	}
	assert_true(checked > 25);
}

static void defaults_lie_within_the_limits(void **state)
{
	struct apd_config config;

	(void)state;
	apd_config_init(&config);
	for (const struct config_key *section = config_root; section->name; section++)
		for (const struct config_key *key = section->section; key && key->name; key++)
			if (key->type == CONFIG_COUNT || key->type == CONFIG_BYTES ||
				key->type == CONFIG_DURATION) {
				int64_t value = value_at(&config, key);

				if (value < key->least || value > key->most)
					fail_msg("%s.%s", section->name, key->name);
			}
	apd_config_finish(&config);
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
	(void)state;
	check_error("workers:\n  max: 1\n  maxx: 2\n",
		"apd.yaml:3: workers.maxx: unknown key, did you mean \"max\"?");
	check_error("\n\nlisten_on: x\n",
		"apd.yaml:3: listen_on: unknown key, did you mean \"listen\"?");
	check_error("completely_different: 1\n", "apd.yaml:1: completely_different: unknown key");
	check_error("http: {cors: {origin: x}}\n",
		"apd.yaml:1: http.cors.origin: unknown key, did you mean \"origins\"?");
	check_error("? [a]\n: 1\n", "apd.yaml:1: a key must be a word");
}

static void values_of_the_wrong_kind_are_refused(void **state)
{
	(void)state;
	check_error("listen: [a]\n", "apd.yaml:1: listen: expected a string");
	check_error("listen: ''\n", "apd.yaml:1: listen: expected a string");
	check_error("listen: \"a\\0b\"\n", "apd.yaml:1: listen: expected a string");
	check_error("workers: 8\n", "apd.yaml:1: workers: expected a mapping");
	check_error("workers: [8]\n", "apd.yaml:1: workers: expected a mapping");
	check_error("- a\n", "apd.yaml:1: expected a mapping");
	check_error("workers:\n  max: many\n", "apd.yaml:2: workers.max: expected a whole number");
	check_error(
		"workers:\n  max: {a: 1}\n", "apd.yaml:2: workers.max: expected a whole number");
	check_error(
		"workers:\n  debug: yes\n", "apd.yaml:2: workers.debug: expected true or false");
	check_error("workers:\n  memory: 5GB\n",
		"apd.yaml:2: workers.memory: expected a size such as 64KiB, 16MiB or 1GiB");
	check_error("runs:\n  timeout: 10\n",
		"apd.yaml:2: runs.timeout: expected a duration such as 250ms, 10s, 15m or 24h");
	check_error("workers:\n  isolation: thread\n",
		"apd.yaml:2: workers.isolation: expected one of process, run");
	check_error("log:\n  level: [info]\n",
		"apd.yaml:2: log.level: expected one of debug, info, warn, error");
	check_error("plugins:\n  dirs: {a: b}\n", "apd.yaml:2: plugins.dirs: expected a list");
	check_error("plugins:\n  dirs:\n  - a\n  - [b]\n",
		"apd.yaml:4: plugins.dirs: expected a string");
	check_error("agents: x\n", "apd.yaml:1: agents: expected a mapping from agent ids");
}

static void keys_do_not_stand_twice(void **state)
{
	(void)state;
	check_error("listen: a\ndata_dir: b\nlisten: c\n",
		"apd.yaml:3: listen: the key stands here twice");
	check_error("runs:\n  queue: 1\n  queue: 1\n",
		"apd.yaml:3: runs.queue: the key stands here twice");
}

static void bad_yaml_names_its_line(void **state)
{
	struct apd_config config;
	struct apd_buf error = {0};

	(void)state;
	assert_int_equal(parse(&config, "listen: a\nworkers: [1,\n", &error), -1);
	assert_memory_equal(error.data, "apd.yaml:", 9);
	assert_true(strchr("23", error.data[9]) != NULL);
	apd_config_finish(&config);
	apd_buf_clear(&error);
	assert_int_equal(parse(&config, "listen: *nobody\n", &error), -1);
	assert_memory_equal(error.data, "apd.yaml:1: ", 12);
	apd_config_finish(&config);
	apd_buf_clear(&error);
	assert_int_equal(parse(&config, "listen: \xff\xfe\n", &error), -1);
	assert_memory_equal(error.data, "apd.yaml:", 9);
	apd_config_finish(&config);
	apd_buf_finish(&error);
}

static void aliases_are_followed(void **state)
{
	struct apd_config config;

	(void)state;
	parse_good(&config,
		"runs: {timeout: &t 30s, grace: *t}\n"
		"plugins: {dirs: &d [/x]}\nhttp: {cors: {origins: *d}}\n");
	assert_int_equal(config.grace_ns, 30 * APD_NS_PER_S);
	assert_string_equal(config.cors_origins[0], "/x");
	apd_config_finish(&config);
}

static void deep_nesting_is_refused(void **state)
{
	struct apd_buf text = {0}, error = {0};
	struct apd_config config;

	(void)state;
	apd_buf_lit(&text, "workers: ");
	for (int i = 0; i < 5000; i++)
		apd_buf_lit(&text, "[");
	assert_int_equal(parse(&config, text.data, &error), -1);
	assert_true(error.len > 0);
	apd_config_finish(&config);
	apd_buf_finish(&error);
	apd_buf_finish(&text);
}

static void later_files_beat_earlier_ones(void **state)
{
	struct apd_buf error = {0};
	struct apd_config config;

	(void)state;
	parse_good(&config, "plugins: {dirs: [/a, /b]}\nruns: {queue: 5, grace: 1s}\n");
	assert_int_equal(apd_config_parse(&config, "b.yaml",
				 APD_STR("plugins: {dirs: /c}\nruns: {queue: 6}\n"), &error),
		0);
	assert_string_equal(config.plugin_dirs[0], "/c");
	assert_null(config.plugin_dirs[1]);
	assert_int_equal(config.queue, 6);
	assert_int_equal(config.grace_ns, APD_NS_PER_S);
	apd_config_finish(&config);
}

/* Loads a file of n bytes: comments, and a key at the end. */
static int load_padded(size_t n, struct apd_config *config, struct apd_buf *error)
{
	static const char last[] = "\nlisten: here:1\n";
	char path[] = "/tmp/apd-test-XXXXXX";
	int fd = mkstemp(path);
	FILE *file;
	int r;

	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	for (size_t i = 0; i < n - strlen(last); i++)
		fputc('#', file);
	fputs(last, file);
	fclose(file);
	apd_config_init(config);
	r = apd_config_load(config, path, error);
	unlink(path);
	return r;
}

static void files_are_read_whole_or_not_at_all(void **state)
{
	struct apd_config config;
	struct apd_buf error = {0};

	(void)state;
	assert_int_equal(load_padded(1 << 20, &config, &error), 0);
	assert_string_equal(config.listen, "here:1");
	apd_config_finish(&config);
	assert_int_equal(load_padded((1 << 20) + 1, &config, &error), -1);
	assert_non_null(strstr(error.data, ": larger than 1 MiB"));
	apd_config_finish(&config);
	apd_buf_clear(&error);
	apd_config_init(&config);
	assert_int_equal(apd_config_load(&config, "/nowhere/x.yaml", &error), -1);
	assert_string_equal(error.data, "/nowhere/x.yaml: No such file or directory");
	apd_buf_clear(&error);
	assert_int_equal(apd_config_load(&config, "/tmp", &error), -1);
	assert_string_equal(error.data, "/tmp: Is a directory");
	apd_config_finish(&config);
	apd_buf_finish(&error);
}

static void addresses_are_split(void **state)
{
	static const struct {
		const char *listen, *host;
		int port; /* -1: refused */
	} addresses[] = {
		{"127.0.0.1:8000", "127.0.0.1", 8000},
		{"localhost:0", "localhost", 0},
		{"[::1]:8000", "::1", 8000},
		{"::1:8000", "::1", 8000},
		{":9", "127.0.0.1", 9},
		{"65535", "127.0.0.1", 65535},
		{"[]:1", "127.0.0.1", 1},
		{"localhost", NULL, -1},
		{"a:65536", NULL, -1},
		{"a:", NULL, -1},
		{"a:-1", NULL, -1},
		{"a:+1", NULL, -1},
		{"a: 1", NULL, -1},
		{"a:1x", NULL, -1},
		{"[::1]", NULL, -1},
		{"a:99999999999999999999", NULL, -1},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(addresses); i++) {
		struct apd_config config;
		struct apd_buf error = {0};
		const char *host = NULL;
		uint16_t port = 0;
		int r;

		apd_config_init(&config);
		config.listen = addresses[i].listen;
		r = apd_config_listen(&config, &host, &port, &error);
		if (addresses[i].port < 0) {
			assert_int_equal(r, -1);
			assert_non_null(strstr(error.data, "is not HOST:PORT"));
		} else {
			assert_int_equal(r, 0);
			assert_string_equal(host, addresses[i].host);
			assert_int_equal(port, addresses[i].port);
		}
		apd_buf_finish(&error);
		apd_config_finish(&config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_leaves_the_defaults),
		cmocka_unit_test(every_kind_of_key_is_read),
		cmocka_unit_test(numbers_stay_within_the_limits_of_their_keys),
		cmocka_unit_test(defaults_lie_within_the_limits),
		cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
		cmocka_unit_test(values_of_the_wrong_kind_are_refused),
		cmocka_unit_test(keys_do_not_stand_twice),
		cmocka_unit_test(bad_yaml_names_its_line),
		cmocka_unit_test(aliases_are_followed),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(later_files_beat_earlier_ones),
		cmocka_unit_test(files_are_read_whole_or_not_at_all),
		cmocka_unit_test(addresses_are_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
