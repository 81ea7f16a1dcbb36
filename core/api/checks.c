/* Requests are checked with the OpenAPI document itself, compiled once at start. */
#include "api/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/json_text.h"

static const struct {
	const char *id;
	const char *method;
	const char *path;
} operations[] = {
#define X(name, id, method, path, handler) {id, method, path},
	API_OPERATIONS(X)
#undef X
};

/* The index of the value at a chain of keys, or 0. */
static uint32_t descend(const struct apd_json *doc, uint32_t i, const char *const *keys, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		i = apd_json_member(doc, i, apd_str(keys[k]));
		if (!i)
			return 0;
	}
	return i;
}

/* Compiles what lies at a JSON pointer. */
static int compile_at(const struct apd_json *doc, const struct apd_buf *pointer,
	struct apd_schema **ret_schema, struct apd_buf *error)
{
	struct apd_schema_error why;
	int r = apd_schema_compile_at(doc, apd_buf_str(pointer), ret_schema, &why);

	if (r < 0)
		apd_buf_addf(error, "openapi.json %s%s: %s", pointer->data, why.path, why.message);
	return r;
}

/* The place of "{name}" among the braces of a path. */
static unsigned position_in(const char *path, struct apd_str name)
{
	unsigned position = 0;

	for (const char *at = strchr(path, '{'); at; at = strchr(at + 1, '{'), position++)
		if (strncmp(at + 1, name.ptr, name.len) == 0 && at[1 + name.len] == '}')
			break;
	return position;
}

/* Compiles the parameter at index p, following a $ref to components/parameters. */
static int init_param(const struct apd_json *doc, uint32_t p, struct apd_buf *pointer,
	const char *path, struct api_param *param, struct apd_buf *error)
{
	static const char *const shared[] = {"components", "parameters"};
	uint32_t ref = apd_json_member(doc, p, APD_STR("$ref"));
	struct apd_buf scratch = {0};
	struct apd_str name, in;
	uint32_t schema, type;

	if (ref) {
		name = apd_json_string(doc, ref, &scratch);
		name.ptr += strlen("#/components/parameters/");
		name.len -= strlen("#/components/parameters/");
		apd_buf_clear(pointer);
		apd_buf_addf(pointer, "/components/parameters/%.*s", APD_STR_FMT(name));
		p = apd_json_member(doc, descend(doc, 0, shared, 2), name);
	}
	name = apd_json_string(doc, apd_json_member(doc, p, APD_STR("name")), &scratch);
	in = apd_json_string(doc, apd_json_member(doc, p, APD_STR("in")), &scratch);
	param->name = apd_strndup(name.ptr, name.len);
	param->in_path = apd_str_is(in, "path");
	param->position = param->in_path ? position_in(path, name) : 0;
	param->required =
		apd_json_type(doc, apd_json_member(doc, p, APD_STR("required"))) == APD_JSON_TRUE;
	schema = apd_json_member(doc, p, APD_STR("schema"));
	type = schema ? apd_json_member(doc, schema, APD_STR("type")) : 0;
	param->literal = type &&
		(apd_json_is(doc, type, APD_STR("integer")) ||
			apd_json_is(doc, type, APD_STR("boolean")));
	apd_buf_finish(&scratch);
	apd_buf_lit(pointer, "/schema");
	return compile_at(doc, pointer, &param->schema, error);
}

/* Compiles the checks of one operation. */
static int init_operation(
	const struct apd_json *doc, size_t op, struct api_checks *checks, struct apd_buf *error)
{
	static const char *const content[] = {
		"requestBody", "content", "application/json", "schema"};
	struct apd_buf at = {0}, pointer = {0};
	const char *keys[3] = {"paths", operations[op].path, NULL};
	char method[8] = "";
	uint32_t o, params, n = 0;
	int r = 0;

	for (size_t i = 0; operations[op].method[i]; i++)
		method[i] = (char)(operations[op].method[i] | 0x20);
	keys[2] = method;
	o = descend(doc, 0, keys, 3);
	if (!o ||
		!apd_json_is(doc, apd_json_member(doc, o, APD_STR("operationId")),
			apd_str(operations[op].id))) {
		apd_buf_addf(error, "openapi.json: no operation %s", operations[op].id);
		return -EINVAL;
	}
	apd_buf_lit(&at, "/paths");
	apd_json_add_pointer(&at, apd_str(operations[op].path));
	apd_buf_addf(&at, "/%s", method);
	if (descend(doc, o, content, APD_COUNT(content))) {
		apd_buf_addf(&pointer, "%s/requestBody/content/application~1json/schema", at.data);
		r = compile_at(doc, &pointer, &checks->body, error);
	}
	params = apd_json_member(doc, o, APD_STR("parameters"));
	if (params && r == 0)
		apd_json_each_item (doc, params, p) {
			if (r < 0 || checks->n_params == API_MAX_PARAMS)
				break;
			apd_buf_clear(&pointer);
			apd_buf_addf(&pointer, "%s/parameters/%u", at.data, n++);
			r = init_param(doc, p, &pointer, operations[op].path,
				&checks->params[checks->n_params++], error);
		}
	apd_buf_finish(&at);
	apd_buf_finish(&pointer);
	return r;
}

