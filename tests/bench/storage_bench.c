/*
 * How many runs the SQLite engine makes durable:
 * storage_bench [RUNS [GROUP [full|normal [PUTS [SIZE]]]]]. GROUP batches are
 * under way at any time, as with so many clients; PUTS is 1 for a run written
 * when it ends, 2 for one also written when it is created; SIZE is the bytes of
 * its input and of its output.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "storage/sqlite/engine.h"

struct bench {
	struct apd_storage *storage;
	struct apd_mailbox mailbox;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	bool woken;
	struct apd_id_gen gen;
	size_t size;
	unsigned puts;
	unsigned long runs;
	unsigned long started;
	unsigned long ended;
	struct apd_id *ids;
};

/* One client's run. */
struct slot {
	struct apd_batch batch;
	struct bench *bench;
	struct apd_run_row *row;
	unsigned puts;
};

static void wake(void *data)
{
	struct bench *bench = data;

	pthread_mutex_lock(&bench->mutex);
	bench->woken = true;
	pthread_cond_signal(&bench->cond);
	pthread_mutex_unlock(&bench->mutex);
}

/* {"NAME":{"text":"xxx..."}} of about so many bytes. */
static void add_object(struct apd_buf *out, const char *name, size_t size)
{
	apd_buf_addf(out, "{\"agent_id\":\"echo\",\"%s\":{\"text\":\"", name);
	memset(apd_buf_reserve(out, size), 'x', size);
	out->len += size;
	apd_buf_lit(out, "\"}}");
}

static struct apd_run_row *make_row(struct bench *bench, bool ended)
{
	struct apd_buf request = {0}, output = {0};
	struct apd_run_row *row;

	add_object(&request, "input", bench->size);
	add_object(&output, "values", ended ? bench->size : 0);
	row = apd_run_row_create(apd_text_of(&request), ended ? apd_text_of(&output) : NULL);
	row->request = apd_text_str(row->request_text);
	row->agent_id = (struct apd_str){row->request.ptr + strlen("{\"agent_id\":\""), 4};
	row->metadata = APD_STR("{}");
	row->output = apd_text_str(row->result_text);
	row->flags = APD_RUN_ROW_EPHEMERAL;
	row->attempt = 1;
	apd_buf_finish(&request);
	apd_buf_finish(&output);
	return row;
}

/* Sends the slot's next batch: its run once more, or a new one. */
static void send(struct slot *slot)
{
	struct bench *bench = slot->bench;
	bool ended = slot->puts + 1 == bench->puts;
	struct apd_run_row *row = make_row(bench, ended);
	int64_t now_us = apd_clock_wall_us();

	row->created_us = row->updated_us = now_us;
	if (slot->row) {
		row->run_id = slot->row->run_id;
		row->thread_id = slot->row->thread_id;
	} else {
		row->run_id = apd_id_next(&bench->gen, now_us);
		row->thread_id = apd_id_next(&bench->gen, now_us);
		bench->ids[bench->started++] = row->run_id;
	}
	row->status = ended ? APD_RUN_SUCCESS : APD_RUN_PENDING;
	row->ended_us = ended ? now_us : 0;
	apd_run_row_unref(slot->row);
	slot->row = row;
	apd_batch_put_run(&slot->batch, row);
	bench->storage->ops->commit(bench->storage, &slot->batch);
}

static void done(struct apd_batch *batch, int result)
{
	struct slot *slot = apd_container_of(batch, struct slot, batch);
	struct bench *bench = slot->bench;

	if (result < 0) {
		fprintf(stderr, "commit: %s\n", strerror(-result));
		exit(1);
	}
	apd_batch_finish(batch);
	if (++slot->puts == bench->puts) {
		apd_run_row_unref(slot->row);
		slot->row = NULL;
		slot->puts = 0;
		bench->ended++;
	}
	if (slot->row || bench->started < bench->runs)
		send(slot);
}

