/*
 * What threads cost in the SQLite engine:
 *
 *   storage_threads turns [TURNS [BYTES]]   a conversation: the file's size, and
 *                                           reading the newest state on the way
 *   storage_threads search [THREADS]        finding one thread among many by its metadata
 *   storage_threads runs [RUNS [CLIENTS]]   runs on threads, as the runtime writes them
 *
 * A turn is what a run writes: {run, checkpoint of its input}, {checkpoint of its
 * answer}, {run}. BYTES is the length of each of its two messages.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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
	bool searched;
	int result;
	struct apd_id_gen gen;
	size_t size;
	unsigned long todo; /* turns, threads */
	unsigned long started;
	unsigned long done;
	char dir[32];
};

/* One client, with what it knows of its thread. */
struct client {
	struct apd_batch batch;
	struct bench *bench;
	struct apd_id thread;
	struct apd_id head;
	bool has_head;
	int64_t step;
	struct apd_state *state;
	size_t chain;
	struct apd_run_row *run;
	unsigned stage;
	unsigned long message;
};

static void wake(void *data)
{
	struct bench *bench = data;

	pthread_mutex_lock(&bench->mutex);
	bench->woken = true;
	pthread_cond_signal(&bench->cond);
	pthread_mutex_unlock(&bench->mutex);
}

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-r));
	exit(1);
}

static void wait_for(struct bench *bench, const unsigned long *count, unsigned long until)
{
	while (*count < until) {
		pthread_mutex_lock(&bench->mutex);
		while (!bench->woken)
			pthread_cond_wait(&bench->cond, &bench->mutex);
		bench->woken = false;
		pthread_mutex_unlock(&bench->mutex);
		apd_mailbox_drain(&bench->mailbox);
	}
}

/* Adds a message of the bench's size. */
static void add_message(struct apd_buf *out, struct client *client, const char *role)
{
	size_t size = client->bench->size;

	apd_buf_addf(
		out, "{\"id\":\"m%lu\",\"role\":\"%s\",\"content\":\"", client->message++, role);
	memset(apd_buf_reserve(out, size), 'x', size);
	out->len += size;
	apd_buf_lit(out, "\"}");
}

/* Adds the checkpoint of a patch to the batch, a whole one where that is due. */
static void add_checkpoint(struct client *client, struct apd_buf *patch)
{
	int64_t now_us = apd_clock_wall_us();
	struct apd_json json = {0};
	struct apd_checkpoint_row *row;
	struct apd_state *next;
	bool whole;

	must(apd_json_scan(&json, apd_buf_str(patch)), "scan");
	must(apd_state_apply(
		     client->state, &(struct apd_state_change){.patch = &json}, &next, NULL),
		"apply");
	apd_json_finish(&json);
	apd_state_unref(client->state);
	client->state = next;
	whole = apd_checkpoint_should_be_whole(client->chain + patch->len, next);
	if (whole) {
		apd_buf_clear(patch);
		apd_state_add_json(patch, next);
	}
	row = apd_checkpoint_row_create(apd_text_of(patch), NULL);
	row->thread_id = client->thread;
	row->checkpoint_id = apd_id_next(&client->bench->gen, now_us);
	row->has_parent = client->has_head;
	row->parent_id = client->head;
	row->has_run = true;
	row->run_id = client->run->run_id;
	row->step = client->step++;
	row->source = client->stage ? APD_SOURCE_LOOP : APD_SOURCE_INPUT;
	row->created_us = now_us;
	row->whole = whole;
	row->patch = apd_text_str(row->text);
	client->head = row->checkpoint_id;
	client->has_head = true;
	client->chain = apd_checkpoint_weight(row) + (whole ? 0 : client->chain);
	apd_batch_put_checkpoint(&client->batch, row);
	apd_checkpoint_row_unref(row);
	apd_buf_finish(patch);
}

/* Adds the run to the batch as it is at this stage. */
static void add_run(struct client *client, const char *message)
{
	int64_t now_us = apd_clock_wall_us();
	struct apd_run_row *row;

	if (client->stage == 0) {
		struct apd_buf request = {0};

		apd_buf_addf(&request, "{\"agent_id\":\"echo\",\"messages\":[%s],\"metadata\":{}}",
			message);
		row = apd_run_row_create(apd_text_of(&request), NULL);
		row->run_id = apd_id_next(&client->bench->gen, now_us);
		row->created_us = row->started_us = now_us;
		apd_buf_finish(&request);
	} else {
		row = apd_run_row_create(apd_text_ref(client->run->request_text), NULL);
		row->run_id = client->run->run_id;
		row->created_us = row->started_us = client->run->created_us;
		row->ended_us = now_us;
		row->status = APD_RUN_SUCCESS;
		row->at_checkpoint = true;
		row->checkpoint_id = client->head;
	}
	row->thread_id = client->thread;
	row->updated_us = now_us;
	row->attempt = 1;
	row->request = apd_text_str(row->request_text);
	row->agent_id = (struct apd_str){row->request.ptr + strlen("{\"agent_id\":\""), 4};
	row->metadata = APD_STR("{}");
	apd_batch_put_run(&client->batch, row);
	apd_run_row_unref(client->run);
	client->run = row;
}

