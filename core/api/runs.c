/* The routes under /runs. */
#include <errno.h>
#include <stdlib.h>

#include "api/internal.h"
#include "api/stream.h"
#include "base/alloc.h"
#include "base/json_text.h"

/* Answers with the outcome of a call that needs nothing of storage: a row or a problem. */
static int answer_problem(struct api_call *call)
{
	if (call->outcome != API_PROBLEM)
		return 0;
	apd_http_reply_problem(call->request, &call->problem);
	return -1;
}

/* ---- creation ---- */

static void ask_create(struct api_call *call)
{
	apd_runtime_create_run(call->api->deps.runtime, &call->body.spec, &call->run_call);
}

/* Background: the run is durable. */
static void answer_created(struct api_call *call)
{
	if (answer_problem(call) == 0)
		api_reply_run(call->request, call->row);
	api_call_release(call);
}

/* Wait: the run has ended. */
static void answer_result(struct api_call *call)
{
	if (answer_problem(call) == 0)
		api_reply_result(call->request, call->row);
	api_call_release(call);
}

/* Checks the body and sends a creation to the runtime; NULL when it was refused. */
static struct api_call *create(struct apd_api *api, struct apd_http_request *request,
	enum api_operation op, enum apd_run_mode mode, const struct apd_run_call_ops *ops,
	void (*answer)(struct api_call *call))
{
	struct api_thread *thread = api_thread_of(api, request);
	struct apd_problem problem = {0};
	const struct apd_json *body;
	struct api_run_body run;
	struct api_call *call;

	if (api_check(api, op, request, &body) < 0)
		return NULL;
	if (api_run_body_init(api, thread, body, mode, &run, &problem) < 0) {
		apd_http_reply_problem(request, &problem);
		return NULL;
	}
	call = api_call_create(api, request, ask_create, answer);
	call->body = run;
	call->run_call.ops = ops;
	return call;
}

void api_create_run(struct apd_http_request *request, void *data)
{
	struct api_call *call = create(data, request, API_OP_CREATE_RUN, APD_MODE_BACKGROUND,
		&api_call_accept_ops, answer_created);

	if (call)
		api_call_send(call);
}

void api_create_and_wait(struct apd_http_request *request, void *data)
{
	struct api_call *call = create(data, request, API_OP_CREATE_AND_WAIT_RUN, APD_MODE_WAIT,
		&api_call_wait_ops, answer_result);

	if (call)
		api_call_send(call);
}

void api_create_and_stream(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct api_call *call = create(api, request, API_OP_CREATE_AND_STREAM_RUN, APD_MODE_STREAM,
		&api_stream_ops, api_stream_answer);
	const struct apd_json *body;
	uint32_t i;

	if (!call)
		return;
	body = &api_thread_of(api, request)->body;
	i = apd_json_given(body, 0, APD_STR("stream_mode"));
	call->stream = api_stream_create(
		call, i ? api_modes_of(body, i) : API_MODE_VALUES, UINT64_MAX, true);
	api_call_send(call);
}

/* ---- one run ---- */

/* Asks whether the runtime has the run in memory. */
static void ask_find(struct api_call *call)
{
	struct apd_run_row *row = apd_runtime_find_run(call->api->deps.runtime, &call->run_id);

	call->outcome = row ? API_ROW : API_ABSENT;
	call->row = apd_run_row_ref(row);
	api_call_home(call);
}

/* The row that the runtime gave, or the one in storage; NULL when the request has been answered. */
static struct apd_run_row *row_of(struct api_call *call)
{
	if (call->outcome == API_ABSENT &&
		api_load_run(call->api, call->request, &call->run_id, &call->row) < 0)
		return NULL;
	return call->row;
}

static void answer_find(struct api_call *call)
{
	struct apd_run_row *row = row_of(call);

	if (row)
		api_reply_run(call->request, row);
	api_call_release(call);
}

/* Begins a call about the run in the path; NULL when it was refused. */
static struct api_call *about_run(struct apd_api *api, struct apd_http_request *request,
	enum api_operation op, void (*ask)(struct api_call *call),
	void (*answer)(struct api_call *call))
{
	struct api_call *call;

	if (api_check(api, op, request, NULL) < 0)
		return NULL;
	call = api_call_create(api, request, ask, answer);
	call->run_id = api_param_id(request, 0);
	return call;
}

void api_get_run(struct apd_http_request *request, void *data)
{
	struct api_call *call = about_run(data, request, API_OP_GET_RUN, ask_find, answer_find);

	if (call)
		api_call_send(call);
}

/* Not in memory: storage knows, or nobody does. */
static void absent(struct api_call *call)
{
	call->finished = true;
	call->outcome = API_ABSENT;
	api_call_home(call);
}

