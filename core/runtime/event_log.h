/*
 * The event log of a thread: events in order with sequence numbers, written by
 * the runtime's thread, read from any thread without waiting for it. A log is a
 * list of immutable, reference-counted segments with an atomically published
 * tail; a reader is a cursor that holds one segment. A small lock of the log's
 * guards only the list of segments: it is taken when a reader crosses from one
 * to the next.
 */
#ifndef APD_RUNTIME_EVENT_LOG_H
#define APD_RUNTIME_EVENT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/list.h"
#include "base/str.h"
#include "storage/row.h"
#include "storage/state.h"

enum apd_event_kind {
	APD_EVENT_STARTED = 1, /* an attempt of a run begins: attempt, state */
	APD_EVENT_EMITTED, /* the agent's: channel, ns, node, data */
	APD_EVENT_UPDATES, /* of a commit: ns, node (the step), data (the patch) */
	APD_EVENT_VALUES, /* of a commit: ns, state */
	APD_EVENT_CHECKPOINT, /* of a commit: ns, node, data (the checkpoint object) */
	APD_EVENT_ENDED, /* a run ended: status, data (its error object, or absent) */
};

/* An event; immutable. Ranges live as long as the reader stays on its segment. */
struct apd_event {
	uint64_t seq;
	int64_t wall_us;
	enum apd_event_kind kind;
	int32_t channel; /* EMITTED: ap_channel */
	uint32_t attempt;
	enum apd_run_status status;
	struct apd_id run_id;
	struct apd_id thread_id;
	struct apd_str ns; /* JSON array, or absent */
	struct apd_str node;
	struct apd_str data; /* JSON */
	struct apd_state *state; /* the event's reference, or NULL */
};

struct apd_event_log;
struct apd_event_segment;

/* Makes a log whose first event will have the number first_seq; one reference. [runtime] */
struct apd_event_log *apd_event_log_create(uint64_t first_seq, size_t ring_bytes);
struct apd_event_log *apd_event_log_ref(struct apd_event_log *log); /* [any] */
void apd_event_log_unref(struct apd_event_log *log); /* [any] */

/*
 * Appends a copy of the event with the next number, which it returns; evicts what is over
 * ring_bytes. [runtime]
 */
uint64_t apd_event_log_append(struct apd_event_log *log, const struct apd_event *event);

/*
 * Drops the events up to a number; those that share a segment with later ones stay until
 * these go. [runtime]
 */
void apd_event_log_evict(struct apd_event_log *log, uint64_t through_seq);

/* No event will follow any more: readers that took all get APD_READ_END. [runtime] */
void apd_event_log_close(struct apd_event_log *log);

/* Whose log it is: the runtime's own note on it, NULL at first. [runtime] */
void apd_event_log_set_owner(struct apd_event_log *log, void *owner);
void *apd_event_log_owner(const struct apd_event_log *log);

/* Bytes held by the log's segments. [runtime] */
size_t apd_event_log_bytes(const struct apd_event_log *log);

/* The number of the last event, first_seq - 1 before the first. [any] */
uint64_t apd_event_log_last(const struct apd_event_log *log);

/* A cursor. One thread uses it. */
struct apd_event_reader {
	struct apd_event_log *log; /* a reference */
	struct apd_event_segment *segment; /* a reference, or NULL */
	size_t offset;
	uint64_t next_seq;
};

/* Starts behind the event after_seq; UINT64_MAX starts at what comes next. [any] */
void apd_event_reader_init(
	struct apd_event_reader *reader, struct apd_event_log *log, uint64_t after_seq);
void apd_event_reader_finish(struct apd_event_reader *reader);

enum apd_read {
	APD_READ_EVENT = 1, /* *ret_event is valid until the next call */
	APD_READ_NONE = 0, /* nothing now */
	APD_READ_END = -1, /* nothing any more */
	APD_READ_MISSED = -2, /* events were evicted unread; the cursor stands at the oldest */
};

/* Takes the next event. [the reader's thread] */
enum apd_read apd_event_reader_next(
	struct apd_event_reader *reader, const struct apd_event **ret_event);

#endif
