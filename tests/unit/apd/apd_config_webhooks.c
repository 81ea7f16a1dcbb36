/* apd.yaml: the section webhooks, whose secret and networks are checked where they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apd/config.h"
#include "base/clock.h"

/* Parses what must be good; config must be finished. */
static void parse_good(struct apd_config *config, const char *text)
{
	struct apd_buf error = {0};

	apd_config_init(config);
	if (apd_config_parse(config, "apd.yaml", apd_str(text), &error) != 0)
		fail_msg("%s\nin\n%s", error.data, text);
}

/* Parses what must be refused with this sentence. */
static void check_error(const char *text, const char *expected)
{
	struct apd_config config;
	struct apd_buf error = {0};

	apd_config_init(&config);
	if (apd_config_parse(&config, "apd.yaml", apd_str(text), &error) == 0)
		fail_msg("taken:\n%s", text);
	assert_string_equal(error.data, expected);
	apd_buf_finish(&error);
	apd_config_finish(&config);
}

static void the_defaults_are_strict(void **state)
{
	struct apd_config config;

	(void)state;
	parse_good(&config, "");
	assert_null(config.webhook_secret);
	assert_false(config.webhook_allow_private);
	assert_null(config.webhook_allow);
	assert_true(config.webhook_give_up_ns == 86400 * APD_NS_PER_S);
	apd_config_finish(&config);
}

static void every_key_is_read(void **state)
{
	struct apd_config config;

	(void)state;
	parse_good(&config,
		"webhooks:\n"
		"  secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
		"  ca_file: /etc/ours.pem\n"
		"  allow_private: true\n"
		"  allow: [10.0.0.0/8, 'fd00::/8']\n"
		"  max_in_flight: 7\n"
		"  max_per_host: 3\n"
		"  timeout: 2s\n"
		"  retry: 1m\n"
		"  give_up_after: 2h\n");
	assert_string_equal(config.webhook_secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	assert_string_equal(config.webhook_ca_file, "/etc/ours.pem");
	assert_true(config.webhook_allow_private);
	assert_string_equal(config.webhook_allow[0], "10.0.0.0/8");
	assert_string_equal(config.webhook_allow[1], "fd00::/8");
	assert_null(config.webhook_allow[2]);
	assert_int_equal(config.webhook_max_in_flight, 7);
	assert_int_equal(config.webhook_max_per_host, 3);
	assert_true(config.webhook_timeout_ns == 2 * APD_NS_PER_S);
	assert_true(config.webhook_retry_ns == 60 * APD_NS_PER_S);
	assert_true(config.webhook_give_up_ns == 7200 * APD_NS_PER_S);
	apd_config_finish(&config);
	parse_good(&config, "webhooks: {allow: 127.0.0.1, secret: 'a plain one, long enough'}\n");
	assert_string_equal(config.webhook_allow[0], "127.0.0.1");
	assert_string_equal(config.webhook_secret, "a plain one, long enough");
	apd_config_finish(&config);
}

static void mistakes_are_named(void **state)
{
	(void)state;
	check_error("webhooks:\n  secret: short\n",
		"apd.yaml:2: webhooks.secret: a secret has 16 to 256 bytes, this one has 5");
	check_error("webhooks:\n  secret:\n",
		"apd.yaml:2: webhooks.secret: a secret has 16 to 256 bytes, this one has 0");
	check_error("webhooks:\n  secret: [a]\n",
		"apd.yaml:2: webhooks.secret: a secret has 16 to 256 bytes, this one has 0");
	check_error("webhooks:\n  secret: whsec_no!\n",
		"apd.yaml:2: webhooks.secret: what follows \"whsec_\" is not base64");
	check_error("webhooks:\n  secret: \"sixteen letters\\0!!\"\n",
		"apd.yaml:2: webhooks.secret: there is a NUL in it");
	check_error("webhooks:\n  secret_file: /no/such/file\n",
		"apd.yaml:2: webhooks.secret_file: /no/such/file: No such file or directory");
	check_error("webhooks:\n  secret_file: /\n",
		"apd.yaml:2: webhooks.secret_file: / cannot be read");
	check_error("webhooks:\n  secret_file: {a: b}\n",
		"apd.yaml:2: webhooks.secret_file: expected a file's name");
	check_error("webhooks:\n  allow: [10.0.0.0/8, 10.0.0.1/8]\n",
		"apd.yaml:2: webhooks.allow: \"10.0.0.1/8\" is not a network such as 10.0.0.0/8 or "
		"fd00::/8");
	check_error("webhooks:\n  allow: example.org\n",
		"apd.yaml:2: webhooks.allow: \"example.org\" is not a network such as 10.0.0.0/8 "
		"or "
		"fd00::/8");
	check_error("webhooks:\n  allow: {a: b}\n", "apd.yaml:2: webhooks.allow: expected a list");
	check_error("webhooks:\n  max_per_hosts: 3\n",
		"apd.yaml:2: webhooks.max_per_hosts: unknown key, did you mean \"max_per_host\"?");
	check_error("webhooks:\n  timeout: 1ms\n",
		"apd.yaml:2: webhooks.timeout: must lie between 100ms and 1h");
}

static void a_secret_may_come_from_a_file(void **state)
{
	char path[] = "/tmp/apd-secret-XXXXXX", text[200];
	static const char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	int fd = mkstemp(path);
	struct apd_config config;

	(void)state;
	assert_int_equal(write(fd, secret, strlen(secret)), strlen(secret));
	assert_int_equal(write(fd, "\r\n\n", 3), 3);
	close(fd);
	snprintf(text, sizeof(text), "webhooks:\n  secret_file: %s\n", path);
	parse_good(&config, text);
	assert_string_equal(config.webhook_secret, secret);
	apd_config_finish(&config);
	snprintf(text, sizeof(text), "webhooks:\n  secret: %s\n  secret_file: %s\n", secret, path);
	check_error(text, "apd.yaml:3: webhooks.secret_file: there is a secret already");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_are_strict),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(a_secret_may_come_from_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