static void ask_wait(struct api_call *call)
{
	if (apd_runtime_join_run(
		    call->api->deps.runtime, &call->run_id, APD_MODE_WAIT, &call->run_call) < 0)
		absent(call);
}

static void answer_wait(struct api_call *call)
{
	struct apd_run_row *row;

	if (answer_problem(call) == 0) {
		row = row_of(call);
		if (row)
			api_reply_result(call->request, row);
	}
	api_call_release(call);
}

void api_wait_run(struct apd_http_request *request, void *data)
{
	struct api_call *call = about_run(data, request, API_OP_WAIT_RUN, ask_wait, answer_wait);

	if (!call)
		return;
	call->run_call.ops = &api_call_wait_ops;
	api_call_send(call);
}

static void ask_cancel(struct api_call *call)
{
	struct apd_runtime *runtime = call->api->deps.runtime;
	bool wait = call->wait;
	int r = apd_runtime_cancel_run(
		runtime, &call->run_id, call->rollback, wait ? &call->run_call : NULL);

	/* It may have ended within the call, and the request be answered by now. */
	if (r == 0 && wait)
		return;
	call->finished = true;
	call->outcome = r == 0 ? API_ROW : API_ABSENT;
	api_call_home(call);
}

static void answer_cancel(struct api_call *call)
{
	if (answer_problem(call) == 0 && (call->outcome == API_ROW || row_of(call)))
		apd_http_reply_empty(call->request);
	api_call_release(call);
}

void api_cancel_run(struct apd_http_request *request, void *data)
{
	struct api_call *call =
		about_run(data, request, API_OP_CANCEL_RUN, ask_cancel, answer_cancel);

	if (!call)
		return;
	call->rollback = apd_str_is(apd_http_request_query(request, "action"), "rollback");
	call->wait = apd_str_is(apd_http_request_query(request, "wait"), "true");
	if (call->wait)
		call->run_call.ops = &api_call_wait_ops;
	api_call_send(call);
}

/* ---- deletion ---- */

struct deletion {
	struct api_call *call;
	struct apd_change change;
};

static void deleted(struct apd_change *change, int result)
{
	struct deletion *deletion = apd_container_of(change, struct deletion, change);
	struct api_call *call = deletion->call;

	free(deletion);
	call->outcome = result == 0 ? API_ROW : result == -ENOENT ? API_ABSENT : API_PROBLEM;
	if (result == -EBUSY)
		apd_problem_set(&call->problem, APD_PROBLEM_RUN_ACTIVE,
			"The run is active: cancel it first.");
	else if (result < 0)
		apd_problem_set(&call->problem, APD_PROBLEM_STORAGE_UNAVAILABLE,
			"The database cannot be used now (%s).", strerror(-result));
	api_call_home(call);
}

static void ask_delete(struct api_call *call)
{
	struct deletion *deletion = apd_calloc(1, sizeof(*deletion));

	deletion->call = call;
	deletion->change.done = deleted;
	apd_runtime_delete_run(call->api->deps.runtime, &call->run_id, &deletion->change);
}

static void answer_delete(struct api_call *call)
{
	char text[APD_ID_TEXT + 1];

	apd_id_format(&call->run_id, text);
	if (call->outcome == API_ROW)
		apd_http_reply_empty(call->request);
	else if (call->outcome == API_ABSENT)
		api_refuse(call->request, APD_PROBLEM_RUN_NOT_FOUND, "There is no run %s.", text);
	else
		apd_http_reply_problem(call->request, &call->problem);
	api_call_release(call);
}

void api_delete_run(struct apd_http_request *request, void *data)
{
	struct api_call *call =
		about_run(data, request, API_OP_DELETE_RUN, ask_delete, answer_delete);

	if (call)
		api_call_send(call);
}

/* ---- joining a stream ---- */

static void ask_stream(struct api_call *call)
{
	if (apd_runtime_join_run(
		    call->api->deps.runtime, &call->run_id, APD_MODE_STREAM, &call->run_call) < 0)
		absent(call);
}

static void answer_stream(struct api_call *call)
{
	struct apd_run_row *row;

	if (call->outcome != API_ABSENT) {
		api_stream_answer(call);
		return;
	}
	if (call->left) {
		apd_http_reply_empty(call->request);
	} else {
		row = row_of(call);
		if (row)
			api_stream_ended(call->request, row);
	}
	api_call_release(call);
}

