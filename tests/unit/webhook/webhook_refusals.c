/*
 * Addresses that are not allowed, however they are named. Names come from the
 * getaddrinfo() of this program, which libcurl finds before the C library's.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "lab.h"

/* What names under .test mean: a list of addresses, separated by blanks; "" hangs. */
static _Atomic(const char *) names;
static sem_t hanging, released;

static int real(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_list)
{
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	return next(node, service, hints, ret_list);
}

int getaddrinfo(const char *restrict node, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
	size_t len = node ? strlen(node) : 0;
	const char *addresses = atomic_load(&names);
	char copy[200], *at = copy, *address;
	struct addrinfo **end = ret_list;

	if (len < 5 || strcmp(node + len - 5, ".test") != 0)
		return real(node, service, hints, ret_list);
	if (!addresses[0]) {
		sem_post(&hanging);
		sem_wait(&released);
		return EAI_AGAIN;
	}
	snprintf(copy, sizeof(copy), "%s", addresses);
	while ((address = strsep(&at, " "))) {
		struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
		int r = real(address, service, &numeric, end);

		if (r != 0)
			return r;
		while (*end)
			end = &(*end)->ai_next;
	}
	return 0;
}

/* Puts a row for a host and the receiver's port. */
static void put(struct lab *lab, const char *host, struct receiver *receiver, const char *path)
{
	char url[200];

	snprintf(url, sizeof(url), "http://%s:%u%s", host, receiver_port(receiver), path);
	lab_put(lab, url, "{}");
}

static void hidden_addresses_are_refused(void **state)
{
	static const struct {
		const char *host, *address, *class;
	} hosts[] = {
		{"127.0.0.1", "127.0.0.1", "loopback"},
		{"127.1", "127.0.0.1", "loopback"},
		{"2130706433", "127.0.0.1", "loopback"},
		{"0x7f000001", "127.0.0.1", "loopback"},
		{"0177.0.0.1", "127.0.0.1", "loopback"},
		{"localhost", NULL, "loopback"},
		{"name.test", "127.0.0.1", "loopback"},
		{"0.0.0.0", "0.0.0.0", "unspecified"},
		{"[::]", "::", "unspecified"},
		{"[::1]", "::1", "loopback"},
		{"[::ffff:127.0.0.1]", "::ffff:127.0.0.1", "loopback"},
		{"[::127.0.0.1]", "::127.0.0.1", "loopback"},
		{"[64:ff9b::7f00:1]", "64:ff9b::7f00:1", "loopback"},
		{"[2002:7f00:1::]", "2002:7f00:1::", "loopback"},
		{"10.0.0.1", "10.0.0.1", "private"},
		{"192.168.1.1", "192.168.1.1", "private"},
		{"169.254.169.254", "169.254.169.254", "link-local"},
		{"100.64.0.1", "100.64.0.1", "carrier-grade NAT"},
		{"[fe80::1]", "fe80::1", "link-local"},
		{"[fd00::1]", "fd00::1", "private"},
		{"224.0.0.1", "224.0.0.1", "multicast"},
		{"255.255.255.255", "255.255.255.255", "reserved"},
	};
	struct lab *lab = *state;

	atomic_store(&names, "127.0.0.1");
	lab->config.allow_private = false;
	lab_start(lab);
	for (unsigned i = 0; i < APD_COUNT(hosts); i++) {
		char *log, expected[200];

		lab_log_begin();
		put(lab, hosts[i].host, lab->receiver, "/ok");
		lab_until_rows(lab, 0);
		log = lab_log_end();
		snprintf(expected, sizeof(expected), "after 1 attempt: %s is not allowed (%s)",
			hosts[i].address ? hosts[i].address : "", hosts[i].class);
		if (!strstr(log, hosts[i].address ? expected : "is not allowed (loopback)"))
			fail_msg("%s: %s", hosts[i].host, log);
		free(log);
		assert_int_equal(lab_stats(lab).given_up, i + 1);
	}
	assert_int_equal(receiver_connections(lab->receiver), 0);
}

static void other_schemes_are_refused(void **state)
{
	static const char *const urls[] = {"ftp://127.0.0.1/x", "file:///etc/passwd",
		"gopher://127.0.0.1/_x", "dict://127.0.0.1/x", "unix:/tmp/x", "127.0.0.1", ""};
	struct lab *lab = *state;

	lab_start(lab);
	for (unsigned i = 0; i < APD_COUNT(urls); i++) {
		lab_put(lab, urls[i], "{}");
		lab_until_rows(lab, 0);
		assert_int_equal(lab_stats(lab).given_up, i + 1);
	}
	assert_int_equal(lab_stats(lab).failed_attempts, 0);
}

