/*
 * The room's own structures. A row of the outbox that the thread has taken is a
 * delivery: it waits for its host, flies (one attempt is under way), settles
 * (storage is told what became of it), and is gone. Only the mailbox tasks that
 * settle a delivery run on the runtime's thread; all else is the thread's.
 */
#ifndef APD_WEBHOOK_INTERNAL_H
#define APD_WEBHOOK_INTERNAL_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "webhook/address.h"
#include "webhook/target.h"
#include "webhook/webhook.h"

/* A host and port, while there is something to know of it. */
struct host {
	struct apd_buf name; /* the key */
	struct apd_list waiting; /* of deliveries, first in first out */
	struct apd_list line; /* webhook->lines, while there are any */
	unsigned n_waiting;
	unsigned flying;
	unsigned failures; /* attempts in a row that brought no answer at all */
	int64_t mean_us; /* how long attempts take, smoothed */
	int64_t slot_us; /* wall clock: when the last row that was put off may have its turn */
};

/* One attempt: an easy handle with what it needs. */
struct attempt {
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	struct apd_buf refused; /* why an address was refused */
	unsigned opened; /* sockets that were not refused */
	int64_t started_ns;
	int64_t answered_ns; /* when the final headers were complete; 0: not yet */
	size_t header_bytes, body_bytes;
};

/* What became of an attempt. */
struct outcome {
	bool delivered;
	bool final; /* no use in trying again */
	bool answered; /* there was an answer: the host is alive */
	int64_t wish_us; /* Retry-After; 0: none */
	struct apd_buf why; /* of a failure, for the log */
};

struct delivery {
	struct apd_webhook *webhook;
	struct apd_outbox_row *row; /* a reference */
	struct apd_target target;
	struct host *host; /* while it waits or flies */
	struct apd_list link; /* host->waiting, webhook->flying or webhook->stuck */
	struct attempt attempt;
	/* Settling. */
	struct apd_task task; /* there and back */
	struct apd_batch batch;
	int result;
	bool remove; /* the row goes, else it is put back with the members below */
	int64_t next_us;
	uint32_t attempts;
	int64_t again_ns; /* while stuck: when storage is asked again */
};

struct apd_webhook {
	/* Constant after the start. */
	struct apd_buf key; /* empty: unsigned */
	struct apd_address_rules rules;
	struct apd_webhook_config config; /* numbers only */
	char *ca_file;
	struct apd_webhook_deps deps;
	/* Between threads. */
	struct apd_mailbox mailbox;
	_Atomic bool poked, stop;
	_Atomic uint64_t delivered, failed, given_up, in_flight;
	/* The thread's. */
	pthread_t thread;
	bool running;
	CURLM *multi;
	CURLSH *share;
	struct apd_id_gen gen;
	struct apd_map taken; /* delivery by the row's id */
	struct apd_map hosts; /* by name */
	struct apd_list lines; /* hosts that deliveries wait for */
	struct apd_list flying, stuck;
	unsigned n_flying, n_waiting, n_settling;
	bool news; /* the outbox may have rows that are due and not taken */
	int64_t due_us; /* wall clock: when the next row is due */
	int64_t read_ns; /* monotonic: not to be read before, after a failure */
};

/* hosts.c */
struct host *webhook_host_get(struct apd_webhook *webhook, struct apd_str name);
void webhook_host_forget(struct apd_webhook *webhook, struct host *host);
void webhook_hosts_finish(struct apd_webhook *webhook);
bool webhook_host_free(const struct apd_webhook *webhook, const struct host *host);
bool webhook_host_room(const struct host *host);
void webhook_host_enqueue(struct delivery *delivery);
struct delivery *webhook_host_dequeue(struct apd_webhook *webhook, struct host *host);
int64_t webhook_host_put_off(struct apd_webhook *webhook, struct host *host);
void webhook_host_learn(struct host *host, int64_t took_ns, bool answered);

/* attempt.c */
int webhook_attempt_begin(struct delivery *delivery);
bool webhook_attempt_overdue(const struct attempt *attempt, int64_t now_ns, int64_t *ret_when_ns);
void webhook_attempt_judge(struct delivery *delivery, CURLcode code, struct outcome *outcome);
void webhook_attempt_finish(struct delivery *delivery);

/* settle.c */
void webhook_settle_remove(struct delivery *delivery);
void webhook_settle_put(struct delivery *delivery, uint32_t attempts, int64_t next_us);
void webhook_settle_again(struct apd_webhook *webhook);

/* queue.c */
bool webhook_queue_readable(const struct apd_webhook *webhook, int64_t now_us, int64_t now_ns);
void webhook_queue_read(struct apd_webhook *webhook);
void webhook_queue_start(struct apd_webhook *webhook);
void webhook_queue_ended(struct delivery *delivery, CURLcode code);
void webhook_queue_drop(struct apd_webhook *webhook);

/* Frees a delivery that is in no list. */
void webhook_delivery_destroy(struct delivery *delivery);

#endif
