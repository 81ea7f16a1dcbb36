/* A storage in a directory of its own, and the thread of the test as its runtime. */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void wake(void *data)
{
	struct fixture *f = data;

	pthread_mutex_lock(&f->mutex);
	f->woken = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->mutex);
}

void fixture_drain(struct fixture *f)
{
	pthread_mutex_lock(&f->mutex);
	while (!f->woken)
		pthread_cond_wait(&f->wake, &f->mutex);
	f->woken = false;
	pthread_mutex_unlock(&f->mutex);
	apd_mailbox_drain(&f->mailbox);
}

void fixture_open(struct fixture *f)
{
	struct apd_sqlite_config config = {
		.dir = f->dir,
		.full = true,
		.reader_threads = f->reader_threads,
		.read_budget_ms = f->budget_ms,
		.mailbox = &f->mailbox,
	};
	struct apd_buf error = {0};

	if (apd_sqlite_open(&config, &f->storage, &error) < 0)
		fail_msg("%s", error.data);
	assert_int_equal(error.len, 0);
}

void fixture_close(struct fixture *f)
{
	apd_sqlite_close(f->storage);
	f->storage = NULL;
	apd_mailbox_drain(&f->mailbox);
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
}

int fixture_setup(void **state)
{
	struct fixture *f = apd_calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/apd-storage-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->reader_threads = 2;
	f->budget_ms = 60000;
	f->now_us = 1700000000000000;
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->wake, NULL);
	apd_mailbox_init(&f->mailbox, wake, f);
	apd_id_gen_init(&f->gen, 1);
	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	DIR *dir;

	fixture_close(f);
	dir = opendir(f->dir);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	assert_int_equal(rmdir(f->dir), 0);
	pthread_cond_destroy(&f->wake);
	pthread_mutex_destroy(&f->mutex);
	free(f);
	return 0;
}

