/* Keyed reads from many threads, loads, sweeps, and reads beside writes. */
#include "fixture.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static void active_runs_oldest_first(void **state)
{
	struct fixture *f = *state;
	struct apd_load load = {.type = APD_LOAD_ACTIVE_RUNS};
	int64_t base = f->now_us;

	for (int i = 0; i < 20; i++)
		fixture_put(f,
			fixture_row(f,
				(struct row_spec){.created_us = base + (i * 7) % 20,
					.status = i % 2 ? APD_RUN_SUCCESS : APD_RUN_PENDING}));
	assert_int_equal(fixture_load(f, &load), 0);
	assert_int_equal(load.n_runs, 10);
	for (size_t i = 0; i < load.n_runs; i++) {
		assert_int_equal(load.runs[i]->status, APD_RUN_PENDING);
		if (i)
			assert_true(memcmp(load.runs[i - 1]->run_id.bytes,
					    load.runs[i]->run_id.bytes, 16) < 0);
	}
	fixture_rows_free(load.runs, load.n_runs);
}

static void no_active_runs(void **state)
{
	struct apd_load load = {.type = APD_LOAD_ACTIVE_RUNS};

	assert_int_equal(fixture_load(*state, &load), 0);
	assert_int_equal(load.n_runs, 0);
	free(load.runs);
}

/* Every load sees what was told as durable before it. */
static void load_sees_what_was_done(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 200; i++) {
		struct apd_id id = fixture_id(f);

		assert_int_equal(fixture_put_thread(f, &id), 0);
		assert_true(fixture_has_thread(f, &id));
	}
}

static void keyed_read_of_nothing(void **state)
{
	struct fixture *f = *state;
	struct apd_id id = fixture_id(f);
	struct apd_run_row *row = NULL;

	assert_int_equal(apd_sqlite_get_run(f->storage, &id, true, &row), -ENOENT);
	assert_null(row);
}

/* One thread reads two storages in turn, and one that was closed and opened between. */
static void keyed_reads_of_two_storages(void **state)
{
	struct fixture *f = *state, *g;
	struct apd_id id = fixture_id(f);
	void *other;

	fixture_setup(&other);
	g = other;
	fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &id}));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(fixture_has(f, &id), 0);
		assert_int_equal(fixture_has(g, &id), -ENOENT);
		if (i == 5)
			fixture_reopen(f);
	}
	fixture_teardown(&other);
	assert_int_equal(fixture_has(f, &id), 0);
}

/* Readers of other threads, all after the newest told row. */
struct reader {
	pthread_t thread;
	struct fixture *f;
	_Atomic bool *stop;
	pthread_mutex_t *mutex;
	struct apd_id *newest;
	unsigned wrong;
	unsigned reads;
};

static void *read_newest(void *data)
{
	struct reader *reader = data;

	while (!atomic_load(reader->stop) || !reader->reads) {
		struct apd_id id;

		pthread_mutex_lock(reader->mutex);
		id = *reader->newest;
		pthread_mutex_unlock(reader->mutex);
		reader->wrong += fixture_has(reader->f, &id) != 0;
		reader->reads++;
	}
	return NULL;
}

static void *search_all(void *data)
{
	struct reader *reader = data;

	while (!atomic_load(reader->stop) || !reader->reads) {
		struct apd_run_search search = {
			.query = {.status = -1, .limit = 50, .metadata = APD_STR("{}")}};

		reader->wrong += fixture_search(reader->f, &search) != 0 || !search.n_rows;
		reader->reads++;
		fixture_rows_free(search.rows, search.n_rows);
	}
	return NULL;
}

static void reads_beside_writes(void **state)
{
	struct fixture *f = *state;
	struct reader readers[4];
	struct apd_id newest = fixture_id(f);
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	_Atomic bool stop = false;

	fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &newest}));
	for (size_t i = 0; i < APD_COUNT(readers); i++) {
		readers[i] =
			(struct reader){.f = f, .stop = &stop, .mutex = &mutex, .newest = &newest};
		assert_int_equal(pthread_create(&readers[i].thread, NULL,
					 i % 2 ? read_newest : search_all, &readers[i]),
			0);
	}
	for (int i = 0; i < 500; i++) {
		struct apd_id id = fixture_id(f);

		assert_int_equal(
			fixture_put(f, fixture_row(f, (struct row_spec){.run_id = &id})), 0);
		pthread_mutex_lock(&mutex);
		newest = id;
		pthread_mutex_unlock(&mutex);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < APD_COUNT(readers); i++) {
		pthread_join(readers[i].thread, NULL);
		assert_int_equal(readers[i].wrong, 0);
	}
}

