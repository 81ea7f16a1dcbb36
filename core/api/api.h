/*
 * The API: what the HTTP routes mean. Joins the HTTP server and the runtime,
 * which do not know each other: a handler checks its request on an HTTP thread,
 * posts a task to the runtime, and answers when the task's result comes back.
 */
#ifndef APD_API_API_H
#define APD_API_API_H

#include "base/mailbox.h"
#include "host/pool.h"
#include "http/server.h"
#include "runtime/runtime.h"
#include "storage/storage.h"

struct apd_api;
struct apd_webhook;

/* What the API stands on; all of it must outlive the API. */
struct apd_api_deps {
	struct apd_mailbox *runtime_mailbox; /* its tasks run on the runtime's thread */
	struct apd_runtime *runtime;
	struct apd_pool *pool;
	struct apd_storage *storage;
	const char *version;
};

/*
 * Reads the OpenAPI document that is built in and compiles what requests are
 * checked with. Fails with a sentence in error. [any]
 */
int apd_api_create(
	const struct apd_api_deps *deps, struct apd_api **ret_api, struct apd_buf *error);

/* Frees an API whose server is stopped and whose runtime runs no task of it; NULL is fine. */
void apd_api_destroy(struct apd_api *api);

/* The routes, for apd_http_server_create() with the API as their data. [any] */
const struct apd_http_route *apd_api_routes(size_t *ret_count);

/* Tells the API its server, before that is started. */
void apd_api_attach(struct apd_api *api, struct apd_http_server *server);

/* Tells the API whose numbers /metrics has of webhooks, before the server is started. */
void apd_api_attach_webhooks(struct apd_api *api, const struct apd_webhook *webhook);

/* The OpenAPI document, as GET /openapi.json gives it. [any] */
struct apd_str apd_api_openapi(void);

#endif
