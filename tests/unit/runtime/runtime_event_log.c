/* The event log: order, eviction, cursors, and readers on other threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/event_log.h"

/* Appends an event whose data is its number. */
static uint64_t append(struct apd_event_log *log, size_t padding)
{
	char data[5000];
	uint64_t seq = apd_event_log_last(log) + 1;
	int n = snprintf(data, sizeof(data), "%llu%*s", (unsigned long long)seq, (int)padding, "");
	struct apd_event event = {
		.kind = APD_EVENT_EMITTED, .node = APD_STR("node"), .data = {data, (size_t)n}};

	return apd_event_log_append(log, &event);
}

static void events_come_in_order_with_their_texts(void **unused)
{
	struct apd_event_log *log = apd_event_log_create(5, 1 << 20);
	struct apd_event_reader reader;
	const struct apd_event *event;

	(void)unused;
	assert_int_equal(apd_event_log_last(log), 4);
	apd_event_reader_init(&reader, log, 4);
	assert_int_equal(apd_event_reader_next(&reader, &event), APD_READ_NONE);
	for (uint64_t i = 5; i < 500; i++)
		assert_int_equal(append(log, i % 90), i);
	for (uint64_t i = 5; i < 500; i++) {
		assert_int_equal(apd_event_reader_next(&reader, &event), APD_READ_EVENT);
		assert_int_equal(event->seq, i);
		assert_int_equal(strtoull(event->data.ptr, NULL, 10), i);
		assert_true(apd_str_is(event->node, "node"));
		assert_null(event->ns.ptr);
	}
	assert_int_equal(apd_event_reader_next(&reader, &event), APD_READ_NONE);
	apd_event_log_close(log);
	assert_int_equal(apd_event_reader_next(&reader, &event), APD_READ_END);
	apd_event_reader_finish(&reader);
	apd_event_log_unref(log);
}

static void cursors_start_where_they_are_told(void **unused)
{
	static const struct {
		uint64_t after, first;
	} cases[] = {{0, 1}, {41, 42}, {99, 100}, {100, 101}, {UINT64_MAX, 101}, {5000, 101}};
	struct apd_event_log *log = apd_event_log_create(1, 1 << 20);
	const struct apd_event *event;

	(void)unused;
	for (int i = 0; i < 100; i++)
		append(log, 0);
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct apd_event_reader reader;

		apd_event_reader_init(&reader, log, cases[i].after);
		if (cases[i].first > 100) {
			assert_int_equal(reader.next_seq, cases[i].first);
			assert_int_equal(apd_event_reader_next(&reader, &event), APD_READ_NONE);
		} else {
			assert_int_equal(apd_event_reader_next(&reader, &event), APD_READ_EVENT);
			assert_int_equal(event->seq, cases[i].first);
		}
		apd_event_reader_finish(&reader);
	}
	apd_event_log_unref(log);
}

static void the_ring_evicts_and_says_so(void **unused)
{
	struct apd_event_log *log = apd_event_log_create(1, 20000);
	struct apd_event_reader slow, held;
	const struct apd_event *event;
	uint64_t first;

	(void)unused;
	apd_event_reader_init(&slow, log, 0);
	append(log, 100);
	apd_event_reader_init(&held, log, 0);
	assert_int_equal(apd_event_reader_next(&held, &event), APD_READ_EVENT);
	for (int i = 0; i < 1000; i++)
		append(log, 100);
	/* What a reader stands on stays, whatever is evicted. */
	assert_int_equal(event->seq, 1);
	assert_true(apd_event_log_bytes(log) <= 20000);
	assert_int_equal(apd_event_reader_next(&slow, &event), APD_READ_MISSED);
	assert_int_equal(apd_event_reader_next(&slow, &event), APD_READ_EVENT);
	first = event->seq;
	assert_true(first > 1);
	while (apd_event_reader_next(&slow, &event) == APD_READ_EVENT)
		assert_int_equal(event->seq, ++first);
	assert_int_equal(first, 1001);
	apd_event_log_evict(log, 1001);
	assert_int_equal(apd_event_log_bytes(log), 0);
	apd_event_reader_finish(&slow);
	apd_event_reader_init(&slow, log, 7);
	assert_int_equal(apd_event_reader_next(&slow, &event), APD_READ_MISSED);
	assert_int_equal(apd_event_reader_next(&slow, &event), APD_READ_NONE);
	assert_int_equal(append(log, 0), 1002);
	assert_int_equal(apd_event_reader_next(&slow, &event), APD_READ_EVENT);
	assert_int_equal(event->seq, 1002);
	apd_event_reader_finish(&slow);
	apd_event_reader_finish(&held);
	apd_event_log_unref(log);
}