/* Counts answers that were refused because the storage closed. */
static _Atomic unsigned answered;

static void count_answer(struct apd_run_search *search, int result)
{
	assert_true(result == 0 || result == -ECANCELED);
	if (result == 0)
		fixture_rows_free(search->rows, search->n_rows);
	atomic_fetch_add(&answered, 1);
}

static unsigned loaded;

static void count_load(struct apd_load *load, int result)
{
	(void)load;
	assert_true(result == 0 || result == -ECANCELED);
	loaded++;
}

static void closing_answers_all(void **state)
{
	struct fixture *f = *state;
	static struct apd_run_search searches[500];
	static struct apd_load loads[500];

	answered = 0;
	loaded = 0;
	for (int i = 0; i < 100; i++)
		fixture_put(f, fixture_row(f, (struct row_spec){0}));
	for (size_t i = 0; i < APD_COUNT(searches); i++) {
		searches[i] = (struct apd_run_search){
			.query = {.status = -1, .limit = 100}, .done = count_answer};
		apd_sqlite_search_runs(f->storage, &searches[i]);
		loads[i] = (struct apd_load){.type = APD_LOAD_THREAD, .done = count_load};
		f->storage->ops->load(f->storage, &loads[i]);
	}
	fixture_reopen(f);
	assert_int_equal(answered, APD_COUNT(searches));
	assert_int_equal(loaded, APD_COUNT(loads));
}

/* How many runs there are. */
static size_t count_runs(struct fixture *f)
{
	struct apd_run_search search = {.query = {.status = -1, .limit = 10000}};

	assert_int_equal(fixture_search(f, &search), 0);
	fixture_rows_free(search.rows, search.n_rows);
	return search.n_rows;
}

static void sweep(void **state)
{
	struct fixture *f = *state;
	struct apd_id kept = fixture_id(f), young = fixture_id(f), active = fixture_id(f);
	struct row_spec spec = {.status = APD_RUN_SUCCESS, .flags = APD_RUN_ROW_EPHEMERAL};

	fixture_put_thread(f, &kept);
	fixture_put(f,
		fixture_row(
			f, (struct row_spec){.run_id = &kept, .thread = &kept, .ended_us = 50}));
	for (int i = 0; i < 600; i++) {
		spec.ended_us = i + 1;
		fixture_put(f, fixture_row(f, spec));
	}
	spec.ended_us = 5000;
	spec.run_id = &young;
	fixture_put(f, fixture_row(f, spec));
	spec.ended_us = 0;
	spec.run_id = &active;
	fixture_put(f, fixture_row(f, spec));

	/* A sweep tells nobody when it is through: commit and look until it is. */
	apd_sqlite_sweep(f->storage, &(struct apd_sweep){.runs_before_us = 5000, .max = 100});
	while (count_runs(f) != 503)
		fixture_put_thread(f, &kept);
	apd_sqlite_sweep(
		f->storage, &(struct apd_sweep){.runs_before_us = 5000, .max = UINT32_MAX});
	while (count_runs(f) != 3)
		fixture_put_thread(f, &kept);
	assert_int_equal(fixture_has(f, &kept), 0);
	assert_int_equal(fixture_has(f, &young), 0);
	assert_int_equal(fixture_has(f, &active), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(active_runs_oldest_first),
		TEST(no_active_runs),
		TEST(load_sees_what_was_done),
		TEST(keyed_read_of_nothing),
		TEST(keyed_reads_of_two_storages),
		TEST(reads_beside_writes),
		TEST(closing_answers_all),
		TEST(sweep),
	};

	return cmocka_run_group_tests_name("storage_read", tests, NULL, NULL);
}
