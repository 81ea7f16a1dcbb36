/*
 * The writer thread: takes every batch that waits and commits them together, so
 * that one fsync serves all who came while the last one ran.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"

/* A group ends with the batch that reaches one of these, so that the first is not kept waiting. */
#define GROUP_MAX_OPS   1024
#define GROUP_MAX_BYTES (8u << 20)

/* How long batches that nobody waits for may wait for company. */
#define LAZY_NS (20 * APD_NS_PER_MS)

/* Batches that were committed together, on their way back to the runtime. */
struct group {
	struct apd_task task;
	struct apd_list batches;
	int results[];
};

/* Calls every batch's done() in order. [the runtime's thread] */
static void deliver(struct apd_task *task)
{
	struct group *group = apd_container_of(task, struct group, task);

	for (size_t i = 0; !apd_list_empty(&group->batches); i++) {
		struct apd_batch *batch = apd_list_first(&group->batches, struct apd_batch, link);

		apd_list_remove(&batch->link);
		batch->done(batch, group->results[i]);
	}
	free(group);
}

/* About how many bytes a batch writes. */
static size_t batch_bytes(const struct apd_batch *batch)
{
	size_t bytes = 0;

	for (uint32_t i = 0; i < batch->n_ops; i++) {
		const struct apd_op *op = &batch->ops[i];

		if (op->run)
			bytes += op->run->request.len + op->run->output.len + op->run->error.len;
		if (op->checkpoint)
			bytes += op->checkpoint->patch.len;
		if (op->thread)
			bytes += op->thread->text ? op->thread->text->len : 0;
		if (op->outbox)
			bytes += op->outbox->body.len;
	}
	return bytes;
}

/* Moves the next group's batches from `taken` into a list; how many. */
static size_t pick(struct apd_writer *writer, struct apd_list *batches)
{
	size_t n = 0, ops = 0, bytes = 0;

	while (!apd_list_empty(&writer->taken) && ops < GROUP_MAX_OPS && bytes < GROUP_MAX_BYTES) {
		struct apd_batch *batch = apd_list_first(&writer->taken, struct apd_batch, link);

		apd_list_remove(&batch->link);
		apd_list_append(batches, &batch->link);
		ops += batch->n_ops ? batch->n_ops : 1;
		bytes += batch_bytes(batch);
		n++;
	}
	return n;
}

/* Counts what became of a group. */
static void count(struct apd_writer *writer, const struct group *group, size_t n, int r)
{
	uint64_t failures = 0;

	for (size_t i = 0; i < n; i++)
		failures += group->results[i] < 0;
	if (r == 0)
		atomic_fetch_add_explicit(&writer->commits, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&writer->batches, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&writer->failures, failures, memory_order_relaxed);
}

/* Logs the beginning and the end of a time in which transactions fail, not each of them. */
static void tell(struct apd_writer *writer, int r)
{
	if (r < 0 && r != writer->failing)
		apd_log(APD_LOG_ERROR, "storage", "transactions fail, nothing is stored: %s",
			strerror(-r));
	if (r < 0)
		writer->n_failed++;
	else if (writer->failing)
		apd_log(APD_LOG_INFO, "storage",
			"transactions work again, after %" PRIu64 " that failed", writer->n_failed);
	if (r == 0)
		writer->n_failed = 0;
	writer->failing = r;
}

/* Commits the next group and posts its results. */
static void commit_group(struct apd_writer *writer)
{
	struct apd_list batches;
	struct apd_batch *batch;
	struct group *group;
	size_t n;
	int r;

	apd_list_init(&batches);
	n = pick(writer, &batches);
	group = apd_malloc(sizeof(*group) + n * sizeof(group->results[0]));
	group->task.run = deliver;
	apd_list_init(&group->batches);
	apd_list_splice(&group->batches, &batches);
	r = apd_apply_batches(&writer->apply, &group->batches, group->results);
	tell(writer, r);
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			group->results[i] = r;
		apd_list_each (batch, &group->batches, link)
			batch->missing = 0;
	}
	count(writer, group, n, r);
	apd_mailbox_post(writer->mailbox, &group->task);
}

/* Takes over what a sweep asked for. */
static void take_sweep(struct apd_writer *writer)
{
	struct apd_chores *chores = &writer->chores;

	pthread_mutex_lock(&writer->mutex);
	if (writer->sweep_asked) {
		writer->sweep_asked = false;
		chores->sweep = writer->sweep;
		chores->runs_left = chores->sweep.runs_before_us ? chores->sweep.max : 0;
		chores->threads_left = chores->sweep.threads_before_us ? chores->sweep.max : 0;
		chores->purge = true;
	}
	pthread_mutex_unlock(&writer->mutex);
}

