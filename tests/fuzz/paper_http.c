/* The paper server: answers are checked and thrown away. */
#include "fuzz/paper_http.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "http/url.h"

struct apd_mailbox paper_home;
struct apd_http_stream paper_stream;
static struct apd_json scanned;

const struct apd_json *paper_scan(struct apd_str text)
{
	if (!text.ptr || apd_json_scan(&scanned, text) < 0) {
		fprintf(stderr, "%s: %.*s\n", scanned.error, APD_STR_FMT(text));
		abort();
	}
	return &scanned;
}

void paper_finish(void)
{
	apd_json_finish(&scanned);
}

static void answer(struct apd_http_request *request)
{
	must(++request->answers == 1);
}

void apd_http_reply(
	struct apd_http_request *request, int status, const char *type, struct apd_buf *body)
{
	must(status >= 200 && status < 600 && type);
	answer(request);
	apd_buf_finish(body);
}

void apd_http_reply_json(struct apd_http_request *request, int status, struct apd_buf *body)
{
	paper_scan(apd_buf_str(body));
	apd_http_reply(request, status, "application/json", body);
}

void apd_http_reply_empty(struct apd_http_request *request)
{
	answer(request);
}

void apd_http_reply_problem(struct apd_http_request *request, const struct apd_problem *problem)
{
	struct apd_buf out = {0};

	must(problem->code != APD_PROBLEM_NONE && problem->message[0]);
	apd_problem_add_json(&out, problem);
	apd_http_reply_json(request, apd_problem_status(problem->code), &out);
}

struct apd_str apd_http_request_param(const struct apd_http_request *request, unsigned n)
{
	must(n < APD_COUNT(request->params));
	return request->params[n];
}

struct apd_str apd_http_request_query_at(
	const struct apd_http_request *request, const char *name, unsigned n)
{
	struct apd_http_request *mine = (struct apd_http_request *)request;
	struct apd_str value = apd_http_query_find(request->query, apd_str(name), n);
	struct apd_buf *out = &mine->scratch[mine->n_scratch++ % APD_COUNT(mine->scratch)];

	if (!value.ptr)
		return value;
	apd_buf_clear(out);
	value.len = apd_http_url_decode(value, true, apd_buf_reserve(out, value.len));
	out->len = value.len;
	out->data[out->len] = '\0';
	return (struct apd_str){out->data, out->len};
}

struct apd_str apd_http_request_query(const struct apd_http_request *request, const char *name)
{
	return apd_http_request_query_at(request, name, 0);
}

struct apd_str apd_http_request_header(const struct apd_http_request *request, const char *name)
{
	return strcmp(name, "Last-Event-ID") == 0 ? request->last_event_id : APD_STR_ABSENT;
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
	(void)request;
	return &paper_home;
}

void apd_http_request_add_header(
	struct apd_http_request *request, const char *name, const char *value)
{
	must(request->answers == 0 && name && value);
}

void apd_http_request_suspend(
	struct apd_http_request *request, void (*gone)(void *data), void *data)
{
	must(request->answers == 0 && !request->gone);
	request->gone = gone;
	request->gone_data = data;
}

struct apd_http_stream *apd_http_stream_begin(
	struct apd_http_request *request, const struct apd_http_source *source, void *data)
{
	answer(request);
	must(!paper_stream.source);
	paper_stream = (struct apd_http_stream){source, data};
	return &paper_stream;
}

void apd_http_stream_wake(struct apd_http_stream *stream)
{
	must(stream->source);
}

unsigned apd_http_server_threads(const struct apd_http_server *server)
{
	(void)server;
	return 1;
}

void apd_http_server_stats(const struct apd_http_server *server, struct apd_http_stats *ret_stats)
{
	(void)server;
	*ret_stats = (struct apd_http_stats){0};
}
