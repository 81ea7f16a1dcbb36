/* Creating runs: POST /runs and its kin, and the same below /threads/{thread_id}. */
#include "api/internal.h"
#include "api/stream.h"
#include "base/json_text.h"

void api_add_run_location(
	struct apd_http_request *request, const struct apd_run_row *row, bool location)
{
	char run[APD_ID_TEXT + 1], thread[APD_ID_TEXT + 1];
	struct apd_buf path = {0};

	apd_id_format(&row->run_id, run);
	apd_id_format(&row->thread_id, thread);
	apd_buf_addf(&path, "/threads/%s/runs/%s", thread, run);
	apd_http_request_add_header(request, "Content-Location", path.data);
	if (location) {
		apd_buf_lit(&path, "/stream");
		apd_http_request_add_header(request, "Location", path.data);
	}
	apd_buf_finish(&path);
}

void api_reply_run(struct apd_http_request *request, const struct apd_run_row *row)
{
	struct apd_buf body = {0};

	apd_run_row_add_json(&body, row);
	apd_http_reply_json(request, 200, &body);
}

void api_reply_result(
	struct apd_http_request *request, const struct apd_run_row *row, bool with_status)
{
	struct apd_buf result = {0}, body = {0};

	apd_run_row_add_result_json(&result, row);
	if (with_status) {
		apd_buf_reserve(&body, result.len + 32);
		apd_buf_lit(&body, "{");
		apd_json_member_str(&body, "status", apd_str(apd_run_status_word(row->status)));
		apd_buf_lit(&body, ",");
		apd_buf_add(&body, result.data + 1, result.len - 1);
	}
	apd_http_reply_json(request, 200, with_status ? &body : &result);
	apd_buf_finish(&result);
}

int api_call_answer_problem(struct api_call *call)
{
	if (call->outcome != API_PROBLEM)
		return 0;
	if (call->problem.code == APD_PROBLEM_THREAD_NOT_FOUND)
		api_problem_no_thread(&call->problem, &call->creation.spec.thread_id);
	apd_http_reply_problem(call->request, &call->problem);
	return -1;
}

static void ask_create(struct api_call *call)
{
	apd_runtime_create_run(call->api->deps.runtime, &call->creation.spec, &call->run_call);
}

/* Background: the run is durable. */
static void answer_created(struct api_call *call)
{
	if (api_call_answer_problem(call) == 0) {
		api_add_run_location(call->request, call->row, false);
		api_reply_run(call->request, call->row);
	}
	api_call_release(call);
}

/* Wait: the run has ended. */
static void answer_result(struct api_call *call)
{
	if (api_call_answer_problem(call) == 0) {
		api_add_run_location(call->request, call->row, false);
		api_reply_result(call->request, call->row, call->scoped);
	}
	api_call_release(call);
}

/* How the three ways of creating a run differ. */
struct manner {
	enum apd_run_mode mode;
	const struct apd_run_call_ops *ops;
	void (*answer)(struct api_call *call);
};

static const struct manner background = {APD_MODE_BACKGROUND, &api_call_accept_ops, answer_created};
static const struct manner waiting = {APD_MODE_WAIT, &api_call_wait_ops, answer_result};
static const struct manner streaming = {APD_MODE_STREAM, &api_stream_ops, api_stream_answer};

/* Makes the creation of a checked body. 0, or -1 when the request has been answered. */
static int make(struct apd_api *api, struct apd_http_request *request, const struct apd_json *body,
	const struct apd_id *thread_id, enum apd_run_mode mode, struct apd_run_request *ret_run)
{
	struct apd_request_maker *maker = &api_thread_of(api, request)->maker;
	struct apd_agent_set *agents = apd_pool_agents(api->deps.pool);
	struct apd_problem problem = {0};
	int r = apd_run_request_init(maker, agents, body, thread_id, mode, ret_run, &problem);

	apd_agent_set_unref(agents);
	if (r < 0)
		apd_http_reply_problem(request, &problem);
	return r;
}

/* Checks a request and sends the creation to the runtime. scoped: its path names the thread. */
static void create(struct apd_api *api, struct apd_http_request *request, enum api_operation op,
	bool scoped, const struct manner *manner)
{
	const struct apd_json *body;
	struct apd_run_request run;
	struct apd_id thread_id;
	struct api_call *call;
	uint32_t modes;

	if (api_check(api, op, request, &body) < 0)
		return;
	if (scoped)
		thread_id = api_param_id(request, 0);
	if (make(api, request, body, scoped ? &thread_id : NULL, manner->mode, &run) < 0)
		return;
	call = api_call_create(api, request, ask_create, manner->answer);
	call->creation = run;
	call->scoped = scoped;
	call->run_call.ops = manner->ops;
	if (manner->mode == APD_MODE_STREAM) {
		modes = apd_json_given(body, 0, APD_STR("stream_mode"));
		call->stream = api_stream_create(call,
			modes ? api_modes_of(body, modes) : API_MODE_VALUES, UINT64_MAX, true);
	}
	api_call_send(call);
}

void api_create_run(struct apd_http_request *request, void *data)
{
	create(data, request, API_OP_CREATE_RUN, false, &background);
}

void api_create_and_wait(struct apd_http_request *request, void *data)
{
	create(data, request, API_OP_CREATE_AND_WAIT_RUN, false, &waiting);
}

void api_create_and_stream(struct apd_http_request *request, void *data)
{
	create(data, request, API_OP_CREATE_AND_STREAM_RUN, false, &streaming);
}

void api_create_thread_run(struct apd_http_request *request, void *data)
{
	create(data, request, API_OP_CREATE_THREAD_RUN, true, &background);
}

void api_create_and_wait_thread_run(struct apd_http_request *request, void *data)
{
	create(data, request, API_OP_CREATE_AND_WAIT_THREAD_RUN, true, &waiting);
}

void api_create_and_stream_thread_run(struct apd_http_request *request, void *data)
{
	create(data, request, API_OP_CREATE_AND_STREAM_THREAD_RUN, true, &streaming);
}
