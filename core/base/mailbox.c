/* The lock-free mailbox: a stack that its owner takes whole and reverses. */
#include "base/mailbox.h"

void apd_mailbox_init(struct apd_mailbox *mailbox, void (*wake)(void *data), void *data)
{
	atomic_init(&mailbox->head, NULL);
	atomic_init(&mailbox->awake, false);
	mailbox->wake = wake;
	mailbox->data = data;
}

void apd_mailbox_post(struct apd_mailbox *mailbox, struct apd_task *task)
{
	struct apd_task *head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);
	/* Once the task is in, its owner may free the mailbox's surroundings: read first. */
	void (*wake)(void *) = mailbox->wake;
	void *data = mailbox->data;

	do
		task->next = head;
	while (!atomic_compare_exchange_weak_explicit(
		&mailbox->head, &head, task, memory_order_seq_cst, memory_order_relaxed));
	if (!head && !atomic_load_explicit(&mailbox->awake, memory_order_seq_cst))
		wake(data);
}

size_t apd_mailbox_drain(struct apd_mailbox *mailbox)
{
	struct apd_task *task =
		atomic_exchange_explicit(&mailbox->head, NULL, memory_order_acquire);
	struct apd_task *first = NULL;
	size_t n = 0;

	while (task) {
		struct apd_task *next = task->next;

		task->next = first;
		first = task;
		task = next;
	}
	for (; first; n++) {
		struct apd_task *next = first->next;

		first->run(first);
		first = next;
	}
	return n;
}

void apd_mailbox_awake(struct apd_mailbox *mailbox)
{
	atomic_store_explicit(&mailbox->awake, true, memory_order_relaxed);
}

/*
 * Either the poster sees that the owner rests, or the owner sees the task: both
 * write before they read, in one order for all.
 */
bool apd_mailbox_rest(struct apd_mailbox *mailbox)
{
	atomic_store_explicit(&mailbox->awake, false, memory_order_seq_cst);
	return !atomic_load_explicit(&mailbox->head, memory_order_seq_cst);
}
