/* The lab: the server, played, and what tests do in it. */
#include "lab.h"

#include <stdlib.h>

#include "base/alloc.h"

/* ---- HTTP ---- */

unsigned apd_http_server_threads(const struct apd_http_server *server)
{
	(void)server;
	return 1;
}

void apd_http_server_stats(const struct apd_http_server *server, struct apd_http_stats *ret_stats)
{
	(void)server;
	*ret_stats = (struct apd_http_stats){.requests = 5, .responses = {0, 0, 4, 0, 1, 0}};
}

struct apd_str apd_http_request_param(const struct apd_http_request *request, unsigned n)
{
	return apd_str(request->params[n]);
}

struct apd_str apd_http_request_query_at(
	const struct apd_http_request *request, const char *name, unsigned n)
{
	for (size_t i = 0; i < LAB_MAX && request->query[i].name; i++)
		if (strcmp(request->query[i].name, name) == 0 && n-- == 0)
			return apd_str(request->query[i].value);
	return APD_STR_ABSENT;
}

struct apd_str apd_http_request_query(const struct apd_http_request *request, const char *name)
{
	return apd_http_request_query_at(request, name, 0);
}

struct apd_str apd_http_request_header(const struct apd_http_request *request, const char *name)
{
	for (size_t i = 0; i < LAB_MAX && request->headers[i].name; i++)
		if (strcmp(request->headers[i].name, name) == 0)
			return apd_str(request->headers[i].value);
	return APD_STR_ABSENT;
}

struct apd_text *apd_http_request_body(struct apd_http_request *request)
{
	return request->body;
}

unsigned apd_http_request_thread(const struct apd_http_request *request)
{
	(void)request;
	return 0;
}

struct apd_mailbox *apd_http_request_mailbox(const struct apd_http_request *request)
{
	return &request->lab->home;
}

void apd_http_request_add_header(
	struct apd_http_request *request, const char *name, const char *value)
{
	apd_buf_addf(&request->lab->headers, "%s: %s\n", name, value);
}

/* The request is answered: it is gone. */
static void answer(struct apd_http_request *request, int status)
{
	struct lab *lab = request->lab;

	lab->answers++;
	lab->status = status;
	apd_text_unref(request->body);
	free(request);
}

void apd_http_reply(struct apd_http_request *request, int status, const char *content_type,
	struct apd_buf *body)
{
	(void)content_type;
	apd_buf_finish(&request->lab->body);
	request->lab->body = *body;
	*body = (struct apd_buf){0};
	answer(request, status);
}

void apd_http_reply_json(struct apd_http_request *request, int status, struct apd_buf *body)
{
	apd_http_reply(request, status, "application/json", body);
}

void apd_http_reply_empty(struct apd_http_request *request)
{
	apd_buf_clear(&request->lab->body);
	answer(request, 204);
}

void apd_http_reply_problem(struct apd_http_request *request, const struct apd_problem *problem)
{
	request->lab->problem = *problem;
	answer(request, apd_problem_status(problem->code));
}

void apd_http_request_suspend(
	struct apd_http_request *request, void (*gone)(void *data), void *data)
{
	assert_false(request->suspended);
	request->suspended = true;
	request->gone = gone;
	request->gone_data = data;
}

struct apd_http_stream *apd_http_stream_begin(
	struct apd_http_request *request, const struct apd_http_source *source, void *data)
{
	struct lab *lab = request->lab;

	assert_null(lab->stream);
	lab->stream = apd_calloc(1, sizeof(*lab->stream));
	*lab->stream = (struct apd_http_stream){.lab = lab, .source = source, .data = data};
	apd_buf_clear(&lab->body);
	answer(request, 200);
	return lab->stream;
}

void apd_http_stream_wake(struct apd_http_stream *stream)
{
	assert_ptr_equal(stream, stream->lab->stream);
	stream->wakes++;
}

/* ---- the lab ---- */

static void no_wake(void *data)
{
	(void)data; /* the tests run the tasks */
}

struct lab *lab_create(void)
{
	struct lab *lab = apd_calloc(1, sizeof(*lab));
	struct apd_buf error = {0};
	struct apd_api_deps deps = {&lab->runtime_mailbox, &lab->runtime,
		(struct apd_pool *)(void *)lab, &lab->storage, "1.2.3"};

	apd_mailbox_init(&lab->runtime_mailbox, no_wake, NULL);
	apd_mailbox_init(&lab->home, no_wake, NULL);
	lab->storage.ops = &lab_storage_ops;
	lab->agents = apd_calloc(1, sizeof(*lab->agents));
	lab->agents->refs = 1;
	if (apd_api_create(&deps, &lab->api, &error) < 0)
		fail_msg("%s", error.data);
	apd_api_attach(lab->api, NULL);
	return lab;
}

void lab_destroy(struct lab *lab)
{
	lab_run(lab);
	assert_null(lab->stream);
	assert_null(lab->runtime.watch);
	apd_api_destroy(lab->api);
	apd_agent_set_unref(lab->agents);
	assert_null(lab->runtime.thread_call);
	apd_text_unref(lab->runtime.request);
	apd_text_unref(lab->runtime.metadata);
	apd_text_unref(lab->runtime.patch.text);
	apd_run_row_unref(lab->runtime.row);
	apd_event_log_unref(lab->runtime.log);
	apd_run_row_unref(lab->stored);
	apd_buf_finish(&lab->body);
	apd_buf_finish(&lab->headers);
	free(lab);
}

