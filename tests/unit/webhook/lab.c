/* The outbox in memory, and the runtime's part. */
#include "lab.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

#define PATIENCE_NS (60 * APD_NS_PER_S)

static int find(const struct lab *lab, const struct apd_id *id)
{
	for (unsigned i = 0; i < lab->n_rows; i++)
		if (apd_id_eq(&lab->rows[i]->id, id))
			return (int)i;
	return -1;
}

static void apply(struct lab *lab, const struct apd_op *op)
{
	int at = find(lab, op->type == APD_OP_OUTBOX_PUT ? &op->outbox->id : &op->id);

	if (op->type == APD_OP_OUTBOX_DELETE) {
		lab->deletes++;
		assert_true(at >= 0);
		apd_outbox_row_unref(lab->rows[at]);
		lab->rows[at] = lab->rows[--lab->n_rows];
		return;
	}
	assert_int_equal(op->type, APD_OP_OUTBOX_PUT);
	lab->puts++;
	assert_true(at >= 0);
	apd_outbox_row_unref(lab->rows[at]);
	lab->rows[at] = apd_outbox_row_ref(op->outbox);
}

static void commit(struct apd_storage *storage, struct apd_batch *batch)
{
	struct lab *lab = (struct lab *)storage;
	bool refused;

	pthread_mutex_lock(&lab->mutex);
	refused = lab->refuse > 0;
	if (refused)
		lab->refuse--;
	for (uint32_t i = 0; !refused && i < batch->n_ops; i++)
		apply(lab, &batch->ops[i]);
	pthread_mutex_unlock(&lab->mutex);
	batch->done(batch, refused ? -ENOSPC : 0);
}

static int by_due(const void *a, const void *b)
{
	const struct apd_outbox_row *x = *(struct apd_outbox_row *const *)a;
	const struct apd_outbox_row *y = *(struct apd_outbox_row *const *)b;

	if (x->next_us != y->next_us)
		return x->next_us < y->next_us ? -1 : 1;
	return memcmp(&x->id, &y->id, sizeof(x->id));
}

static int read_outbox(struct apd_storage *storage, int64_t now_us, uint32_t limit,
	struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us)
{
	struct lab *lab = (struct lab *)storage;
	size_t n = 0;

	pthread_mutex_lock(&lab->mutex);
	if (lab->unreadable > 0) {
		lab->unreadable--;
		pthread_mutex_unlock(&lab->mutex);
		return -EIO;
	}
	qsort((void *)lab->rows, lab->n_rows, sizeof(*lab->rows), by_due);
	*ret_rows = apd_calloc(limit, sizeof(**ret_rows));
	while (n < limit && n < lab->n_rows && lab->rows[n]->next_us <= now_us) {
		(*ret_rows)[n] = apd_outbox_row_ref(lab->rows[n]);
		n++;
	}
	*ret_n = n;
	*ret_next_us = n < lab->n_rows ? lab->rows[n]->next_us : INT64_MAX;
	pthread_mutex_unlock(&lab->mutex);
	return 0;
}

static const struct apd_storage_ops ops = {.commit = commit, .read_outbox = read_outbox};

static void wake(void *data)
{
	struct lab *lab = data;
	uint64_t one = 1;

	if (write(lab->wake_fd, &one, sizeof(one)) < 0)
		abort();
}

int lab_setup(void **state)
{
	struct lab *lab = apd_calloc(1, sizeof(*lab));

	lab->storage.ops = &ops;
	pthread_mutex_init(&lab->mutex, NULL);
	lab->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	apd_mailbox_init(&lab->mailbox, wake, lab);
	apd_id_gen_init(&lab->gen, 1);
	lab->config = (struct apd_webhook_config){
		.secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		.allow_private = true,
		.max_in_flight = 64,
		.max_per_host = 8,
		.timeout_ns = 60 * APD_NS_PER_S,
		.give_up_ns = 86400 * APD_NS_PER_S,
		.retry_ns = 10 * APD_NS_PER_MS,
	};
	lab->receiver = receiver_create("127.0.0.1", 0);
	*state = lab;
	return 0;
}

void lab_start(struct lab *lab)
{
	struct apd_webhook_deps deps = {&lab->storage, &lab->mailbox};
	struct apd_buf error = {0};

	lab->webhook = apd_webhook_create(&lab->config, &deps, &error);
	if (!lab->webhook)
		fail_msg("%s", error.data);
}

void lab_stop(struct lab *lab)
{
	int64_t before = apd_clock_mono_ns();

	apd_webhook_stop(lab->webhook);
	assert_true(apd_clock_mono_ns() - before < APD_NS_PER_S);
	while (apd_mailbox_drain(&lab->mailbox))
		;
	apd_webhook_poke(lab->webhook);
	apd_webhook_destroy(lab->webhook);
	lab->webhook = NULL;
}

int lab_teardown(void **state)
{
	struct lab *lab = *state;

	if (lab->webhook)
		lab_stop(lab);
	receiver_destroy(lab->receiver);
	for (unsigned i = 0; i < lab->n_rows; i++)
		apd_outbox_row_unref(lab->rows[i]);
	close(lab->wake_fd);
	pthread_mutex_destroy(&lab->mutex);
	free(lab);
	return 0;
}

