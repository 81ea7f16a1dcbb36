/* What the files of the API share. */
#ifndef APD_API_INTERNAL_H
#define APD_API_INTERNAL_H

#include "api/api.h"
#include "api/request.h"
#include "base/json_scan.h"
#include "schema/schema.h"

/* Every operation: name, id in the OpenAPI document, method, path, handler. */
#define API_OPERATIONS(X)                                                                         \
	X(SEARCH_AGENTS, "search_agents", "POST", "/agents/search", api_search_agents)            \
	X(GET_AGENT, "get_agent", "GET", "/agents/{agent_id}", api_get_agent)                     \
	X(GET_AGENT_SCHEMAS, "get_agent_schemas", "GET", "/agents/{agent_id}/schemas",            \
		api_get_agent_schemas)                                                            \
	X(CREATE_RUN, "create_run", "POST", "/runs", api_create_run)                              \
	X(CREATE_AND_WAIT_RUN, "create_and_wait_run", "POST", "/runs/wait", api_create_and_wait)  \
	X(CREATE_AND_STREAM_RUN, "create_and_stream_run", "POST", "/runs/stream",                 \
		api_create_and_stream)                                                            \
	X(SEARCH_RUNS, "search_runs", "POST", "/runs/search", api_search_runs)                    \
	X(GET_RUN, "get_run", "GET", "/runs/{run_id}", api_get_run)                               \
	X(DELETE_RUN, "delete_run", "DELETE", "/runs/{run_id}", api_delete_run)                   \
	X(WAIT_RUN, "wait_run", "GET", "/runs/{run_id}/wait", api_wait_run)                       \
	X(STREAM_RUN, "stream_run", "GET", "/runs/{run_id}/stream", api_stream_run)               \
	X(CANCEL_RUN, "cancel_run", "POST", "/runs/{run_id}/cancel", api_cancel_run)              \
	X(OK, "ok", "GET", "/ok", api_ok)                                                         \
	X(INFO, "info", "GET", "/info", api_info)                                                 \
	X(METRICS, "metrics", "GET", "/metrics", api_metrics)                                     \
	X(OPENAPI, "openapi", "GET", "/openapi.json", api_openapi)                                \
	X(CREATE_THREAD, "create_thread", "POST", "/threads", api_create_thread)                  \
	X(SEARCH_THREADS, "search_threads", "POST", "/threads/search", api_search_threads)        \
	X(GET_THREAD, "get_thread", "GET", "/threads/{thread_id}", api_get_thread)                \
	X(PATCH_THREAD, "patch_thread", "PATCH", "/threads/{thread_id}", api_patch_thread)        \
	X(DELETE_THREAD, "delete_thread", "DELETE", "/threads/{thread_id}", api_delete_thread)    \
	X(GET_THREAD_HISTORY, "get_thread_history", "GET", "/threads/{thread_id}/history",        \
		api_get_thread_history)                                                           \
	X(COPY_THREAD, "copy_thread", "POST", "/threads/{thread_id}/copy", api_copy_thread)       \
	X(CREATE_THREAD_RUN, "create_thread_run", "POST", "/threads/{thread_id}/runs",            \
		api_create_thread_run)                                                            \
	X(LIST_THREAD_RUNS, "list_thread_runs", "GET", "/threads/{thread_id}/runs",               \
		api_list_thread_runs)                                                             \
	X(CREATE_AND_WAIT_THREAD_RUN, "create_and_wait_thread_run", "POST",                       \
		"/threads/{thread_id}/runs/wait", api_create_and_wait_thread_run)                 \
	X(CREATE_AND_STREAM_THREAD_RUN, "create_and_stream_thread_run", "POST",                   \
		"/threads/{thread_id}/runs/stream", api_create_and_stream_thread_run)             \
	X(GET_THREAD_RUN, "get_thread_run", "GET", "/threads/{thread_id}/runs/{run_id}",          \
		api_get_thread_run)                                                               \
	X(DELETE_THREAD_RUN, "delete_thread_run", "DELETE", "/threads/{thread_id}/runs/{run_id}", \
		api_delete_thread_run)                                                            \
	X(WAIT_THREAD_RUN, "wait_thread_run", "GET", "/threads/{thread_id}/runs/{run_id}/wait",   \
		api_wait_thread_run)                                                              \
	X(STREAM_THREAD_RUN, "stream_thread_run", "GET",                                          \
		"/threads/{thread_id}/runs/{run_id}/stream", api_stream_thread_run)               \
	X(CANCEL_THREAD_RUN, "cancel_thread_run", "POST",                                         \
		"/threads/{thread_id}/runs/{run_id}/cancel", api_cancel_thread_run)

