/*
 * Delivers the outbox: a thread of its own with libcurl's multi interface. What
 * is delivered comes from storage; what became of it goes back there. The
 * runtime only says that there is something new.
 */
#ifndef APD_WEBHOOK_WEBHOOK_H
#define APD_WEBHOOK_WEBHOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mailbox.h"
#include "storage/storage.h"

struct apd_webhook;

struct apd_webhook_config {
	const char
		*secret; /* "whsec_" and base64, or other text taken as it stands; NULL: unsigned */
	bool allow_private; /* loopback, private, link-local and shared addresses are allowed */
	const char *const *
		allow; /* networks "10.0.0.0/8" that are allowed whatever they are; NULL-terminated */
	const char *ca_file; /* certificates to trust; NULL: the system's */
	unsigned max_in_flight; /* requests at once, in all */
	unsigned max_per_host; /* requests at once to one host and port */
	int64_t timeout_ns; /* of one attempt */
	int64_t give_up_ns; /* after the run's end: a day */
	int64_t retry_ns; /* the first delay; doubles with jitter to at most an hour */
};

struct apd_webhook_deps {
	struct apd_storage *storage;
	struct apd_mailbox *runtime_mailbox; /* changes of the outbox are committed there */
};

/* Starts the thread; config is copied. NULL with a sentence in error. */
struct apd_webhook *apd_webhook_create(const struct apd_webhook_config *config,
	const struct apd_webhook_deps *deps, struct apd_buf *error);

/* There is something new in the outbox; harmless after stop(). [any] */
void apd_webhook_poke(struct apd_webhook *webhook);

/*
 * Ends the thread and breaks off what is under way, which is tried again in the
 * next life; takes some milliseconds. Tasks of it may still lie in the runtime's
 * mailbox: drain that while storage is open. NULL and a second call are fine.
 * [the runtime's thread]
 */
void apd_webhook_stop(struct apd_webhook *webhook);

/*
 * Stops it and frees it. Storage must have called done() for all that it was
 * given, and the runtime's mailbox must be drained; NULL is fine. [the runtime's thread]
 */
void apd_webhook_destroy(struct apd_webhook *webhook);

/* Numbers for /metrics, since the start. */
struct apd_webhook_stats {
	uint64_t delivered;
	uint64_t failed_attempts;
	uint64_t given_up;
	uint64_t in_flight; /* now */
};

/* Zeros for NULL. [any] */
void apd_webhook_stats(const struct apd_webhook *webhook, struct apd_webhook_stats *ret_stats);

#endif
