/* The routes about one thread: /threads and /threads/{thread_id}. */
#include <errno.h>
#include <stdlib.h>

#include "api/internal.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"

/*
 * A request on its way through the runtime. What it asks for is decided whoever
 * still waits for it, so that a client that leaves changes nothing.
 */
struct visit {
	struct apd_api *api;
	struct apd_http_request *request;
	struct apd_mailbox *home;
	struct apd_task to_runtime, to_http;
	struct apd_thread_call call;
	struct apd_id thread_id;
	bool existing; /* of a creation */
	struct apd_thread_patch patch; /* of a creation: metadata */
	void (*ask)(struct visit *visit);
	/* What came of it. */
	struct apd_problem problem;
	struct apd_thread_view view; /* references of its own */
};

static void reply_thread(struct apd_http_request *request, const struct apd_thread_view *view)
{
	struct apd_buf body = {0};

	apd_thread_view_add_json(&body, view);
	apd_http_reply_json(request, 200, &body);
}

/* Names the thread's own path where the request's is another. */
static void add_location(struct apd_http_request *request, const struct apd_id *thread_id)
{
	static const char base[] = "/threads/";
	char path[sizeof(base) + APD_ID_TEXT];

	memcpy(path, base, sizeof(base));
	apd_id_format(thread_id, path + sizeof(base) - 1);
	apd_http_request_add_header(request, "Content-Location", path);
}

/* [http] The visit is over. */
static void at_home(struct apd_task *task)
{
	struct visit *visit = apd_container_of(task, struct visit, to_http);

	if (visit->problem.code) {
		if (visit->problem.code == APD_PROBLEM_THREAD_NOT_FOUND)
			api_problem_no_thread(&visit->problem, &visit->thread_id);
		apd_http_reply_problem(visit->request, &visit->problem);
	} else if (visit->view.thread) {
		add_location(visit->request, &visit->view.thread->thread_id);
		reply_thread(visit->request, &visit->view);
	} else {
		apd_http_reply_empty(visit->request);
	}
	apd_thread_view_finish(&visit->view);
	apd_text_unref(visit->patch.text);
	free(visit);
}

/* [runtime] Takes what came of it home. */
static void done(struct apd_thread_call *call, const struct apd_problem *problem)
{
	struct visit *visit = apd_container_of(call, struct visit, call);
	const struct apd_thread_view *view = &call->view;

	if (problem) {
		visit->problem = *problem;
	} else if (view->thread) {
		visit->view.thread = apd_thread_row_ref(view->thread);
		visit->view.head = view->head ? apd_checkpoint_row_ref(view->head) : NULL;
		visit->view.state = apd_state_ref(view->state);
		visit->view.busy = view->busy;
	}
	apd_mailbox_post(visit->home, &visit->to_http);
}

/* [runtime] */
static void at_runtime(struct apd_task *task)
{
	struct visit *visit = apd_container_of(task, struct visit, to_runtime);

	visit->ask(visit);
}

static void gone(void *data)
{
	(void)data; /* it is decided all the same */
}

static struct visit *visit_create(
	struct apd_api *api, struct apd_http_request *request, void (*ask)(struct visit *visit))
{
	struct visit *visit = apd_calloc(1, sizeof(*visit));

	visit->api = api;
	visit->request = request;
	visit->home = apd_http_request_mailbox(request);
	visit->to_runtime.run = at_runtime;
	visit->to_http.run = at_home;
	visit->call.done = done;
	visit->ask = ask;
	return visit;
}

static void visit_send(struct visit *visit)
{
	apd_http_request_suspend(visit->request, gone, visit);
	apd_mailbox_post(visit->api->deps.runtime_mailbox, &visit->to_runtime);
}

/* ---- creation ---- */

static void ask_create(struct visit *visit)
{
	apd_runtime_create_thread(visit->api->deps.runtime, &visit->thread_id,
		visit->patch.metadata, visit->existing, &visit->call);
}

void api_create_thread(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_request_maker *maker = &api_thread_of(api, request)->maker;
	const struct apd_json *body;
	struct visit *visit;
	uint32_t i;

	if (api_check(api, API_OP_CREATE_THREAD, request, &body) < 0)
		return;
	visit = visit_create(api, request, ask_create);
	if ((i = apd_json_given(body, 0, APD_STR("thread_id"))))
		apd_id_parse(apd_json_string(body, i, &maker->scratch), &visit->thread_id);
	else
		visit->thread_id = apd_id_next(&maker->ids, apd_clock_wall_us());
	if ((i = apd_json_given(body, 0, APD_STR("if_exists"))))
		visit->existing = apd_json_is(body, i, APD_STR("do_nothing"));
	visit->patch.metadata = APD_STR("{}");
	if (api_body_slice(body, APD_STR("metadata")).ptr) {
		visit->patch.text = apd_text_create(api_body_slice(body, APD_STR("metadata")));
		visit->patch.metadata = apd_text_str(visit->patch.text);
	}
	visit_send(visit);
}

