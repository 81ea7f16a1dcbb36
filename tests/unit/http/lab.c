/* The lab's routes. */
#include "lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

struct lab_wait {
	struct apd_task task;
	struct apd_list link;
	struct lab *lab;
	struct apd_http_request *request;
	bool stream;
	char *text;
};

struct lab_stream {
	struct apd_list link; /* in the lab's streams */
	struct lab *lab;
	struct apd_http_stream *stream;
	struct apd_mailbox *mailbox;
	unsigned refs; /* under the lab's lock: the source, and what was fed to it */
	bool closed;
	bool end;
	size_t torrent;
	struct apd_buf queue;
};

struct feed {
	struct apd_task task;
	struct lab_stream *stream;
	bool end;
	char text[];
};

static void changed(struct lab *lab, unsigned *counter)
{
	pthread_mutex_lock(&lab->lock);
	++*counter;
	pthread_cond_broadcast(&lab->changed);
	pthread_mutex_unlock(&lab->lock);
}

static void reply_text(struct apd_http_request *request, const char *text)
{
	struct apd_buf body = {0};

	apd_buf_add_cstr(&body, text);
	apd_http_reply(request, 200, "text/plain", &body);
}

static void handle_hello(struct apd_http_request *request, void *data)
{
	struct lab *lab = data;
	struct apd_buf body = {0};

	changed(lab, &lab->n_handled);
	apd_buf_lit(&body, "{\"hello\":\"world\"}");
	apd_http_reply_json(request, 200, &body);
}

static void handle_echo(struct apd_http_request *request, void *data)
{
	struct lab *lab = data;
	struct apd_buf body = {0};

	changed(lab, &lab->n_handled);
	apd_buf_add_str(&body, apd_text_str(apd_http_request_body(request)));
	apd_http_reply_json(request, 200, &body);
}

static void handle_big(struct apd_http_request *request, void *data)
{
	const struct lab *lab = data;
	struct apd_buf body = {0};

	memset(apd_buf_reserve(&body, lab->big), 'x', lab->big);
	body.len = lab->big;
	apd_http_reply(request, 200, "text/plain", &body);
}

static void handle_pair(struct apd_http_request *request, void *data)
{
	struct apd_buf body = {0};

	(void)data;
	apd_buf_add_str(&body, apd_http_request_param(request, 0));
	apd_buf_lit(&body, "|");
	apd_buf_add_str(&body, apd_http_request_param(request, 1));
	assert_null(apd_http_request_param(request, 2).ptr);
	apd_http_reply(request, 200, "text/plain", &body);
}

static void handle_fixed(struct apd_http_request *request, void *data)
{
	struct apd_buf body = {0};

	(void)data;
	apd_buf_lit(&body, "fixed|");
	apd_buf_add_str(&body, apd_http_request_param(request, 0));
	apd_http_reply(request, 200, "text/plain", &body);
}

static void handle_query(struct apd_http_request *request, void *data)
{
	struct apd_buf body = {0};
	struct apd_str value;

	(void)data;
	for (unsigned n = 0; (value = apd_http_request_query_at(request, "q", n)).ptr; n++) {
		apd_buf_add_str(&body, value);
		apd_buf_lit(&body, ";");
	}
	apd_buf_add_str(&body, apd_http_request_query(request, "one word"));
	apd_http_reply(request, 200, "text/plain", &body);
}

static void handle_forgets(struct apd_http_request *request, void *data)
{
	(void)request;
	(void)data;
}

static void handle_headers(struct apd_http_request *request, void *data)
{
	struct apd_str agent = apd_http_request_header(request, "user-agent");

	(void)data;
	assert_null(apd_http_request_header(request, "x-absent").ptr);
	apd_http_request_add_header(request, "Location", "/somewhere");
	apd_http_request_add_header(request, "X-Forged", "a\r\nX-Second: b");
	reply_text(request, apd_str_is(agent, "lab") ? "known" : "unknown");
}

static void wait_gone(void *data)
{
	struct lab *lab = data;

	changed(lab, &lab->n_gone);
}

