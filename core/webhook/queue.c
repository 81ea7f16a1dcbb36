/* From the outbox to attempts, and from their ends to what becomes of the rows. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "webhook/backoff.h"
#include "webhook/internal.h"

/* Rows that are read at once, beside those that are taken and still there. */
#define READ_ROWS 32

/* No more is read while so many wait for their hosts, or for storage. */
#define WAITING_MAX  32
#define SETTLING_MAX 256

/* After a failure of storage it is read again so much later. */
#define READ_AGAIN_NS (1 * APD_NS_PER_S)

/* Says that a webhook will not be delivered. */
static void log_given_up(const struct delivery *delivery, uint32_t attempts, struct apd_str why)
{
	char run_id[APD_ID_TEXT + 1];
	struct apd_buf url = {0};

	apd_id_format(&delivery->row->run_id, run_id);
	apd_target_add_text(&url, delivery->row->url);
	apd_log(APD_LOG_WARN, "webhook", "run %s: gave up %s after %u attempt%s: %.*s", run_id,
		url.data, attempts, attempts == 1 ? "" : "s", APD_STR_FMT(why));
	apd_buf_finish(&url);
}

static void give_up(struct delivery *delivery, uint32_t attempts, struct apd_str why)
{
	atomic_fetch_add_explicit(&delivery->webhook->given_up, 1, memory_order_relaxed);
	log_given_up(delivery, attempts, why);
	webhook_settle_remove(delivery);
}

/* Decides what becomes of a row after an attempt. */
static void conclude(struct delivery *delivery, const struct outcome *outcome)
{
	struct apd_webhook *webhook = delivery->webhook;
	uint32_t attempts = delivery->row->attempts + 1;
	int64_t next, last;

	if (outcome->delivered) {
		atomic_fetch_add_explicit(&webhook->delivered, 1, memory_order_relaxed);
		webhook_settle_remove(delivery);
		return;
	}
	atomic_fetch_add_explicit(&webhook->failed, 1, memory_order_relaxed);
	next = apd_clock_wall_us() +
		apd_backoff_us(webhook->config.retry_ns / APD_NS_PER_US, attempts, outcome->wish_us,
			apd_id_random(&webhook->gen));
	if (__builtin_add_overflow(
		    delivery->row->created_us, webhook->config.give_up_ns / APD_NS_PER_US, &last))
		last = INT64_MAX;
	if (outcome->final || next > last)
		give_up(delivery, attempts, apd_buf_str(&outcome->why));
	else
		webhook_settle_put(delivery, attempts, next);
}

static void set_flying(struct apd_webhook *webhook, unsigned n)
{
	webhook->n_flying = n;
	atomic_store_explicit(&webhook->in_flight, n, memory_order_relaxed);
}

/* Begins an attempt. */
static void begin(struct delivery *delivery)
{
	struct apd_webhook *webhook = delivery->webhook;
	struct outcome outcome = {0};

	if (webhook_attempt_begin(delivery) == 0) {
		delivery->host->flying++;
		apd_list_append(&webhook->flying, &delivery->link);
		set_flying(webhook, webhook->n_flying + 1);
		return;
	}
	apd_buf_lit(&outcome.why, "out of memory");
	delivery->host = NULL;
	conclude(delivery, &outcome);
	apd_buf_finish(&outcome.why);
}

/* Gives a delivery that cannot have its turn soon back to storage. */
static void put_off(struct delivery *delivery)
{
	int64_t next_us = webhook_host_put_off(delivery->webhook, delivery->host);

	delivery->host = NULL;
	webhook_settle_put(delivery, delivery->row->attempts, next_us);
}

/* Takes a row, whose reference becomes the delivery's. */
static void take(struct apd_webhook *webhook, struct apd_outbox_row *row)
{
	struct delivery *delivery = apd_calloc(1, sizeof(*delivery));
	struct apd_buf error = {0};

	delivery->webhook = webhook;
	delivery->row = row;
	apd_map_put(&webhook->taken, apd_id_key(&row->id), delivery);
	if (apd_target_init(&delivery->target, row->url, &error) < 0) {
		give_up(delivery, row->attempts, apd_buf_str(&error));
		apd_buf_finish(&error);
		return;
	}
	delivery->host = webhook_host_get(webhook, apd_buf_str(&delivery->target.host));
	if (webhook_host_free(webhook, delivery->host) && !delivery->host->n_waiting)
		begin(delivery);
	else if (webhook_host_room(delivery->host))
		webhook_host_enqueue(delivery);
	else
		put_off(delivery);
}

