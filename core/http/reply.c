/* Answers: a status, headers and a buffer become a response of libmicrohttpd's. */
#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "http/internal.h"

/* Has the connection closed without an answer. */
static void drop(struct apd_http_request *request)
{
	request->state = APD_HTTP_DROPPED;
}

/* Makes the response of what the request has gathered; NULL if there is no memory. */
static struct MHD_Response *make_response(
	struct apd_http_request *request, const char *content_type, struct apd_buf *body)
{
	size_t len = body->len;
	struct MHD_Response *response;

	if (len) {
		char *data = apd_buf_steal(body);

		response = MHD_create_response_from_buffer_with_free_callback(len, data, free);
		if (!response)
			free(data);
	} else {
		apd_buf_finish(body);
		response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
	}
	if (!response)
		return NULL;
	if (content_type)
		MHD_add_response_header(response, "Content-Type", content_type);
	apd_http_cors_add_headers(request);
	for (const struct apd_http_header *h = request->headers; h; h = h->next)
		MHD_add_response_header(response, h->name, h->value);
	if (request->closing || request->thread->draining)
		MHD_add_response_header(response, "Connection", "close");
	return response;
}

/* Hands the answer to libmicrohttpd. */
static void queue(struct apd_http_request *request, int status, const char *content_type,
	struct apd_buf *body)
{
	struct apd_http_connection *connection = request->connection;
	struct MHD_Response *response = make_response(request, content_type, body);

	if (!response) {
		drop(request);
		return;
	}
	if (MHD_queue_response(connection->mhd, (unsigned)status, response) == MHD_YES) {
		request->state = APD_HTTP_ANSWERED;
		connection->sending = true;
		apd_http_connection_deadline(
			connection, request->thread->server->config.stall_timeout_ms);
	} else {
		drop(request);
	}
	MHD_destroy_response(response);
}

/* Adds the Date to a head that libmicrohttpd does not write. */
void apd_http_add_date(struct apd_buf *head)
{
	time_t now = time(NULL);
	struct tm tm;
	char date[64];

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	apd_buf_add_str(head, apd_str(date));
}

void apd_http_reply(struct apd_http_request *request, int status, const char *content_type,
	struct apd_buf *body)
{
	struct apd_http_thread *thread = request->thread;

	assert(request->state <= APD_HTTP_SUSPENDED || request->state == APD_HTTP_ORPHAN);
	apd_http_count(&thread->n_responses[status / 100 <= 5 ? status / 100 : 5], 1);
	if (request->state == APD_HTTP_ORPHAN) {
		apd_buf_finish(body);
		apd_http_request_destroy(request);
		return;
	}
	if (request->early &&
		apd_http_linger_reply(request, status, content_type, apd_buf_str(body)) == 0) {
		apd_buf_finish(body);
		return;
	}
	if (request->suspended) {
		apd_http_count(&thread->n_suspended, -1);
		apd_list_remove(&request->gone_link);
	}
	if (request->told_gone) {
		apd_buf_finish(body);
		drop(request);
	} else {
		queue(request, status, content_type, body);
	}
	if (request->suspended) {
		MHD_resume_connection(request->connection->mhd);
		thread->resumed = true;
	}
}

void apd_http_reply_json(struct apd_http_request *request, int status, struct apd_buf *body)
{
	apd_http_reply(request, status, "application/json", body);
}

void apd_http_reply_empty(struct apd_http_request *request)
{
	struct apd_buf none = {0};

	apd_http_reply(request, 204, NULL, &none);
}

/* Answers a problem with a status that may not be the code's own. */
static void reply_problem(
	struct apd_http_request *request, int status, const struct apd_problem *problem)
{
	struct apd_buf body = {0};

	if (status == 503)
		apd_http_request_add_header(request, "Retry-After", "1");
	apd_problem_add_json(&body, problem);
	apd_http_reply_json(request, status, &body);
}

void apd_http_reply_problem(struct apd_http_request *request, const struct apd_problem *problem)
{
	reply_problem(request, apd_problem_status(problem->code), problem);
}

/* Answers what was refused before a handler saw it. */
void apd_http_reply_refusal(struct apd_http_request *request)
{
	const struct apd_http_node *node = request->match.node;
	struct apd_str path = request->path;
	struct apd_problem problem;

	if (path.len > 200)
		path.len = 200;
	switch (request->refused_code) {
	case APD_PROBLEM_NOT_FOUND:
		apd_problem_set(&problem, APD_PROBLEM_NOT_FOUND, "there is no path %.*s",
			APD_STR_FMT(path));
		break;
	case APD_PROBLEM_METHOD_NOT_ALLOWED:
		apd_http_request_add_header(request, "Allow", node->allow);
		apd_problem_set(&problem, APD_PROBLEM_METHOD_NOT_ALLOWED, "%.*s allows only %s",
			APD_STR_FMT(path), node->allow);
		break;
	case APD_PROBLEM_BODY_TOO_LARGE:
		apd_problem_set(&problem, APD_PROBLEM_BODY_TOO_LARGE,
			"the body is larger than %zu bytes",
			request->thread->server->config.max_body);
		break;
	default:
		apd_problem_set(&problem, request->refused_code, "%s", request->refused_message);
	}
	reply_problem(request, request->refused_status, &problem);
}

/* Answers OPTIONS of a path that has no route of its own for it. */
void apd_http_reply_options(struct apd_http_request *request)
{
	if (request->match.node)
		apd_http_request_add_header(request, "Allow", request->match.node->allow);
	apd_http_cors_preflight(request);
	apd_http_reply_empty(request);
}
