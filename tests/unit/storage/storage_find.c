/*
 * Finding by containment: searches over random metadata against a plain walk,
 * for runs and for threads, while metadata changes and things go.
 */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "storage/sqlite/tags.h"

#define THREADS 150

/* A thread as it should be. */
struct thread {
	struct apd_id id;
	int64_t created_us;
	enum apd_thread_status status;
	char *metadata;
	char *values; /* NULL: none */
	struct apd_id run;
	char *run_metadata;
	bool gone;
};

static struct thread threads[THREADS];

static unsigned pick(struct fixture *f, unsigned n)
{
	return (unsigned)(apd_id_random(&f->gen) % n);
}

/* Adds a scalar; few different ones, some of them equal though they look different. */
static void add_scalar(struct fixture *f, struct apd_buf *out)
{
	static const char *const scalars[] = {"1", "1.0", "10e-1", "0.1e1", "2", "-0.0", "0", "0e7",
		"\"a\"", "\"\\u0061\"", "\"b\"", "\"1\"", "\"\"", "null", "true", "false",
		"12345678901234567890.5", "1e400", "10e399"};

	apd_buf_add_cstr(out, scalars[pick(f, APD_COUNT(scalars))]);
}

static void add_value(struct fixture *f, struct apd_buf *out, unsigned depth);

/* Adds an object of random members. */
static void add_object(struct fixture *f, struct apd_buf *out, unsigned depth)
{
	static const char *const keys[] = {"a", "b", "c", "\\u0062b", "", "a.b"};
	bool first = true;

	apd_buf_lit(out, "{");
	for (size_t k = 0; k < APD_COUNT(keys); k++) {
		if (pick(f, 5) > 1)
			continue;
		apd_buf_addf(out, "%s\"%s\":", first ? "" : ",", keys[k]);
		add_value(f, out, depth);
		first = false;
	}
	apd_buf_lit(out, "}");
}

static void add_value(struct fixture *f, struct apd_buf *out, unsigned depth)
{
	unsigned kind = depth == 0 ? 9 : pick(f, 10);
	unsigned n = pick(f, 4);

	if (kind < 2) {
		add_object(f, out, depth - 1);
	} else if (kind < 4) {
		apd_buf_lit(out, "[");
		for (unsigned i = 0; i < n; i++) {
			apd_buf_add_cstr(out, i ? "," : "");
			add_value(f, out, depth - 1);
		}
		apd_buf_lit(out, "]");
	} else {
		add_scalar(f, out);
	}
}

/* A random object, with a hundred more members at times; free() it. */
static char *make_object(struct fixture *f, bool large)
{
	struct apd_buf out = {0};

	add_object(f, &out, 3);
	if (large && pick(f, 10) == 0) {
		out.len--;
		for (int i = 0; i < 100; i++)
			apd_buf_addf(&out, "%s\"x%d\":%d", out.len > 1 ? "," : "", i, i);
		apd_buf_lit(&out, "}");
	}
	return apd_buf_steal(&out);
}

/* The plain way. */
static bool contains(const char *text, struct apd_str filter)
{
	struct apd_json a = {0}, b = {0};
	bool result;

	if (!filter.ptr)
		return true;
	assert_int_equal(apd_json_scan(&a, apd_str(text)), 0);
	assert_int_equal(apd_json_scan(&b, filter), 0);
	result = apd_json_contains(&a, 0, &b, 0);
	apd_json_finish(&a);
	apd_json_finish(&b);
	return result;
}

/* Puts the row of a thread as it should be. */
static void put_thread(struct fixture *f, struct thread *thread)
{
	enum apd_thread_rest rest = thread->status == APD_THREAD_STATUS_INTERRUPTED
		? APD_THREAD_INTERRUPTED
		: thread->status == APD_THREAD_STATUS_ERROR ? APD_THREAD_ERROR
							    : APD_THREAD_IDLE;

	assert_int_equal(fixture_put_thread_row(f,
				 (struct apd_thread_row){.thread_id = thread->id,
					 .created_us = thread->created_us,
					 .rest = rest,
					 .metadata = apd_str(thread->metadata)}),
		0);
}