/* Removes some of what is to be removed. */
static void do_chores(struct apd_writer *writer)
{
	struct apd_chores *chores = &writer->chores;
	int r;

	take_sweep(writer);
	if (writer->apply.deleted_threads)
		chores->purge = true;
	writer->apply.deleted_threads = false;
	if (!apd_chores_due(chores))
		return;
	r = apd_chores_step(chores, &writer->apply);
	if (r == 0)
		return;
	apd_log(APD_LOG_WARN, "storage", "cannot remove what is old: %s", strerror(-r));
	/* The disk refuses: the next sweep is soon enough. */
	chores->runs_left = chores->threads_left = 0;
	chores->purge = false;
}

/* A time so many nanoseconds from now, for a wait. */
static struct timespec after_ns(int64_t ns)
{
	int64_t at = apd_clock_mono_ns() + ns;

	return (struct timespec){.tv_sec = at / APD_NS_PER_S, .tv_nsec = at % APD_NS_PER_S};
}

/* Lets lazy batches gather, so that many of them share the pages that they change. Locked. */
static void doze(struct apd_writer *writer)
{
	struct timespec until = after_ns(LAZY_NS);

	writer->dozing = true;
	while (!writer->urgent && !writer->sweep_asked && !writer->stop)
		if (pthread_cond_timedwait(&writer->wake, &writer->mutex, &until) == ETIMEDOUT)
			break;
	writer->dozing = false;
}

/* Waits for work and takes all batches there are; false when the thread has to end. */
static bool wait_for_work(struct apd_writer *writer)
{
	bool chores = apd_chores_due(&writer->chores), work;

	pthread_mutex_lock(&writer->mutex);
	while (apd_list_empty(&writer->taken) && apd_list_empty(&writer->waiting) && !chores &&
		!writer->sweep_asked && !writer->stop) {
		writer->idle = true;
		pthread_cond_wait(&writer->wake, &writer->mutex);
	}
	writer->idle = false;
	if (apd_list_empty(&writer->taken) && !chores)
		doze(writer);
	apd_list_splice(&writer->taken, &writer->waiting);
	writer->n_waiting = 0;
	writer->urgent = false;
	work = !apd_list_empty(&writer->taken) || !writer->stop;
	pthread_mutex_unlock(&writer->mutex);
	return work;
}

static void *writer_main(void *data)
{
	struct apd_writer *writer = data;

	while (wait_for_work(writer)) {
		apd_checkpointer_give_way(writer->checkpointer);
		if (!apd_list_empty(&writer->taken))
			commit_group(writer);
		do_chores(writer);
	}
	return NULL;
}

/* Called by SQLite behind each commit. */
static int committed(void *data, sqlite3 *db, const char *name, int wal_pages)
{
	(void)db;
	(void)name;
	apd_checkpointer_committed(data, wal_pages);
	return SQLITE_OK;
}

int apd_writer_start(struct apd_writer *writer, sqlite3 *db, struct apd_mailbox *mailbox,
	struct apd_checkpointer *checkpointer)
{
	pthread_condattr_t attr;
	int64_t purge = 0; /* something that the last life left */
	int r;

	writer->db = db;
	writer->mailbox = mailbox;
	writer->checkpointer = checkpointer;
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->wake, &attr);
	pthread_condattr_destroy(&attr);
	apd_list_init(&writer->waiting);
	apd_list_init(&writer->taken);
	r = apd_apply_init(&writer->apply, db);
	if (r == 0)
		r = apd_db_int(db, "SELECT EXISTS (SELECT 1 FROM purge)", &purge);
	if (r < 0)
		return r;
	writer->chores.purge = purge;
	sqlite3_wal_hook(db, committed, checkpointer);
	r = -pthread_create(&writer->thread, NULL, writer_main, writer);
	if (r < 0)
		return r;
	pthread_setname_np(writer->thread, "apd-writer");
	writer->running = true;
	return 0;
}

void apd_writer_stop(struct apd_writer *writer)
{
	if (!writer->running)
		return;
	pthread_mutex_lock(&writer->mutex);
	writer->stop = true;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->mutex);
	pthread_join(writer->thread, NULL);
	writer->running = false;
	apd_apply_finish(&writer->apply);
	pthread_cond_destroy(&writer->wake);
	pthread_mutex_destroy(&writer->mutex);
}

void apd_writer_commit(struct apd_writer *writer, struct apd_batch *batch)
{
	bool wake;

	pthread_mutex_lock(&writer->mutex);
	apd_list_append(&writer->waiting, &batch->link);
	if (!batch->lazy || ++writer->n_waiting >= GROUP_MAX_OPS / APD_BATCH_OPS)
		writer->urgent = true;
	wake = writer->idle || (writer->dozing && writer->urgent);
	/* A busy writer looks for itself: the wake-up is the costly part. */
	if (wake)
		writer->idle = writer->dozing = false;
	pthread_mutex_unlock(&writer->mutex);
	if (wake)
		pthread_cond_signal(&writer->wake);
}

void apd_writer_sweep(struct apd_writer *writer, const struct apd_sweep *sweep)
{
	pthread_mutex_lock(&writer->mutex);
	writer->sweep = *sweep;
	writer->sweep_asked = true;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->mutex);
}
