/*
 * What libmicrohttpd calls while a request comes in: once with the first line,
 * once with the whole head, with each piece of the body, and at its end, when
 * the handler runs. A body of known size is copied once, into the text that
 * the handler gets.
 */
#include "base/log.h"
#include "http/internal.h"
#include "http/url.h"

/* The first line is in: from now on the client has so long to send the rest. */
void *apd_http_receive_target(void *data, const char *uri, struct MHD_Connection *mhd)
{
	struct apd_http_connection *connection = apd_http_connection_of(mhd);
	struct apd_http_request *request = apd_http_request_create(connection);
	struct apd_str target = apd_str(uri ? uri : "");
	char *copy = apd_http_request_alloc(request, target.len + 1);

	(void)data;
	/* libmicrohttpd is about to decode it in place. */
	memcpy(copy, target.ptr, target.len + 1);
	target.ptr = copy;
	apd_http_url_split(target, &request->path, &request->query);
	apd_http_connection_deadline(
		connection, connection->thread->server->config.send_timeout_ms);
	return request;
}

/* True if a refusal is told before the body is read, which ends the connection. */
static bool is_refused_early(const struct apd_http_request *request)
{
	bool has_body = request->chunked || request->announced;

	if (!request->refused_status || !has_body)
		return false;
	return request->malformed || request->expects || request->closing ||
		request->announced > request->thread->server->config.max_body ||
		request->refused_status == 503;
}

/* What libmicrohttpd is told of a request that was answered, suspended or dropped. */
static enum MHD_Result result_of(const struct apd_http_request *request)
{
	/* One that was suspended meanwhile is closed when it is resumed. */
	return request->state == APD_HTTP_DROPPED && !request->suspended ? MHD_NO : MHD_YES;
}

/* The head is in. */
static enum MHD_Result receive_head(
	struct apd_http_request *request, const char *method, const char *version)
{
	size_t len = strlen(method);

	request->judged = true;
	request->method = (struct apd_str){apd_http_request_alloc(request, len), len};
	memcpy((char *)request->method.ptr, method, len);
	request->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
	apd_http_count(&request->thread->n_requests, 1);
	apd_http_judge(request);
	if (is_refused_early(request)) {
		apd_http_request_flight(request, true);
		request->state = APD_HTTP_HANDLING;
		request->early = true;
		apd_http_reply_refusal(request);
		return result_of(request);
	}
	if (!request->refused_status && request->announced)
		request->body = apd_text_alloc((size_t)request->announced);
	return MHD_YES;
}

/* Gives up what was read of a body that turned out to be too much. */
static void discard(struct apd_http_request *request)
{
	atomic_fetch_sub_explicit(
		&request->thread->server->body_bytes, request->charged, memory_order_relaxed);
	request->charged = 0;
	apd_text_unref(request->body);
	request->body = NULL;
	apd_buf_finish(&request->growing);
}

/*
 * Counts bytes against all bodies in flight. What was announced is not counted
 * before it arrives: else a few lies would shut everybody out.
 */
static bool charge(struct apd_http_request *request, size_t size)
{
	struct apd_http_server *server = request->thread->server;
	uint64_t held = atomic_fetch_add_explicit(&server->body_bytes, size, memory_order_relaxed);

	request->charged += size;
	return held + size <= server->config.max_bodies;
}

/* A piece of the body. */
static enum MHD_Result receive_body(
	struct apd_http_request *request, const char *piece, size_t size)
{
	size_t limit = request->thread->server->config.max_body;
	size_t at = request->received;

	request->received += size;
	if (!request->refused_status && request->received > limit)
		apd_http_refuse(request, 413, APD_PROBLEM_BODY_TOO_LARGE, NULL);
	if (!request->refused_status && !charge(request, size))
		apd_http_refuse(request, 503, APD_PROBLEM_OVERLOADED,
			"too many bodies are being sent at once");
	if (request->refused_status) {
		if (request->charged)
			discard(request);
		return request->received / APD_HTTP_DISCARD_LIMIT > limit ? MHD_NO : MHD_YES;
	}
	if (request->body)
		memcpy(request->body->data + at, piece, size);
	else
		apd_buf_add(&request->growing, piece, size);
	return MHD_YES;
}

/* The request is whole: has it answered, suspended or turned into a stream. */
static enum MHD_Result receive_end(struct apd_http_request *request)
{
	apd_http_connection_deadline(request->connection, 0);
	apd_http_request_flight(request, true);
	request->state = APD_HTTP_HANDLING;
	if (request->growing.len) {
		request->body = apd_text_of(&request->growing);
		apd_buf_finish(&request->growing);
	}
	if (request->refused_status)
		apd_http_reply_refusal(request);
	else if (request->route)
		request->route->handler(request, request->thread->server->data);
	else
		apd_http_reply_options(request);
	if (request->state == APD_HTTP_HANDLING) {
		apd_log(APD_LOG_ERROR, APD_HTTP_ROOM, "the handler of %s %s forgot to answer",
			request->route->method, request->route->path);
		apd_http_refuse(request, 500, APD_PROBLEM_INTERNAL, "the request was not answered");
		apd_http_reply_refusal(request);
	}
	return result_of(request);
}

/* libmicrohttpd's handler, called for all of these. */
enum MHD_Result apd_http_receive(void *data, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **context)
{
	struct apd_http_request *request = apd_http_connection_of(mhd)->request;
	size_t size = *upload_size;

	(void)data;
	(void)url;
	(void)context;
	if (!request || request->state == APD_HTTP_DROPPED)
		return MHD_NO;
	if (!request->judged)
		return receive_head(request, method, version);
	if (size == 0)
		return receive_end(request);
	*upload_size = 0;
	return receive_body(request, upload, size);
}

/* The request is over, however it ended; the connection may go on. */
void apd_http_receive_completed(void *data, struct MHD_Connection *mhd, void **context,
	enum MHD_RequestTerminationCode code)
{
	struct apd_http_connection *connection = apd_http_connection_of(mhd);

	(void)data;
	(void)code;
	*context = NULL;
	connection->sending = false;
	apd_http_connection_deadline(
		connection, connection->thread->server->config.idle_timeout_ms);
	if (connection->request)
		apd_http_request_destroy(connection->request);
}