static int newest_first(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	if (x->created_us != y->created_us)
		return x->created_us > y->created_us ? -1 : 1;
	return -memcmp(x->id.bytes, y->id.bytes, 16);
}

/* Threads of all kinds, some of one moment, each with a state and a run. */
static int fill(void **state)
{
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	for (size_t i = 0; i < THREADS; i++) {
		struct thread *t = &threads[i];

		*t = (struct thread){.id = fixture_id(f),
			.created_us = 1000 + pick(f, 100),
			.status = (enum apd_thread_status)pick(f, 4),
			.metadata = make_object(f, true),
			.values = i % 3 ? make_object(f, false) : NULL,
			.run = fixture_id(f),
			.run_metadata = make_object(f, true)};
		/* Ids are not in the order of time here. */
		t->id.bytes[15] = (uint8_t)pick(f, 256);
		t->id.bytes[0] = (uint8_t)pick(f, 256);
		put_thread(f, t);
		if (t->values)
			fixture_put_checkpoint(f,
				(struct checkpoint_spec){.thread = &t->id, .patch = t->values},
				NULL);
		assert_int_equal(
			fixture_put(f,
				fixture_row(f,
					(struct row_spec){.thread = &t->id,
						.run_id = &t->run,
						.agent = i % 2 ? "echo" : "other",
						.metadata = t->run_metadata,
						.status = t->status == APD_THREAD_STATUS_BUSY
							? APD_RUN_PENDING
							: APD_RUN_SUCCESS})),
			0);
	}
	return 0;
}

static int empty(void **state)
{
	for (size_t i = 0; i < THREADS; i++) {
		free(threads[i].metadata);
		free(threads[i].values);
		free(threads[i].run_metadata);
	}
	return fixture_teardown(state);
}

/* Compares a search of threads with the walk; how many were found. */
static size_t check_threads(struct fixture *f, struct apd_thread_query query)
{
	struct apd_thread_search search = {.query = query};
	uint64_t skip = query.offset;
	size_t n = 0;

	qsort(threads, THREADS, sizeof(threads[0]), newest_first);
	assert_int_equal(fixture_search_threads(f, &search), 0);
	for (size_t i = 0; i < THREADS && n < query.limit; i++) {
		const struct thread *t = &threads[i];

		if (t->gone || (query.status >= 0 && query.status != (int)t->status) ||
			!contains(t->metadata, query.metadata) ||
			!contains(t->values ? t->values : "{}", query.values) || (skip && skip--))
			continue;
		assert_true(n < search.n_views);
		assert_true(apd_id_eq(&search.views[n].thread->thread_id, &t->id));
		assert_true(apd_str_is(search.views[n].thread->metadata, t->metadata));
		assert_int_equal(apd_thread_view_status(&search.views[n]), t->status);
		assert_true(!t->values == !search.views[n].head);
		n++;
	}
	assert_int_equal(search.n_views, n);
	fixture_views_free(search.views, search.n_views);
	return n;
}

static int newest_run_first(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return -memcmp(x->run.bytes, y->run.bytes, 16);
}

/* The same for runs. */
static size_t check_runs(struct fixture *f, struct apd_run_query query)
{
	struct apd_run_search search = {.query = query};
	uint64_t skip = query.offset;
	size_t n = 0;

	qsort(threads, THREADS, sizeof(threads[0]), newest_run_first);
	assert_int_equal(fixture_search(f, &search), 0);
	for (size_t i = 0; i < THREADS && n < query.limit; i++) {
		const struct thread *t = &threads[i];
		bool pending = t->status == APD_THREAD_STATUS_BUSY;

		if (t->gone || !contains(t->run_metadata, query.metadata) ||
			(query.thread_id && !apd_id_eq(query.thread_id, &t->id)) ||
			(query.status >= 0 && query.status != (pending ? 0 : 1)) ||
			(skip && skip--))
			continue;
		assert_true(n < search.n_rows);
		assert_true(apd_id_eq(&search.rows[n]->run_id, &t->run));
		assert_true(apd_str_is(search.rows[n]->metadata, t->run_metadata));
		n++;
	}
	assert_int_equal(search.n_rows, n);
	fixture_rows_free(search.rows, search.n_rows);
	return n;
}

