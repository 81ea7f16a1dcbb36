/*
 * What went wrong, for a client: a stable code, a sentence, and where. The
 * codes of refused requests and of runs that ended without success are the two
 * closed lists below; docs and the OpenAPI document name the same words.
 */
#ifndef APD_BASE_PROBLEM_H
#define APD_BASE_PROBLEM_H

#include <stdint.h>

#include "base/buf.h"

/* Refused requests: word and HTTP status. */
#define APD_PROBLEMS(X)                                      \
	X(INVALID_JSON, "invalid_json", 422)                 \
	X(INVALID_REQUEST, "invalid_request", 422)           \
	X(INVALID_INPUT, "invalid_input", 422)               \
	X(AGENT_REQUIRED, "agent_required", 422)             \
	X(AGENT_NOT_FOUND, "agent_not_found", 404)           \
	X(AGENT_UNAVAILABLE, "agent_unavailable", 503)       \
	X(MESSAGES_UNSUPPORTED, "messages_unsupported", 422) \
	X(THREAD_REQUIRED, "thread_required", 422)           \
	X(THREAD_NOT_FOUND, "thread_not_found", 404)         \
	X(THREAD_BUSY, "thread_busy", 409)                   \
	X(THREAD_ACTIVE, "thread_busy", 422)                 \
	X(THREAD_EXISTS, "thread_exists", 409)               \
	X(CHECKPOINT_NOT_FOUND, "checkpoint_not_found", 404) \
	X(NOT_INTERRUPTED, "not_interrupted", 422)           \
	X(RUN_NOT_FOUND, "run_not_found", 404)               \
	X(RUN_ACTIVE, "run_active", 422)                     \
	X(QUEUE_FULL, "queue_full", 503)                     \
	X(UNSUPPORTED, "unsupported", 422)                   \
	X(NOT_FOUND, "not_found", 404)                       \
	X(METHOD_NOT_ALLOWED, "method_not_allowed", 405)     \
	X(BODY_TOO_LARGE, "body_too_large", 413)             \
	X(HOST_REFUSED, "host_refused", 403)                 \
	X(STORAGE_UNAVAILABLE, "storage_unavailable", 503)   \
	X(TIMED_OUT, "timed_out", 503)                       \
	X(OVERLOADED, "overloaded", 503)                     \
	X(SHUTTING_DOWN, "shutting_down", 503)               \
	X(INTERNAL, "internal", 500)

/* Why a run did not end in success (Run.error.code). */
#define APD_RUN_ERRORS(X)                         \
	X(AGENT_ERROR, "agent_error")             \
	X(AGENT_CRASHED, "agent_crashed")         \
	X(AGENT_STUCK, "agent_stuck")             \
	X(AGENT_REMOVED, "agent_removed")         \
	X(AGENT_UNAVAILABLE, "agent_unavailable") \
	X(INVALID_OUTPUT, "invalid_output")       \
	X(DAEMON_RESTARTED, "daemon_restarted")   \
	X(CANCELLED, "cancelled")                 \
	X(DEADLINE, "deadline")                   \
	X(SUPERSEDED, "superseded")               \
	X(QUEUE_FULL, "queue_full")

enum apd_problem_code {
	APD_PROBLEM_NONE = 0,
#define X(name, word, status) APD_PROBLEM_##name,
	APD_PROBLEMS(X)
#undef X
};

enum apd_run_error {
	APD_RUN_ERROR_NONE = 0,
#define X(name, word) APD_RUN_ERROR_##name,
	APD_RUN_ERRORS(X)
#undef X
};

/* A refusal. All zero is none. */
struct apd_problem {
	enum apd_problem_code code;
	char message[480];
	char path[160]; /* a JSON pointer, or empty */
};

/* Fills the problem in; returns -1, so that one can write "return apd_problem_set(...)". */
int apd_problem_set(struct apd_problem *problem, enum apd_problem_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The stable word and the HTTP status of a code. */
const char *apd_problem_word(enum apd_problem_code code);
int apd_problem_status(enum apd_problem_code code);
const char *apd_run_error_word(enum apd_run_error error);

/* Adds the ErrorResponse object of the protocol. */
void apd_problem_add_json(struct apd_buf *out, const struct apd_problem *problem);

#endif
