/* The mailbox: nothing is lost, the order of each producer stays, few wakes. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/mailbox.h"

#define PRODUCERS 2
#define TASKS     20000

static sem_t wakes;
static _Atomic size_t wake_count;

static void on_wake(void *data)
{
	atomic_fetch_add(&wake_count, 1);
	sem_post(data);
}

struct job {
	struct apd_task task;
	int producer;
	int number;
};

static int next_number[PRODUCERS];
static int out_of_order;
static int ran;

/* Runs in the owner's thread. */
static void run_job(struct apd_task *task)
{
	struct job *job = apd_container_of(task, struct job, task);

	out_of_order += job->number != next_number[job->producer];
	next_number[job->producer] = job->number + 1;
	ran++;
	free(job);
}

struct producer {
	struct apd_mailbox *mailbox;
	int number;
};

static void *produce(void *data)
{
	const struct producer *producer = data;

	for (int i = 0; i < TASKS; i++) {
		struct job *job = apd_malloc(sizeof(*job));

		*job = (struct job){{.run = run_job}, producer->number, i};
		apd_mailbox_post(producer->mailbox, &job->task);
	}
	return NULL;
}

static void reset(struct apd_mailbox *mailbox)
{
	memset(next_number, 0, sizeof(next_number));
	out_of_order = ran = 0;
	atomic_store(&wake_count, 0);
	sem_init(&wakes, 0, 0);
	apd_mailbox_init(mailbox, on_wake, &wakes);
}

static void test_one_thread(void **state)
{
	struct apd_mailbox mailbox;
	struct producer producer = {&mailbox, 0};

	(void)state;
	reset(&mailbox);
	assert_int_equal(apd_mailbox_drain(&mailbox), 0);
	produce(&producer);
	assert_int_equal(wake_count, 1);
	assert_int_equal(ran, 0);
	assert_int_equal(apd_mailbox_drain(&mailbox), TASKS);
	assert_int_equal(ran, TASKS);
	assert_int_equal(out_of_order, 0);
	assert_int_equal(apd_mailbox_drain(&mailbox), 0);
	next_number[0] = 0;
	produce(&producer);
	assert_int_equal(wake_count, 2);
	assert_int_equal(apd_mailbox_drain(&mailbox), TASKS);
	assert_int_equal(out_of_order, 0);
	sem_destroy(&wakes);
}

/* The owner sleeps until it is woken: a wake that is missing would hang the test. */
static void test_threads(void **state)
{
	struct producer producers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	struct apd_mailbox mailbox;
	size_t batches = 0;

	(void)state;
	reset(&mailbox);
	for (int i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){&mailbox, i};
		assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
	}
	while (ran < PRODUCERS * TASKS) {
		sem_wait(&wakes);
		batches += apd_mailbox_drain(&mailbox) > 0;
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(apd_mailbox_drain(&mailbox), 0);
	assert_int_equal(ran, PRODUCERS * TASKS);
	assert_int_equal(out_of_order, 0);
	/* Each batch has one task that found the mailbox empty. */
	assert_int_equal(wake_count, batches);
	sem_destroy(&wakes);
}

/* While the owner is awake nobody wakes it; what was posted meanwhile keeps it from resting. */
static void test_awake(void **state)
{
	struct apd_mailbox mailbox;
	struct producer producer = {&mailbox, 0};

	(void)state;
	reset(&mailbox);
	apd_mailbox_awake(&mailbox);
	produce(&producer);
	assert_int_equal(wake_count, 0);
	assert_false(apd_mailbox_rest(&mailbox));
	apd_mailbox_awake(&mailbox);
	assert_int_equal(apd_mailbox_drain(&mailbox), TASKS);
	assert_true(apd_mailbox_rest(&mailbox));
	next_number[0] = 0;
	produce(&producer);
	assert_int_equal(wake_count, 1);
	assert_int_equal(apd_mailbox_drain(&mailbox), TASKS);
	sem_destroy(&wakes);
}

/* As test_threads(), by an owner that works in turns: a wake that is missing would hang the test. */
static void test_turns(void **state)
{
	struct producer producers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	struct apd_mailbox mailbox;

	(void)state;
	reset(&mailbox);
	for (int i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){&mailbox, i};
		assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
	}
	while (ran < PRODUCERS * TASKS) {
		if (apd_mailbox_rest(&mailbox))
			sem_wait(&wakes);
		apd_mailbox_awake(&mailbox);
		apd_mailbox_drain(&mailbox);
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	assert_true(apd_mailbox_rest(&mailbox));
	assert_int_equal(ran, PRODUCERS * TASKS);
	assert_int_equal(out_of_order, 0);
	sem_destroy(&wakes);
}

struct chain {
	struct apd_task task;
	struct apd_mailbox *mailbox;
	int left;
};

/* Posts itself again: once run, a task is free for that. */
static void run_chain(struct apd_task *task)
{
	struct chain *chain = apd_container_of(task, struct chain, task);

	if (chain->left-- > 0)
		apd_mailbox_post(chain->mailbox, task);
}

static void test_posting_itself(void **state)
{
	struct apd_mailbox mailbox;
	struct chain chain = {{.run = run_chain}, &mailbox, 3};

	(void)state;
	reset(&mailbox);
	apd_mailbox_post(&mailbox, &chain.task);
	for (int i = 0; i < 4; i++)
		assert_int_equal(apd_mailbox_drain(&mailbox), 1);
	assert_int_equal(apd_mailbox_drain(&mailbox), 0);
	assert_int_equal(chain.left, -1);
	assert_int_equal(wake_count, 4);
	sem_destroy(&wakes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_thread),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_awake),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_posting_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