/* Adds a row that is due. */
static struct apd_id put(
	struct lab *lab, const char *url, const char *body, int64_t age_us, uint32_t attempts)
{
	struct apd_buf text = {0};
	struct apd_outbox_row *row;
	size_t url_len;
	struct apd_id id;

	if (url[0] == '/')
		apd_buf_addf(&text, "http://127.0.0.1:%u", receiver_port(lab->receiver));
	apd_buf_add_cstr(&text, url);
	url_len = text.len;
	apd_buf_add_cstr(&text, body);
	row = apd_outbox_row_create(apd_text_of(&text));
	apd_buf_finish(&text);
	row->url = (struct apd_str){row->text->data, url_len};
	row->body = (struct apd_str){row->text->data + url_len, row->text->len - url_len};
	row->created_us = apd_clock_wall_us() - age_us;
	row->next_us = row->created_us;
	row->attempts = attempts;
	row->id = id = apd_id_next(&lab->gen, row->created_us);
	row->run_id = apd_id_next(&lab->gen, row->created_us);
	pthread_mutex_lock(&lab->mutex);
	assert_true(lab->n_rows < LAB_ROWS);
	lab->rows[lab->n_rows++] = row;
	pthread_mutex_unlock(&lab->mutex);
	if (lab->webhook)
		apd_webhook_poke(lab->webhook);
	return id;
}

struct apd_id lab_put(struct lab *lab, const char *url, const char *body)
{
	return put(lab, url, body, 0, 0);
}

struct apd_id lab_put_old(struct lab *lab, const char *url, int64_t age_us, uint32_t attempts)
{
	return put(lab, url, "{}", age_us, attempts);
}

struct apd_outbox_row *lab_row(struct lab *lab, const struct apd_id *id)
{
	struct apd_outbox_row *row = NULL;
	int at;

	pthread_mutex_lock(&lab->mutex);
	at = find(lab, id);
	if (at >= 0)
		row = apd_outbox_row_ref(lab->rows[at]);
	pthread_mutex_unlock(&lab->mutex);
	return row;
}

unsigned lab_rows(struct lab *lab)
{
	unsigned n;

	pthread_mutex_lock(&lab->mutex);
	n = lab->n_rows;
	pthread_mutex_unlock(&lab->mutex);
	return n;
}

void lab_until(struct lab *lab, bool (*holds)(struct lab *lab, const void *data), const void *data,
	const char *what)
{
	int64_t end = apd_clock_mono_ns() + PATIENCE_NS;
	struct pollfd fd = {lab->wake_fd, POLLIN, 0};
	uint64_t count;

	for (;;) {
		apd_mailbox_drain(&lab->mailbox);
		if (holds(lab, data))
			return;
		if (apd_clock_mono_ns() > end)
			fail_msg("%s did not come true", what);
		/* The time-out is for what happens at the receiver, which wakes nobody. */
		if (poll(&fd, 1, 5) > 0 && read(lab->wake_fd, &count, sizeof(count)) < 0)
			abort();
	}
}

static bool has_rows(struct lab *lab, const void *data)
{
	return lab_rows(lab) == *(const unsigned *)data;
}

void lab_until_rows(struct lab *lab, unsigned n)
{
	lab_until(lab, has_rows, &n, "the number of rows");
}

struct wish {
	const struct apd_id *id;
	const char *path;
	unsigned n;
};

static bool has_attempts(struct lab *lab, const void *data)
{
	const struct wish *wish = data;
	struct apd_outbox_row *row = lab_row(lab, wish->id);
	bool holds = row && row->attempts >= wish->n;

	apd_outbox_row_unref(row);
	return holds;
}

void lab_until_attempts(struct lab *lab, const struct apd_id *id, uint32_t attempts)
{
	struct wish wish = {id, NULL, attempts};

	lab_until(lab, has_attempts, &wish, "the number of attempts");
}

static bool has_count(struct lab *lab, const void *data)
{
	const struct wish *wish = data;

	return receiver_count(lab->receiver, wish->path) >= wish->n;
}

void lab_until_count(struct lab *lab, const char *path, unsigned n)
{
	struct wish wish = {NULL, path, n};

	lab_until(lab, has_count, &wish, path);
}

struct apd_webhook_stats lab_stats(const struct lab *lab)
{
	struct apd_webhook_stats stats;

	apd_webhook_stats(lab->webhook, &stats);
	return stats;
}

static int log_fd = -1, kept_fd = -1;

void lab_log_begin(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	kept_fd = dup(STDERR_FILENO);
	dup2(log_fd, STDERR_FILENO);
}

char *lab_log_end(void)
{
	struct apd_buf text = {0};
	ssize_t n;

	dup2(kept_fd, STDERR_FILENO);
	close(kept_fd);
	lseek(log_fd, 0, SEEK_SET);
	while ((n = read(log_fd, apd_buf_reserve(&text, 4096), 4096)) > 0)
		text.len += (size_t)n;
	close(log_fd);
	apd_buf_add_char(&text, '\0');
	return apd_buf_steal(&text);
}