/* ---- reading ---- */

void api_get_thread(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_storage *storage = api->deps.storage;
	struct apd_problem problem = {0};
	struct apd_thread_view view;
	struct apd_id thread_id;
	int r;

	if (api_check(api, API_OP_GET_THREAD, request, NULL) < 0)
		return;
	thread_id = api_param_id(request, 0);
	r = storage->ops->get_thread(storage, &thread_id, &view);
	if (r == 0) {
		reply_thread(request, &view);
		apd_thread_view_finish(&view);
	} else if (r == -ENOENT) {
		api_problem_no_thread(&problem, &thread_id);
		apd_http_reply_problem(request, &problem);
	} else {
		api_refuse_errno(request, r);
	}
}

/* ---- changes ---- */

static void ask_patch(struct visit *visit)
{
	apd_runtime_patch_thread(
		visit->api->deps.runtime, &visit->thread_id, &visit->patch, &visit->call);
}

/*
 * Adds the values but for messages, which are the thread's and not among its
 * values: whoever sends them there means the same as with `messages`.
 */
static void add_values(struct apd_buf *out, const struct apd_json *body, uint32_t values)
{
	apd_buf_lit(out, "{");
	apd_json_each_member (body, values, k) {
		if (apd_json_is(body, k, APD_STR("messages")))
			continue;
		apd_json_add_comma(out);
		apd_buf_add_str(out, apd_json_slice(body, k));
		apd_buf_lit(out, ":");
		apd_buf_add_str(out, apd_json_slice(body, k + 1));
	}
	apd_buf_lit(out, "}");
}

/* Writes down what the body changes. */
static void compose_patch(struct apd_request_maker *maker, const struct apd_json *body,
	struct apd_thread_patch *patch)
{
	uint32_t values = apd_json_given(body, 0, APD_STR("values"));
	uint32_t messages = apd_json_given(body, 0, APD_STR("messages"));
	uint32_t among = values ? apd_json_given(body, values, APD_STR("messages")) : 0;
	struct apd_str metadata = api_body_slice(body, APD_STR("metadata"));
	struct apd_buf *out = &maker->scratch;
	size_t at_messages, at_metadata;

	apd_buf_clear(out);
	if (values)
		add_values(out, body, values);
	at_messages = out->len;
	if (messages || among) {
		apd_buf_lit(out, "[");
		if (among)
			api_messages_add(out, maker, body, among);
		if (messages)
			api_messages_add(out, maker, body, messages);
		apd_buf_lit(out, "]");
	}
	at_metadata = out->len;
	apd_buf_add_str(out, metadata);
	patch->text = apd_text_of(out);
	if (values)
		patch->values = (struct apd_str){patch->text->data, at_messages};
	if (messages || among)
		patch->messages = (struct apd_str){
			patch->text->data + at_messages, at_metadata - at_messages};
	if (metadata.ptr)
		patch->metadata = (struct apd_str){patch->text->data + at_metadata, metadata.len};
}

void api_patch_thread(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_request_maker *maker = &api_thread_of(api, request)->maker;
	const struct apd_json *body;
	struct visit *visit;
	uint32_t i;

	if (api_check(api, API_OP_PATCH_THREAD, request, &body) < 0)
		return;
	visit = visit_create(api, request, ask_patch);
	visit->thread_id = api_param_id(request, 0);
	if ((i = apd_json_given(body, 0, APD_STR("checkpoint")))) {
		i = apd_json_member(body, i, APD_STR("checkpoint_id"));
		visit->patch.has_checkpoint = true;
		apd_id_parse(
			apd_json_string(body, i, &maker->scratch), &visit->patch.checkpoint_id);
	}
	compose_patch(maker, body, &visit->patch);
	/* The protocol's document: it is ignored where only metadata changes. */
	if (visit->patch.metadata.ptr && !visit->patch.values.ptr && !visit->patch.messages.ptr)
		visit->patch.has_checkpoint = false;
	visit_send(visit);
}

static void ask_copy(struct visit *visit)
{
	apd_runtime_copy_thread(visit->api->deps.runtime, &visit->thread_id, &visit->call);
}

static void ask_delete(struct visit *visit)
{
	apd_runtime_delete_thread(visit->api->deps.runtime, &visit->thread_id, &visit->call);
}

/* Sends a request that says all in its path. */
static void visit_thread(struct apd_api *api, struct apd_http_request *request,
	enum api_operation op, void (*ask)(struct visit *visit))
{
	struct visit *visit;

	if (api_check(api, op, request, NULL) < 0)
		return;
	visit = visit_create(api, request, ask);
	visit->thread_id = api_param_id(request, 0);
	visit_send(visit);
}

void api_copy_thread(struct apd_http_request *request, void *data)
{
	visit_thread(data, request, API_OP_COPY_THREAD, ask_copy);
}

void api_delete_thread(struct apd_http_request *request, void *data)
{
	visit_thread(data, request, API_OP_DELETE_THREAD, ask_delete);
}