/* True if there is something to read and somewhere to put it. */
bool webhook_queue_readable(const struct apd_webhook *webhook, int64_t now_us, int64_t now_ns)
{
	return (webhook->news || webhook->due_us <= now_us) && webhook->read_ns <= now_ns &&
		webhook->n_waiting < WAITING_MAX && webhook->n_settling < SETTLING_MAX;
}

/* Takes the rows that are due, the longest due first. */
void webhook_queue_read(struct apd_webhook *webhook)
{
	struct apd_storage *storage = webhook->deps.storage;
	uint32_t limit = (uint32_t)webhook->taken.count + READ_ROWS;
	int64_t now_us = apd_clock_wall_us(), now_ns = apd_clock_mono_ns(), next_us;
	struct apd_outbox_row **rows;
	size_t n;
	int r;

	if (!webhook_queue_readable(webhook, now_us, now_ns))
		return;
	r = storage->ops->read_outbox(storage, now_us, limit, &rows, &n, &next_us);
	if (r < 0) {
		apd_log(APD_LOG_WARN, "webhook", "the outbox cannot be read: %s", strerror(-r));
		webhook->read_ns = now_ns + READ_AGAIN_NS;
		return;
	}
	webhook->news = n >= limit;
	webhook->due_us = next_us;
	for (size_t i = 0; i < n; i++) {
		if (apd_map_get(&webhook->taken, apd_id_key(&rows[i]->id)))
			apd_outbox_row_unref(rows[i]);
		else
			take(webhook, rows[i]);
	}
	free((void *)rows);
}

/* Begins what may begin, one of each host in turn. */
void webhook_queue_start(struct apd_webhook *webhook)
{
	bool some = true;

	while (some) {
		struct host *host, *next;

		some = false;
		apd_list_each_safe (host, next, &webhook->lines, line) {
			if (!webhook_host_free(webhook, host))
				continue;
			begin(webhook_host_dequeue(webhook, host));
			some = true;
		}
	}
}

/* An attempt ended with this code. */
void webhook_queue_ended(struct delivery *delivery, CURLcode code)
{
	struct apd_webhook *webhook = delivery->webhook;
	struct host *host = delivery->host;
	struct delivery *other;
	struct outcome outcome = {0};

	webhook_attempt_judge(delivery, code, &outcome);
	webhook_host_learn(
		host, apd_clock_mono_ns() - delivery->attempt.started_ns, outcome.answered);
	webhook_attempt_finish(delivery);
	apd_list_remove(&delivery->link);
	set_flying(webhook, webhook->n_flying - 1);
	host->flying--;
	delivery->host = NULL;
	while (host->failures && (other = webhook_host_dequeue(webhook, host)))
		put_off(other);
	webhook_host_forget(webhook, host);
	conclude(delivery, &outcome);
	apd_buf_finish(&outcome.why);
}

/* Drops all that storage has not been told of: the next life takes it. */
void webhook_queue_drop(struct apd_webhook *webhook)
{
	struct delivery *delivery, *next_delivery;
	struct host *host, *next_host;

	apd_list_each_safe (host, next_host, &webhook->lines, line)
		while ((delivery = webhook_host_dequeue(webhook, host)))
			webhook_delivery_destroy(delivery);
	apd_list_each_safe (delivery, next_delivery, &webhook->flying, link) {
		webhook_attempt_finish(delivery);
		apd_list_remove(&delivery->link);
		webhook_delivery_destroy(delivery);
	}
	set_flying(webhook, 0);
	apd_list_each_safe (delivery, next_delivery, &webhook->stuck, link) {
		apd_list_remove(&delivery->link);
		webhook_delivery_destroy(delivery);
	}
}

void webhook_delivery_destroy(struct delivery *delivery)
{
	apd_map_remove(&delivery->webhook->taken, apd_id_key(&delivery->row->id));
	apd_target_finish(&delivery->target);
	apd_outbox_row_unref(delivery->row);
	free(delivery);
}
