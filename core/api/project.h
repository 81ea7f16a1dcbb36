/*
 * The projection of a thread's events onto the server-sent events of one run:
 * names and shapes are those of LangGraph's stream modes.
 */
#ifndef APD_API_PROJECT_H
#define APD_API_PROJECT_H

#include "base/list.h"
#include "runtime/event_log.h"

/* Messages that are being streamed, put together for messages/partial. */
struct api_messages {
	struct apd_list open;
	struct apd_json json;
};

struct api_projection {
	unsigned modes; /* API_MODE_... */
	struct apd_id run_id;
	struct api_messages messages;
};

void api_projection_init(
	struct api_projection *projection, unsigned modes, const struct apd_id *run_id);
void api_projection_finish(struct api_projection *projection);

/*
 * Adds what the event looks like to this reader, perhaps nothing. silent: adds
 * nothing, but remembers what later events build upon. True when the run ended
 * with it.
 */
bool api_project(struct api_projection *projection, const struct apd_event *event, bool silent,
	struct apd_buf *out);

/* Adds the event `metadata`, which carries no id. */
void api_project_metadata(struct apd_buf *out, const struct apd_id *run_id,
	const struct apd_id *thread_id, uint32_t attempt);

/* Adds `error` (where there is an error object) and `end`. seq 0: without an id. */
void api_project_end(struct apd_buf *out, uint64_t seq, const struct apd_id *run_id,
	enum apd_run_status status, struct apd_str error);

/* Adds `error` events_missed. */
void api_project_missed(struct apd_buf *out);

/* Adds one server-sent event; line breaks in the JSON become spaces. seq 0: without an id. */
void api_sse_add(struct apd_buf *out, uint64_t seq, const char *name, struct apd_str data);

/* messages.c */
void api_messages_init(struct api_messages *messages);
void api_messages_finish(struct api_messages *messages);
void api_messages_take(struct api_messages *messages, const struct apd_event *event, bool silent,
	struct apd_buf *out);

#endif
