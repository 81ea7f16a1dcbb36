/* Loading plugins: what is refused and in what words, and what HELLO says of a good one. */
#include "driver.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Starts a plugin that must fail at a step; the sentence begins with this. */
static void expect_failure(const char *plugin, const char *step, const char *message)
{
	const struct apd_setup setup = driver_setup();
	struct driver d;

	driver_start(&d, plugin, &setup, false);
	driver_expect(&d, APD_FRAME_FAILED);
	assert_string_equal(driver_field(&d, 0).ptr, step);
	if (strncmp(driver_field(&d, 1).ptr, message, strlen(message)) != 0)
		assert_string_equal(driver_field(&d, 1).ptr, message);
	assert_int_equal(WEXITSTATUS(driver_end(&d)), 1);
}

static void test_refusals(void **state)
{
	char small[96];

	(void)state;
	expect_failure("wrong_magic", "plugin", "magic: wanted 0x31765041, found 0x12345678");
	expect_failure("wrong_major", "plugin", "abi_major: wanted 1, found 2");
	expect_failure("wrong_minor", "plugin", "abi_minor (a draft): wanted 0, found 7");
	expect_failure("needs_minor", "plugin", "needs_minor: wanted at most 0, found 9");
	snprintf(small, sizeof(small), "size: wanted at least %zu, found 24", sizeof(ap_plugin));
	expect_failure("small_plugin", "plugin", small);
	expect_failure("no_name", "plugin", "name: wanted a text, found none");
	expect_failure("no_agents", "plugin", "agents: wanted one at least, found none");
	snprintf(small, sizeof(small), "agents[0].size: wanted at least %zu, found 16",
		sizeof(ap_agent));
	expect_failure("small_agent", "plugin", small);
	snprintf(small, sizeof(small), "agents[0].info.size: wanted at least %zu, found 32",
		sizeof(ap_agent_info));
	expect_failure("small_info", "plugin", small);
	expect_failure("no_info", "plugin", "agents[0].info: wanted a description, found none");
	expect_failure("missing_id", "plugin", "agents[0].info.id: wanted an id, found none");
	expect_failure("malformed_id", "plugin",
		"agents[0].info.id: wanted 1 to 64 of [A-Za-z0-9._-], found \"two words\"");
	expect_failure("long_id", "plugin",
		"agents[0].info.id: wanted 1 to 64 of [A-Za-z0-9._-], found \"aaaa");
	expect_failure("duplicate_id", "plugin",
		"agents[1].info.id: wanted an id of its own, found \"agent\" again");
	expect_failure("no_invoke", "plugin", "agent agent: invoke: wanted a function, found none");
	expect_failure("bad_schema", "plugin",
		"agent agent: input_schema: wanted JSON, found expected a value at line 1, column "
		"9");
	expect_failure("schema_not_object", "plugin",
		"agent agent: output_schema: wanted an object or a boolean, found an array");
	expect_failure(
		"bad_metadata", "plugin", "agent agent: metadata: wanted an object, found true");
	expect_failure("unmet_needs", "plugin",
		"agent agent: needs: wanted extensions of this host, found "
		"\"com.example.nothing/1\"");
	expect_failure("no_symbol", "symbol", "wanted the symbol ap_plugin_v1, found none");
	expect_failure("not_a_library", "map", "/proc/self/fd/4: ");
	expect_failure("init_fails", "init", "no_model: The model is not there.");
}

/* A parent that is not the one that made the setup is a daemon that died meanwhile. */
static void test_orphan(void **state)
{
	struct apd_setup setup = driver_setup();
	struct driver d;

	(void)state;
	setup.parent = 1;
	driver_start(&d, "bare", &setup, false);
	driver_expect(&d, APD_FRAME_FAILED);
	assert_string_equal(driver_field(&d, 0).ptr, "parent");
	assert_int_equal(WEXITSTATUS(driver_end(&d)), 1);
}

static void test_init_crash(void **state)
{
	const struct apd_setup setup = driver_setup();
	struct driver d;

	(void)state;
	driver_start(&d, "init_crashes", &setup, false);
	assert_int_equal(driver_next(&d), 0);
	assert_int_not_equal(driver_end(&d), 0);
}

static const char hello[] =
	"{\"name\":\"good\",\"version\":\"1.2.3\",\"license\":\"MIT\",\"url\":\"https://"
	"example.com/\","
	"\"abi_minor\":0,\"agents\":[{\"id\":\"good\",\"name\":\"A \\\"good\\\" agent\","
	"\"description\":\"Echoes.\",\"version\":\"2.1\","
	"\"capabilities\":[\"ap.io.streaming\",\"ap.io.messages\"],\"flags\":2,\"max_concurrency\":"
	"8,"
	"\"input_schema\":{ \"type\": \"object\" "
	"},\"settings_schema\":true,\"metadata\":{\"x\":1}}]}";

