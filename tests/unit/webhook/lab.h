/*
 * A webhook thread with an outbox in memory. The thread of the test is the
 * runtime's: it commits while it waits for something to become true.
 */
#ifndef WEBHOOK_LAB_H
#define WEBHOOK_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it */
#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "receiver.h"
#include "webhook/webhook.h"

#define LAB_ROWS 4096

struct lab {
	struct apd_storage storage; /* first: it is what the ops get */
	pthread_mutex_t mutex;
	struct apd_outbox_row *rows[LAB_ROWS];
	unsigned n_rows;
	unsigned refuse; /* so many commits fail */
	unsigned unreadable; /* so many reads fail */
	unsigned puts, deletes; /* commits that were taken */
	struct apd_mailbox mailbox;
	int wake_fd;
	struct apd_id_gen gen;
	struct apd_webhook_config config; /* allow_private, signed, generous times */
	struct apd_webhook *webhook;
	struct receiver *receiver; /* on 127.0.0.1 */
};

/* A cmocka setup: all but the thread, which lab_start() starts. And its teardown. */
int lab_setup(void **state);
int lab_teardown(void **state);

void lab_start(struct lab *lab);

/* Stops the thread as the daemon does; the rows stay. */
void lab_stop(struct lab *lab);

/* Puts a row that is due into the outbox and says so. A url that begins with "/" is the receiver's. */
struct apd_id lab_put(struct lab *lab, const char *url, const char *body);

/* The same, of a run that ended long ago. */
struct apd_id lab_put_old(struct lab *lab, const char *url, int64_t age_us, uint32_t attempts);

/* The row, a reference, or NULL. */
struct apd_outbox_row *lab_row(struct lab *lab, const struct apd_id *id);
unsigned lab_rows(struct lab *lab);

/* Works as the runtime until there are n rows with no fewer attempts than that; fails at last. */
void lab_until_rows(struct lab *lab, unsigned n);
void lab_until_attempts(struct lab *lab, const struct apd_id *id, uint32_t attempts);
void lab_until_count(struct lab *lab, const char *path, unsigned n);

/* Works as the runtime until the condition holds. */
void lab_until(struct lab *lab, bool (*holds)(struct lab *lab, const void *data), const void *data,
	const char *what);

struct apd_webhook_stats lab_stats(const struct lab *lab);

/* What is logged between the two calls. free() it. */
void lab_log_begin(void);
char *lab_log_end(void);

#endif