int api_checks_init(struct apd_api *api, struct apd_buf *error)
{
	struct apd_json doc = {0};
	int r = apd_json_scan(&doc, apd_api_openapi());

	if (r < 0)
		apd_buf_addf(error, "openapi.json:%u:%u: %s", doc.error_line, doc.error_column,
			doc.error);
	for (size_t op = 0; op < API_OP_COUNT && r == 0; op++)
		r = init_operation(&doc, op, &api->checks[op], error);
	apd_json_finish(&doc);
	return r;
}

void api_checks_finish(struct apd_api *api)
{
	for (size_t op = 0; op < API_OP_COUNT; op++) {
		struct api_checks *checks = &api->checks[op];

		apd_schema_destroy(checks->body);
		for (size_t i = 0; i < checks->n_params; i++) {
			free(checks->params[i].name);
			apd_schema_destroy(checks->params[i].schema);
		}
	}
}

/* Adds a JSON pointer as people write it: /messages/0/role as messages[0].role. */
static void add_place(struct apd_buf *out, const char *pointer)
{
	while (*pointer == '/') {
		const char *end = strchr(++pointer, '/');
		size_t len = end ? (size_t)(end - pointer) : strlen(pointer);

		if (len && strspn(pointer, "0123456789") >= len)
			apd_buf_addf(out, "[%.*s]", (int)len, pointer);
		else
			apd_buf_addf(out, "%s%.*s", out->len ? "." : "", (int)len, pointer);
		pointer += len;
	}
}

void api_problem_of_schema(struct apd_problem *problem, enum apd_problem_code code,
	const char *prefix, const struct apd_schema_error *error)
{
	struct apd_buf place = {0};

	problem->code = code;
	snprintf(problem->path, sizeof(problem->path), "%s%s", prefix, error->path);
	add_place(&place, problem->path);
	snprintf(problem->message, sizeof(problem->message), "%s: %s",
		place.len ? place.data : "body", error->message);
	apd_buf_finish(&place);
}

/* Checks one value of a parameter. */
static int check_value(struct api_thread *thread, const struct api_param *param,
	struct apd_str value, struct apd_problem *problem)
{
	struct apd_schema_error why;

	apd_buf_clear(&thread->maker.scratch);
	if (param->literal)
		apd_buf_add_str(&thread->maker.scratch, value);
	else
		apd_json_add_string(&thread->maker.scratch, value);
	if (apd_json_scan(&thread->maker.value, apd_buf_str(&thread->maker.scratch)) < 0) {
		apd_buf_clear(&thread->maker.scratch);
		apd_json_add_string(&thread->maker.scratch, value);
		apd_json_scan(&thread->maker.value, apd_buf_str(&thread->maker.scratch));
	}
	if (apd_schema_check(param->schema, &thread->maker.value, 0, &why) == 0)
		return 0;
	return apd_problem_set(
		problem, APD_PROBLEM_INVALID_REQUEST, "%s: %s", param->name, why.message);
}

/* Checks the parameters of a request. */
static int check_params(const struct api_checks *checks, struct api_thread *thread,
	const struct apd_http_request *request, struct apd_problem *problem)
{
	for (size_t i = 0; i < checks->n_params; i++) {
		const struct api_param *param = &checks->params[i];
		struct apd_str value;

		if (param->in_path) {
			value = apd_http_request_param(request, param->position);
			if (check_value(thread, param, value, problem) < 0)
				return -1;
			continue;
		}
		for (unsigned n = 0;; n++) {
			value = apd_http_request_query_at(request, param->name, n);
			if (!value.ptr && n == 0 && param->required)
				return apd_problem_set(problem, APD_PROBLEM_INVALID_REQUEST,
					"%s: the parameter is missing", param->name);
			if (!value.ptr)
				break;
			if (check_value(thread, param, value, problem) < 0)
				return -1;
		}
	}
	return 0;
}

/* Scans and checks the body. */
static int check_body(const struct api_checks *checks, struct api_thread *thread,
	struct apd_http_request *request, struct apd_problem *problem)
{
	struct apd_str text = apd_text_str(apd_http_request_body(request));
	struct apd_schema_error why;

	if (text.len == 0)
		text = APD_STR("{}");
	if (apd_json_scan(&thread->body, text) < 0)
		return apd_problem_set(problem, APD_PROBLEM_INVALID_JSON,
			"body: line %u, column %u: %s", thread->body.error_line,
			thread->body.error_column, thread->body.error);
	if (apd_schema_check(checks->body, &thread->body, 0, &why) < 0) {
		api_problem_of_schema(problem, APD_PROBLEM_INVALID_REQUEST, "", &why);
		return -1;
	}
	return 0;
}

int api_check(struct apd_api *api, enum api_operation op, struct apd_http_request *request,
	const struct apd_json **ret_body)
{
	const struct api_checks *checks = &api->checks[op];
	struct api_thread *thread = api_thread_of(api, request);
	struct apd_problem problem = {0};

	if (check_params(checks, thread, request, &problem) < 0 ||
		(checks->body && check_body(checks, thread, request, &problem) < 0)) {
		apd_http_reply_problem(request, &problem);
		return -1;
	}
	if (ret_body)
		*ret_body = &thread->body;
	return 0;
}
