/*
 * Rows: what the runtime hands to storage and gets back. A row is immutable
 * once made and reference-counted, so that the runtime, the writer thread and
 * an HTTP thread share one.
 */
#ifndef APD_STORAGE_ROW_H
#define APD_STORAGE_ROW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "base/text.h"

/* The protocol's words, in its order; stored as these numbers. */
enum apd_run_status {
	APD_RUN_PENDING = 0,
	APD_RUN_SUCCESS = 1,
	APD_RUN_ERROR = 2,
	APD_RUN_TIMEOUT = 3,
	APD_RUN_INTERRUPTED = 4,
};

/* "pending", "success", ... */
const char *apd_run_status_word(enum apd_run_status status);

/* The status of a word, or -EINVAL. */
int apd_run_status_of(struct apd_str word, enum apd_run_status *ret_status);

enum {
	APD_RUN_ROW_EPHEMERAL = 1 << 0, /* its thread is its own and in memory, and ends with it */
	APD_RUN_ROW_BACKGROUND = 1 << 1, /* created by POST /runs */
	APD_RUN_ROW_CONTINUE = 1 << 2, /* on_disconnect: continue */
	APD_RUN_ROW_DELETE_THREAD = 1 << 3, /* on_completion: delete of a kept thread */
};

struct apd_run_row {
	_Atomic unsigned refs;
	struct apd_id run_id;
	struct apd_id thread_id;
	enum apd_run_status status;
	uint32_t flags; /* APD_RUN_ROW_... */
	uint32_t attempt; /* 0 before the first */
	int64_t created_us; /* wall clock */
	int64_t updated_us;
	int64_t started_us; /* 0: not yet */
	int64_t ended_us; /* 0: not yet */
	struct apd_str agent_id;
	/*
	 * A JSON object: the members that the client gave, with defaults filled
	 * in and messages normalised, as a Run shows them: agent_id, input,
	 * messages, metadata, config, webhook, on_completion, on_disconnect,
	 * if_not_exists, stream_mode, multitask_strategy, command.
	 */
	struct apd_str request;
	struct apd_str metadata; /* the object within request, "{}" if none was given */
	struct apd_str error; /* JSON object {"code","message",...}, or absent */
	struct apd_str output; /* JSON object {"values":{...},"messages":[...]}, or absent */
	/*
	 * An ended run of a kept thread: its output is the state at this checkpoint,
	 * restricted to output_keys. What it weighs is not stored twice: storage
	 * keeps no output of such a row, and get_run() makes it of the checkpoint.
	 */
	bool at_checkpoint;
	struct apd_id checkpoint_id;
	/* Of a run of a kept thread that began: the thread's newest checkpoint before it. */
	bool has_base;
	struct apd_id base_id;
	struct apd_str output_keys; /* JSON array of strings, or absent: all values */
	struct apd_str interrupts; /* JSON array of its questions, as Run.interrupts; or absent */
	/* What the ranges above point into; each may be NULL. */
	struct apd_text *request_text;
	struct apd_text *result_text;
};

/* Makes a row with one reference that takes over the caller's references to the texts. [any] */
struct apd_run_row *apd_run_row_create(struct apd_text *request_text, struct apd_text *result_text);

struct apd_run_row *apd_run_row_ref(struct apd_run_row *row);
void apd_run_row_unref(struct apd_run_row *row);

/* Adds the protocol's Run object. [any] */
void apd_run_row_add_json(struct apd_buf *out, const struct apd_run_row *row);

/* Adds the protocol's RunWaitResponse: {"run":..., "values":..., "messages":...}. [any] */
void apd_run_row_add_result_json(struct apd_buf *out, const struct apd_run_row *row);

#endif
