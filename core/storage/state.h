/*
 * The state of a thread: a map from key to JSON text, and messages in order.
 * A state is immutable and reference-counted; a commit makes a new one that
 * shares all it did not touch, so that an event can keep the state it speaks of.
 */
#ifndef APD_STORAGE_STATE_H
#define APD_STORAGE_STATE_H

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

/* What a commit changes. Each JSON is scanned; value 0 is what is meant. */
struct apd_state_change {
	const struct apd_json *patch; /* object, or NULL */
	const struct apd_json *removed; /* array of strings, or NULL */
	const struct apd_json
		*messages; /* array of objects, or NULL: combined like patch's, before them */
	struct apd_id_gen *gen; /* of ids for messages without one; NULL: those are refused */
	int64_t wall_us;
};

/*
 * The state after a commit: keys of patch replaced, keys in removed gone,
 * "messages" combined by id (a known id replaces, a new one appends,
 * {"type":"remove","id":X} deletes, a message without an id gets one).
 * 0 with a new reference, or -EINVAL when messages are not objects in an array.
 *
 * ret_patch, unless NULL: the patch as a checkpoint stores it, one object with
 * both lists of messages in one and an id in each; NULL where change->patch can
 * be stored just as it came. The caller's reference. [any]
 */
int apd_state_apply(struct apd_state *state, const struct apd_state_change *change,
	struct apd_state **ret_state, struct apd_text **ret_patch);

/*
 * Folds many changes into one state without making those between. Not for two
 * threads at once. finish() gives a reference, or NULL after an error, and frees
 * the fold.
 */
struct apd_state_fold;
struct apd_state_fold *apd_state_fold_create(struct apd_state *from);
int apd_state_fold_add(struct apd_state_fold *fold, const struct apd_state_change *change);
struct apd_state *apd_state_fold_finish(struct apd_state_fold *fold);

/* The JSON text of a value; absent if there is none of this key. [any] */
struct apd_str apd_state_value(const struct apd_state *state, struct apd_str key);

/* Adds the values as a JSON object, without messages. [any] */
void apd_state_add_values(struct apd_buf *out, const struct apd_state *state);

/* Adds the messages as a JSON array. [any] */
void apd_state_add_messages(struct apd_buf *out, const struct apd_state *state);

/* Adds the whole state as one JSON object, messages included when there are any: the shape of
 * stream mode "values". [any] */
void apd_state_add_json(struct apd_buf *out, const struct apd_state *state);

#endif
