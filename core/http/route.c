/* Compiling routes, and finding one. */
#include "http/route.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

/* The child for a segment of a route's path, made if there is none. */
static struct apd_http_node *node_below(struct apd_http_node *node, struct apd_str segment)
{
	bool any = segment.len >= 2 && segment.ptr[0] == '{';
	struct apd_http_node **at = &node->child;
	struct apd_http_node *made;

	while (*at && (*at)->segment.ptr) {
		if (!any && apd_str_eq((*at)->segment, segment))
			return *at;
		at = &(*at)->next;
	}
	if (any && *at)
		return *at;
	made = apd_calloc(1, sizeof(*made));
	made->segment = any ? APD_STR_ABSENT : segment;
	made->next = *at;
	*at = made;
	return made;
}

/* Walks down a route's path; NULL for one that is no path or too long. */
static struct apd_http_node *node_of(struct apd_http_node *root, const char *path)
{
	struct apd_http_node *node = root;
	unsigned depth = 0;

	if (path[0] != '/')
		return NULL;
	while (*path) {
		size_t len = strcspn(path + 1, "/");

		if (++depth > APD_HTTP_MAX_SEGMENTS)
			return NULL;
		node = node_below(node, (struct apd_str){path + 1, len});
		path += 1 + len;
	}
	return node;
}

/* Adds a method to the node's Allow header. */
static void allow(struct apd_http_node *node, const char *method)
{
	struct apd_buf text = {0};

	if (node->allow)
		apd_buf_addf(&text, "%s, ", node->allow);
	apd_buf_add_cstr(&text, method);
	if (strcmp(method, "GET") == 0)
		apd_buf_lit(&text, ", HEAD");
	free(node->allow);
	node->allow = apd_buf_steal(&text);
}

/* Puts one route where its path ends. */
static int add_route(
	struct apd_http_node *root, const struct apd_http_route *route, struct apd_buf *error)
{
	struct apd_http_node *node = node_of(root, route->path);

	if (!node) {
		apd_buf_addf(error, "the route %s is not a path of up to %d segments", route->path,
			APD_HTTP_MAX_SEGMENTS);
		return -EINVAL;
	}
	for (size_t i = 0; i < node->n_routes; i++)
		if (strcmp(node->routes[i]->method, route->method) == 0) {
			apd_buf_addf(error, "the routes %s and %s of %s are the same",
				node->routes[i]->path, route->path, route->method);
			return -EINVAL;
		}
	node->routes =
		apd_realloc(node->routes, (node->n_routes + 1) * sizeof(struct apd_http_route *));
	node->routes[node->n_routes++] = route;
	allow(node, route->method);
	return 0;
}

int apd_http_routes_create(const struct apd_http_route *routes, size_t n_routes,
	struct apd_http_node **ret_root, struct apd_buf *error)
{
	struct apd_http_node *root = apd_calloc(1, sizeof(*root));

	for (size_t i = 0; i < n_routes; i++) {
		int r = add_route(root, &routes[i], error);

		if (r < 0) {
			apd_http_routes_destroy(root);
			return r;
		}
	}
	*ret_root = root;
	return 0;
}

void apd_http_routes_destroy(struct apd_http_node *root)
{
	while (root) {
		struct apd_http_node *next = root->next;

		apd_http_routes_destroy(root->child);
		free(root->routes);
		free(root->allow);
		free(root);
		root = next;
	}
}

/*
 * Matches the segments from at on below a node. What a written-out segment
 * cannot finish the braces beside it may: the depth of a path bounds the work,
 * as a node has at most two children that match.
 */
static bool find_below(const struct apd_http_node *node, const struct apd_str *segments, size_t n,
	size_t at, struct apd_http_match *match)
{
	if (at == n) {
		match->node = node;
		return node->n_routes > 0;
	}
	for (const struct apd_http_node *c = node->child; c; c = c->next) {
		unsigned saved = match->n_params;

		if (c->segment.ptr ? !apd_str_eq(c->segment, segments[at]) : segments[at].len == 0)
			continue;
		if (!c->segment.ptr)
			match->params[match->n_params++] = segments[at];
		if (find_below(c, segments, n, at + 1, match))
			return true;
		match->n_params = saved;
	}
	return false;
}

bool apd_http_routes_find(const struct apd_http_node *root, const struct apd_str *segments,
	size_t n_segments, struct apd_http_match *ret_match)
{
	ret_match->n_params = 0;
	return n_segments <= APD_HTTP_MAX_SEGMENTS &&
		find_below(root, segments, n_segments, 0, ret_match);
}

const struct apd_http_route *apd_http_node_route(
	const struct apd_http_node *node, struct apd_str method)
{
	if (apd_str_is(method, "HEAD"))
		method = APD_STR("GET");
	for (size_t i = 0; i < node->n_routes; i++)
		if (apd_str_is(method, node->routes[i]->method))
			return node->routes[i];
	return NULL;
}
