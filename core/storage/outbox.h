/*
 * The outbox: webhooks that are still to be delivered. A row is written in the
 * transaction that ends its run and goes when it was delivered or given up.
 */
#ifndef APD_STORAGE_OUTBOX_H
#define APD_STORAGE_OUTBOX_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/id.h"
#include "base/text.h"

struct apd_outbox_row {
	_Atomic unsigned refs;
	struct apd_id id; /* what the receiver tells repeats by: webhook-id */
	struct apd_id run_id;
	int64_t created_us; /* wall clock */
	int64_t next_us; /* when to try next */
	uint32_t attempts; /* that were made */
	struct apd_str url;
	struct apd_str body; /* JSON: what is sent */
	struct apd_text *text; /* what the ranges point into; may be NULL */
};

/* Makes a row with one reference, zeroed, that takes over the reference to the text. [any] */
struct apd_outbox_row *apd_outbox_row_create(struct apd_text *text);
struct apd_outbox_row *apd_outbox_row_ref(struct apd_outbox_row *row);
void apd_outbox_row_unref(struct apd_outbox_row *row);

#endif