static void listed_networks_are_allowed(void **state)
{
	static const char *const allow[] = {"10.0.0.0/8", "127.0.0.1", NULL};
	struct lab *lab = *state;

	lab->config.allow_private = false;
	lab->config.allow = allow;
	lab_start(lab);
	lab_put(lab, "/ok", "{}");
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).delivered, 1);
}

static void a_name_with_two_addresses_is_connected_to_the_allowed_one(void **state)
{
	static const char *const allow[] = {"127.0.0.2", NULL};
	struct lab *lab = *state;
	struct receiver *allowed = receiver_create("127.0.0.2", receiver_port(lab->receiver));

	atomic_store(&names, "127.0.0.1 127.0.0.2");
	lab->config.allow_private = false;
	lab->config.allow = allow;
	lab_start(lab);
	put(lab, "both.test", allowed, "/ok");
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).delivered, 1);
	assert_int_equal(receiver_count(allowed, "/ok"), 1);
	assert_int_equal(receiver_connections(lab->receiver), 0);
	receiver_destroy(allowed);
}

static void a_name_that_changes_its_mind_gains_nothing(void **state)
{
	static const char *const allow[] = {"127.0.0.2", NULL};
	struct lab *lab = *state;
	struct receiver *allowed = receiver_create("127.0.0.2", 0);

	lab->config.allow_private = false;
	lab->config.allow = allow;
	lab_start(lab);
	atomic_store(&names, "127.0.0.2");
	put(lab, "rebind.test", allowed, "/ok");
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).delivered, 1);
	/* Another port, so that neither connection nor cached answer is used again. */
	atomic_store(&names, "127.0.0.1");
	put(lab, "rebind.test", lab->receiver, "/ok");
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).given_up, 1);
	assert_int_equal(receiver_connections(lab->receiver), 0);
	receiver_destroy(allowed);
}

static void redirects_lead_nowhere(void **state)
{
	static const char *const allow[] = {"127.0.0.2", NULL};
	struct lab *lab = *state;
	struct receiver *allowed = receiver_create("127.0.0.2", 0);

	lab->config.allow_private = false;
	lab->config.allow = allow;
	lab->config.give_up_ns = 0;
	lab_start(lab);
	put(lab, "127.0.0.2", allowed, "/moved");
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).given_up, 1);
	assert_int_equal(receiver_count(allowed, "/ok"), 0);
	receiver_destroy(allowed);
}

static void proxies_of_the_environment_do_not_count(void **state)
{
	static const char *const variables[] = {
		"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	struct lab *lab = *state;
	struct receiver *proxy = receiver_create("127.0.0.1", 0);
	char url[100], *request;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u", receiver_port(proxy));
	for (unsigned i = 0; i < APD_COUNT(variables); i++)
		setenv(variables[i], url, 1);
	lab_start(lab);
	lab_put(lab, "/ok", "{}");
	lab_until_rows(lab, 0);
	for (unsigned i = 0; i < APD_COUNT(variables); i++)
		unsetenv(variables[i]);
	assert_int_equal(receiver_connections(proxy), 0);
	request = receiver_request(lab->receiver, 0);
	assert_ptr_equal(strstr(request, "POST /ok HTTP/1.1\r\n"), request);
	free(request);
	receiver_destroy(proxy);
}

static void a_hanging_name_server_delays_nobody(void **state)
{
	struct lab *lab = *state;

	atomic_store(&names, "");
	lab->config.timeout_ns = 200 * APD_NS_PER_MS;
	lab->config.retry_ns = 3600 * APD_NS_PER_S;
	lab_start(lab);
	put(lab, "one.test", lab->receiver, "/ok");
	sem_wait(&hanging);
	lab_put(lab, "/ok", "{}");
	lab_until_rows(lab, 1);
	while (lab_stats(lab).failed_attempts == 0)
		lab_until_rows(lab, 1);
	lab_stop(lab);
	/* And one that is still under way at the stop. */
	lab->config.timeout_ns = 60 * APD_NS_PER_S;
	lab_start(lab);
	put(lab, "two.test", lab->receiver, "/ok");
	sem_wait(&hanging);
	lab_stop(lab);
	sem_post(&released);
	sem_post(&released);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hidden_addresses_are_refused),
		TEST(other_schemes_are_refused),
		TEST(listed_networks_are_allowed),
		TEST(a_name_with_two_addresses_is_connected_to_the_allowed_one),
		TEST(a_name_that_changes_its_mind_gains_nothing),
		TEST(redirects_lead_nowhere),
		TEST(proxies_of_the_environment_do_not_count),
		TEST(a_hanging_name_server_delays_nobody),
	};

	sem_init(&hanging, 0, 0);
	sem_init(&released, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