/* The modes named in the query, or 0. */
static unsigned query_modes(struct api_thread *thread, const struct apd_http_request *request)
{
	unsigned modes = 0;

	for (unsigned n = 0;; n++) {
		struct apd_str word = apd_http_request_query_at(request, "stream_mode", n);

		if (!word.ptr)
			return modes;
		apd_buf_clear(&thread->scratch);
		apd_buf_addf(&thread->scratch, "\"%.*s\"", APD_STR_FMT(word));
		if (apd_json_scan(&thread->value, apd_buf_str(&thread->scratch)) == 0)
			modes |= api_modes_of(&thread->value, 0);
	}
}

/* The event of Last-Event-ID: "-1" is before the first; what is no number counts as absent. */
static uint64_t last_event_id(const struct apd_http_request *request)
{
	struct apd_str id = apd_http_request_header(request, "Last-Event-ID");
	uint64_t seq = 0;

	if (apd_str_is(id, "-1"))
		return 0;
	if (id.len == 0 || id.len > 19)
		return UINT64_MAX;
	for (size_t i = 0; i < id.len; i++) {
		if (id.ptr[i] < '0' || id.ptr[i] > '9')
			return UINT64_MAX;
		seq = seq * 10 + (uint64_t)(id.ptr[i] - '0');
	}
	return seq;
}

void api_stream_run(struct apd_http_request *request, void *data)
{
	struct api_call *call =
		about_run(data, request, API_OP_STREAM_RUN, ask_stream, answer_stream);

	if (!call)
		return;
	call->run_call.ops = &api_stream_ops;
	call->stream =
		api_stream_create(call, query_modes(api_thread_of(call->api, request), request),
			last_event_id(request), false);
	api_call_send(call);
}

/* ---- search ---- */

/* A search on its way to a reader thread and back; the ranges lie in text. */
struct search {
	struct apd_run_search search;
	struct apd_http_request *request;
	struct apd_mailbox *home;
	struct apd_task task;
	struct apd_buf agent_id;
	struct apd_buf metadata;
	struct apd_id thread_id;
	int result;
};

/* [http] The rows are there. */
static void answer_search(struct apd_task *task)
{
	struct search *search = apd_container_of(task, struct search, task);
	struct apd_buf body = {0};

	apd_buf_lit(&body, "[");
	for (size_t i = 0; i < search->search.n_rows; i++) {
		apd_json_add_comma(&body);
		apd_run_row_add_json(&body, search->search.rows[i]);
		apd_run_row_unref(search->search.rows[i]);
	}
	apd_buf_lit(&body, "]");
	if (search->result < 0)
		api_refuse_errno(search->request, search->result);
	else
		apd_http_reply_json(search->request, 200, &body);
	apd_buf_finish(&body);
	free(search->search.rows);
	apd_buf_finish(&search->agent_id);
	apd_buf_finish(&search->metadata);
	free(search);
}

/* [reader] Sends the rows home. */
static void searched(struct apd_run_search *run_search, int result)
{
	struct search *search = apd_container_of(run_search, struct search, search);

	search->result = result;
	apd_mailbox_post(search->home, &search->task);
}

static void search_gone(void *data)
{
	(void)data; /* the reader's time budget ends it soon enough */
}

void api_search_runs(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	const struct apd_json *body;
	struct search *search;
	struct apd_run_query *query;
	uint32_t i;

	if (api_check(api, API_OP_SEARCH_RUNS, request, &body) < 0)
		return;
	search = apd_calloc(1, sizeof(*search));
	search->request = request;
	search->home = apd_http_request_mailbox(request);
	search->task.run = answer_search;
	search->search.done = searched;
	query = &search->search.query;
	query->status = -1;
	query->limit = (uint32_t)api_body_int(body, APD_STR("limit"), 10);
	query->offset = (uint64_t)api_body_int(body, APD_STR("offset"), 0);
	if ((i = apd_json_given(body, 0, APD_STR("thread_id"))) &&
		apd_id_parse(apd_json_string(body, i, &search->agent_id), &search->thread_id) == 0)
		query->thread_id = &search->thread_id;
	apd_buf_clear(&search->agent_id);
	if ((i = apd_json_given(body, 0, APD_STR("agent_id")))) {
		apd_json_unescape(body, i, &search->agent_id);
		query->agent_id = apd_buf_str(&search->agent_id);
	}
	if ((i = apd_json_given(body, 0, APD_STR("metadata")))) {
		apd_buf_add_str(&search->metadata, apd_json_slice(body, i));
		query->metadata = apd_buf_str(&search->metadata);
	}
	if ((i = apd_json_given(body, 0, APD_STR("status")))) {
		enum apd_run_status status;
		struct apd_buf scratch = {0};

		if (apd_run_status_of(apd_json_string(body, i, &scratch), &status) == 0)
			query->status = (int)status;
		apd_buf_finish(&scratch);
	}
	apd_http_request_suspend(request, search_gone, search);
	api->deps.storage->ops->search_runs(api->deps.storage, &search->search);
}
