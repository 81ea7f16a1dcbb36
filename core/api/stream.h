/* Streams of a run: a cursor on its thread's log, projected onto server-sent events. */
#ifndef APD_API_STREAM_H
#define APD_API_STREAM_H

#include "api/internal.h"

struct api_stream;

/*
 * Makes the stream of a call; freed with it. from: the last event that its
 * client has seen, UINT64_MAX: it wants what comes next. modes 0: those that the
 * run was created with. [http]
 */
struct api_stream *api_stream_create(
	struct api_call *call, unsigned modes, uint64_t from, bool creator);
void api_stream_destroy(struct api_stream *stream);

/* [runtime] Stops hearing of news; harmless when it never did. */
void api_stream_unwatch(struct api_stream *stream);

/* The run_call_ops of a call that streams. */
extern const struct apd_run_call_ops api_stream_ops;

/* [http] The accepted call's answer: begins the stream. */
void api_stream_answer(struct api_call *call);

/*
 * [http] Answers a call that streams with what is left of a run that has ended
 * and whose events are gone: metadata, error, end; events_missed in place of the
 * end where the client wants to go on behind an event.
 */
void api_stream_ended(struct api_call *call, struct apd_run_row *row);

#endif
