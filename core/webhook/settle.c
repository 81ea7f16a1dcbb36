/*
 * Telling storage what became of a delivery: a task to the runtime's thread,
 * which commits there, and back. Until storage has taken it the row counts as
 * taken, so that what was delivered is not delivered again in this life.
 */
#include "base/clock.h"
#include "webhook/internal.h"

#define AGAIN_NS (2 * APD_NS_PER_S)

/* [the webhook thread, or the runtime's once that has ended] Storage has answered. */
static void settled(struct apd_task *task)
{
	struct delivery *delivery = apd_container_of(task, struct delivery, task);
	struct apd_webhook *webhook = delivery->webhook;

	webhook->n_settling--;
	if (delivery->result < 0 && webhook->running) {
		delivery->again_ns = apd_clock_mono_ns() + AGAIN_NS;
		apd_list_append(&webhook->stuck, &delivery->link);
		return;
	}
	if (!delivery->remove && delivery->next_us < webhook->due_us)
		webhook->due_us = delivery->next_us;
	webhook_delivery_destroy(delivery);
}

/* [runtime] */
static void committed(struct apd_batch *batch, int result)
{
	struct delivery *delivery = apd_container_of(batch, struct delivery, batch);

	apd_batch_finish(batch);
	delivery->result = result;
	delivery->task.run = settled;
	apd_mailbox_post(&delivery->webhook->mailbox, &delivery->task);
}

/* A copy of the row that says when to try next. */
static struct apd_outbox_row *changed_row(const struct delivery *delivery)
{
	const struct apd_outbox_row *old = delivery->row;
	struct apd_outbox_row *row = apd_outbox_row_create(apd_text_ref(old->text));

	row->id = old->id;
	row->run_id = old->run_id;
	row->created_us = old->created_us;
	row->next_us = delivery->next_us;
	row->attempts = delivery->attempts;
	row->url = old->url;
	row->body = old->body;
	return row;
}

/* [runtime] */
static void commit(struct apd_task *task)
{
	struct delivery *delivery = apd_container_of(task, struct delivery, task);
	struct apd_storage *storage = delivery->webhook->deps.storage;

	delivery->batch = (struct apd_batch){.lazy = true, .done = committed};
	if (delivery->remove) {
		apd_batch_delete_outbox(&delivery->batch, &delivery->row->id);
	} else {
		struct apd_outbox_row *row = changed_row(delivery);

		apd_batch_put_outbox(&delivery->batch, row);
		apd_outbox_row_unref(row);
	}
	storage->ops->commit(storage, &delivery->batch);
}

static void post(struct delivery *delivery)
{
	delivery->webhook->n_settling++;
	delivery->task.run = commit;
	apd_mailbox_post(delivery->webhook->deps.runtime_mailbox, &delivery->task);
}

/* The row is done with. */
void webhook_settle_remove(struct delivery *delivery)
{
	delivery->remove = true;
	post(delivery);
}

/* The row is to be tried at another time. */
void webhook_settle_put(struct delivery *delivery, uint32_t attempts, int64_t next_us)
{
	delivery->attempts = attempts;
	delivery->next_us = next_us;
	post(delivery);
}

/* Asks storage again where it refused and some time has passed. */
void webhook_settle_again(struct apd_webhook *webhook)
{
	int64_t now = apd_clock_mono_ns();

	while (!apd_list_empty(&webhook->stuck)) {
		struct delivery *delivery = apd_list_first(&webhook->stuck, struct delivery, link);

		if (delivery->again_ns > now)
			return;
		apd_list_remove(&delivery->link);
		post(delivery);
	}
}
