/*
 * A call: a client's request on its way to the runtime and back.
 *
 * The HTTP thread's half counts holds: one until the outcome has been dealt
 * with, one more while the runtime is being told that the client left. The
 * runtime's half knows whether the runtime may still call back. Tasks between
 * two threads keep their order, so that what comes back last frees the call.
 */
#include "api/internal.h"

#include <stdlib.h>

#include "api/stream.h"
#include "base/alloc.h"

/* [runtime] The request has arrived: ask. */
static void at_runtime(struct apd_task *task)
{
	struct api_call *call = apd_container_of(task, struct api_call, to_runtime);

	call->ask(call);
}

/* [http] The outcome has arrived: answer. */
static void at_home(struct apd_task *task)
{
	struct api_call *call = apd_container_of(task, struct api_call, to_http);

	call->answer(call);
}

/* [runtime] The client has left. */
static void leave_at_runtime(struct apd_task *task)
{
	struct api_call *call = apd_container_of(task, struct api_call, leave_out);

	if (call->stream)
		api_stream_unwatch(call->stream);
	if (!call->finished) {
		call->finished = true;
		apd_runtime_leave(call->api->deps.runtime, &call->run_call);
		if (call->outcome == API_NOTHING)
			call->outcome = API_LEFT;
	}
	apd_mailbox_post(call->home, &call->leave_back);
}

/* [http] The runtime knows that the client has left, and sends nothing any more. */
static void leave_at_home(struct apd_task *task)
{
	struct api_call *call = apd_container_of(task, struct api_call, leave_back);

	if (call->outcome == API_LEFT) {
		apd_http_reply_empty(call->request);
		call->request = NULL;
		api_call_release(call);
	}
	api_call_release(call);
}

/* [http] The client closed its socket while the request was suspended. */
static void gone(void *data)
{
	struct api_call *call = data;

	call->left = true;
	api_call_leave(call);
}

struct api_call *api_call_create(struct apd_api *api, struct apd_http_request *request,
	void (*ask)(struct api_call *call), void (*answer)(struct api_call *call))
{
	struct api_call *call = apd_calloc(1, sizeof(*call));

	call->api = api;
	call->request = request;
	call->home = apd_http_request_mailbox(request);
	call->holds = 1;
	call->ask = ask;
	call->answer = answer;
	call->to_runtime.run = at_runtime;
	call->to_http.run = at_home;
	call->leave_out.run = leave_at_runtime;
	call->leave_back.run = leave_at_home;
	return call;
}

void api_call_send(struct api_call *call)
{
	apd_http_request_suspend(call->request, gone, call);
	apd_mailbox_post(call->api->deps.runtime_mailbox, &call->to_runtime);
}

void api_call_home(struct api_call *call)
{
	apd_mailbox_post(call->home, &call->to_http);
}

void api_call_leave(struct api_call *call)
{
	/* Without a run call there is nothing that could be left: the outcome comes by itself. */
	if (call->told || !call->run_call.ops)
		return;
	call->told = true;
	call->holds++;
	apd_mailbox_post(call->api->deps.runtime_mailbox, &call->leave_out);
}

void api_call_release(struct api_call *call)
{
	if (--call->holds > 0)
		return;
	apd_run_request_finish(&call->creation);
	apd_run_row_unref(call->row);
	apd_event_log_unref(call->log);
	api_stream_destroy(call->stream);
	free(call);
}

void api_call_refused(struct apd_run_call *run_call, const struct apd_problem *problem)
{
	struct api_call *call = apd_container_of(run_call, struct api_call, run_call);

	call->finished = true;
	if (call->outcome != API_NOTHING)
		return;
	call->outcome = API_PROBLEM;
	call->problem = *problem;
	api_call_home(call);
}

/* [runtime] The run ended. */
static void ended(struct apd_run_call *run_call)
{
	struct api_call *call = apd_container_of(run_call, struct api_call, run_call);

	call->finished = true;
	if (call->outcome != API_NOTHING)
		return;
	call->outcome = API_ROW;
	call->row = apd_run_row_ref(run_call->row);
	api_call_home(call);
}

/* [runtime] The run exists, which is all that the client waits for. */
static void accepted(struct apd_run_call *run_call)
{
	struct api_call *call = apd_container_of(run_call, struct api_call, run_call);

	call->finished = true;
	call->outcome = API_ROW;
	call->row = apd_run_row_ref(run_call->row);
	apd_runtime_leave(call->api->deps.runtime, run_call);
	api_call_home(call);
}

const struct apd_run_call_ops api_call_wait_ops = {.refused = api_call_refused, .ended = ended};
const struct apd_run_call_ops api_call_accept_ops = {
	.refused = api_call_refused, .accepted = accepted};
