/* Reader threads: loads for the runtime, searches within a time budget. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"

/* Virtual machine steps between two looks at the clock: some ten microseconds. */
#define BUDGET_STEPS 200

/* A load on its way back to the runtime. */
struct answer {
	struct apd_task task;
	struct apd_load *load;
	int result;
};

static void deliver(struct apd_task *task)
{
	struct answer *answer = apd_container_of(task, struct answer, task);

	answer->load->done(answer->load, answer->result);
	free(answer);
}

/* Reads all runs that have not ended; oldest first. */
static int load_active(sqlite3 *db, struct apd_load *load)
{
	sqlite3_stmt *stmt;
	int r;

	r = apd_db_prepare(db,
		"SELECT " APD_RUN_COLUMNS " FROM run INDEXED BY run_status"
		" WHERE status = 0 AND status <> 1" /* the index's own words, or it is not used */
		" ORDER BY run_id",
		&stmt);
	if (r < 0)
		return r;
	r = apd_run_rows_read(stmt, SIZE_MAX, &load->runs, &load->n_runs);
	sqlite3_finalize(stmt);
	return r;
}

/* Looks whether a thread exists. */
static int load_thread(struct apd_reader *reader, struct apd_load *load)
{
	/* This reader has no searches, so the first slot of their cache is free. */
	sqlite3_stmt **stmt = &reader->cache.stmts[0];
	int rc, r = 0;

	if (!*stmt)
		r = apd_db_prepare(reader->db, "SELECT 1 FROM thread WHERE thread_id = ?1", stmt);
	if (r < 0)
		return r;
	apd_db_bind_id(*stmt, 1, &load->id);
	rc = sqlite3_step(*stmt);
	sqlite3_reset(*stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		load->found = rc == SQLITE_ROW;
	return apd_db_errno(rc);
}

static int run_load(struct apd_reader *reader, struct apd_load *load)
{
	switch (load->type) {
	case APD_LOAD_ACTIVE_RUNS:
		return load_active(reader->db, load);
	case APD_LOAD_THREAD:
		return load_thread(reader, load);
	}
	return -EINVAL;
}

static void serve_load(struct apd_reader *reader, struct apd_list *job, int refusal)
{
	struct answer *answer = apd_malloc(sizeof(*answer));

	answer->load = apd_container_of(job, struct apd_load, link);
	answer->result = refusal ? refusal : run_load(reader, answer->load);
	answer->task.run = deliver;
	apd_mailbox_post(reader->readers->mailbox, &answer->task);
}

static void serve_search(struct apd_reader *reader, struct apd_list *job, int refusal)
{
	struct apd_run_search *search = apd_container_of(job, struct apd_run_search, link);

	reader->deadline_ns = apd_clock_mono_ns() + reader->readers->budget_ms * APD_NS_PER_MS;
	search->done(
		search, refusal ? refusal : apd_search_run(&reader->cache, reader->db, search));
}

/* Called by SQLite in the middle of a search; anything but 0 ends it. */
static int over_budget(void *data)
{
	const struct apd_reader *reader = data;

	return apd_clock_mono_ns() >= reader->deadline_ns;
}

static void *reader_main(void *data)
{
	struct apd_reader *reader = data;
	struct apd_reader_queue *queue = reader->queue;

	pthread_mutex_lock(&queue->mutex);
	for (;;) {
		struct apd_list *job;
		int refusal;

		while (apd_list_empty(&queue->jobs) && !queue->stop)
			pthread_cond_wait(&queue->wake, &queue->mutex);
		if (apd_list_empty(&queue->jobs))
			break;
		job = queue->jobs.next;
		apd_list_remove(job);
		refusal = queue->stop ? -ECANCELED : 0;
		pthread_mutex_unlock(&queue->mutex);
		reader->serve(reader, job, refusal);
		pthread_mutex_lock(&queue->mutex);
	}
	pthread_mutex_unlock(&queue->mutex);
	return NULL;
}

static void queue_init(struct apd_reader_queue *queue)
{
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_cond_init(&queue->wake, NULL);
	apd_list_init(&queue->jobs);
}

static void queue_stop(struct apd_reader_queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->stop = true;
	pthread_cond_broadcast(&queue->wake);
	pthread_mutex_unlock(&queue->mutex);
}

static void queue_finish(struct apd_reader_queue *queue)
{
	pthread_cond_destroy(&queue->wake);
	pthread_mutex_destroy(&queue->mutex);
}

static void queue_add(struct apd_reader_queue *queue, struct apd_list *job)
{
	pthread_mutex_lock(&queue->mutex);
	apd_list_append(&queue->jobs, job);
	pthread_mutex_unlock(&queue->mutex);
	pthread_cond_signal(&queue->wake);
}

/* Starts the thread of one reader: the first is for loads. */
static int start(struct apd_readers *readers, struct apd_reader *reader, const char *path)
{
	bool loads = reader == readers->items;
	int r;

	reader->readers = readers;
	reader->queue = loads ? &readers->loads : &readers->searches;
	reader->serve = loads ? serve_load : serve_search;
	r = apd_db_open(path, APD_DB_READER, false, &reader->db);
	if (r < 0)
		return r;
	/* A load is keyed, or the one at the start, which takes what it takes. */
	if (!loads)
		sqlite3_progress_handler(reader->db, BUDGET_STEPS, over_budget, reader);
	r = -pthread_create(&reader->thread, NULL, reader_main, reader);
	if (r < 0) {
		apd_db_close(reader->db);
		return r;
	}
	pthread_setname_np(reader->thread, loads ? "apd-load" : "apd-search");
	return 0;
}

int apd_readers_start(
	struct apd_readers *readers, const char *path, const struct apd_sqlite_config *config)
{
	unsigned n = 1 + (config->reader_threads ? config->reader_threads : 1);
	int r = 0;

	readers->mailbox = config->mailbox;
	readers->budget_ms = config->read_budget_ms;
	readers->items = apd_calloc(n, sizeof(*readers->items));
	queue_init(&readers->loads);
	queue_init(&readers->searches);
	for (; r == 0 && readers->n < n; readers->n += r == 0)
		r = start(readers, &readers->items[readers->n], path);
	return r;
}

void apd_readers_stop(struct apd_readers *readers)
{
	if (!readers->items)
		return;
	queue_stop(&readers->loads);
	queue_stop(&readers->searches);
	for (unsigned i = 0; i < readers->n; i++) {
		pthread_join(readers->items[i].thread, NULL);
		apd_db_close(readers->items[i].db);
	}
	queue_finish(&readers->loads);
	queue_finish(&readers->searches);
	free(readers->items);
	readers->items = NULL;
}

void apd_readers_load(struct apd_readers *readers, struct apd_load *load)
{
	queue_add(&readers->loads, &load->link);
}

void apd_readers_search(struct apd_readers *readers, struct apd_run_search *search)
{
	queue_add(&readers->searches, &search->link);
}
