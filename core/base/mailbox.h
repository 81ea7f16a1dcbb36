/*
 * How one thread gives work to another: tasks are posted without a lock and run
 * in the order of posting by the mailbox's owner, all that wait at once. Only
 * the first task of a batch wakes the owner, and none does while the owner says
 * that it is awake and will drain before it sleeps.
 */
#ifndef APD_BASE_MAILBOX_H
#define APD_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* A piece of work; embed it in what it needs. Once run() is called the task is the callee's again. */
struct apd_task {
	struct apd_task *next;
	void (*run)(struct apd_task *task);
};

struct apd_mailbox {
	_Atomic(struct apd_task *) head;
	_Atomic bool awake;
	void (*wake)(void *data);
	void *data;
};

/* wake(data) is called on the posting thread when the owner has to come and drain. */
void apd_mailbox_init(struct apd_mailbox *mailbox, void (*wake)(void *data), void *data);

/* Posts a task. The mailbox does not own it. [any] */
void apd_mailbox_post(struct apd_mailbox *mailbox, struct apd_task *task);

/* Runs all tasks posted so far; returns how many. [the owner] */
size_t apd_mailbox_drain(struct apd_mailbox *mailbox);

/*
 * An owner that works in turns spares its posters the wake-up: it calls awake()
 * after it slept and rest() before it sleeps. Until rest() returns true it must
 * not sleep but drain again. An owner that calls neither is always woken. [the owner]
 */
void apd_mailbox_awake(struct apd_mailbox *mailbox);
bool apd_mailbox_rest(struct apd_mailbox *mailbox);

#endif
