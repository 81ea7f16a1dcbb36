/* The table of routes, compiled into a trie of path segments. */
#ifndef APD_HTTP_ROUTE_H
#define APD_HTTP_ROUTE_H

#include "http/server.h"

#define APD_HTTP_MAX_SEGMENTS 16 /* of a path; a longer one is no route's */

/* One segment of some paths; where a path ends it has routes. */
struct apd_http_node {
	struct apd_str segment; /* absent: matches any one segment that is not empty */
	struct apd_http_node *next; /* the next sibling; the one that matches any is the last */
	struct apd_http_node *child; /* the first of the nodes below */
	const struct apd_http_route **routes; /* those that end here, one a method */
	size_t n_routes;
	char *allow; /* the methods as the Allow header lists them */
};

/* Where a path leads: its node, and the segments that stand for braces. */
struct apd_http_match {
	const struct apd_http_node *node;
	struct apd_str params[APD_HTTP_MAX_SEGMENTS];
	unsigned n_params;
};

/*
 * Compiles the table; the routes stay the caller's and must outlive it. Returns
 * 0, or -EINVAL with a sentence in error. [any]
 */
int apd_http_routes_create(const struct apd_http_route *routes, size_t n_routes,
	struct apd_http_node **ret_root, struct apd_buf *error);

void apd_http_routes_destroy(struct apd_http_node *root);

/*
 * Finds a path by its decoded segments; written-out segments go before braces.
 * False if no route has it. The params point into the segments. [any]
 */
bool apd_http_routes_find(const struct apd_http_node *root, const struct apd_str *segments,
	size_t n_segments, struct apd_http_match *ret_match);

/* The route of a method at a node, GET's for HEAD, or NULL. [any] */
const struct apd_http_route *apd_http_node_route(
	const struct apd_http_node *node, struct apd_str method);

#endif
