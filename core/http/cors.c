/* Cross-origin requests: which web pages may use the server, and how they are told. */
#include <strings.h>

#include "http/internal.h"

#define ALLOW_HEADERS  "content-type, authorization, x-api-key, x-auth-scheme, last-event-id"
#define EXPOSE_HEADERS "content-location, location, x-pagination-total, x-pagination-next"

/* The configured entry that lets the origin in, or NULL; "*" needs no origin. */
static const char *entry_for(const struct apd_http_server *server, struct apd_str origin)
{
	if (!server->cors_origins)
		return NULL;
	for (char **o = server->cors_origins; *o; o++)
		if (strcmp(*o, "*") == 0 ||
			(origin.ptr && strlen(*o) == origin.len &&
				strncasecmp(*o, origin.ptr, origin.len) == 0))
			return *o;
	return NULL;
}

/* True if pages of the origin may use the server. */
bool apd_http_cors_allows(const struct apd_http_server *server, struct apd_str origin)
{
	return entry_for(server, origin) != NULL;
}

/* Adds what every answer to a web page needs. */
void apd_http_cors_add_headers(struct apd_http_request *request)
{
	const struct apd_http_server *server = request->thread->server;
	const char *entry = entry_for(server, request->origin);

	if (!server->cors_origins)
		return;
	/* Without it a cache would give one page's answer to another. */
	if (!entry || strcmp(entry, "*") != 0)
		apd_http_request_add_header(request, "Vary", "Origin");
	if (!entry)
		return;
	apd_http_request_add_header(request, "Access-Control-Allow-Origin", entry);
	apd_http_request_add_header(request, "Access-Control-Expose-Headers", EXPOSE_HEADERS);
}

/* Adds what a preflight asks for, when it is one that is allowed. */
void apd_http_cors_preflight(struct apd_http_request *request)
{
	const struct apd_http_node *node = request->match.node;

	if (!node || !apd_http_cors_allows(request->thread->server, request->origin) ||
		!apd_http_request_header(request, "Access-Control-Request-Method").ptr)
		return;
	apd_http_request_add_header(request, "Access-Control-Allow-Methods", node->allow);
	apd_http_request_add_header(request, "Access-Control-Allow-Headers", ALLOW_HEADERS);
	apd_http_request_add_header(request, "Access-Control-Max-Age", "600");
	if (apd_str_is(apd_http_request_header(request, "Access-Control-Request-Private-Network"),
		    "true"))
		apd_http_request_add_header(
			request, "Access-Control-Allow-Private-Network", "true");
}