/* Sends the batch of the client's stage. Without a size, values are all that there is. */
static void send_stage(struct client *client)
{
	struct bench *bench = client->bench;
	struct apd_buf patch = {0};

	switch (client->stage) {
	case 0:
		if (bench->size == 0) {
			add_run(client, "");
			apd_buf_lit(&patch, "{}");
			add_checkpoint(client, &patch);
			break;
		}
		apd_buf_lit(&patch, "{\"messages\":[");
		add_message(&patch, client, "user");
		add_run(client, patch.data + strlen("{\"messages\":["));
		apd_buf_lit(&patch, "]}");
		add_checkpoint(client, &patch);
		break;
	case 1:
		apd_buf_addf(&patch, "{\"turn\":%lld", (long long)client->step / 2);
		if (bench->size) {
			apd_buf_lit(&patch, ",\"messages\":[");
			add_message(&patch, client, "assistant");
			apd_buf_lit(&patch, "]");
		}
		apd_buf_lit(&patch, "}");
		add_checkpoint(client, &patch);
		break;
	default:
		add_run(client, NULL);
	}
	bench->storage->ops->commit(bench->storage, &client->batch);
}

/* A stage is durable: the next one, or the next turn. */
static void stage_done(struct apd_batch *batch, int result)
{
	struct client *client = apd_container_of(batch, struct client, batch);
	struct bench *bench = client->bench;

	must(result, "commit");
	apd_batch_finish(batch);
	if (++client->stage == 3) {
		client->stage = 0;
		bench->done++;
		if (bench->started == bench->todo)
			return;
		bench->started++;
	}
	send_stage(client);
}

/* Makes a client's thread, and waits for nothing. */
static void make_thread(struct client *client)
{
	int64_t now_us = apd_clock_wall_us();
	struct apd_thread_row *row;

	client->thread = apd_id_next(&client->bench->gen, now_us);
	client->state = apd_state_empty();
	row = apd_thread_row_create(&(struct apd_thread_row){
		.thread_id = client->thread, .created_us = now_us, .updated_us = now_us});
	apd_batch_put_thread(&client->batch, row);
	apd_thread_row_unref(row);
}

static void start(struct bench *bench, struct client *client)
{
	client->bench = bench;
	client->batch.done = stage_done;
	make_thread(client);
	bench->started++;
	send_stage(client);
}

static void client_finish(struct client *client)
{
	apd_run_row_unref(client->run);
	apd_state_unref(client->state);
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* What this thread has computed so far: unlike the time, nothing beside it counts. */
static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * APD_NS_PER_S + t.tv_nsec;
}

/* The median cost of reading a thread, in microseconds; its state's size. */
static double read_us(struct bench *bench, const struct apd_id *thread, size_t *ret_bytes)
{
	int64_t times[21];

	for (size_t i = 0; i < APD_COUNT(times); i++) {
		struct apd_thread_view view;
		int64_t began = cpu_ns();

		must(bench->storage->ops->get_thread(bench->storage, thread, &view), "read");
		times[i] = cpu_ns() - began;
		*ret_bytes = view.state->bytes;
		apd_thread_view_finish(&view);
	}
	qsort(times, APD_COUNT(times), sizeof(times[0]), compare);
	return (double)times[APD_COUNT(times) / 2] / 1e3;
}

static void open_storage(struct bench *bench)
{
	struct apd_sqlite_config config = {
		.full = true,
		.reader_threads = 1,
		.read_budget_ms = 250,
		.mailbox = &bench->mailbox,
	};
	struct apd_buf error = {0};

	pthread_mutex_init(&bench->mutex, NULL);
	pthread_cond_init(&bench->cond, NULL);
	apd_mailbox_init(&bench->mailbox, wake, bench);
	apd_id_gen_init_random(&bench->gen);
	strcpy(bench->dir, "/tmp/apd-bench-XXXXXX");
	config.dir = mkdtemp(bench->dir);
	if (!config.dir || apd_sqlite_open(&config, &bench->storage, &error) < 0) {
		fprintf(stderr, "%s: %s\n", bench->dir, error.data ? error.data : strerror(errno));
		exit(1);
	}
	apd_buf_finish(&error);
}