enum api_operation {
#define X(name, id, method, path, handler) API_OP_##name,
	API_OPERATIONS(X)
#undef X
		API_OP_COUNT
};

#define X(name, id, method, path, handler) apd_http_handler handler;
API_OPERATIONS(X)
#undef X

#define API_MAX_PARAMS 4

/* A parameter of an operation, as the document has it. */
struct api_param {
	char *name;
	bool in_path;
	unsigned position; /* of a path parameter */
	bool required;
	bool literal; /* its value is JSON as it stands: an integer or a boolean */
	struct apd_schema *schema;
};

/* What an operation's requests are checked with. */
struct api_checks {
	struct apd_schema *body; /* NULL: takes none */
	struct api_param params[API_MAX_PARAMS];
	size_t n_params;
};

/* What one HTTP thread uses again for every request. */
struct api_thread {
	struct apd_json body;
	struct apd_request_maker maker; /* its value and scratch are anybody's between calls */
};

struct apd_api {
	struct apd_api_deps deps;
	struct api_checks checks[API_OP_COUNT];
	struct apd_http_server *server;
	const struct apd_webhook *webhook; /* or NULL */
	struct api_thread *threads;
	unsigned n_threads;
};

/* checks.c: compiles the document's checks; frees them. */
int api_checks_init(struct apd_api *api, struct apd_buf *error);
void api_checks_finish(struct apd_api *api);

/*
 * Checks path, query and body of a request. 0 with the scanned body (an empty
 * one counts as {}) in *ret_body, or -1 when the request has been answered.
 */
int api_check(struct apd_api *api, enum api_operation op, struct apd_http_request *request,
	const struct apd_json **ret_body);

/* Fills in a problem from a schema's error, with the pointer prefix before its path. */
void api_problem_of_schema(struct apd_problem *problem, enum apd_problem_code code,
	const char *prefix, const struct apd_schema_error *error);

/* The scratch of the thread that a request lives on. */
static inline struct api_thread *api_thread_of(
	struct apd_api *api, const struct apd_http_request *request)
{
	return &api->threads[apd_http_request_thread(request)];
}

/* A path parameter that has been checked to be a UUID. */
struct apd_id api_param_id(const struct apd_http_request *request, unsigned n);

/* An optional integer member of a checked body. */
int64_t api_body_int(const struct apd_json *body, struct apd_str key, int64_t fallback);

/* An optional integer in a checked query. */
int64_t api_query_int(struct apd_api *api, const struct apd_http_request *request, const char *name,
	int64_t fallback);

/* The slice of an optional member of a checked body, as it stands; absent for null. */
struct apd_str api_body_slice(const struct apd_json *body, struct apd_str key);

