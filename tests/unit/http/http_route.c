/* The trie of routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http/route.h"

static void handle(struct apd_http_request *request, void *data)
{
	(void)request;
	(void)data;
}

static const struct apd_http_route table[] = {
	{"GET", "/", handle},
	{"GET", "/runs/{run_id}", handle},
	{"DELETE", "/runs/{run_id}", handle},
	{"POST", "/runs/search", handle},
	{"GET", "/runs/{run_id}/wait", handle},
	{"POST", "/runs/search/deep/down", handle},
	{"GET", "/threads/{a}/runs/{b}", handle},
	{"GET", "/threads/{other}/history", handle},
};

/* Splits a path and finds it. */
static bool find(const struct apd_http_node *root, const char *path, struct apd_http_match *match)
{
	struct apd_str segments[32];
	size_t n = 0;

	while (*path) {
		size_t len = strcspn(++path, "/");

		segments[n++] = (struct apd_str){path, len};
		path += len;
	}
	return apd_http_routes_find(root, segments, n, match);
}

static struct apd_http_node *compile(void)
{
	struct apd_buf error = {0};
	struct apd_http_node *root;

	assert_int_equal(apd_http_routes_create(table, APD_COUNT(table), &root, &error), 0);
	return root;
}

static void finds(void **state)
{
	static const struct {
		const char *path;
		const char *method;
		int route; /* in the table, -1: the method is not allowed */
		const char *params[3];
	} cases[] = {
		{"/", "GET", 0, {NULL}},
		{"/", "HEAD", 0, {NULL}},
		{"/runs/7", "GET", 1, {"7"}},
		{"/runs/7", "HEAD", 1, {"7"}},
		{"/runs/7", "DELETE", 2, {"7"}},
		{"/runs/7", "POST", -1, {"7"}},
		{"/runs/search", "POST", 3, {NULL}},
		{"/runs/search", "GET", -1, {NULL}},
		{"/runs/7/wait", "GET", 4, {"7"}},
		/* "search" leads down, but not to "wait": the braces do */
		{"/runs/search/wait", "GET", 4, {"search"}},
		{"/runs/search/deep/down", "POST", 5, {NULL}},
		{"/threads/1/runs/2", "GET", 6, {"1", "2"}},
		{"/threads/1/history", "GET", 7, {"1"}},
	};
	struct apd_http_node *root = compile();

	(void)state;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		const struct apd_http_route *route;
		struct apd_http_match match;
		unsigned n = 0;

		assert_true(find(root, cases[i].path, &match));
		route = apd_http_node_route(match.node, apd_str(cases[i].method));
		assert_ptr_equal(route, cases[i].route < 0 ? NULL : &table[cases[i].route]);
		for (; cases[i].params[n]; n++)
			assert_true(apd_str_is(match.params[n], cases[i].params[n]));
		assert_int_equal(match.n_params, n);
	}
	apd_http_routes_destroy(root);
}

static void misses(void **state)
{
	static const char *const paths[] = {"/runs", "/runs/", "/runs//wait", "/runs/7/wait/",
		"/runs/7/nothing", "/runs/search/deep", "/threads", "/threads/1", "//", "/RUNS/7",
		"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"};
	struct apd_http_node *root = compile();
	struct apd_http_match match;

	(void)state;
	for (size_t i = 0; i < APD_COUNT(paths); i++)
		if (find(root, paths[i], &match))
			fail_msg("%s was found", paths[i]);
	apd_http_routes_destroy(root);
}

static void lists_methods(void **state)
{
	struct apd_http_node *root = compile();
	struct apd_http_match match;

	(void)state;
	assert_true(find(root, "/runs/7", &match));
	assert_string_equal(match.node->allow, "GET, HEAD, DELETE");
	assert_true(find(root, "/runs/search", &match));
	assert_string_equal(match.node->allow, "POST");
	apd_http_routes_destroy(root);
}

static void refuses_bad_tables(void **state)
{
	static const struct apd_http_route bad[][2] = {
		{{"GET", "runs", handle}, {"GET", "/", handle}},
		{{"GET", "/{a}", handle}, {"GET", "/{b}", handle}},
		{{"GET", "/", handle},
			{"GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", handle}},
	};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(bad); i++) {
		struct apd_http_node *root = NULL;
		struct apd_buf error = {0};

		assert_true(apd_http_routes_create(bad[i], 2, &root, &error) < 0);
		assert_null(root);
		assert_true(error.len > 0);
		apd_buf_finish(&error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),
		cmocka_unit_test(misses),
		cmocka_unit_test(lists_methods),
		cmocka_unit_test(refuses_bad_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