/* Closes and removes all; the bytes of the database. */
static double close_storage(struct bench *bench)
{
	struct apd_buf path = {0};
	struct stat st = {0};

	apd_sqlite_close(bench->storage);
	apd_buf_addf(&path, "%s/apd.db", bench->dir);
	stat(path.data, &st);
	unlink(path.data);
	apd_buf_clear(&path);
	apd_buf_addf(&path, "%s/lock", bench->dir);
	unlink(path.data);
	rmdir(bench->dir);
	apd_buf_finish(&path);
	return (double)st.st_size;
}

/* A long conversation on one thread. */
static void turns(struct bench *bench, unsigned long n)
{
	static const unsigned long stops[] = {10, 100, 1000, 10000};
	struct client client = {0};
	double messages, file;

	open_storage(bench);
	start(bench, &client);
	for (size_t i = 0; i <= APD_COUNT(stops); i++) {
		unsigned long until = i < APD_COUNT(stops) && stops[i] < n ? stops[i] : n;
		size_t bytes = 0;
		double us;

		bench->todo = until;
		if (bench->started < until && bench->done == bench->started) {
			bench->started++;
			send_stage(&client);
		}
		wait_for(bench, &bench->done, until);
		us = read_us(bench, &client.thread, &bytes);
		printf("turn %lu: the state is %.1f KiB, read in %.0f us of CPU, %.2f us a KiB\n",
			until, (double)bytes / 1024, us, us * 1024 / (double)bytes);
		if (until == n)
			break;
	}
	messages = (double)client.state->bytes;
	client_finish(&client);
	file = close_storage(bench);
	printf("the file is %.2f times the %.1f MiB of the messages\n", file / messages,
		messages / (1 << 20));
}

/* What the thread of a name has computed so far, in seconds. */
static double thread_cpu(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned long long ns = 0;

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[300], comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%31s", comm) != 1)
			comm[0] = '\0';
		fclose(file);
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", entry->d_name);
		file = strcmp(comm, name) == 0 ? fopen(path, "r") : NULL;
		if (!file)
			continue;
		if (fscanf(file, "%llu", &ns) != 1)
			ns = 0;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return (double)ns / 1e9;
}

/* Many runs on the threads of some clients. */
static void runs(struct bench *bench, unsigned long n, unsigned long n_clients)
{
	struct client *clients = apd_calloc(n_clients, sizeof(*clients));
	struct apd_storage_stats stats;
	double seconds;
	int64_t began;

	open_storage(bench);
	began = apd_clock_mono_ns();
	bench->todo = n;
	for (unsigned long i = 0; i < n_clients && bench->started < n; i++)
		start(bench, &clients[i]);
	wait_for(bench, &bench->done, n);
	seconds = (double)(apd_clock_mono_ns() - began) / 1e9;
	bench->storage->ops->stats(bench->storage, &stats);
	printf("%.0f runs/s, %.1f batches a commit, %.1f us CPU a run of the writer, %.1f of the "
	       "checkpointer\n",
		(double)n / seconds, (double)stats.batches / (double)stats.commits,
		thread_cpu("apd-writer") * 1e6 / (double)n,
		thread_cpu("apd-checkpoint") * 1e6 / (double)n);
	for (unsigned long i = 0; i < n_clients; i++)
		client_finish(&clients[i]);
	free(clients);
	close_storage(bench);
}

static void threads_done(struct apd_batch *batch, int result)
{
	struct client *client = apd_container_of(batch, struct client, batch);

	must(result, "commit");
	client->bench->done += batch->n_ops;
	apd_batch_finish(batch);
}

/* Adds the k-th thread to a batch: one of a thousand tenants, and a user of its own. */
static void add_thread(struct bench *bench, struct apd_batch *batch, unsigned long k)
{
	int64_t now_us = apd_clock_wall_us();
	struct apd_buf metadata = {0};
	struct apd_thread_row *row;

	apd_buf_addf(
		&metadata, "{\"user\":\"u-%lu\",\"tenant\":%lu,\"kind\":\"chat\"}", k, k % 1000);
	row = apd_thread_row_create(
		&(struct apd_thread_row){.thread_id = apd_id_next(&bench->gen, now_us),
			.created_us = now_us,
			.updated_us = now_us,
			.metadata = apd_buf_str(&metadata)});
	apd_batch_put_thread(batch, row);
	apd_thread_row_unref(row);
	apd_buf_finish(&metadata);
}