/* Fills a problem in with the JSON pointer that it is about; returns -1. */
int api_problem_at(struct apd_problem *problem, enum apd_problem_code code, const char *path,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Answers with a problem made here. */
void api_refuse(struct apd_http_request *request, enum apd_problem_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Answers with what a negative errno of storage means. */
void api_refuse_errno(struct apd_http_request *request, int result);

/*
 * request_check.c: the agent that a checked body names, or the one for bodies
 * that name none; NULL with the problem, also for one that is broken.
 */
struct apd_agent *api_agent_of_body(const struct apd_agent_set *set,
	struct apd_request_maker *maker, const struct apd_json *body, struct apd_problem *problem);

/* Checks what an agent says it takes. 0, or -1 with the problem. */
int api_agent_check(struct apd_request_maker *maker, const struct apd_agent *agent,
	const struct apd_json *body, bool has_thread, struct apd_problem *problem);

/*
 * The answer within a command, or 0. A lone null is one: nothing else could be
 * meant by it; beside other members it is as absent as elsewhere.
 */
uint32_t api_answer_in(const struct apd_json *body, uint32_t command);

/* Checks a URI for being one that a webhook can be sent to. 0, or -1 with the problem. */
int api_webhook_check(struct apd_str url, struct apd_problem *problem);

/* new_messages.c: adds the items of an array of checked messages, those without an id with one. */
void api_messages_add(struct apd_buf *out, struct apd_request_maker *maker,
	const struct apd_json *body, uint32_t messages);

/* modes.c: stream modes as bits. */
enum {
	API_MODE_VALUES = 1 << 0,
	API_MODE_UPDATES = 1 << 1,
	API_MODE_MESSAGES = 1 << 2,
	API_MODE_CUSTOM = 1 << 3,
};

/* The bits of a stream_mode value: a word or an array of words, checked; 0 for none known. */
unsigned api_modes_of(const struct apd_json *json, uint32_t i);

/* The bits of the stream_mode in a row's request; values where it names none. */
unsigned api_modes_of_row(const struct apd_run_row *row);

/* The bits of the modes named in the query, or 0. */
unsigned api_modes_of_query(
	struct apd_request_maker *maker, const struct apd_http_request *request);

/*
 * call.c: a client's request and the runtime's call about it. The HTTP thread
 * and the runtime's each own a half; tasks go to and fro.
 */
struct api_call {
	struct apd_api *api;
	struct apd_http_request *request; /* NULL once answered */
	struct apd_mailbox *home; /* of the request's HTTP thread */
	unsigned holds; /* [http] what still refers to the call; freed at 0 */
	bool finished; /* [runtime] the runtime calls back no more */
	bool left; /* [http] the client has left */
	bool told; /* [http] the runtime knows that it has */
	struct apd_run_call run_call;
	/* What the runtime is asked, and what it said. */
	struct apd_run_request creation;
	struct apd_id run_id;
	bool scoped; /* the path names the run's thread: */
	struct apd_id thread_id;
	bool rollback;
	bool wait;
	enum { API_NOTHING, API_ROW, API_PROBLEM, API_ACCEPTED, API_ABSENT, API_LEFT } outcome;
	struct apd_run_row *row; /* a reference */
	struct apd_event_log *log; /* a reference */
	uint64_t log_seq;
	struct apd_problem problem;
	/* [http] Goes on with the outcome. */
	void (*answer)(struct api_call *call);
	/* [runtime] Asks. */
	void (*ask)(struct api_call *call);
	struct apd_task to_runtime, to_http, leave_out, leave_back;
	struct api_stream *stream; /* of a call that streams */
};

/* Suspends the request and sends ask() to the runtime; answer() runs when the outcome is there. */
struct api_call *api_call_create(struct apd_api *api, struct apd_http_request *request,
	void (*ask)(struct api_call *call), void (*answer)(struct api_call *call));
void api_call_send(struct api_call *call);

/* [runtime] Sends the outcome home: the last word, or (accepted) the first. */
void api_call_home(struct api_call *call);

/* [http] Gives one hold back. */
void api_call_release(struct api_call *call);

/* [http] Tells the runtime that the client has left; at most once. */
void api_call_leave(struct api_call *call);

/* [runtime] Refused; sends the problem home unless there is an outcome already. */
void api_call_refused(struct apd_run_call *run_call, const struct apd_problem *problem);

/* [runtime] The run_call_ops that end in an outcome. */
extern const struct apd_run_call_ops api_call_wait_ops;
extern const struct apd_run_call_ops api_call_accept_ops;

/* [http] Reads a run from storage: 0 with a reference, or -1 when the request has been answered. */
int api_load_run(struct apd_api *api, struct apd_http_request *request, const struct apd_id *run_id,
	bool with_output, struct apd_run_row **ret_row);

/* Fills in that there is no such thread. */
void api_problem_no_thread(struct apd_problem *problem, const struct apd_id *thread_id);

/*
 * runs.c: [http] the answers that several handlers give. Those of runs name
 * where the run is; a result asked for by thread also has the status at its top.
 */
void api_reply_run(struct apd_http_request *request, const struct apd_run_row *row);
void api_reply_result(
	struct apd_http_request *request, const struct apd_run_row *row, bool with_status);

/* [http] Adds Content-Location, the run's path; location: also Location, its stream. */
void api_add_run_location(
	struct apd_http_request *request, const struct apd_run_row *row, bool location);

/* [http] Answers the call's request with its problem, if it has one: -1. */
int api_call_answer_problem(struct api_call *call);

#endif
