/*
 * What a request's head alone decides: whether it is refused, and its route.
 * A refusal is kept, and told when the body is read to its end, so that the
 * connection can go on; receive.c knows those that are told at once.
 */
#include <netinet/in.h>
#include <strings.h>

#include "http/hostname.h"
#include "http/internal.h"
#include "http/url.h"

/* Refuses the request, unless it is refused already. The message must be static. */
void apd_http_refuse(struct apd_http_request *request, int status, enum apd_problem_code code,
	const char *message)
{
	if (request->refused_status)
		return;
	request->refused_status = status;
	request->refused_code = code;
	request->refused_message = message;
}

static bool is_name(const char *key, size_t len, struct apd_str name)
{
	return len == name.len && strncasecmp(key, name.ptr, len) == 0;
}

/* Notes a Content-Length; a second one must be the same. */
static void note_length(struct apd_http_request *request, struct apd_str value, bool *seen)
{
	uint64_t n = 0;

	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9' || n > UINT64_MAX / 10 - 1) {
			request->malformed = true;
			return;
		}
		n = n * 10 + (uint64_t)(value.ptr[i] - '0');
	}
	if (value.len == 0 || (*seen && n != request->announced))
		request->malformed = true;
	*seen = true;
	request->announced = n;
}

struct head_walk {
	struct apd_http_request *request;
	bool has_length;
};

/* Looks at one header; those that matter are found in one walk. */
static enum MHD_Result note_header(void *data, enum MHD_ValueKind kind, const char *key,
	size_t key_len, const char *value, size_t value_len)
{
	struct head_walk *walk = data;
	struct apd_http_request *request = walk->request;
	struct apd_str v = {value ? value : "", value_len};

	(void)kind;
	if (is_name(key, key_len, APD_STR("host"))) {
		request->host = v;
		request->n_hosts++;
	} else if (is_name(key, key_len, APD_STR("origin"))) {
		request->origin = v;
	} else if (is_name(key, key_len, APD_STR("expect"))) {
		request->expects = true;
	} else if (is_name(key, key_len, APD_STR("content-length"))) {
		note_length(request, v, &walk->has_length);
	} else if (is_name(key, key_len, APD_STR("transfer-encoding"))) {
		/* Anything else and libmicrohttpd would not know where the body ends. */
		if (!is_name(v.ptr, v.len, APD_STR("chunked")) || request->chunked)
			request->malformed = true;
		request->chunked = true;
	}
	return MHD_YES;
}

/* Refuses what is not meant for this server, or comes from a web page that must not. */
static void judge_host(struct apd_http_request *request)
{
	const struct apd_http_server *server = request->thread->server;
	bool reads = apd_str_is(request->method, "GET") || apd_str_is(request->method, "HEAD") ||
		apd_str_is(request->method, "OPTIONS");

	if (request->n_hosts != 1 || request->host.len == 0) {
		if (!request->http_1_0 || request->n_hosts > 1)
			apd_http_refuse(request, 400, APD_PROBLEM_HOST_REFUSED,
				"an HTTP/1.1 request needs one Host header");
	} else if (server->loopback && !apd_http_host_is_loopback(request->host)) {
		apd_http_refuse(request, 403, APD_PROBLEM_HOST_REFUSED,
			"this server listens on a loopback address, so the Host header must be "
			"localhost or a loopback address");
	}
	/* A page needs no leave to send a form's POST; that it cannot read the answer is no help. */
	if (request->origin.ptr && !reads &&
		!apd_http_origin_is_host(request->origin, request->host) &&
		!apd_http_cors_allows(server, request->origin))
		apd_http_refuse(request, 403, APD_PROBLEM_HOST_REFUSED,
			"web pages of this origin may not use this server; see http.cors_origins");
}

/* Splits the path into decoded segments; returns how many, or more than the limit. */
static size_t split_path(struct apd_http_request *request, struct apd_str *segments)
{
	struct apd_str rest = request->path;
	size_t n = 0;

	while (rest.len) {
		const char *slash;
		struct apd_str segment;

		rest.ptr++; /* the slash before the segment */
		rest.len--;
		slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
		segment = (struct apd_str){rest.ptr, slash ? (size_t)(slash - rest.ptr) : rest.len};
		rest.ptr += segment.len;
		rest.len -= segment.len;
		if (n == APD_HTTP_MAX_SEGMENTS)
			return n + 1;
		if (segment.len && memchr(segment.ptr, '%', segment.len)) {
			char *decoded = apd_http_request_alloc(request, segment.len);

			segment.len = apd_http_url_decode(segment, false, decoded);
			segment.ptr = decoded;
		}
		segments[n++] = segment;
	}
	return n;
}

/* Finds the route. */
static void judge_route(struct apd_http_request *request)
{
	struct apd_str segments[APD_HTTP_MAX_SEGMENTS];
	const struct apd_http_server *server = request->thread->server;
	size_t n;

	if (request->path.len == 0 || request->path.ptr[0] != '/') {
		if (!apd_str_is(request->path, "*") || !apd_str_is(request->method, "OPTIONS"))
			apd_http_refuse(request, 404, APD_PROBLEM_NOT_FOUND, NULL);
		return;
	}
	n = split_path(request, segments);
	if (n > APD_HTTP_MAX_SEGMENTS ||
		!apd_http_routes_find(server->routes, segments, n, &request->match)) {
		request->match.node = NULL;
		apd_http_refuse(request, 404, APD_PROBLEM_NOT_FOUND, NULL);
		return;
	}
	request->route = apd_http_node_route(request->match.node, request->method);
	if (!request->route && !apd_str_is(request->method, "OPTIONS"))
		apd_http_refuse(request, 405, APD_PROBLEM_METHOD_NOT_ALLOWED, NULL);
}

/* Refuses a body that is announced to be too large, for this server or for now. */
static void judge_body(struct apd_http_request *request)
{
	const struct apd_http_server *server = request->thread->server;
	uint64_t held = atomic_load_explicit(&server->body_bytes, memory_order_relaxed);

	if (request->chunked)
		return;
	if (request->announced > server->config.max_body)
		apd_http_refuse(request, 413, APD_PROBLEM_BODY_TOO_LARGE, NULL);
	else if (request->announced && held + request->announced > server->config.max_bodies)
		apd_http_refuse(request, 503, APD_PROBLEM_OVERLOADED,
			"too many bodies are being sent at once");
}

/* Looks at the head: afterwards the request has a route, or is refused, or is for OPTIONS. */
void apd_http_judge(struct apd_http_request *request)
{
	struct apd_http_connection *connection = request->connection;
	struct head_walk walk = {request, false};

	MHD_get_connection_values_n(connection->mhd, MHD_HEADER_KIND, note_header, &walk);
	if (walk.has_length && request->chunked)
		request->malformed = true;
	if (request->malformed)
		apd_http_refuse(request, 400, APD_PROBLEM_INVALID_REQUEST,
			"the length of the body is not clear: send one Content-Length, or "
			"Transfer-Encoding: chunked");
	if (request->thread->draining) {
		request->closing = true;
		apd_http_refuse(
			request, 503, APD_PROBLEM_SHUTTING_DOWN, "this server is shutting down");
	}
	if (connection->excess) {
		request->closing = true;
		apd_http_refuse(request, 503, APD_PROBLEM_OVERLOADED, "too many connections");
	}
	judge_host(request);
	judge_body(request);
	judge_route(request);
}