/* Makes many threads. */
static void fill(struct bench *bench, unsigned long n)
{
	enum { GROUP = 512 };
	static struct client groups[GROUP];

	while (bench->started < n) {
		for (size_t i = 0; i < GROUP && bench->started < n; i++) {
			struct apd_batch *batch = &groups[i].batch;

			groups[i].bench = bench;
			batch->done = threads_done;
			while (batch->n_ops < APD_BATCH_OPS && bench->started < n)
				add_thread(bench, batch, bench->started++);
			bench->storage->ops->commit(bench->storage, batch);
		}
		wait_for(bench, &bench->done, bench->started);
	}
}

/* A search, and whom to tell. */
struct finder {
	struct apd_thread_search search;
	struct bench *bench;
};

static void searched(struct apd_thread_search *search, int result)
{
	struct bench *bench = apd_container_of(search, struct finder, search)->bench;

	pthread_mutex_lock(&bench->mutex);
	bench->searched = true;
	bench->result = result;
	pthread_cond_broadcast(&bench->cond);
	pthread_mutex_unlock(&bench->mutex);
}

/* Searches once; how long it took. */
static int64_t search_once(struct bench *bench, const char *filter, size_t expected)
{
	struct finder finder = {
		.search = {.query = {.status = -1, .metadata = apd_str(filter), .limit = 10},
			.done = searched},
		.bench = bench};
	int64_t began = apd_clock_mono_ns();
	int64_t took;

	bench->searched = false;
	bench->storage->ops->search_threads(bench->storage, &finder.search);
	pthread_mutex_lock(&bench->mutex);
	while (!bench->searched)
		pthread_cond_wait(&bench->cond, &bench->mutex);
	pthread_mutex_unlock(&bench->mutex);
	took = apd_clock_mono_ns() - began;
	must(bench->result, "search");
	if (finder.search.n_views != expected) {
		fprintf(stderr, "%s: %zu found, not %zu\n", filter, finder.search.n_views,
			expected);
		exit(1);
	}
	for (size_t i = 0; i < expected; i++)
		apd_thread_view_finish(&finder.search.views[i]);
	free(finder.search.views);
	return took;
}

/* The median of searches with a filter that names one of so many. */
static void search_many(
	struct bench *bench, const char *what, const char *format, unsigned long n, size_t expected)
{
	int64_t times[501];
	char filter[96];

	for (size_t i = 0; i < APD_COUNT(times); i++) {
		snprintf(filter, sizeof(filter), format, apd_id_random(&bench->gen) % n);
		times[i] = search_once(bench, filter, expected);
	}
	qsort(times, APD_COUNT(times), sizeof(times[0]), compare);
	printf("%s: %.0f us\n", what, (double)times[APD_COUNT(times) / 2] / 1e3);
}

static void search(struct bench *bench, unsigned long n)
{
	int64_t began;

	open_storage(bench);
	began = apd_clock_mono_ns();
	fill(bench, n);
	printf("%lu threads, %.1f s\n", n, (double)(apd_clock_mono_ns() - began) / 1e9);
	search_many(bench, "one of all by its user", "{\"user\":\"u-%lu\"}", n, 1);
	search_many(bench, "none", "{\"user\":\"v-%lu\"}", n, 0);
	search_many(bench, "one by user and kind", "{\"kind\":\"chat\",\"user\":\"u-%lu\"}", n, 1);
	search_many(
		bench, "ten of a tenant", "{\"tenant\":%lu}", 1000, n / 1000 > 10 ? 10 : n / 1000);
	search_many(bench, "the ten newest", "{\"kind\":\"chat\"}", 1, 10);
	printf("the file has %.0f bytes a thread\n", close_storage(bench) / (double)n);
}

/* The n-th argument as a number of at least 1. */
static unsigned long number(int argc, char **argv, int n, unsigned long otherwise)
{
	unsigned long value = argc > n ? strtoul(argv[n], NULL, 10) : otherwise;

	return value ? value : 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct bench bench = {.size = number(argc, argv, 3, 1024)};

	if (strcmp(what, "turns") == 0) {
		turns(&bench, number(argc, argv, 2, 1000));
	} else if (strcmp(what, "search") == 0) {
		search(&bench, number(argc, argv, 2, 1000));
	} else if (strcmp(what, "runs") == 0) {
		bench.size = 0;
		runs(&bench, number(argc, argv, 2, 20000), number(argc, argv, 3, 64));
	} else {
		fprintf(stderr, "usage: storage_threads turns|search|runs [NUMBER [NUMBER]]\n");
		return 2;
	}
	return 0;
}