/* The whole description; and with `describe` the end, without being asked. */
static void test_describe(void **state)
{
	struct apd_setup setup = driver_setup();
	struct driver d;

	(void)state;
	setup.describe = 1;
	driver_start(&d, "good", &setup, false);
	driver_expect(&d, APD_FRAME_HELLO);
	assert_string_equal(driver_field(&d, 0).ptr, hello);
	assert_int_equal(driver_end(&d), 0);
	assert_string_equal(d.logs.data, "deinit\n");
	apd_buf_finish(&d.logs);
}

/* Limits of processes and files are in force. */
static void test_limits(void **state)
{
	struct apd_setup setup = driver_setup();
	char path[64], line[256];
	bool files = false, core = false, no_new_privs = false;
	struct driver d;
	FILE *f;

	(void)state;
	setup.files_max = 77;
	driver_start(&d, "bare", &setup, false);
	driver_expect(&d, APD_FRAME_HELLO);
	snprintf(path, sizeof(path), "/proc/%d/limits", d.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned soft, hard;

		if (sscanf(line, "Max open files %u %u", &soft, &hard) == 2)
			files = soft == 77 && hard == 77;
		if (sscanf(line, "Max core file size %u %u", &soft, &hard) == 2)
			core = soft == 0 && hard == 0;
	}
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/status", d.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "NoNewPrivs:\t1", 13) == 0)
			no_new_privs = true;
	fclose(f);
	assert_true(files);
	assert_true(core);
	assert_true(no_new_privs);
	driver_quit(&d);
}

/* With little address space a worker still runs agents. Sanitizers need more than any limit. */
static void test_memory_limit(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	(void)state;
	skip();
#else
	struct apd_setup setup = driver_setup();
	const struct apd_str fields[] = {APD_STR("together"), APD_STR("me"), APD_STR("{}")};
	struct driver d;

	(void)state;
	setup.memory_max = 128u << 20;
	driver_start(&d, "together", &setup, false);
	driver_expect(&d, APD_FRAME_HELLO);
	driver_send(&d, APD_FRAME_CREATE, 0, 0, fields, 3);
	driver_expect(&d, APD_FRAME_CREATED);
	for (uint32_t run = 1; run <= 4; run++)
		driver_invoke(&d, run, "4", CREDIT);
	for (int i = 0; i < 4; i++)
		driver_expect(&d, APD_FRAME_DONE);
	driver_quit(&d);
#endif
}

static void test_create_fails(void **state)
{
	const struct apd_setup setup = driver_setup();
	const struct apd_str fields[] = {APD_STR("agent"), APD_STR("me"), APD_STR_ABSENT};
	const struct apd_str nobody[] = {APD_STR("nobody"), APD_STR("me"), APD_STR_ABSENT};
	struct driver d;
	int32_t status;

	(void)state;
	driver_start(&d, "create_fails", &setup, false);
	driver_expect(&d, APD_FRAME_HELLO);
	driver_send(&d, APD_FRAME_CREATE, 0, 5, fields, 3);
	driver_expect(&d, APD_FRAME_CREATED);
	assert_int_equal(d.frame.arg, 5);
	memcpy(&status, driver_field(&d, 0).ptr, 4);
	assert_int_equal(status, AP_E_DENIED);
	assert_string_equal(driver_field(&d, 1).ptr, "bad_key");
	assert_int_equal(driver_field(&d, 2).len, sizeof(((ap_error *)0)->message) - 1);
	driver_send(&d, APD_FRAME_CREATE, 0, 6, nobody, 3);
	driver_expect(&d, APD_FRAME_CREATED);
	memcpy(&status, driver_field(&d, 0).ptr, 4);
	assert_int_equal(status, AP_E_NOT_FOUND);
	driver_quit(&d);
}

/* The socket closes: the worker is gone at once, without a word. */
static void test_closed(void **state)
{
	struct driver d;
	int status;

	(void)state;
	driver_serve(&d, "good", "good", false);
	close(d.fd);
	assert_int_equal(waitpid(d.pid, &status, 0), d.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	apd_frame_reader_finish(&d.reader);
}

static void test_bad_frame(void **state)
{
	struct driver d;

	(void)state;
	driver_serve(&d, "good", "good", false);
	assert_int_equal(write(d.fd, "0123456789abcdef", 16), 16);
	assert_int_equal(WEXITSTATUS(driver_end(&d)), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_init_crash),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_memory_limit),
		cmocka_unit_test(test_create_fails),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_bad_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
