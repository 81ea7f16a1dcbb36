/*
 * The routes about one run: /runs/{run_id}..., and the same below
 * /threads/{thread_id}, where a run of another thread is not found.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/internal.h"
#include "api/stream.h"
#include "base/alloc.h"

/* Fills in that the path leads to no run. */
static void problem_no_run(struct apd_problem *problem, const struct api_call *call)
{
	char run[APD_ID_TEXT + 1], thread[APD_ID_TEXT + 1];

	apd_id_format(&call->run_id, run);
	apd_id_format(&call->thread_id, thread);
	if (call->scoped)
		apd_problem_set(problem, APD_PROBLEM_RUN_NOT_FOUND,
			"There is no run %s on the thread %s.", run, thread);
	else
		apd_problem_set(problem, APD_PROBLEM_RUN_NOT_FOUND, "There is no run %s.", run);
}

/* True if the run is of another thread than the one in the path. */
static bool is_elsewhere(const struct api_call *call, const struct apd_run_row *row)
{
	return call->scoped && !apd_id_eq(&row->thread_id, &call->thread_id);
}

/* [runtime] Sends home what needs no more of the runtime. */
static void over(struct api_call *call, int outcome)
{
	call->finished = true;
	call->outcome = outcome;
	api_call_home(call);
}

/* [runtime] Sends the call home if its run is in memory, but of another thread. */
static bool sent_back(struct api_call *call)
{
	struct apd_run_row *row =
		call->scoped ? apd_runtime_find_run(call->api->deps.runtime, &call->run_id) : NULL;

	if (!row || !is_elsewhere(call, row))
		return false;
	problem_no_run(&call->problem, call);
	over(call, API_PROBLEM);
	return true;
}

/* The row that the runtime gave, or the one in storage; NULL when the request has been answered. */
static struct apd_run_row *row_of(struct api_call *call, bool with_output)
{
	struct apd_problem problem = {0};

	if (api_call_answer_problem(call) < 0)
		return NULL;
	if (call->outcome == API_ABSENT &&
		api_load_run(call->api, call->request, &call->run_id, with_output, &call->row) < 0)
		return NULL;
	if (call->row && is_elsewhere(call, call->row)) {
		problem_no_run(&problem, call);
		apd_http_reply_problem(call->request, &problem);
		return NULL;
	}
	return call->row;
}

/* Begins a call about the run in the path; NULL when it was refused. */
static struct api_call *about_run(struct apd_api *api, struct apd_http_request *request,
	enum api_operation op, bool scoped, void (*ask)(struct api_call *call),
	void (*answer)(struct api_call *call))
{
	struct api_call *call;

	if (api_check(api, op, request, NULL) < 0)
		return NULL;
	call = api_call_create(api, request, ask, answer);
	call->scoped = scoped;
	if (scoped)
		call->thread_id = api_param_id(request, 0);
	call->run_id = api_param_id(request, scoped);
	return call;
}

/* ---- a run as it is ---- */

static void ask_find(struct api_call *call)
{
	struct apd_run_row *row = apd_runtime_find_run(call->api->deps.runtime, &call->run_id);

	call->row = apd_run_row_ref(row);
	over(call, row ? API_ROW : API_ABSENT);
}

static void answer_find(struct api_call *call)
{
	struct apd_run_row *row = row_of(call, false);

	if (row)
		api_reply_run(call->request, row);
	api_call_release(call);
}

static void get_run(
	struct apd_api *api, struct apd_http_request *request, enum api_operation op, bool scoped)
{
	struct api_call *call = about_run(api, request, op, scoped, ask_find, answer_find);

	if (call)
		api_call_send(call);
}

void api_get_run(struct apd_http_request *request, void *data)
{
	get_run(data, request, API_OP_GET_RUN, false);
}

void api_get_thread_run(struct apd_http_request *request, void *data)
{
	get_run(data, request, API_OP_GET_THREAD_RUN, true);
}

/* ---- waiting ---- */

static void ask_wait(struct api_call *call)
{
	if (!sent_back(call) &&
		apd_runtime_join_run(
			call->api->deps.runtime, &call->run_id, APD_MODE_WAIT, &call->run_call) < 0)
		over(call, API_ABSENT);
}

static void answer_wait(struct api_call *call)
{
	struct apd_run_row *row = row_of(call, true);

	if (row)
		api_reply_result(call->request, row, call->scoped);
	api_call_release(call);
}

static void wait_run(
	struct apd_api *api, struct apd_http_request *request, enum api_operation op, bool scoped)
{
	struct api_call *call = about_run(api, request, op, scoped, ask_wait, answer_wait);

	if (!call)
		return;
	call->run_call.ops = &api_call_wait_ops;
	api_call_send(call);
}

void api_wait_run(struct apd_http_request *request, void *data)
{
	wait_run(data, request, API_OP_WAIT_RUN, false);
}

