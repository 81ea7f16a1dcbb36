/* Runs that tests stream: events into their logs, clients that read them. */
#ifndef APD_TEST_API_STREAMS_H
#define APD_TEST_API_STREAMS_H

#include "lab.h"

#define STREAM_ID       "11111111-1111-1111-1111-111111111111"
#define STREAM_THREAD   "22222222-2222-2222-2222-222222222222"
#define STREAM_METADATA "event: metadata\n"
#define STREAM_MISSED   "\"events_missed\""
#define STREAM_END(word) \
	"event: end\ndata: {\"run_id\":\"" STREAM_ID "\",\"status\":\"" word "\"}\n\n"

/* The lab of the test, with a run that executes. */
extern struct lab *stream_lab;

/* A test's setup and teardown. */
int stream_open(void **state);
int stream_close(void **state);

/* Each adds an event of the run to the log and gives its number; custom: with this payload. */
uint64_t stream_started(void);
uint64_t stream_custom(const char *payload);
uint64_t stream_message(const char *data);
uint64_t stream_ended(enum apd_run_status status);

/* Creates a run and streams it: begun when this returns. */
void stream_create(const char *modes);

/* Joins the run, perhaps behind an event: the stream is begun when this returns. */
void stream_join(const char *modes, const char *last_event_id);

/* Pulls once: what was given now. */
const char *stream_pull(int expected);

/* How often a text has another in it. */
unsigned stream_count(const char *text, const char *part);

/* The server is done with the stream; the runtime's run is over or left. */
void stream_finish(bool left);

#endif
