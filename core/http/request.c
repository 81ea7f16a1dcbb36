/* The object of a request: its memory, what was asked, and its suspension. */
#include <assert.h>
#include <stdlib.h>

#include "http/internal.h"
#include "http/url.h"

#define MAX_SPARE 256 /* requests a thread keeps for the next ones */

/* Makes a request of a connection that begins to send one. */
struct apd_http_request *apd_http_request_create(struct apd_http_connection *connection)
{
	struct apd_http_thread *thread = connection->thread;
	struct apd_http_request *request;

	if (apd_list_empty(&thread->spare)) {
		request = apd_malloc(sizeof(*request));
	} else {
		request = apd_list_first(&thread->spare, struct apd_http_request, link);
		apd_list_remove(&request->link);
		thread->n_spare--;
	}
	/* The arena needs no clearing, and is most of it. */
	memset(request, 0, offsetof(struct apd_http_request, arena));
	request->thread = thread;
	request->connection = connection;
	request->headers_end = &request->headers;
	apd_list_init(&request->gone_link);
	apd_list_append(&thread->requests, &request->link);
	connection->request = request;
	return request;
}

/* Frees a request that nobody has any more. */
void apd_http_request_destroy(struct apd_http_request *request)
{
	struct apd_http_thread *thread = request->thread;

	if (request->in_flight)
		apd_http_request_flight(request, false);
	if (request->connection)
		request->connection->request = NULL;
	apd_list_remove(&request->link);
	apd_list_remove(&request->gone_link);
	if (request->charged)
		atomic_fetch_sub_explicit(
			&thread->server->body_bytes, request->charged, memory_order_relaxed);
	apd_text_unref(request->body);
	apd_buf_finish(&request->growing);
	while (request->headers) {
		struct apd_http_header *next = request->headers->next;

		free(request->headers);
		request->headers = next;
	}
	while (request->blocks) {
		struct apd_http_arena_block *next = request->blocks->next;

		free(request->blocks);
		request->blocks = next;
	}
	if (request->state == APD_HTTP_ORPHAN || thread->n_spare >= MAX_SPARE) {
		free(request);
		return;
	}
	apd_list_append(&thread->spare, &request->link);
	thread->n_spare++;
}

/* Memory that lives as long as the request; for text, so not aligned. */
void *apd_http_request_alloc(struct apd_http_request *request, size_t size)
{
	struct apd_http_arena_block *block;

	if (size <= sizeof(request->arena) - request->arena_used) {
		char *p = request->arena + request->arena_used;

		request->arena_used += size;
		return p;
	}
	block = apd_malloc(sizeof(*block) + size);
	block->next = request->blocks;
	request->blocks = block;
	return block->data;
}

/* Counts the request among those that stop() waits for, or no longer. */
void apd_http_request_flight(struct apd_http_request *request, bool begins)
{
	request->in_flight = begins;
	if (begins)
		request->thread->in_flight++;
	else
		request->thread->in_flight--;
}

/* Tells a suspended request's owner, once, that nobody waits for the answer. */
void apd_http_request_tell_gone(struct apd_http_request *request)
{
	apd_list_remove(&request->gone_link);
	if (request->told_gone)
		return;
	request->told_gone = true;
	if (request->gone)
		request->gone(request->gone_data);
}

/*
 * Parts a suspended request from its connection, which is about to be closed
 * with its thread: it lives on until its owner answers it.
 */
void apd_http_request_orphan(struct apd_http_request *request)
{
	struct apd_http_connection *connection = request->connection;

	apd_http_request_flight(request, false);
	apd_http_count(&request->thread->n_suspended, -1);
	request->state = APD_HTTP_ORPHAN;
	request->host = request->origin = APD_STR_ABSENT;
	request->connection = NULL;
	connection->request = NULL;
	apd_list_remove(&request->link);
	apd_list_append(&request->thread->orphans, &request->link);
	MHD_resume_connection(connection->mhd);
}

struct apd_str apd_http_request_method(const struct apd_http_request *request)
{
	return request->method;
}

struct apd_str apd_http_request_path(const struct apd_http_request *request)
{
	return request->path;
}

struct apd_str apd_http_request_param(const struct apd_http_request *request, unsigned n)
{
	return n < request->match.n_params ? request->match.params[n] : APD_STR_ABSENT;
}

struct apd_str apd_http_request_query_at(
	const struct apd_http_request *request, const char *name, unsigned n)
{
	struct apd_str value = apd_http_query_find(request->query, apd_str(name), n);
	char *decoded;

	if (value.len == 0 ||
		(!memchr(value.ptr, '%', value.len) && !memchr(value.ptr, '+', value.len)))
		return value;
	/* Only the arena changes, which nobody sees. */
	decoded = apd_http_request_alloc((struct apd_http_request *)request, value.len);
	return (struct apd_str){decoded, apd_http_url_decode(value, true, decoded)};
}

struct apd_str apd_http_request_query(const struct apd_http_request *request, const char *name)
{
	return apd_http_request_query_at(request, name, 0);
}

struct apd_str apd_http_request_header(const struct apd_http_request *request, const char *name)
{
	const char *value = NULL;
	size_t len = 0;

	if (!request->connection ||
		MHD_lookup_connection_value_n(request->connection->mhd, MHD_HEADER_KIND, name,
			strlen(name), &value, &len) == MHD_NO)
		return APD_STR_ABSENT;
	return (struct apd_str){value ? value : "", len};
}

struct apd_text *apd_http_request_body(struct apd_http_request *request)
{
	if (!request->body)
		request->body = apd_text_create(APD_STR(""));
	return request->body;
}

unsigned apd_http_request_thread(const struct apd_http_request *request)
{
	return request->thread->index;
}

struct apd_mailbox *apd_http_request_mailbox(const struct apd_http_request *request)
{
	return &request->thread->mailbox;
}

/* True if the text can be a header's: no control bytes, so that nobody adds lines. */
static bool is_header_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

void apd_http_request_add_header(
	struct apd_http_request *request, const char *name, const char *value)
{
	size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;
	struct apd_http_header *header;
	char *text;

	if (!is_header_text(name) || !is_header_text(value))
		return;
	header = apd_malloc(sizeof(*header) + name_size + value_size);
	text = (char *)(header + 1);
	header->name = memcpy(text, name, name_size);
	header->value = memcpy(text + name_size, value, value_size);
	header->next = NULL;
	*request->headers_end = header;
	request->headers_end = &header->next;
}

void apd_http_request_suspend(
	struct apd_http_request *request, void (*gone)(void *data), void *data)
{
	struct apd_http_thread *thread = request->thread;

	assert(request->state == APD_HTTP_HANDLING);
	request->gone = gone;
	request->gone_data = data;
	request->state = APD_HTTP_SUSPENDED;
	request->suspended = true;
	apd_http_count(&thread->n_suspended, 1);
	MHD_suspend_connection(request->connection->mhd);
	apd_http_connection_watch(request->connection);
	/* Its one event may have come during an earlier request of the connection. */
	if (request->connection->left)
		apd_list_append(&thread->gone, &request->gone_link);
}
