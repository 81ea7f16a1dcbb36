/* What is sent, what counts as delivered, and what becomes of the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"
#include "webhook/sign.h"

/* The value of a request's header, up to the line's end; free() it. */
static char *header(const char *request, const char *name)
{
	const char *at = strcasestr(request, name), *end;

	assert_non_null(at);
	at += strlen(name);
	end = strstr(at, "\r\n");
	return strndup(at, (size_t)(end - at));
}

static void a_delivery_is_signed_and_removed(void **state)
{
	struct lab *lab = *state;
	struct apd_id id;
	char text[APD_ID_TEXT + 1], *request, *timestamp, *signature;
	struct apd_buf key = {0}, expected = {0}, error = {0};

	lab_start(lab);
	id = lab_put(lab, "/ok", "{\"run\":{}}");
	lab_until_rows(lab, 0);
	request = receiver_request(lab->receiver, 0);
	assert_ptr_equal(strstr(request, "POST /ok HTTP/1.1\r\n"), request);
	apd_id_format(&id, text);
	assert_non_null(strstr(request, text));
	assert_non_null(strcasestr(request, "\r\ncontent-type: application/json\r\n"));
	assert_null(strcasestr(request, "\r\nexpect:"));
	assert_string_equal(strstr(request, "\r\n\r\n") + 4, "{\"run\":{}}");
	timestamp = header(request, "\r\nwebhook-timestamp: ");
	signature = header(request, "\r\nwebhook-signature: ");
	assert_int_equal(apd_secret_parse(apd_str(lab->config.secret), &key, &error), 0);
	apd_signature_add(&expected, apd_buf_str(&key), text, strtoll(timestamp, NULL, 10),
		APD_STR("{\"run\":{}}"));
	assert_string_equal(signature, expected.data);
	assert_true(llabs(strtoll(timestamp, NULL, 10) - apd_clock_wall_us() / 1000000) < 120);
	assert_int_equal(lab_stats(lab).delivered, 1);
	assert_int_equal(lab_stats(lab).failed_attempts, 0);
	assert_int_equal(lab->puts, 0);
	apd_secret_finish(&key);
	apd_buf_finish(&expected);
	free(request);
	free(timestamp);
	free(signature);
}

static void without_a_secret_there_is_no_signature(void **state)
{
	struct lab *lab = *state;
	char *request;

	lab->config.secret = NULL;
	lab_start(lab);
	lab_put(lab, "/ok", "{}");
	lab_until_rows(lab, 0);
	request = receiver_request(lab->receiver, 0);
	assert_null(strcasestr(request, "webhook-signature"));
	assert_non_null(strcasestr(request, "webhook-id"));
	free(request);
}

static void large_bodies_arrive_whole(void **state)
{
	struct lab *lab = *state;
	size_t len = 3 << 20;
	char *body = malloc(len + 1), *request;

	memset(body, 'x', len);
	body[len] = '\0';
	lab_start(lab);
	lab_put(lab, "/ok", body);
	lab_until_rows(lab, 0);
	request = receiver_request(lab->receiver, 0);
	assert_string_equal(strstr(request, "\r\n\r\n") + 4, body);
	free(request);
	free(body);
}

static void failures_are_tried_again(void **state)
{
	struct lab *lab = *state;
	char *first, *second, *id, *other;

	lab_start(lab);
	lab_put(lab, "/second", "{}");
	lab_until_rows(lab, 0);
	assert_int_equal(receiver_count(lab->receiver, "/second"), 2);
	assert_int_equal(lab_stats(lab).failed_attempts, 1);
	assert_int_equal(lab_stats(lab).delivered, 1);
	assert_int_equal(lab_stats(lab).given_up, 0);
	/* The receiver tells repeats by the id. */
	first = receiver_request(lab->receiver, 0);
	second = receiver_request(lab->receiver, 1);
	id = header(first, "\r\nwebhook-id: ");
	other = header(second, "\r\nwebhook-id: ");
	assert_string_equal(id, other);
	free(first);
	free(second);
	free(id);
	free(other);
}

static void everything_but_2xx_is_a_failure(void **state)
{
	static const char *const paths[] = {
		"/no", "/moved", "/close", "/garbage", "/headers", "/continue"};
	struct lab *lab = *state;

	lab->config.retry_ns = 3600 * APD_NS_PER_S;
	lab_start(lab);
	for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct apd_id id = lab_put(lab, paths[i], "{}");
		struct apd_outbox_row *row;

		lab_until_attempts(lab, &id, 1);
		row = lab_row(lab, &id);
		assert_int_equal(row->attempts, 1);
		assert_true(row->next_us > apd_clock_wall_us() + 1000 * 1000000LL);
		assert_true(row->next_us <= apd_clock_wall_us() + 3600 * 1000000LL);
		apd_outbox_row_unref(row);
		assert_int_equal(lab_stats(lab).failed_attempts, i + 1);
	}
	/* Nothing was followed. */
	assert_int_equal(receiver_count(lab->receiver, "/ok"), 0);
	assert_int_equal(lab_stats(lab).delivered, 0);
}

