/*
 * The order of the messages channel: message-start, then blocks that do not
 * interleave, then message-finish or error; one message at a time for each
 * namespace and node. Checked in the worker, so that the agent hears of it, and
 * again in the daemon. Uses libc only.
 */
#ifndef APD_HOST_MESSAGE_ORDER_H
#define APD_HOST_MESSAGE_ORDER_H

#include "base/json_scan.h"
#include "base/list.h"

/* What is open in one run. Initialise before use. */
struct apd_message_order {
	struct apd_list open; /* of messages, one a namespace and node */
};

void apd_message_order_init(struct apd_message_order *order);
void apd_message_order_finish(struct apd_message_order *order);

/*
 * Takes one event of the messages channel, whose data is value 0 of `data`.
 * 0, or -EINVAL with a static sentence: "content-block-delta: no block is open".
 */
int apd_message_order_take(struct apd_message_order *order, struct apd_str ns, struct apd_str node,
	const struct apd_json *data, const char **ret_why);

/*
 * Walks what is still open, for closing it when a run ends: calls each(data,
 * ns, node) for every open message and forgets it.
 */
void apd_message_order_close(struct apd_message_order *order,
	void (*each)(void *data, struct apd_str ns, struct apd_str node), void *data);

#endif
