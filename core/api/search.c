/*
 * What reader threads look for: POST /runs/search, GET /threads/{thread_id}/runs,
 * POST /threads/search and GET /threads/{thread_id}/history. The answer is
 * written on the reader thread; the request's own only sends it.
 */
#include <errno.h>
#include <stdlib.h>

#include "api/internal.h"
#include "base/alloc.h"
#include "base/json_text.h"

/* A request that a reader thread looks something up for. */
struct reading {
	struct apd_api *api;
	struct apd_http_request *request;
	struct apd_mailbox *home;
	struct apd_task task;
	struct apd_id thread_id; /* that was asked about */
	bool listing; /* rows of a thread, which may be missing where there are none */
	struct apd_buf agent_id, filter, values; /* what queries point into */
	struct apd_buf body; /* the answer */
	int result;
	union {
		struct apd_run_search runs;
		struct apd_thread_search threads;
		struct apd_history_read history;
	};
};

static void reading_destroy(struct reading *reading)
{
	apd_buf_finish(&reading->agent_id);
	apd_buf_finish(&reading->filter);
	apd_buf_finish(&reading->values);
	apd_buf_finish(&reading->body);
	free(reading);
}

/* [http] Says why nothing was read, if nothing was: -1. */
static int refuse(struct reading *reading)
{
	struct apd_problem problem = {0};

	if (reading->result == -ENOENT)
		api_problem_no_thread(&problem, &reading->thread_id);
	else if (reading->result == -ESRCH)
		apd_problem_set(&problem, APD_PROBLEM_CHECKPOINT_NOT_FOUND,
			"before: the thread has no such checkpoint");
	else if (reading->result < 0)
		api_refuse_errno(reading->request, reading->result);
	if (problem.code)
		apd_http_reply_problem(reading->request, &problem);
	return reading->result < 0 ? -1 : 0;
}

/* [http] A thread without runs may be no thread. */
static void look_for_thread(struct reading *reading)
{
	struct apd_storage *storage = reading->api->deps.storage;
	struct apd_thread_view view;

	reading->result = storage->ops->get_thread(storage, &reading->thread_id, &view);
	if (reading->result == 0)
		apd_thread_view_finish(&view);
}

/* [http] The answer is there. */
static void answer(struct apd_task *task)
{
	struct reading *reading = apd_container_of(task, struct reading, task);

	if (reading->result == 0 && reading->listing && reading->body.len <= 2)
		look_for_thread(reading);
	if (refuse(reading) == 0)
		apd_http_reply_json(reading->request, 200, &reading->body);
	reading_destroy(reading);
}

/* [reader] Sends it home. */
static void finish(struct reading *reading, int result)
{
	apd_buf_lit(&reading->body, "]");
	reading->result = result;
	apd_mailbox_post(reading->home, &reading->task);
}

static struct reading *reading_create(struct apd_api *api, struct apd_http_request *request)
{
	struct reading *reading = apd_calloc(1, sizeof(*reading));

	reading->api = api;
	reading->request = request;
	reading->home = apd_http_request_mailbox(request);
	reading->task.run = answer;
	apd_buf_lit(&reading->body, "[");
	return reading;
}

static void gone(void *data)
{
	(void)data; /* the reader's time budget ends it soon enough */
}

/* Copies an optional member to where the query can point. */
static struct apd_str keep(struct apd_buf *out, const struct apd_json *body, struct apd_str key)
{
	struct apd_str value = api_body_slice(body, key);

	if (!value.ptr)
		return value;
	apd_buf_add_str(out, value);
	return apd_buf_str(out);
}

/* ---- runs ---- */

/* [reader] */
static void found_runs(struct apd_run_search *search, int result)
{
	struct reading *reading = apd_container_of(search, struct reading, runs);

	for (size_t i = 0; i < search->n_rows; i++) {
		apd_json_add_comma(&reading->body);
		apd_run_row_add_json(&reading->body, search->rows[i]);
		apd_run_row_unref(search->rows[i]);
	}
	free(search->rows);
	finish(reading, result);
}

static void search_runs(struct reading *reading)
{
	struct apd_storage *storage = reading->api->deps.storage;

	reading->runs.done = found_runs;
	apd_http_request_suspend(reading->request, gone, reading);
	storage->ops->search_runs(storage, &reading->runs);
}

/* The number of a status that is spelt rightly, or -1 for none. */
static int run_status_of(struct apd_str word)
{
	enum apd_run_status status;

	return word.ptr && apd_run_status_of(word, &status) == 0 ? (int)status : -1;
}