/* Random filters of all kinds. */
static void check_all(struct fixture *f, unsigned rounds)
{
	size_t found = 0;

	for (unsigned i = 0; i < rounds; i++) {
		char *metadata = make_object(f, false), *values = make_object(f, false);
		uint32_t limit = pick(f, 3) ? 1000 : pick(f, 10);
		uint64_t offset = pick(f, 3) ? 0 : pick(f, 10);

		found += check_threads(f,
			(struct apd_thread_query){.status = (int)pick(f, 5) - 1,
				.metadata = pick(f, 4) ? apd_str(metadata) : APD_STR_ABSENT,
				.values = pick(f, 3) ? APD_STR_ABSENT : apd_str(values),
				.limit = limit,
				.offset = offset});
		found += check_runs(f,
			(struct apd_run_query){.status = (int)pick(f, 3) - 1,
				.thread_id = pick(f, 5) ? NULL : &threads[pick(f, THREADS)].id,
				.metadata = apd_str(metadata),
				.limit = limit,
				.offset = offset});
		free(metadata);
		free(values);
	}
	/* What is compared is not always nothing. */
	assert_true(found > rounds / 2);
}

static void random_filters(void **state)
{
	check_all(*state, 400);
	check_threads(*state, (struct apd_thread_query){.status = -1, .limit = 1000});
	for (uint64_t offset = 0; offset < THREADS + 20; offset += 13)
		check_threads(*state,
			(struct apd_thread_query){.status = -1, .limit = 13, .offset = offset});
	check_threads(
		*state, (struct apd_thread_query){.status = -1, .limit = 5, .offset = UINT64_MAX});
	/* Members of the crowd are found by what makes them one. */
	assert_true(check_threads(*state,
			    (struct apd_thread_query){.status = -1,
				    .metadata = APD_STR("{\"x7\":7}"),
				    .limit = 1000}) > 3);
	assert_true(check_runs(*state,
			    (struct apd_run_query){.status = -1,
				    .metadata = APD_STR("{\"x7\":7}"),
				    .limit = 1000}) > 3);
}

/* Metadata that changes, and threads that go, leave nothing wrong behind, and nothing at all. */
static void what_changes_is_found(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 200; round++) {
		struct thread *t = &threads[pick(f, THREADS)];

		if (t->gone)
			continue;
		if (pick(f, 4) == 0) {
			t->gone = true;
			assert_int_equal(fixture_delete_thread(f, &t->id), 0);
			continue;
		}
		free(t->metadata);
		t->metadata = make_object(f, true);
		put_thread(f, t);
		if (round % 50 == 0)
			check_all(f, 20);
	}
	fixture_reopen(f);
	check_all(f, 100);
	for (size_t i = 0; i < THREADS; i++)
		if (!threads[i].gone)
			assert_int_equal(fixture_delete_thread(f, &threads[i].id), 0);
	while (fixture_sql(f, "SELECT count(*) FROM purge") > 0)
		fixture_put(f, fixture_row(f, (struct row_spec){0}));
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM thread_tag"), 0);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run_tag"), 0);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run WHERE tid <> 0"), 0);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM checkpoint"), 0);
}

static void bad_filters(void **state)
{
	static const char *const bad[] = {"{", "[]", "1", ""};

	for (size_t i = 0; i < APD_COUNT(bad); i++) {
		struct apd_thread_search search = {
			.query = {.status = -1, .limit = 5, .metadata = apd_str(bad[i])}};

		assert_int_equal(fixture_search_threads(*state, &search), -EINVAL);
		assert_null(search.views);
		search.query.values = search.query.metadata;
		search.query.metadata = APD_STR_ABSENT;
		assert_int_equal(fixture_search_threads(*state, &search), -EINVAL);
		assert_null(search.views);
	}
	check_all(*state, 5);
}