static void a_huge_event_has_a_segment_of_its_own(void **unused)
{
	size_t size = 300000;
	char *data = malloc(size);
	struct apd_event_log *log = apd_event_log_create(1, 4000);
	struct apd_event event = {.kind = APD_EVENT_UPDATES, .data = {data, size}};
	struct apd_event_reader reader;
	const struct apd_event *got;

	(void)unused;
	assert_non_null(data);
	memset(data, 'x', size);
	append(log, 0);
	apd_event_log_append(log, &event);
	apd_event_reader_init(&reader, log, 1);
	assert_int_equal(apd_event_reader_next(&reader, &got), APD_READ_EVENT);
	assert_int_equal(got->data.len, size);
	assert_memory_equal(got->data.ptr, data, size);
	append(log, 0);
	assert_true(apd_event_log_bytes(log) < size);
	assert_int_equal(apd_event_reader_next(&reader, &got), APD_READ_EVENT);
	apd_event_reader_finish(&reader);
	apd_event_log_unref(log);
	free(data);
}

static void states_live_as_long_as_their_events(void **unused)
{
	struct apd_state *state = apd_state_empty();
	struct apd_state *own;
	struct apd_event_log *log = apd_event_log_create(1, 1 << 20);
	struct apd_id_gen gen;

	(void)unused;
	apd_id_gen_init(&gen, 1);
	assert_int_equal(
		apd_state_apply(state, &(struct apd_state_change){.gen = &gen}, &own, NULL), 0);
	apd_event_log_append(log, &(struct apd_event){.kind = APD_EVENT_VALUES, .state = own});
	assert_int_equal(atomic_load(&own->refs), 2);
	apd_event_log_unref(log);
	assert_int_equal(atomic_load(&own->refs), 1);
	apd_state_unref(own);
	apd_state_unref(state);
}

#define EVENTS  60000u
#define READERS 3

struct job {
	struct apd_event_log *log;
	uint64_t seen, missed;
	bool wrong;
};

/* Reads until the end, which comes: the writer closes the log. */
static void *read_all(void *data)
{
	struct job *job = data;
	struct apd_event_reader reader;
	const struct apd_event *event;
	uint64_t next = 1;
	enum apd_read r;

	apd_event_reader_init(&reader, job->log, 0);
	while ((r = apd_event_reader_next(&reader, &event)) != APD_READ_END) {
		if (r == APD_READ_MISSED) {
			job->missed += reader.next_seq - next;
			next = reader.next_seq;
		} else if (r == APD_READ_EVENT) {
			job->wrong |=
				event->seq != next || strtoull(event->data.ptr, NULL, 10) != next;
			job->seen++;
			next++;
		}
	}
	apd_event_reader_finish(&reader);
	return NULL;
}

static void readers_on_other_threads_see_every_event_once(void **unused)
{
	struct apd_event_log *log = apd_event_log_create(1, 100000);
	struct job jobs[READERS] = {0};
	pthread_t threads[READERS];

	(void)unused;
	for (int i = 0; i < READERS; i++) {
		jobs[i].log = log;
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, &jobs[i]), 0);
	}
	for (unsigned i = 0; i < EVENTS; i++) {
		append(log, i % 50);
		if (i % 1000 == 0)
			apd_event_log_evict(log, apd_event_log_last(log));
	}
	apd_event_log_close(log);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_false(jobs[i].wrong);
		assert_int_equal(jobs[i].seen + jobs[i].missed, EVENTS);
	}
	apd_event_log_unref(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_in_order_with_their_texts),
		cmocka_unit_test(cursors_start_where_they_are_told),
		cmocka_unit_test(the_ring_evicts_and_says_so),
		cmocka_unit_test(a_huge_event_has_a_segment_of_its_own),
		cmocka_unit_test(states_live_as_long_as_their_events),
		cmocka_unit_test(readers_on_other_threads_see_every_event_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