const char *fixture_path(const struct fixture *f, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

struct apd_id fixture_id(struct fixture *f)
{
	return apd_id_next(&f->gen, f->now_us);
}

/* Where a part of a text lies in its shared copy; absent for NULL. */
static struct apd_str cut(const struct apd_text *text, const char *all, const char *part)
{
	const char *at = part ? strstr(all, part) : NULL;

	return at ? (struct apd_str){text->data + (at - all), strlen(part)} : APD_STR_ABSENT;
}

struct apd_run_row *fixture_row(struct fixture *f, struct row_spec spec)
{
	const char *agent = spec.agent ? spec.agent : "echo";
	struct apd_buf request = {0}, result = {0};
	struct apd_run_row *row;

	apd_buf_addf(&request, "{\"agent_id\":\"%s\",\"metadata\":%s}", agent,
		spec.metadata ? spec.metadata : "{}");
	apd_buf_addf(&result, "%s%s", spec.error ? spec.error : "", spec.output ? spec.output : "");
	row = apd_run_row_create(
		apd_text_of(&request), spec.error || spec.output ? apd_text_of(&result) : NULL);
	row->run_id = spec.run_id ? *spec.run_id : fixture_id(f);
	row->thread_id = spec.thread ? *spec.thread : fixture_id(f);
	row->created_us = spec.created_us ? spec.created_us : ++f->now_us;
	row->updated_us = row->created_us + 5;
	row->ended_us = spec.ended_us;
	row->status = spec.status;
	row->flags = spec.flags | (spec.thread ? 0 : APD_RUN_ROW_EPHEMERAL);
	row->attempt = 1;
	row->request = apd_text_str(row->request_text);
	row->agent_id = cut(row->request_text, request.data, agent);
	row->metadata = cut(row->request_text, request.data, spec.metadata ? spec.metadata : "{}");
	if (row->result_text) {
		row->error = cut(row->result_text, result.data, spec.error);
		row->output = cut(row->result_text, result.data, spec.output);
	}
	apd_buf_finish(&request);
	apd_buf_finish(&result);
	return row;
}

/* A text of its own for a C string; NULL for NULL. */
static struct apd_text *text_of(const char *s)
{
	return s ? apd_text_create(apd_str(s)) : NULL;
}

struct apd_checkpoint_row *fixture_checkpoint(struct fixture *f, struct checkpoint_spec spec)
{
	struct apd_buf both = {0};
	struct apd_checkpoint_row *row;
	size_t name_len = spec.name ? strlen(spec.name) : 0;

	apd_buf_addf(&both, "%s%s", spec.name ? spec.name : "", spec.patch);
	row = apd_checkpoint_row_create(apd_text_of(&both), text_of(spec.removed));
	apd_buf_finish(&both);
	row->thread_id = *spec.thread;
	row->checkpoint_id = spec.id ? *spec.id : fixture_id(f);
	row->has_parent = spec.parent;
	if (spec.parent)
		row->parent_id = *spec.parent;
	row->has_run = spec.run;
	if (spec.run)
		row->run_id = *spec.run;
	row->step = spec.step;
	row->source = spec.source;
	row->created_us = spec.created_us ? spec.created_us : ++f->now_us;
	row->whole = spec.whole;
	if (spec.name)
		row->name = (struct apd_str){row->text->data, name_len};
	row->patch = (struct apd_str){row->text->data + name_len, row->text->len - name_len};
	row->removed = apd_text_str(row->removed_text);
	return row;
}

static void call_done(struct apd_batch *batch, int result)
{
	struct call *call = apd_container_of(batch, struct call, batch);

	call->result = result;
	call->place = ++call->f->delivered;
}

struct call *call_create(struct fixture *f)
{
	struct call *call = apd_calloc(1, sizeof(*call));

	call->f = f;
	call->batch.done = call_done;
	return call;
}

void call_put_thread(struct call *call, const struct apd_id *id, int64_t created_us)
{
	struct apd_thread_row *row = apd_thread_row_create(&(struct apd_thread_row){
		.thread_id = *id, .created_us = created_us, .updated_us = created_us});

	apd_batch_put_thread(&call->batch, row);
	apd_thread_row_unref(row);
}

void call_send(struct call *call)
{
	struct apd_storage *storage = call->f->storage;

	storage->ops->commit(storage, &call->batch);
}

int call_wait(struct call *call)
{
	while (!call->place)
		fixture_drain(call->f);
	return call->result;
}

void call_destroy(struct call *call)
{
	apd_batch_finish(&call->batch);
	free(call);
}

int call_finish(struct call *call)
{
	int r;

	call_send(call);
	r = call_wait(call);
	call_destroy(call);
	return r;
}

int fixture_put(struct fixture *f, struct apd_run_row *row)
{
	struct call *call = call_create(f);

	apd_batch_put_run(&call->batch, row);
	apd_run_row_unref(row);
	return call_finish(call);
}

int fixture_put_thread(struct fixture *f, const struct apd_id *id)
{
	struct call *call = call_create(f);

	call_put_thread(call, id, ++f->now_us);
	return call_finish(call);
}

int fixture_put_checkpoint(struct fixture *f, struct checkpoint_spec spec, struct apd_id *ret_id)
{
	struct apd_checkpoint_row *row = fixture_checkpoint(f, spec);
	struct call *call = call_create(f);

	if (ret_id)
		*ret_id = row->checkpoint_id;
	apd_batch_put_checkpoint(&call->batch, row);
	apd_checkpoint_row_unref(row);
	return call_finish(call);
}

int fixture_put_thread_row(struct fixture *f, struct apd_thread_row row)
{
	struct apd_thread_row *own = apd_thread_row_create(&row);
	struct call *call = call_create(f);

	apd_batch_put_thread(&call->batch, own);
	apd_thread_row_unref(own);
	return call_finish(call);
}

uint32_t fixture_delete_thread(struct fixture *f, const struct apd_id *id)
{
	struct call *call = call_create(f);
	uint32_t missing;

	apd_batch_delete_thread(&call->batch, id);
	call_send(call);
	assert_int_equal(call_wait(call), 0);
	missing = call->batch.missing;
	call_destroy(call);
	return missing;
}

/* What became of the one load that is under way. */
static int load_result;
static bool load_done;

static void loaded(struct apd_load *load, int result)
{
	(void)load;
	load_result = result;
	load_done = true;
}

int fixture_load(struct fixture *f, struct apd_load *load)
{
	load_done = false;
	load->done = loaded;
	f->storage->ops->load(f->storage, load);
	while (!load_done)
		fixture_drain(f);
	return load_result;
}

/* A search of any kind with its answer, which comes on a reader thread. */
struct search_job {
	struct apd_run_search runs;
	struct apd_thread_search threads;
	struct apd_history_read history;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done;
	int result;
};

static void job_done(struct search_job *job, int result)
{
	pthread_mutex_lock(&job->mutex);
	job->result = result;
	job->done = true;
	pthread_cond_signal(&job->cond);
	pthread_mutex_unlock(&job->mutex);
}

static void searched_runs(struct apd_run_search *search, int result)
{
	job_done(apd_container_of(search, struct search_job, runs), result);
}

static void searched_threads(struct apd_thread_search *search, int result)
{
	job_done(apd_container_of(search, struct search_job, threads), result);
}

static void read_history(struct apd_history_read *read, int result)
{
	job_done(apd_container_of(read, struct search_job, history), result);
}

static struct search_job *job_create(void)
{
	struct search_job *job = apd_calloc(1, sizeof(*job));

	pthread_mutex_init(&job->mutex, NULL);
	pthread_cond_init(&job->cond, NULL);
	return job;
}

static void job_wait(struct search_job *job)
{
	pthread_mutex_lock(&job->mutex);
	while (!job->done)
		pthread_cond_wait(&job->cond, &job->mutex);
	pthread_mutex_unlock(&job->mutex);
}

static int job_destroy(struct search_job *job)
{
	int r = job->result;

	pthread_cond_destroy(&job->cond);
	pthread_mutex_destroy(&job->mutex);
	free(job);
	return r;
}

int fixture_search(struct fixture *f, struct apd_run_search *search)
{
	struct search_job *job = job_create();

	job->runs = *search;
	job->runs.done = searched_runs;
	f->storage->ops->search_runs(f->storage, &job->runs);
	job_wait(job);
	search->rows = job->runs.rows;
	search->n_rows = job->runs.n_rows;
	return job_destroy(job);
}

int fixture_search_threads(struct fixture *f, struct apd_thread_search *search)
{
	struct search_job *job = job_create();

	job->threads = *search;
	job->threads.done = searched_threads;
	f->storage->ops->search_threads(f->storage, &job->threads);
	job_wait(job);
	search->views = job->threads.views;
	search->n_views = job->threads.n_views;
	return job_destroy(job);
}

int fixture_history(struct fixture *f, struct apd_history_read *read)
{
	struct search_job *job = job_create();

	job->history = *read;
	job->history.done = read_history;
	f->storage->ops->read_history(f->storage, &job->history);
	job_wait(job);
	read->items = job->history.items;
	read->n_items = job->history.n_items;
	return job_destroy(job);
}

void fixture_views_free(struct apd_thread_view *views, size_t n)
{
	for (size_t i = 0; i < n; i++)
		apd_thread_view_finish(&views[i]);
	free(views);
}

void fixture_items_free(struct apd_history_item *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		apd_checkpoint_row_unref(items[i].row);
		apd_state_unref(items[i].state);
	}
	free(items);
}