static void add_wait(struct apd_http_request *request, struct lab *lab, bool stream)
{
	struct lab_wait *wait = apd_calloc(1, sizeof(*wait));

	wait->lab = lab;
	wait->request = request;
	wait->stream = stream;
	apd_http_request_suspend(request, wait_gone, lab);
	pthread_mutex_lock(&lab->lock);
	apd_list_append(&lab->waiting, &wait->link);
	pthread_mutex_unlock(&lab->lock);
	changed(lab, &lab->n_waiting);
}

static void handle_wait(struct apd_http_request *request, void *data)
{
	add_wait(request, data, false);
}

static void handle_late_stream(struct apd_http_request *request, void *data)
{
	add_wait(request, data, true);
}

static void stream_unref(struct lab_stream *stream)
{
	struct lab *lab = stream->lab;
	bool last;

	pthread_mutex_lock(&lab->lock);
	last = --stream->refs == 0;
	pthread_mutex_unlock(&lab->lock);
	if (!last)
		return;
	apd_buf_finish(&stream->queue);
	free(stream);
}

static int stream_pull(void *data, struct apd_buf *out, size_t max)
{
	struct lab_stream *stream = data;
	size_t n = stream->queue.len < max ? stream->queue.len : max;

	if (stream->torrent) {
		n = stream->torrent < max ? stream->torrent : max;
		memset(apd_buf_reserve(out, n), 'x', n);
		out->len += n;
		stream->torrent -= n;
		return stream->torrent ? 1 : -1;
	}
	if (n)
		apd_buf_add(out, stream->queue.data, n);
	apd_buf_drop(&stream->queue, n);
	if (stream->queue.len)
		return 1;
	return stream->end ? -1 : 0;
}

static void stream_closed(void *data, bool left)
{
	struct lab_stream *stream = data;
	struct lab *lab = stream->lab;

	stream->closed = true;
	pthread_mutex_lock(&lab->lock);
	apd_list_remove(&stream->link);
	pthread_mutex_unlock(&lab->lock);
	changed(lab, left ? &lab->n_left : &lab->n_ended);
	stream_unref(stream);
}

static void begin_stream(struct apd_http_request *request, struct lab *lab, size_t torrent)
{
	static const struct apd_http_source source = {stream_pull, stream_closed};
	struct lab_stream *stream = apd_calloc(1, sizeof(*stream));

	stream->lab = lab;
	stream->refs = 1;
	stream->torrent = torrent;
	stream->mailbox = apd_http_request_mailbox(request);
	apd_http_request_add_header(request, "Content-Location", "/threads/1/runs/2");
	stream->stream = apd_http_stream_begin(request, &source, stream);
	pthread_mutex_lock(&lab->lock);
	apd_list_append(&lab->streams, &stream->link);
	pthread_mutex_unlock(&lab->lock);
	changed(lab, &lab->n_streams);
}

static void handle_stream(struct apd_http_request *request, void *data)
{
	begin_stream(request, data, 0);
}

static void handle_torrent(struct apd_http_request *request, void *data)
{
	struct lab *lab = data;

	begin_stream(request, lab, lab->big);
}

static const struct apd_http_route routes[] = {
	{"GET", "/hello", handle_hello},
	{"POST", "/echo", handle_echo},
	{"GET", "/big", handle_big},
	{"GET", "/pair/{a}/and/{b}", handle_pair},
	{"GET", "/pair/fixed/and/{b}", handle_fixed},
	{"GET", "/query", handle_query},
	{"GET", "/forgets", handle_forgets},
	{"GET", "/headers", handle_headers},
	{"GET", "/wait", handle_wait},
	{"POST", "/wait", handle_wait},
	{"GET", "/stream", handle_stream},
	{"GET", "/late-stream", handle_late_stream},
	{"GET", "/torrent", handle_torrent},
};