void api_wait_thread_run(struct apd_http_request *request, void *data)
{
	wait_run(data, request, API_OP_WAIT_THREAD_RUN, true);
}

/* ---- cancelling ---- */

static void ask_cancel(struct api_call *call)
{
	struct apd_runtime *runtime = call->api->deps.runtime;
	bool wait = call->wait;
	int r;

	if (sent_back(call))
		return;
	r = apd_runtime_cancel_run(
		runtime, &call->run_id, call->rollback, wait ? &call->run_call : NULL);
	/* It may have ended within the call, and the request be answered by now. */
	if (r == 0 && wait)
		return;
	over(call, r == 0 ? API_ROW : API_ABSENT);
}

static void answer_cancel(struct api_call *call)
{
	if (call->outcome == API_ROW || row_of(call, false))
		apd_http_reply_empty(call->request);
	api_call_release(call);
}

static void cancel_run(
	struct apd_api *api, struct apd_http_request *request, enum api_operation op, bool scoped)
{
	struct api_call *call = about_run(api, request, op, scoped, ask_cancel, answer_cancel);

	if (!call)
		return;
	call->rollback = apd_str_is(apd_http_request_query(request, "action"), "rollback");
	call->wait = apd_str_is(apd_http_request_query(request, "wait"), "true");
	if (call->wait)
		call->run_call.ops = &api_call_wait_ops;
	api_call_send(call);
}

void api_cancel_run(struct apd_http_request *request, void *data)
{
	cancel_run(data, request, API_OP_CANCEL_RUN, false);
}

void api_cancel_thread_run(struct apd_http_request *request, void *data)
{
	cancel_run(data, request, API_OP_CANCEL_THREAD_RUN, true);
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
	if (result == -EBUSY)
		apd_problem_set(&call->problem, APD_PROBLEM_RUN_ACTIVE,
			"The run is active: cancel it first.");
	else if (result == -ENOENT)
		problem_no_run(&call->problem, call);
	else if (result < 0)
		apd_problem_set(&call->problem, APD_PROBLEM_STORAGE_UNAVAILABLE,
			"The database cannot be used now (%s).", strerror(-result));
	over(call, result == 0 ? API_ROW : API_PROBLEM);
}

static void ask_delete(struct api_call *call)
{
	struct deletion *deletion;

	if (sent_back(call))
		return;
	deletion = apd_calloc(1, sizeof(*deletion));
	deletion->call = call;
	deletion->change.done = deleted;
	apd_runtime_delete_run(call->api->deps.runtime, &call->run_id, &deletion->change);
}

static void answer_delete(struct api_call *call)
{
	if (api_call_answer_problem(call) == 0)
		apd_http_reply_empty(call->request);
	api_call_release(call);
}

void api_delete_run(struct apd_http_request *request, void *data)
{
	struct api_call *call =
		about_run(data, request, API_OP_DELETE_RUN, false, ask_delete, answer_delete);

	if (call)
		api_call_send(call);
}

/* A run in storage alone is looked at before it goes: the thread of a run never changes. */
void api_delete_thread_run(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct api_call *call =
		about_run(api, request, API_OP_DELETE_THREAD_RUN, true, ask_delete, answer_delete);
	struct apd_storage *storage = api->deps.storage;
	int r;

	if (!call)
		return;
	r = storage->ops->get_run(storage, &call->run_id, false, &call->row);
	if (r == 0 && !row_of(call, false)) {
		api_call_release(call);
	} else if (r < 0 && r != -ENOENT) {
		api_refuse_errno(request, r);
		api_call_release(call);
	} else {
		api_call_send(call);
	}
}

/* ---- joining a stream ---- */

static void ask_stream(struct api_call *call)
{
	if (!sent_back(call) &&
		apd_runtime_join_run(call->api->deps.runtime, &call->run_id, APD_MODE_STREAM,
			&call->run_call) < 0)
		over(call, API_ABSENT);
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
		row = row_of(call, false);
		if (row)
			api_stream_ended(call, row);
	}
	api_call_release(call);
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

static void stream_run(
	struct apd_api *api, struct apd_http_request *request, enum api_operation op, bool scoped)
{
	struct api_call *call = about_run(api, request, op, scoped, ask_stream, answer_stream);

	if (!call)
		return;
	call->run_call.ops = &api_stream_ops;
	call->stream = api_stream_create(call,
		api_modes_of_query(&api_thread_of(api, request)->maker, request),
		last_event_id(request), false);
	api_call_send(call);
}

void api_stream_run(struct apd_http_request *request, void *data)
{
	stream_run(data, request, API_OP_STREAM_RUN, false);
}

void api_stream_thread_run(struct apd_http_request *request, void *data)
{
	stream_run(data, request, API_OP_STREAM_THREAD_RUN, true);
}
