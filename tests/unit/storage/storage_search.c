/* Searches: every combination of filters against a plain walk, order, pages, budget. */
#include "fixture.h"

#include <errno.h>
#include <stdlib.h>

#define ROWS 240

/* What is in the storage, in the order of a search. */
static struct apd_run_row *rows[ROWS];
static struct apd_id threads[3];

static int newest_first(const void *a, const void *b)
{
	const struct apd_run_row *x = *(struct apd_run_row *const *)a;
	const struct apd_run_row *y = *(struct apd_run_row *const *)b;

	return -memcmp(x->run_id.bytes, y->run_id.bytes, 16);
}

/* Rows of all kinds; the clock stands still and goes back, which the order does not mind. */
static int fill(void **state)
{
	static const char *const agents[] = {"echo", "agent", "\xc3\xa4"};
	static const char *const metadata[] = {
		"{}", "{\"k\":1}", "{\"k\":1,\"tags\":[\"a\",\"b\"]}", "{\"k\":{\"x\":null}}"};
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	for (int i = 0; i < 3; i++) {
		threads[i] = fixture_id(f);
		assert_int_equal(fixture_put_thread(f, &threads[i]), 0);
	}
	for (unsigned i = 0; i < ROWS; i++) {
		rows[i] = fixture_row(f,
			(struct row_spec){.agent = agents[i % 3],
				.thread = &threads[i / 3 % 3],
				.metadata = metadata[i / 9 % 4],
				.status = (enum apd_run_status)(i / 5 % 5),
				.created_us = 1000 + (i * 37) % 100,
				.flags = i % 2,
				.output = "{\"values\":{}}"});
		apd_run_row_ref(rows[i]);
		assert_int_equal(fixture_put(f, rows[i]), 0);
	}
	qsort(rows, ROWS, sizeof(rows[0]), newest_first);
	return 0;
}

static int empty(void **state)
{
	for (unsigned i = 0; i < ROWS; i++)
		apd_run_row_unref(rows[i]);
	return fixture_teardown(state);
}

/* The slow and plain way; the filters on metadata used here are told apart by their text. */
static bool matches(const struct apd_run_row *row, const struct apd_run_query *query)
{
	if (query->thread_id && !apd_id_eq(query->thread_id, &row->thread_id))
		return false;
	if (query->agent_id.ptr && !apd_str_eq(query->agent_id, row->agent_id))
		return false;
	if (query->status >= 0 && query->status != (int)row->status)
		return false;
	if (apd_str_is(query->metadata, "{\"k\": 1.0}"))
		return memmem(row->metadata.ptr, row->metadata.len, "\"k\":1", 5);
	if (apd_str_is(query->metadata, "{\"tags\":[\"b\"]}"))
		return memmem(row->metadata.ptr, row->metadata.len, "\"b\"", 3);
	return true;
}

/* Compares a search with the walk. */
static void check(struct fixture *f, const struct apd_run_query *query)
{
	struct apd_run_search search = {.query = *query};
	size_t n = 0;
	uint64_t skip = query->offset;

	assert_int_equal(fixture_search(f, &search), 0);
	for (size_t i = 0; i < ROWS && n < query->limit; i++) {
		if (!matches(rows[i], query) || (skip && skip--))
			continue;
		assert_true(n < search.n_rows);
		assert_true(apd_id_eq(&search.rows[n]->run_id, &rows[i]->run_id));
		assert_true(apd_str_eq(search.rows[n]->request, rows[i]->request));
		assert_true(apd_str_eq(search.rows[n]->metadata, rows[i]->metadata));
		assert_null(search.rows[n]->output.ptr);
		n++;
	}
	assert_int_equal(search.n_rows, n);
	fixture_rows_free(search.rows, search.n_rows);
}

static void filters_and_order(void **state)
{
	static const char *const filters[] = {NULL, "{}", "{\"k\": 1.0}", "{\"tags\":[\"b\"]}"};
	static const char *const agents[] = {NULL, "echo", "\xc3\xa4", "nobody"};

	for (int thread = 0; thread < 4; thread++)
		for (size_t agent = 0; agent < APD_COUNT(agents); agent++)
			for (int status = -1; status < 5; status++)
				for (size_t filter = 0; filter < APD_COUNT(filters); filter++)
					check(*state,
						&(struct apd_run_query){.thread_id = thread
								? &threads[thread - 1]
								: NULL,
							.agent_id = apd_str(agents[agent]),
							.status = status,
							.metadata = apd_str(filters[filter]),
							.limit = 1000});
}

static void pages(void **state)
{
	for (uint64_t offset = 0; offset <= ROWS + 7; offset += 7)
		check(*state, &(struct apd_run_query){.status = -1, .limit = 7, .offset = offset});
	check(*state, &(struct apd_run_query){.status = -1, .limit = 0});
	check(*state, &(struct apd_run_query){.status = -1, .limit = 10, .offset = UINT64_MAX});
	check(*state, &(struct apd_run_query){.status = -1, .limit = UINT32_MAX});
}

static void filter_that_is_no_json(void **state)
{
	struct apd_run_search search = {
		.query = {.status = -1, .limit = 10, .metadata = APD_STR("{")}};

	assert_int_equal(fixture_search(*state, &search), -EINVAL);
	assert_null(search.rows);
	/* The statement is good for the next. */
	check(*state,
		&(struct apd_run_query){
			.status = -1, .limit = 10, .metadata = APD_STR("{\"k\": 1.0}")});
}

static void budget(void **state)
{
	struct fixture *f = *state;
	struct apd_run_search search = {
		.query = {.status = -1, .limit = 10, .metadata = APD_STR("{\"none\":{}}")}};
	struct apd_run_search tagged = {
		.query = {.status = -1, .limit = 10, .metadata = APD_STR("{\"k\":1}")}};

	fixture_close(f);
	f->budget_ms = 0;
	fixture_open(f);
	assert_int_equal(fixture_search(f, &search), -ETIME);
	assert_null(search.rows);
	assert_int_equal(fixture_search(f, &tagged), -ETIME);
	assert_null(tagged.rows);
	/* What is found at once needs no look at the clock; loads have no budget. */
	check(f, &(struct apd_run_query){.status = -1, .limit = 1});
	for (int i = 0; i < 3; i++)
		assert_int_equal(fixture_search(f, &search), -ETIME);
	assert_true(fixture_has_thread(f, &threads[0]));
}

static void too_heavy(void **state)
{
	struct fixture *f = *state;
	struct apd_run_search search = {.query = {.status = -1, .limit = 100}};
	const size_t size = 8 << 20;
	char *metadata = malloc(size + 1);

	memset(metadata, ' ', size);
	metadata[0] = '{';
	metadata[size - 1] = '}';
	metadata[size] = '\0';
	/* Each weighs twice: in the request and by itself. */
	for (int i = 0; i < 5; i++)
		fixture_put(f, fixture_row(f, (struct row_spec){.metadata = metadata}));
	assert_int_equal(fixture_search(f, &search), -E2BIG);
	search.query.limit = 3;
	assert_int_equal(fixture_search(f, &search), 0);
	assert_int_equal(search.n_rows, 3);
	fixture_rows_free(search.rows, search.n_rows);
	free(metadata);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(filters_and_order, fill, empty),
		cmocka_unit_test_setup_teardown(pages, fill, empty),
		cmocka_unit_test_setup_teardown(filter_that_is_no_json, fill, empty),
		cmocka_unit_test_setup_teardown(budget, fill, empty),
		cmocka_unit_test_setup_teardown(too_heavy, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("storage_search", tests, NULL, NULL);
}
