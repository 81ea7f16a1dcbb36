/* Reader threads: loads for the runtime, searches and histories within a time budget. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"

/* Virtual machine steps between two looks at the clock: some ten microseconds. */
#define BUDGET_STEPS 200

/* What a reader has to do. */
struct job {
	struct apd_list link;
	void (*serve)(struct apd_reader *reader, void *what, int refusal);
	void *what;
};

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

static void serve_load(struct apd_reader *reader, void *what, int refusal)
{
	struct answer *answer = apd_malloc(sizeof(*answer));

	answer->load = what;
	answer->result = refusal ? refusal : apd_reads_begin(&reader->reads);
	if (answer->result == 0)
		answer->result = apd_view_load(&reader->reads, answer->load);
	apd_reads_end(&reader->reads);
	answer->task.run = deliver;
	apd_mailbox_post(reader->readers->mailbox, &answer->task);
}

/* Starts the clock of a search, and the moment that it sees. */
static int begin(struct apd_reader *reader)
{
	reader->reads.deadline_ns =
		apd_clock_mono_ns() + reader->readers->budget_ms * APD_NS_PER_MS;
	return apd_reads_begin(&reader->reads);
}

/* Ends what begin() began; the connection takes statements again. */
static void end(struct apd_reader *reader)
{
	reader->reads.deadline_ns = 0;
	apd_reads_end(&reader->reads);
}

static void serve_run_search(struct apd_reader *reader, void *what, int refusal)
{
	struct apd_run_search *search = what;
	int r = refusal ? refusal : begin(reader);

	if (r == 0)
		r = apd_search_run(&reader->cache, &reader->reads, search);
	end(reader);
	search->done(search, r);
}

static void serve_thread_search(struct apd_reader *reader, void *what, int refusal)
{
	struct apd_thread_search *search = what;
	int r = refusal ? refusal : begin(reader);

	if (r == 0)
		r = apd_search_threads(&reader->reads, search);
	end(reader);
	search->done(search, r);
}

static void serve_history(struct apd_reader *reader, void *what, int refusal)
{
	struct apd_history_read *read = what;
	int r = refusal ? refusal : begin(reader);

	if (r == 0)
		r = apd_read_history(&reader->reads, read);
	end(reader);
	read->done(read, r);
}

/* Called by SQLite in the middle of a search; anything but 0 ends it. */
static int over_budget(void *data)
{
	return apd_reads_check_time(data) < 0;
}

static void *reader_main(void *data)
{
	struct apd_reader *reader = data;
	struct apd_reader_queue *queue = reader->queue;

	pthread_mutex_lock(&queue->mutex);
	for (;;) {
		struct job *job;
		int refusal;

		while (apd_list_empty(&queue->jobs) && !queue->stop)
			pthread_cond_wait(&queue->wake, &queue->mutex);
		if (apd_list_empty(&queue->jobs))
			break;
		job = apd_list_first(&queue->jobs, struct job, link);
		apd_list_remove(&job->link);
		refusal = queue->stop ? -ECANCELED : 0;
		pthread_mutex_unlock(&queue->mutex);
		job->serve(reader, job->what, refusal);
		free(job);
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

static void queue_add(
	struct apd_reader_queue *queue, void (*serve)(struct apd_reader *, void *, int), void *what)
{
	struct job *job = apd_malloc(sizeof(*job));

	job->serve = serve;
	job->what = what;
	pthread_mutex_lock(&queue->mutex);
	apd_list_append(&queue->jobs, &job->link);
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
	r = apd_reads_open(&reader->reads, path);
	if (r < 0)
		return r;
	/* A load is keyed, or the one at the start, which takes what it takes. */
	if (!loads)
		sqlite3_progress_handler(
			reader->reads.db, BUDGET_STEPS, over_budget, &reader->reads);
	r = -pthread_create(&reader->thread, NULL, reader_main, reader);
	if (r < 0) {
		apd_reads_close(&reader->reads);
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
		apd_reads_close(&readers->items[i].reads);
	}
	queue_finish(&readers->loads);
	queue_finish(&readers->searches);
	free(readers->items);
	readers->items = NULL;
}

void apd_readers_load(struct apd_readers *readers, struct apd_load *load)
{
	queue_add(&readers->loads, serve_load, load);
}

void apd_readers_search_runs(struct apd_readers *readers, struct apd_run_search *search)
{
	queue_add(&readers->searches, serve_run_search, search);
}

void apd_readers_search_threads(struct apd_readers *readers, struct apd_thread_search *search)
{
	queue_add(&readers->searches, serve_thread_search, search);
}

void apd_readers_read_history(struct apd_readers *readers, struct apd_history_read *read)
{
	queue_add(&readers->searches, serve_history, read);
}