void lab_init(struct lab *lab)
{
	*lab = (struct lab){.big = 1000};
	lab->config = (struct apd_http_config){
		.host = "127.0.0.1",
		.threads = 2,
		.max_connections = 2000,
		.max_header = 6144,
		.max_body = 100000,
		.max_bodies = 1000000,
		.send_timeout_ms = 60000,
		.idle_timeout_ms = 60000,
		.stall_timeout_ms = 60000,
		.heartbeat_ms = 60000,
	};
	pthread_mutex_init(&lab->lock, NULL);
	pthread_cond_init(&lab->changed, NULL);
	apd_list_init(&lab->waiting);
	apd_list_init(&lab->streams);
}

void lab_start(struct lab *lab)
{
	struct apd_buf error = {0};

	if (apd_http_server_create(
		    &lab->config, routes, APD_COUNT(routes), lab, &lab->server, &error) < 0 ||
		apd_http_server_start(lab->server, &error) < 0)
		fail_msg("%s", error.data);
	apd_buf_finish(&error);
	lab->port = apd_http_server_port(lab->server);
	assert_int_not_equal(lab->port, 0);
}

void lab_finish(struct lab *lab)
{
	if (lab->server)
		apd_http_server_stop(lab->server, 0);
	while (!apd_list_empty(&lab->waiting))
		lab_answer(lab, "late");
	apd_http_server_destroy(lab->server);
	pthread_cond_destroy(&lab->changed);
	pthread_mutex_destroy(&lab->lock);
}

unsigned lab_count(struct lab *lab, const unsigned *counter)
{
	unsigned n;

	pthread_mutex_lock(&lab->lock);
	n = *counter;
	pthread_mutex_unlock(&lab->lock);
	return n;
}

void lab_wait_for(struct lab *lab, const unsigned *counter, unsigned n)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&lab->lock);
	while (*counter < n && r == 0)
		r = pthread_cond_timedwait(&lab->changed, &lab->lock, &until);
	pthread_mutex_unlock(&lab->lock);
	if (r != 0)
		fail_msg("waited in vain for %u; it is %u", n, lab_count(lab, counter));
}

static void run_answer(struct apd_task *task)
{
	struct lab_wait *wait = apd_container_of(task, struct lab_wait, task);

	if (wait->stream)
		begin_stream(wait->request, wait->lab, 0);
	else
		reply_text(wait->request, wait->text);
	free(wait->text);
	free(wait);
}

struct lab_wait *lab_take(struct lab *lab)
{
	struct lab_wait *wait;

	pthread_mutex_lock(&lab->lock);
	assert_false(apd_list_empty(&lab->waiting));
	wait = apd_list_first(&lab->waiting, struct lab_wait, link);
	apd_list_remove(&wait->link);
	pthread_mutex_unlock(&lab->lock);
	return wait;
}

void lab_answer_taken(struct lab_wait *wait, const char *text)
{
	wait->text = apd_strdup(text);
	wait->task.run = run_answer;
	apd_mailbox_post(apd_http_request_mailbox(wait->request), &wait->task);
}

void lab_answer(struct lab *lab, const char *text)
{
	lab_answer_taken(lab_take(lab), text);
}

static void run_feed(struct apd_task *task)
{
	struct feed *feed = apd_container_of(task, struct feed, task);
	struct lab_stream *stream = feed->stream;

	if (!stream->closed) {
		apd_buf_add_cstr(&stream->queue, feed->text);
		stream->end = feed->end;
		apd_http_stream_wake(stream->stream);
	}
	stream_unref(stream);
	free(feed);
}

void lab_feed(struct lab *lab, const char *text, bool end)
{
	struct lab_stream *stream;

	pthread_mutex_lock(&lab->lock);
	apd_list_each (stream, &lab->streams, link) {
		struct feed *feed = apd_malloc(sizeof(*feed) + strlen(text) + 1);

		feed->task.run = run_feed;
		feed->stream = stream;
		feed->end = end;
		strcpy(feed->text, text);
		stream->refs++;
		apd_mailbox_post(stream->mailbox, &feed->task);
	}
	pthread_mutex_unlock(&lab->lock);
}
