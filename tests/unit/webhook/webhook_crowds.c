/* Many rows at once: limits, and that nobody waits for somebody else's receiver. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lab.h"

/* Puts a row for another receiver. */
static void put_other(struct lab *lab, struct receiver *other, const char *path)
{
	char url[100];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", receiver_port(other), path);
	lab_put(lab, url, "{}");
}

static bool other_has(struct lab *lab, const void *data)
{
	(void)lab;
	return receiver_count((struct receiver *)(uintptr_t)data, "/ok") > 0;
}

static void a_host_has_a_limit(void **state)
{
	struct lab *lab = *state;

	lab->config.max_per_host = 3;
	lab_start(lab);
	for (int i = 0; i < 12; i++)
		lab_put(lab, "/hang", "{}");
	lab_until_count(lab, "/hang", 3);
	assert_int_equal(lab_stats(lab).in_flight, 3);
	receiver_release(lab->receiver);
	lab_until_rows(lab, 0);
	assert_true(receiver_peak(lab->receiver) <= 3);
	assert_int_equal(receiver_count(lab->receiver, "/hang"), 12);
	assert_int_equal(lab_stats(lab).delivered, 12);
}

static void all_hosts_have_a_limit(void **state)
{
	struct lab *lab = *state;
	struct receiver *others[4];
	unsigned peak = 0;

	lab->config.max_in_flight = 2;
	lab_start(lab);
	lab_put(lab, "/hang", "{}");
	lab_put(lab, "/hang", "{}");
	lab_until_count(lab, "/hang", 2);
	for (int i = 0; i < 4; i++) {
		others[i] = receiver_create("127.0.0.1", 0);
		put_other(lab, others[i], "/ok");
	}
	assert_int_equal(lab_stats(lab).in_flight, 2);
	receiver_release(lab->receiver);
	lab_until_rows(lab, 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(receiver_count(others[i], "/ok"), 1);
		peak += receiver_peak(others[i]);
		receiver_destroy(others[i]);
	}
	assert_true(peak <= 4);
}

static void a_hanging_receiver_delays_nobody(void **state)
{
	struct lab *lab = *state;
	struct receiver *other = receiver_create("127.0.0.1", 0);

	for (int i = 0; i < 500; i++)
		lab_put(lab, "/hang", "{}");
	lab_start(lab);
	lab_until_count(lab, "/hang", 8);
	/* It is the last of all rows, and the only one that can be delivered. */
	put_other(lab, other, "/ok");
	lab_until(lab, other_has, other, "a delivery to the other receiver");
	assert_int_equal(receiver_count(lab->receiver, "/hang"), 8);
	receiver_release(lab->receiver);
	lab_until_rows(lab, 0);
	assert_int_equal(receiver_count(lab->receiver, "/hang"), 500);
	assert_int_equal(lab_stats(lab).delivered, 501);
	assert_true(receiver_peak(lab->receiver) <= 8);
	receiver_destroy(other);
}

static bool all_tried(struct lab *lab, const void *data)
{
	(void)data;
	return lab_stats(lab).failed_attempts >= 200;
}

static void a_dead_host_is_asked_for_each_row(void **state)
{
	struct lab *lab = *state;
	struct receiver *dead = receiver_create("127.0.0.1", 0);
	char url[100];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/ok", receiver_port(dead));
	receiver_destroy(dead);
	lab->config.retry_ns = 3600 * APD_NS_PER_S;
	for (int i = 0; i < 200; i++)
		lab_put(lab, url, "{}");
	lab_start(lab);
	lab_until(lab, all_tried, NULL, "an attempt for each row");
	assert_int_equal(lab_rows(lab), 200);
	assert_int_equal(lab_stats(lab).failed_attempts, 200);
}

static void a_host_that_comes_back_gets_all(void **state)
{
	struct lab *lab = *state;
	struct receiver *back = receiver_create("127.0.0.1", 0);
	uint16_t port = receiver_port(back);

	for (int i = 0; i < 50; i++)
		put_other(lab, back, "/ok");
	receiver_destroy(back);
	lab_start(lab);
	while (lab_stats(lab).failed_attempts < 20)
		lab_until_count(lab, "/ok", 0);
	back = receiver_create("127.0.0.1", port);
	lab_until_rows(lab, 0);
	assert_int_equal(receiver_count(back, "/ok"), 50);
	receiver_destroy(back);
}

static void many_rows_share_connections(void **state)
{
	struct lab *lab = *state;

	lab_start(lab);
	for (int i = 0; i < 2000; i++)
		lab_put(lab, "/ok", "{}");
	lab_until_rows(lab, 0);
	assert_int_equal(receiver_count(lab->receiver, "/ok"), 2000);
	assert_int_equal(lab_stats(lab).delivered, 2000);
	assert_int_equal(lab_stats(lab).failed_attempts, 0);
	assert_true(receiver_connections(lab->receiver) <= 8);
}

static void a_stop_breaks_off_whatever_there_is(void **state)
{
	struct lab *lab = *state;

	lab_start(lab);
	for (int i = 0; i < 100; i++)
		lab_put(lab, i % 3 ? "/hang" : i % 2 ? "/slow" : "/huge", "{}");
	lab_until_count(lab, "/hang", 2);
	lab_stop(lab); /* within a second: it asserts that */
	lab_start(lab);
	lab_stop(lab);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_has_a_limit),
		TEST(all_hosts_have_a_limit),
		TEST(a_hanging_receiver_delays_nobody),
		TEST(a_dead_host_is_asked_for_each_row),
		TEST(a_host_that_comes_back_gets_all),
		TEST(many_rows_share_connections),
		TEST(a_stop_breaks_off_whatever_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
