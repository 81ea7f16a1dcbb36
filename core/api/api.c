/* The API's beginning and end, and what its handlers share. */
#include "api/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

static const struct apd_http_route routes[] = {
#define X(name, id, method, path, handler) {method, path, handler},
	API_OPERATIONS(X)
#undef X
};

const struct apd_http_route *apd_api_routes(size_t *ret_count)
{
	*ret_count = APD_COUNT(routes);
	return routes;
}

int apd_api_create(const struct apd_api_deps *deps, struct apd_api **ret_api, struct apd_buf *error)
{
	struct apd_api *api = apd_calloc(1, sizeof(*api));
	int r;

	api->deps = *deps;
	r = api_checks_init(api, error);
	if (r < 0) {
		apd_api_destroy(api);
		return r;
	}
	*ret_api = api;
	return 0;
}

void apd_api_attach(struct apd_api *api, struct apd_http_server *server)
{
	api->server = server;
	api->n_threads = apd_http_server_threads(server);
	api->threads = apd_calloc(api->n_threads, sizeof(*api->threads));
	for (unsigned i = 0; i < api->n_threads; i++)
		apd_request_maker_init(&api->threads[i].maker);
}

void apd_api_attach_webhooks(struct apd_api *api, const struct apd_webhook *webhook)
{
	api->webhook = webhook;
}

void apd_api_destroy(struct apd_api *api)
{
	if (!api)
		return;
	api_checks_finish(api);
	for (unsigned i = 0; i < api->n_threads; i++) {
		apd_json_finish(&api->threads[i].body);
		apd_request_maker_finish(&api->threads[i].maker);
	}
	free(api->threads);
	free(api);
}

struct apd_id api_param_id(const struct apd_http_request *request, unsigned n)
{
	struct apd_id id = {{0}};

	apd_id_parse(apd_http_request_param(request, n), &id);
	return id;
}

int64_t api_body_int(const struct apd_json *body, struct apd_str key, int64_t fallback)
{
	uint32_t i = apd_json_given(body, 0, key);
	int64_t value;

	return i && apd_json_int64(body, i, &value) == 0 ? value : fallback;
}

int64_t api_query_int(struct apd_api *api, const struct apd_http_request *request, const char *name,
	int64_t fallback)
{
	struct apd_str text = apd_http_request_query(request, name);
	struct apd_json *json = &api_thread_of(api, request)->maker.value;
	int64_t value;

	return text.ptr && apd_json_scan(json, text) == 0 && apd_json_int64(json, 0, &value) == 0
		? value
		: fallback;
}

struct apd_str api_body_slice(const struct apd_json *body, struct apd_str key)
{
	uint32_t i = apd_json_given(body, 0, key);

	return i ? apd_json_slice(body, i) : APD_STR_ABSENT;
}

int api_problem_at(struct apd_problem *problem, enum apd_problem_code code, const char *path,
	const char *fmt, ...)
{
	va_list ap;

	*problem = (struct apd_problem){.code = code};
	va_start(ap, fmt);
	vsnprintf(problem->message, sizeof(problem->message), fmt, ap);
	va_end(ap);
	snprintf(problem->path, sizeof(problem->path), "%s", path);
	return -1;
}

void api_refuse(struct apd_http_request *request, enum apd_problem_code code, const char *fmt, ...)
{
	struct apd_problem problem = {.code = code};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(problem.message, sizeof(problem.message), fmt, ap);
	va_end(ap);
	apd_http_reply_problem(request, &problem);
}

void api_refuse_errno(struct apd_http_request *request, int result)
{
	if (result == -ETIME)
		api_refuse(request, APD_PROBLEM_TIMED_OUT,
			"The search took longer than it may; narrow it down.");
	else if (result == -E2BIG)
		api_refuse(request, APD_PROBLEM_INVALID_REQUEST,
			"limit: what was found is too large for one answer; ask for less.");
	else if (result == -ECANCELED)
		api_refuse(request, APD_PROBLEM_SHUTTING_DOWN, "The server is shutting down.");
	else
		api_refuse(request, APD_PROBLEM_STORAGE_UNAVAILABLE,
			"The database cannot be used now (%s).", strerror(-result));
}

int api_load_run(struct apd_api *api, struct apd_http_request *request, const struct apd_id *run_id,
	bool with_output, struct apd_run_row **ret_row)
{
	struct apd_storage *storage = api->deps.storage;
	int r = storage->ops->get_run(storage, run_id, with_output, ret_row);
	char text[APD_ID_TEXT + 1];

	if (r == 0)
		return 0;
	apd_id_format(run_id, text);
	if (r == -ENOENT)
		api_refuse(request, APD_PROBLEM_RUN_NOT_FOUND, "There is no run %s.", text);
	else
		api_refuse_errno(request, r);
	return -1;
}

void api_problem_no_thread(struct apd_problem *problem, const struct apd_id *thread_id)
{
	char text[APD_ID_TEXT + 1];

	apd_id_format(thread_id, text);
	apd_problem_set(problem, APD_PROBLEM_THREAD_NOT_FOUND, "There is no thread %s.", text);
}
