/* A storage in a directory of its own, and the thread of the test as its runtime. */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
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
	row->flags = spec.flags;
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

/* Sends a batch, waits for it and frees it. */
static int finish_call(struct call *call)
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
	return finish_call(call);
}

int fixture_put_thread(struct fixture *f, const struct apd_id *id)
{
	struct call *call = call_create(f);

	apd_batch_put_thread(&call->batch, id, ++f->now_us);
	return finish_call(call);
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

/* A search with its answer, which comes on a reader thread. */
struct search_job {
	struct apd_run_search search;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool done;
	int result;
};

static void searched(struct apd_run_search *search, int result)
{
	struct search_job *job = apd_container_of(search, struct search_job, search);

	pthread_mutex_lock(&job->mutex);
	job->result = result;
	job->done = true;
	pthread_cond_signal(&job->cond);
	pthread_mutex_unlock(&job->mutex);
}

int fixture_search(struct fixture *f, struct apd_run_search *search)
{
	struct search_job job = {
		.search = *search,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};

	job.search.done = searched;
	apd_sqlite_search_runs(f->storage, &job.search);
	pthread_mutex_lock(&job.mutex);
	while (!job.done)
		pthread_cond_wait(&job.cond, &job.mutex);
	pthread_mutex_unlock(&job.mutex);
	search->rows = job.search.rows;
	search->n_rows = job.search.n_rows;
	return job.result;
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
	int r = apd_sqlite_get_run(f->storage, run_id, &row);

	if (r == 0)
		apd_run_row_unref(row);
	return r;
}

bool fixture_has_thread(struct fixture *f, const struct apd_id *id)
{
	struct apd_load load = {.type = APD_LOAD_THREAD, .id = *id};

	assert_int_equal(fixture_load(f, &load), 0);
	return load.found;
}
