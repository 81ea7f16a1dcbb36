/*
 * The state of a thread: a map from key to JSON text, and messages in order.
 * A state is immutable and reference-counted; a commit makes a new one that
 * shares all it did not touch, so that an event can keep the state it speaks of.
 */
#ifndef APD_RUNTIME_STATE_H
#define APD_RUNTIME_STATE_H

#include <stdatomic.h>

#include "base/id.h"
#include "base/json_scan.h"
#include "base/text.h"

struct apd_state_entry {
	struct apd_text *key; /* of values: unescaped; of messages: the id */
	struct apd_text *value; /* JSON text */
};

struct apd_state {
	_Atomic unsigned refs;
	size_t n_values;
	size_t n_messages;
	bool has_messages; /* false: no messages were ever in it */
	struct apd_state_entry *values; /* in the order in which they came */
	struct apd_state_entry *messages; /* in order */
	size_t bytes; /* of all keys and values, for limits */
};

/* The empty state: a reference for the caller. [any] */
struct apd_state *apd_state_empty(void);
struct apd_state *apd_state_ref(struct apd_state *state);
void apd_state_unref(struct apd_state *state);

/*
 * The state after a commit: keys of patch replaced, keys in removed gone,
 * "messages" combined by id (a known id replaces, a new one appends,
 * {"type":"remove","id":X} deletes, a message without an id gets one from gen).
 * patch is value 0 of a scanned object, or NULL; removed a scanned array of
 * strings, or NULL; messages (a scanned array of objects, or NULL) are combined
 * like patch's. 0 with a new reference, or -EINVAL when messages are not
 * objects in an array. [any]
 */
int apd_state_apply(struct apd_state *state, const struct apd_json *patch,
	const struct apd_json *removed, const struct apd_json *messages, struct apd_id_gen *gen,
	int64_t wall_us, struct apd_state **ret_state);

/* Adds the values as a JSON object, without messages. [any] */
void apd_state_add_values(struct apd_buf *out, const struct apd_state *state);

/* Adds the messages as a JSON array. [any] */
void apd_state_add_messages(struct apd_buf *out, const struct apd_state *state);

/* Adds the whole state as one JSON object, messages included when there are any: the shape of
 * stream mode "values". [any] */
void apd_state_add_json(struct apd_buf *out, const struct apd_state *state);

#endif