void fixture_rows_free(struct apd_run_row **rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		apd_run_row_unref(rows[i]);
	free(rows);
}

int fixture_has(struct fixture *f, const struct apd_id *run_id)
{
	struct apd_run_row *row;
	int r = apd_sqlite_get_run(f->storage, run_id, true, &row);

	if (r == 0)
		apd_run_row_unref(row);
	return r;
}

bool fixture_has_thread(struct fixture *f, const struct apd_id *id)
{
	struct apd_load load = {.type = APD_LOAD_THREAD, .id = *id};

	assert_int_equal(fixture_load(f, &load), 0);
	apd_thread_view_finish(&load.view);
	return load.found;
}

void fixture_assert_state(const struct apd_state *state, const char *expected)
{
	struct apd_buf out = {0};

	apd_state_add_json(&out, state);
	assert_string_equal(apd_buf_str(&out).ptr, expected);
	apd_buf_finish(&out);
}

int64_t fixture_sql(const struct fixture *f, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t value = -1;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path(f, "apd.db"), &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	for (const char *at = sql; *at;) {
		assert_int_equal(sqlite3_prepare_v2(db, at, -1, &stmt, &at), SQLITE_OK);
		if (!stmt)
			break;
		if (sqlite3_step(stmt) == SQLITE_ROW)
			value = sqlite3_column_int64(stmt, 0);
		assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
	}
	sqlite3_close(db);
	return value;
}
