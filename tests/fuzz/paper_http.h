/*
 * A server made of paper, for calling the API's handlers: all functions of
 * http/server.h that the API uses, on requests that nobody sent. One that is
 * missing here would draw the real server into the program, and not link.
 */
#ifndef APD_FUZZ_PAPER_HTTP_H
#define APD_FUZZ_PAPER_HTTP_H

#include <stdlib.h>

#include "base/json_scan.h"
#include "http/server.h"

struct apd_http_request {
	struct apd_str params[2], query, last_event_id;
	struct apd_text *body;
	struct apd_buf scratch[16]; /* decoded values */
	unsigned n_scratch;
	unsigned answers; /* 1: it was answered, or became a stream */
	void (*gone)(void *data);
	void *gone_data;
};

struct apd_http_stream {
	const struct apd_http_source *source;
	void *data;
};

/* Of the one thread there is. */
extern struct apd_mailbox paper_home;

/* What was begun; without a source: nothing. */
extern struct apd_http_stream paper_stream;

/* Ends the process if something that has to hold does not. */
static inline void must(bool holds)
{
	if (!holds)
		abort();
}

/* Scans text that has to be JSON; valid until the next call. */
const struct apd_json *paper_scan(struct apd_str text);

/* Frees what scanning has needed. */
void paper_finish(void);

#endif