static void gone_is_given_up_at_once(void **state)
{
	struct lab *lab = *state;
	char *log, *request, url[200];

	lab_start(lab);
	lab_log_begin();
	snprintf(url, sizeof(url), "http://user:secret@127.0.0.1:%u/gone?token=secret",
		receiver_port(lab->receiver));
	lab_put(lab, url, "{}");
	lab_until_rows(lab, 0);
	log = lab_log_end();
	assert_int_equal(lab_stats(lab).given_up, 1);
	assert_int_equal(lab_stats(lab).failed_attempts, 1);
	assert_non_null(strstr(log, " warn webhook: run "));
	assert_non_null(strstr(log, "/gone after 1 attempt: status 410"));
	/* The receiver gets what the log does not. */
	assert_null(strstr(log, "secret"));
	request = receiver_request(lab->receiver, 0);
	assert_ptr_equal(strstr(request, "POST /gone?token=secret HTTP/1.1\r\n"), request);
	assert_non_null(strstr(request, "Authorization: Basic dXNlcjpzZWNyZXQ="));
	free(request);
	free(log);
}

static void old_ones_are_given_up(void **state)
{
	struct lab *lab = *state;
	char *log;

	lab_log_begin();
	lab_put_old(lab, "/no", 86400 * 1000000LL, 20);
	lab_put_old(lab, "/ok", 86400 * 1000000LL, 20);
	lab_start(lab);
	lab_until_rows(lab, 0);
	log = lab_log_end();
	/* There is a last attempt, however late. */
	assert_int_equal(lab_stats(lab).given_up, 1);
	assert_int_equal(lab_stats(lab).delivered, 1);
	assert_non_null(strstr(log, "/no after 21 attempts: status 500"));
	assert_null(strstr(log, "/ok"));
	free(log);
}

static void retry_after_is_heeded(void **state)
{
	struct lab *lab = *state;
	struct apd_id id;
	struct apd_outbox_row *row;
	int64_t from = apd_clock_wall_us();

	lab_start(lab);
	id = lab_put(lab, "/later", "{}");
	lab_until_attempts(lab, &id, 1);
	row = lab_row(lab, &id);
	assert_true(row->next_us >= from + 1000 * 1000000LL);
	assert_true(row->next_us <= apd_clock_wall_us() + 1000 * 1000000LL);
	apd_outbox_row_unref(row);
}

static void bodies_of_answers_do_not_matter(void **state)
{
	struct lab *lab = *state;

	lab_start(lab);
	lab_put(lab, "/slow", "{}");
	lab_put(lab, "/huge", "{}");
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).delivered, 2);
	assert_int_equal(lab_stats(lab).failed_attempts, 0);
}

static void hanging_receivers_time_out(void **state)
{
	struct lab *lab = *state;
	struct apd_id id;

	lab->config.timeout_ns = 100 * APD_NS_PER_MS;
	lab->config.retry_ns = 3600 * APD_NS_PER_S;
	lab_start(lab);
	id = lab_put(lab, "/hang", "{}");
	lab_until_attempts(lab, &id, 1);
	assert_int_equal(lab_stats(lab).failed_attempts, 1);
	assert_int_equal(lab_stats(lab).in_flight, 0);
}

static void the_next_life_goes_on(void **state)
{
	struct lab *lab = *state;
	struct apd_id hanging, failing;
	struct apd_outbox_row *row;

	lab_start(lab);
	hanging = lab_put(lab, "/hang", "{}");
	lab_until_count(lab, "/hang", 1);
	assert_int_equal(lab_stats(lab).in_flight, 1);
	lab->config.retry_ns = 3600 * APD_NS_PER_S;
	lab_stop(lab);
	row = lab_row(lab, &hanging);
	assert_int_equal(row->attempts, 0);
	apd_outbox_row_unref(row);
	failing = lab_put(lab, "/no", "{}");
	receiver_release(lab->receiver);
	lab_start(lab);
	lab_until_rows(lab, 1);
	assert_int_equal(receiver_count(lab->receiver, "/hang"), 2);
	lab_until_attempts(lab, &failing, 1);
	lab_stop(lab);
	lab_start(lab);
	/* It is not due, so nothing is sent before what comes behind it. */
	lab_put(lab, "/ok", "{}");
	lab_until_rows(lab, 1);
	assert_int_equal(receiver_count(lab->receiver, "/no"), 1);
}

static void storage_that_refuses_is_asked_again(void **state)
{
	struct lab *lab = *state;

	lab->refuse = 1;
	lab->unreadable = 1;
	lab_put(lab, "/ok", "{}");
	lab_start(lab);
	lab_until_rows(lab, 0);
	/* It was delivered once all the same. */
	assert_int_equal(receiver_count(lab->receiver, "/ok"), 1);
	assert_int_equal(lab_stats(lab).delivered, 1);
}

static void a_delivery_that_storage_refused_stops(void **state)
{
	struct lab *lab = *state;

	lab->refuse = 1000;
	lab_put(lab, "/ok", "{}");
	lab_start(lab);
	lab_until_count(lab, "/ok", 1);
	while (lab_stats(lab).delivered == 0)
		lab_until_count(lab, "/ok", 1);
	lab_stop(lab);
	assert_int_equal(lab_rows(lab), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_delivery_is_signed_and_removed),
		TEST(without_a_secret_there_is_no_signature),
		TEST(large_bodies_arrive_whole),
		TEST(failures_are_tried_again),
		TEST(everything_but_2xx_is_a_failure),
		TEST(gone_is_given_up_at_once),
		TEST(old_ones_are_given_up),
		TEST(retry_after_is_heeded),
		TEST(bodies_of_answers_do_not_matter),
		TEST(hanging_receivers_time_out),
		TEST(the_next_life_goes_on),
		TEST(storage_that_refuses_is_asked_again),
		TEST(a_delivery_that_storage_refused_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