static struct apd_str copy(const char *s)
{
	return s ? apd_str(apd_strdup(s)) : APD_STR_ABSENT;
}

static struct apd_schema *compile(const char *text)
{
	struct apd_schema *schema = NULL;

	if (text)
		assert_int_equal(apd_schema_compile(apd_str(text), &schema, NULL), 0);
	return schema;
}

struct apd_agent *lab_add_agent(
	struct lab *lab, const char *agent_id, const char *input, const char *config)
{
	struct apd_agent_set *set = lab->agents;
	struct apd_agent *agent = apd_calloc(1, sizeof(*agent));

	agent->refs = 1;
	agent->agent_id = copy(agent_id);
	agent->name = copy(agent_id);
	agent->capabilities = copy("{}");
	agent->metadata = copy("{\"plugin\":\"p\"}");
	agent->input_schema = copy(input);
	agent->config_schema = copy(config);
	agent->input = compile(input);
	agent->config = compile(config);
	agent->state = APD_AGENT_READY;
	set->agents = apd_realloc(set->agents, (set->count + 1) * sizeof(*set->agents));
	set->agents[set->count++] = agent;
	return agent;
}

struct apd_http_request *lab_request(struct lab *lab, const char *param, const char *body)
{
	struct apd_http_request *request = apd_calloc(1, sizeof(*request));

	request->lab = lab;
	request->params[0] = param;
	request->body = apd_text_create(apd_str(body ? body : ""));
	return request;
}

void lab_handle(struct apd_http_request *request, apd_http_handler *handler)
{
	handler(request, request->lab->api);
}

void lab_run_runtime(struct lab *lab)
{
	apd_mailbox_drain(&lab->runtime_mailbox);
}

void lab_run_home(struct lab *lab)
{
	apd_mailbox_drain(&lab->home);
}

void lab_run(struct lab *lab)
{
	while (apd_mailbox_drain(&lab->runtime_mailbox) + apd_mailbox_drain(&lab->home))
		;
}

void lab_leave(struct apd_http_request *request)
{
	assert_true(request->suspended);
	request->gone(request->gone_data);
}

int lab_pull(struct lab *lab, size_t max)
{
	return lab->stream->source->pull(lab->stream->data, &lab->body, max);
}

void lab_close(struct lab *lab, bool left)
{
	struct apd_http_stream *stream = lab->stream;

	lab->stream = NULL;
	stream->source->closed(stream->data, left);
	free(stream);
}

/* The state {"n":1} with one message. */
static struct apd_state *make_state(void)
{
	struct apd_state *empty = apd_state_empty(), *state = NULL;
	struct apd_json json = {0};

	assert_int_equal(apd_json_scan(&json,
				 APD_STR("{\"n\":1,\"messages\":[{\"id\":\"m\",\"role\":\"user\","
					 "\"content\":\"hi\"}]}")),
		0);
	assert_int_equal(
		apd_state_apply(empty, &(struct apd_state_change){.patch = &json}, &state, NULL),
		0);
	apd_json_finish(&json);
	apd_state_unref(empty);
	return state;
}

struct apd_thread_view lab_view(enum apd_thread_rest rest, bool busy)
{
	struct apd_thread_row row = {.rest = rest,
		.created_us = 1700000000000000,
		.updated_us = 1700000000000000,
		.metadata = APD_STR("{\"k\":1}")};
	struct apd_thread_view view = {.busy = busy, .state = make_state()};

	memset(&row.thread_id, 0x22, sizeof(row.thread_id));
	if (rest == APD_THREAD_INTERRUPTED)
		row.interrupts = APD_STR("[{\"id\":\"q\",\"value\":{\"ask\":\"?\"}}]");
	view.thread = apd_thread_row_create(&row);
	view.head = apd_checkpoint_row_create(NULL, NULL);
	view.head->thread_id = row.thread_id;
	memset(&view.head->checkpoint_id, 0x33, sizeof(view.head->checkpoint_id));
	view.head->created_us = 1700000001000000;
	view.head->source = APD_SOURCE_LOOP;
	view.head->patch = APD_STR("{}");
	return view;
}

struct apd_run_row *lab_row(enum apd_run_status status, const char *request)
{
	struct apd_text *text = apd_text_create(
		apd_str(request ? request : "{\"agent_id\":\"a\",\"metadata\":{}}"));
	struct apd_run_row *row = apd_run_row_create(text, NULL);

	memset(&row->run_id, 0x11, sizeof(row->run_id));
	memset(&row->thread_id, 0x22, sizeof(row->thread_id));
	row->status = status;
	row->attempt = 1;
	row->agent_id = APD_STR("a");
	row->request = apd_text_str(text);
	row->metadata = APD_STR("{}");
	if (status == APD_RUN_ERROR)
		row->error = APD_STR("{\"code\":\"agent_error\",\"message\":\"no\"}");
	return row;
}

void lab_set_run(struct lab *lab, enum apd_run_status status)
{
	apd_run_row_unref(lab->runtime.row);
	lab->runtime.row = lab_row(status, NULL);
	if (!lab->runtime.log)
		lab->runtime.log = apd_event_log_create(1, 1 << 20);
}

uint64_t lab_event(struct lab *lab, struct apd_event event)
{
	event.run_id = lab->runtime.row->run_id;
	event.thread_id = lab->runtime.row->thread_id;
	if (!event.attempt)
		event.attempt = lab->runtime.row->attempt;
	return apd_event_log_append(lab->runtime.log, &event);
}