static void run_all(struct bench *bench, struct slot *slots, unsigned long group)
{
	for (unsigned long i = 0; i < group && bench->started < bench->runs; i++) {
		slots[i].bench = bench;
		slots[i].batch.done = done;
		send(&slots[i]);
	}
	while (bench->ended < bench->runs) {
		pthread_mutex_lock(&bench->mutex);
		while (!bench->woken)
			pthread_cond_wait(&bench->cond, &bench->mutex);
		bench->woken = false;
		pthread_mutex_unlock(&bench->mutex);
		apd_mailbox_drain(&bench->mailbox);
	}
}

/* Reads runs by id, and says how many a second. */
static void read_some(struct bench *bench)
{
	const unsigned long n = 100000;
	int64_t start = apd_clock_mono_ns();

	for (unsigned long i = 0; i < n; i++) {
		struct apd_run_row *row;
		const struct apd_id *id = &bench->ids[apd_id_random(&bench->gen) % bench->runs];

		if (apd_sqlite_get_run(bench->storage, id, true, &row) < 0) {
			fprintf(stderr, "a run is missing\n");
			exit(1);
		}
		apd_run_row_unref(row);
	}
	printf("read: %.0f runs/s\n", (double)n * 1e9 / (double)(apd_clock_mono_ns() - start));
}

static void report(struct bench *bench, int64_t start_ns, double cpu_s)
{
	double seconds = (double)(apd_clock_mono_ns() - start_ns) / 1e9;
	struct apd_storage_stats stats;

	apd_sqlite_stats(bench->storage, &stats);
	printf("write: %.0f runs/s, %.0f puts/s, %.1f us CPU a run, %.1f batches a commit, WAL "
	       "%.0f MiB\n",
		(double)bench->runs / seconds, (double)stats.batches / seconds,
		cpu_s * 1e6 / (double)bench->runs, (double)stats.batches / (double)stats.commits,
		(double)stats.wal_bytes / (1 << 20));
}

/* Opens the storage in a new directory, whose name it leaves in `dir`. */
static void open_storage(struct bench *bench, char *dir, bool full)
{
	struct apd_sqlite_config config = {
		.full = full,
		.reader_threads = 1,
		.read_budget_ms = 250,
		.mailbox = &bench->mailbox,
	};
	struct apd_buf error = {0};

	pthread_mutex_init(&bench->mutex, NULL);
	pthread_cond_init(&bench->cond, NULL);
	apd_mailbox_init(&bench->mailbox, wake, bench);
	apd_id_gen_init_random(&bench->gen);
	config.dir = mkdtemp(dir);
	if (!config.dir || apd_sqlite_open(&config, &bench->storage, &error) < 0) {
		fprintf(stderr, "%s: %s\n", dir, error.data ? error.data : strerror(errno));
		exit(1);
	}
	apd_buf_finish(&error);
}

static void close_storage(struct bench *bench, const char *dir)
{
	struct apd_buf path = {0};

	apd_sqlite_close(bench->storage);
	apd_buf_addf(&path, "%s/apd.db", dir);
	unlink(path.data);
	apd_buf_clear(&path);
	apd_buf_addf(&path, "%s/lock", dir);
	unlink(path.data);
	rmdir(dir);
	apd_buf_finish(&path);
}

/* The n-th argument as a number of at least 1. */
static unsigned long number(int argc, char **argv, int n, unsigned long otherwise)
{
	unsigned long value = argc > n ? strtoul(argv[n], NULL, 10) : otherwise;

	return value ? value : 1;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/apd-bench-XXXXXX";
	unsigned long group = number(argc, argv, 2, 64);
	struct bench bench = {
		.runs = number(argc, argv, 1, 200000),
		.puts = (unsigned)number(argc, argv, 4, 1),
		.size = number(argc, argv, 5, 200),
	};
	struct slot *slots = apd_calloc(group, sizeof(*slots));
	int64_t start;

	bench.ids = apd_calloc(bench.runs, sizeof(*bench.ids));
	open_storage(&bench, dir, argc <= 3 || strcmp(argv[3], "full") == 0);
	start = apd_clock_mono_ns();
	run_all(&bench, slots, group);
	report(&bench, start, (double)clock() / CLOCKS_PER_SEC);
	read_some(&bench);
	close_storage(&bench, dir);
	free(bench.ids);
	free(slots);
	return 0;
}
