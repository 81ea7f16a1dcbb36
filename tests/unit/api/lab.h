/*
 * A place to try the API in: what it stands on (HTTP server, runtime, pool,
 * storage) is played here, and the tests decide when each side's tasks run, so
 * that every order of events can be had without a thread.
 */
#ifndef APD_TEST_API_LAB_H
#define APD_TEST_API_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/internal.h"

#define LAB_MAX 8

/* A named text: a header or a query parameter. */
struct lab_pair {
	const char *name;
	const char *value;
};

/* A request; freed with its answer, which is all that shows that it was answered. */
struct apd_http_request {
	struct lab *lab;
	const char *params[LAB_MAX];
	struct lab_pair query[LAB_MAX];
	struct lab_pair headers[LAB_MAX];
	struct apd_text *body;
	bool suspended;
	void (*gone)(void *data);
	void *gone_data;
};

/* A stream that the API began. */
struct apd_http_stream {
	struct lab *lab;
	const struct apd_http_source *source;
	void *data;
	unsigned wakes;
};

/* What the API asks of its runtime, and what the test wants it to say. */
struct apd_runtime {
	struct apd_run_spec spec; /* of the last creation */
	struct apd_text *request; /* a reference to its text */
	struct apd_run_call *call; /* the last one that was given, until it left or was over */
	struct apd_run_row
		*row; /* find() and callbacks give it; NULL: the runtime has no such run */
	struct apd_event_log *log;
	struct apd_change *change;
	struct apd_watch *watch;
	bool at_once; /* join and cancel tell the end from within */
	bool light; /* the row is known, but storage has its output: nobody can join */
	bool rollback; /* of the last cancel */
	unsigned leaves;
	uint64_t taken;
	/* Of the last request about a thread, until lab_thread_done(). */
	struct apd_thread_call *thread_call;
	struct apd_id thread_id;
	struct apd_text *metadata; /* of a creation; a copy */
	bool existing;
	struct apd_thread_patch patch; /* with a reference to its text */
};

struct lab {
	struct apd_api *api;
	struct apd_mailbox runtime_mailbox, home;
	struct apd_runtime runtime;
	struct apd_storage storage;
	struct apd_run_row *stored; /* what storage has, or NULL */
	bool with_output; /* it was last asked for with its output */
	bool thread_stored; /* storage has a thread, that of lab_view() */
	int searched; /* what searches and reads end with */
	/* The last searches; what their ranges point to lives until they are answered. */
	struct apd_run_query run_query;
	struct apd_thread_query thread_query;
	struct apd_history_read history;
	char queried[3][64]; /* copies of the ranges: agent_id, metadata, values */
	struct apd_agent_set *agents;
	/* The last answer. */
	unsigned answers;
	int status;
	struct apd_problem problem;
	struct apd_buf body;
	struct apd_buf headers;
	struct apd_http_stream *stream; /* the one that is open */
};

/* The storage that lab_create() puts in. */
extern const struct apd_storage_ops lab_storage_ops;

/* Makes a lab with an API and no agents. */
struct lab *lab_create(void);
void lab_destroy(struct lab *lab);

/* Adds an agent that is ready; the schemas may be NULL. Returns it for changes. */
struct apd_agent *lab_add_agent(
	struct lab *lab, const char *agent_id, const char *input, const char *config);

/* A request with this body (or NULL) and first path parameter (or NULL). */
struct apd_http_request *lab_request(struct lab *lab, const char *param, const char *body);

/* Calls an operation's handler. */
void lab_handle(struct apd_http_request *request, apd_http_handler *handler);

/* Runs the tasks of one side. */
void lab_run_runtime(struct lab *lab);
void lab_run_home(struct lab *lab);

/* Runs both sides until nothing is left. */
void lab_run(struct lab *lab);

/* The client of a suspended request leaves. */
void lab_leave(struct apd_http_request *request);

/* Asks the open stream for bytes: what pull() gave; the bytes are added to lab->body. */
int lab_pull(struct lab *lab, size_t max);

/* Closes the open stream, as the server does when pull() gave -1 or the client left. */
void lab_close(struct lab *lab, bool left);

/*
 * The view of a thread whose id is made of 0x22: status from rest and busy; its
 * state has values {"n":1} and a message.
 */
struct apd_thread_view lab_view(enum apd_thread_rest rest, bool busy);

/* What the runtime says of the thread that it was asked about: a problem, a view or neither. */
void lab_thread_done(
	struct lab *lab, enum apd_problem_code code, const struct apd_thread_view *view);

/* A row of a run: its ids are made of one byte; request may be NULL. */
struct apd_run_row *lab_row(enum apd_run_status status, const char *request);

/* Lets the runtime know of a run and its log. */
void lab_set_run(struct lab *lab, enum apd_run_status status);

/* Adds an event of the run to the log. */
uint64_t lab_event(struct lab *lab, struct apd_event event);

#endif