static void late_searches(void **state)
{
	static const struct apd_thread_query queries[] = {
		{.status = -1, .limit = 5, .metadata = APD_STR("{\"none\":{}}")},
		{.status = -1, .limit = 5, .values = APD_STR("{\"none\":1}")},
		{.status = APD_THREAD_STATUS_BUSY, .limit = 500},
		{.status = -1, .limit = 500},
	};
	struct fixture *f = *state;

	fixture_close(f);
	f->budget_ms = 0;
	fixture_open(f);
	for (size_t i = 0; i < APD_COUNT(queries) * 2; i++) {
		struct apd_thread_search search = {.query = queries[i % APD_COUNT(queries)]};

		assert_int_equal(fixture_search_threads(f, &search), -ETIME);
		assert_null(search.views);
	}
}

/* Rows without metadata, or with values only, cost the index nothing. */
static void plain_rows_have_no_tags(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);

	fixture_put_thread(f, &id);
	fixture_put(f, fixture_row(f, (struct row_spec){.thread = &id}));
	fixture_put(f, fixture_row(f, (struct row_spec){.metadata = "{ }"}));
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM thread_tag"), 0);
	assert_int_equal(fixture_sql(f, "SELECT count(*) FROM run_tag"), 0);
}

/* Whether two objects have the same tags. */
static bool same_tags(const char *a, const char *b)
{
	struct apd_json json = {0};
	struct apd_tags x, y;

	apd_tags_of_row(&x, &json, apd_str(a));
	apd_tags_of_row(&y, &json, apd_str(b));
	apd_json_finish(&json);
	return x.n == y.n && memcmp(x.items, y.items, x.n * sizeof(x.items[0])) == 0;
}

/* Tags are stored: what they are is for ever. */
static void tags_are_for_ever(void **state)
{
	struct apd_json json = {0};
	struct apd_tags tags;

	(void)state;
	apd_tags_of_row(&tags, &json,
		APD_STR("{\"user\":\"u-1\",\"n\":[1.50,-7],\"o\":{\"t\":true,\"f\":false,\"z\":"
			"null}}"));
	assert_int_equal(tags.n, 6);
	assert_int_equal(tags.items[0], -8287185043997370543);
	assert_int_equal(tags.items[5], 2976100405434304466);
	apd_json_finish(&json);
	assert_true(same_tags("{\"a\":[1,2]}", "{\"a\":[2.0,1,2,10e-1]}"));
	assert_true(same_tags("{\"a\":\"\\u00e9\"}", "{\"a\":\"\xc3\xa9\"}"));
	assert_true(same_tags("{\"a\":1200}", "{\"a\":0.12E+4}"));
	assert_false(same_tags("{\"a\":\"1\"}", "{\"a\":1}"));
	assert_false(same_tags("{\"a\":[1]}", "{\"a\":1}"));
	assert_false(same_tags("{\"a\":10}", "{\"a\":1}"));
	assert_false(same_tags("{\"a\":101}", "{\"a\":11}"));
	assert_false(same_tags("{\"ab\":1}", "{\"a\":{\"b\":1}}"));
	assert_false(same_tags("{\"a\":null}", "{}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_filters, fill, empty),
		cmocka_unit_test_setup_teardown(what_changes_is_found, fill, empty),
		cmocka_unit_test_setup_teardown(bad_filters, fill, empty),
		cmocka_unit_test_setup_teardown(late_searches, fill, empty),
		cmocka_unit_test_setup_teardown(
			plain_rows_have_no_tags, fixture_setup, fixture_teardown),
		cmocka_unit_test(tags_are_for_ever),
	};

	return cmocka_run_group_tests_name("storage_find", tests, NULL, NULL);
}
