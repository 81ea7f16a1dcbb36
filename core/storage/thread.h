/*
 * Threads as storage has them: the thread's own row, its checkpoints, and the
 * view of both that clients are shown. Rows are immutable once made and
 * reference-counted.
 *
 * A thread's state is not a row: it is what its newest checkpoint adds up to. A
 * checkpoint holds what one step changed, now and then the whole state; reading
 * goes from it back along its parents to the nearest whole one and folds. Which
 * checkpoint is the newest follows from their ids, which rise within a thread.
 * Whether a thread is busy follows from its runs: it is while one is pending.
 */
#ifndef APD_STORAGE_THREAD_H
#define APD_STORAGE_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/text.h"
#include "storage/state.h"

/* What a thread is while no run is active; stored as these numbers. */
enum apd_thread_rest {
	APD_THREAD_IDLE = 0,
	APD_THREAD_INTERRUPTED = 1, /* questions are pending */
	APD_THREAD_ERROR = 2, /* the last run failed or timed out */
};

/* The protocol's words. */
enum apd_thread_status {
	APD_THREAD_STATUS_IDLE,
	APD_THREAD_STATUS_BUSY,
	APD_THREAD_STATUS_INTERRUPTED,
	APD_THREAD_STATUS_ERROR,
};

/* "idle", "busy", ... */
const char *apd_thread_status_word(enum apd_thread_status status);

/* The status of a word, or -EINVAL. */
int apd_thread_status_of(struct apd_str word, enum apd_thread_status *ret_status);

struct apd_thread_row {
	_Atomic unsigned refs;
	struct apd_id thread_id;
	int64_t created_us; /* wall clock */
	int64_t updated_us; /* of what is in this row */
	enum apd_thread_rest rest;
	struct apd_str metadata; /* JSON object */
	/*
	 * The pending questions: JSON array of {"id","value"[,"namespace"]}, or
	 * absent. They stay while a run is active and are what a rollback goes back
	 * to; the end of a run drops or replaces them.
	 */
	struct apd_str interrupts;
	struct apd_str continuation; /* bytes that the agent left with its questions, or absent */
	struct apd_text *text; /* what the ranges above point into; may be NULL */
};

/*
 * Makes a row with one reference. The ranges of `from` are copied into a text
 * of the row's own; refs and text of `from` are not looked at. [any]
 */
struct apd_thread_row *apd_thread_row_create(const struct apd_thread_row *from);
struct apd_thread_row *apd_thread_row_ref(struct apd_thread_row *row);
void apd_thread_row_unref(struct apd_thread_row *row);

/* How a checkpoint came to be; stored as these numbers. */
enum apd_checkpoint_source {
	APD_SOURCE_INPUT = 0, /* a run began */
	APD_SOURCE_LOOP = 1, /* an agent's commit */
	APD_SOURCE_UPDATE = 2, /* a client's PATCH */
	APD_SOURCE_FORK = 3, /* a client's PATCH of an older checkpoint */
};

/* "input", "loop", "update", "fork" */
const char *apd_checkpoint_source_word(enum apd_checkpoint_source source);

struct apd_checkpoint_row {
	_Atomic unsigned refs;
	struct apd_id thread_id;
	struct apd_id checkpoint_id; /* rises within a thread */
	bool has_parent;
	struct apd_id parent_id;
	int64_t step; /* the parent's + 1; 0 for the first */
	enum apd_checkpoint_source source;
	int64_t created_us;
	bool has_run;
	struct apd_id run_id;
	bool whole; /* patch is the whole state, not a change of the parent's */
	struct apd_str name; /* of the agent's step, or absent */
	struct apd_str patch; /* JSON object; "messages" in it are combined by id, all have one */
	struct apd_str removed; /* JSON array of keys that are gone, or absent */
	struct apd_text *text; /* what the ranges point into; may be NULL */
	struct apd_text *removed_text; /* another; may be NULL */
};

/*
 * Makes a row with one reference, zeroed but for the texts, whose references it
 * takes over; the caller sets the rest before anybody else sees it. [any]
 */
struct apd_checkpoint_row *apd_checkpoint_row_create(
	struct apd_text *text, struct apd_text *removed_text);
struct apd_checkpoint_row *apd_checkpoint_row_ref(struct apd_checkpoint_row *row);
void apd_checkpoint_row_unref(struct apd_checkpoint_row *row);

/* What a checkpoint adds to the cost of reading: its bytes and something for the row. [any] */
size_t apd_checkpoint_weight(const struct apd_checkpoint_row *row);

/*
 * Whether the next checkpoint should be a whole one: true when the chain that
 * has to be read weighs more than twice its state, so that reading a state
 * costs about its size however it came to be, and whole ones cost no more than
 * the differences between them. chain: weights since and with the last whole
 * one. [any]
 */
bool apd_checkpoint_should_be_whole(size_t chain, const struct apd_state *state);

/* A thread as it is: what GET shows. Holds references. */
struct apd_thread_view {
	struct apd_thread_row *thread;
	struct apd_checkpoint_row *head; /* the newest checkpoint, or NULL */
	struct apd_state *state; /* at the head; the empty one without */
	bool busy;
};

void apd_thread_view_finish(struct apd_thread_view *view);

/* busy before all, then what the thread rests in. [any] */
enum apd_thread_status apd_thread_view_status(const struct apd_thread_view *view);

/* The later of what the row and the head say. [any] */
int64_t apd_thread_view_updated_us(const struct apd_thread_view *view);

/* Adds the protocol's Thread object, with "interrupts" when it is interrupted. [any] */
void apd_thread_view_add_json(struct apd_buf *out, const struct apd_thread_view *view);

/* Adds the object that tells of a checkpoint: id, parent, step, source, created_at, run_id. [any] */
void apd_checkpoint_add_json(struct apd_buf *out, const struct apd_checkpoint_row *row);

/* Adds the protocol's ThreadState: {"checkpoint","values","messages","metadata"}. [any] */
void apd_checkpoint_add_state_json(
	struct apd_buf *out, const struct apd_checkpoint_row *row, const struct apd_state *state);

#endif