void api_search_runs(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_buf *scratch = &api_thread_of(api, request)->maker.scratch;
	const struct apd_json *body;
	struct reading *reading;
	struct apd_run_query *query;
	uint32_t i;

	if (api_check(api, API_OP_SEARCH_RUNS, request, &body) < 0)
		return;
	reading = reading_create(api, request);
	query = &reading->runs.query;
	query->limit = (uint32_t)api_body_int(body, APD_STR("limit"), 10);
	query->offset = (uint64_t)api_body_int(body, APD_STR("offset"), 0);
	query->metadata = keep(&reading->filter, body, APD_STR("metadata"));
	if ((i = apd_json_given(body, 0, APD_STR("thread_id"))) &&
		apd_id_parse(apd_json_string(body, i, scratch), &reading->thread_id) == 0)
		query->thread_id = &reading->thread_id;
	if ((i = apd_json_given(body, 0, APD_STR("agent_id")))) {
		apd_json_unescape(body, i, &reading->agent_id);
		query->agent_id = apd_buf_str(&reading->agent_id);
	}
	i = apd_json_given(body, 0, APD_STR("status"));
	query->status = run_status_of(i ? apd_json_string(body, i, scratch) : APD_STR_ABSENT);
	search_runs(reading);
}

void api_list_thread_runs(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct reading *reading;
	struct apd_run_query *query;

	if (api_check(api, API_OP_LIST_THREAD_RUNS, request, NULL) < 0)
		return;
	reading = reading_create(api, request);
	reading->listing = true;
	reading->thread_id = api_param_id(request, 0);
	query = &reading->runs.query;
	query->thread_id = &reading->thread_id;
	query->limit = (uint32_t)api_query_int(api, request, "limit", 10);
	query->offset = (uint64_t)api_query_int(api, request, "offset", 0);
	query->status = run_status_of(apd_http_request_query(request, "status"));
	search_runs(reading);
}

/* ---- threads ---- */

/* [reader] */
static void found_threads(struct apd_thread_search *search, int result)
{
	struct reading *reading = apd_container_of(search, struct reading, threads);

	for (size_t i = 0; i < search->n_views; i++) {
		apd_json_add_comma(&reading->body);
		apd_thread_view_add_json(&reading->body, &search->views[i]);
		apd_thread_view_finish(&search->views[i]);
	}
	free(search->views);
	finish(reading, result);
}

void api_search_threads(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_buf *scratch = &api_thread_of(api, request)->maker.scratch;
	struct apd_storage *storage = api->deps.storage;
	enum apd_thread_status status;
	const struct apd_json *body;
	struct reading *reading;
	struct apd_thread_query *query;
	uint32_t i;

	if (api_check(api, API_OP_SEARCH_THREADS, request, &body) < 0)
		return;
	reading = reading_create(api, request);
	query = &reading->threads.query;
	query->status = -1;
	query->limit = (uint32_t)api_body_int(body, APD_STR("limit"), 10);
	query->offset = (uint64_t)api_body_int(body, APD_STR("offset"), 0);
	query->metadata = keep(&reading->filter, body, APD_STR("metadata"));
	query->values = keep(&reading->values, body, APD_STR("values"));
	if ((i = apd_json_given(body, 0, APD_STR("status"))) &&
		apd_thread_status_of(apd_json_string(body, i, scratch), &status) == 0)
		query->status = (int)status;
	reading->threads.done = found_threads;
	apd_http_request_suspend(request, gone, reading);
	storage->ops->search_threads(storage, &reading->threads);
}

/* ---- history ---- */

/* [reader] */
static void read_history(struct apd_history_read *history, int result)
{
	struct reading *reading = apd_container_of(history, struct reading, history);

	for (size_t i = 0; i < history->n_items; i++) {
		apd_json_add_comma(&reading->body);
		apd_checkpoint_add_state_json(
			&reading->body, history->items[i].row, history->items[i].state);
		apd_checkpoint_row_unref(history->items[i].row);
		apd_state_unref(history->items[i].state);
	}
	free(history->items);
	finish(reading, result);
}

void api_get_thread_history(struct apd_http_request *request, void *data)
{
	struct apd_api *api = data;
	struct apd_storage *storage = api->deps.storage;
	struct apd_history_read *history;
	struct reading *reading;

	if (api_check(api, API_OP_GET_THREAD_HISTORY, request, NULL) < 0)
		return;
	reading = reading_create(api, request);
	reading->thread_id = api_param_id(request, 0);
	history = &reading->history;
	history->thread_id = reading->thread_id;
	history->limit = (uint32_t)api_query_int(api, request, "limit", 10);
	history->has_before =
		apd_id_parse(apd_http_request_query(request, "before"), &history->before) == 0;
	history->done = read_history;
	apd_http_request_suspend(request, gone, reading);
	storage->ops->read_history(storage, history);
}
