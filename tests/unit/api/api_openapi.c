/* The OpenAPI document: it is whole, and speaks of exactly the routes that there are. */
#include "lab.h"

#include "base/alloc.h"
#include "base/json_text.h"

static struct apd_json doc;

static int scan_document(void **state)
{
	(void)state;
	return apd_json_scan(&doc, apd_api_openapi());
}

static int forget_document(void **state)
{
	(void)state;
	apd_json_finish(&doc);
	return 0;
}

/* The value of a member that must be there. */
static uint32_t need(uint32_t i, const char *key)
{
	uint32_t member = apd_json_member(&doc, i, apd_str(key));

	if (!member)
		fail_msg("%s is missing in %.*s", key, APD_STR_FMT(apd_json_slice(&doc, i)));
	return member;
}

/* The place that a "#/a/b" leads to, or 0. */
static uint32_t resolve(struct apd_str pointer)
{
	uint32_t i = 0;

	assert_true(pointer.len > 2 && memcmp(pointer.ptr, "#/", 2) == 0);
	for (const char *at = pointer.ptr + 2, *end = pointer.ptr + pointer.len; at < end;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		struct apd_str segment = {at, (size_t)((slash ? slash : end) - at)};

		i = apd_json_member(&doc, i, segment);
		if (!i)
			return 0;
		at = slash ? slash + 1 : end;
	}
	return i;
}

static void all_references_resolve(void **state)
{
	unsigned count = 0;

	(void)state;
	for (uint32_t i = 0; i + 1 < doc.count; i++) {
		struct apd_str pointer;

		if (apd_json_type(&doc, i) != APD_JSON_STRING ||
			!apd_str_is(apd_json_slice(&doc, i), "\"$ref\""))
			continue;
		pointer = apd_json_slice(&doc, i + 1);
		pointer = (struct apd_str){pointer.ptr + 1, pointer.len - 2};
		if (!resolve(pointer))
			fail_msg("%.*s leads nowhere", APD_STR_FMT(pointer));
		count++;
	}
	assert_true(count > 40);
}

static void all_components_are_used(void **state)
{
	uint32_t components = need(0, "components");

	(void)state;
	apd_json_each_member (&doc, components, kind)
		apd_json_each_member (&doc, kind + 1, k) {
			struct apd_str group = apd_json_slice(&doc, kind);
			struct apd_str name = apd_json_slice(&doc, k);
			struct apd_buf ref = {0};

			apd_buf_addf(&ref, "\"#/components/%.*s/%.*s\"", (int)group.len - 2,
				group.ptr + 1, (int)name.len - 2, name.ptr + 1);
			if (!memmem(doc.text.ptr, doc.text.len, ref.data, ref.len))
				fail_msg("nobody refers to %s", ref.data);
			apd_buf_finish(&ref);
		}
}

/* The route of a path, a method in lower case and an operation's id. */
static bool is_route(struct apd_str path, struct apd_str method, struct apd_str id)
{
	static const struct {
		const char *id, *method, *path;
	} operations[] = {
#define X(name, id, method, path, handler) {id, method, path},
		API_OPERATIONS(X)
#undef X
	};

	for (size_t i = 0; i < APD_COUNT(operations); i++)
		if (apd_str_is(path, operations[i].path) && apd_str_is(id, operations[i].id) &&
			strlen(operations[i].method) == method.len &&
			strncasecmp(operations[i].method, method.ptr, method.len) == 0)
			return true;
	return false;
}

static void the_document_has_the_routes_and_no_others(void **state)
{
	struct apd_buf scratch[3] = {{0}};
	uint32_t paths = need(0, "paths");
	unsigned count = 0;

	(void)state;
	apd_json_each_member (&doc, paths, path)
		apd_json_each_member (&doc, path + 1, method) {
			uint32_t id = need(method + 1, "operationId");

			if (!is_route(apd_json_string(&doc, path, &scratch[0]),
				    apd_json_string(&doc, method, &scratch[1]),
				    apd_json_string(&doc, id, &scratch[2])))
				fail_msg("nobody serves %.*s",
					APD_STR_FMT(apd_json_slice(&doc, path)));
			count++;
		}
	/* Ids are different, so as many as there are routes are all of them. */
	assert_int_equal(count, API_OP_COUNT);
	for (size_t i = 0; i < 3; i++)
		apd_buf_finish(&scratch[i]);
}

static void the_routes_are_the_operations(void **state)
{
	size_t count;
	const struct apd_http_route *routes = apd_api_routes(&count);

	(void)state;
	assert_int_equal(count, API_OP_COUNT);
	assert_string_equal(routes[API_OP_CANCEL_RUN].path, "/runs/{run_id}/cancel");
	assert_string_equal(routes[API_OP_CANCEL_RUN].method, "POST");
	assert_ptr_equal(routes[API_OP_CANCEL_RUN].handler, api_cancel_run);
}

/* True if the operation has a parameter in its path, by reference or here. */
static bool has_path_param(uint32_t operation, struct apd_str name)
{
	uint32_t params = apd_json_member(&doc, operation, APD_STR("parameters"));

	if (!params)
		return false;
	apd_json_each_item (&doc, params, item) {
		uint32_t ref = apd_json_member(&doc, item, APD_STR("$ref")), param = item;
		struct apd_str pointer;

		if (ref) {
			pointer = apd_json_slice(&doc, ref);
			param = resolve((struct apd_str){pointer.ptr + 1, pointer.len - 2});
		}
		if (apd_json_is(&doc, need(param, "name"), name) &&
			apd_json_is(&doc, need(param, "in"), APD_STR("path")))
			return true;
	}
	return false;
}

static void braces_of_paths_are_parameters(void **state)
{
	uint32_t paths = need(0, "paths");

	(void)state;
	apd_json_each_member (&doc, paths, path)
		apd_json_each_member (&doc, path + 1, method) {
			struct apd_str text = apd_json_slice(&doc, path);
			const char *open = memchr(text.ptr, '{', text.len);
			struct apd_str name;

			if (!open)
				continue;
			name.ptr = open + 1;
			name.len = strcspn(name.ptr, "}");
			if (!has_path_param(method + 1, name))
				fail_msg("%.*s: no parameter %.*s", APD_STR_FMT(text),
					APD_STR_FMT(name));
		}
}

/* Checks that the words of an enum are these, in order. */
static void check_words(const char *pointer, const char *const *words, size_t n)
{
	uint32_t list = resolve(apd_str(pointer)), i = 0;

	assert_int_not_equal(list, 0);
	apd_json_each_item (&doc, list, item) {
		assert_true(i < n);
		assert_true(apd_json_is(&doc, item, apd_str(words[i])));
		i++;
	}
	assert_int_equal(i, n);
}

/* True if an enum has the word; one may be null. */
static bool has_word(uint32_t list, struct apd_str word)
{
	assert_int_not_equal(list, 0);
	apd_json_each_item (&doc, list, item)
		if (apd_json_type(&doc, item) == APD_JSON_STRING && apd_json_is(&doc, item, word))
			return true;
	return false;
}

static void words_are_those_of_the_code(void **state)
{
	static const char *const errors[] = {
#define X(name, word) word,
		APD_RUN_ERRORS(X)
#undef X
	};

	(void)state;
	check_words(
		"#/components/schemas/RunError/properties/code/enum", errors, APD_COUNT(errors));
	for (int status = APD_THREAD_STATUS_IDLE; status <= APD_THREAD_STATUS_ERROR; status++) {
		struct apd_str word =
			apd_str(apd_thread_status_word((enum apd_thread_status)status));
		uint32_t list = resolve(APD_STR("#/components/schemas/ThreadStatus/enum"));
		uint32_t filter = resolve(
			APD_STR("#/components/schemas/ThreadSearch/properties/status/enum"));

		assert_true(has_word(list, word) && has_word(filter, word));
	}
	for (int source = APD_SOURCE_INPUT; source <= APD_SOURCE_FORK; source++)
		assert_true(has_word(
			resolve(APD_STR("#/components/schemas/Checkpoint/properties/source/enum")),
			apd_str(apd_checkpoint_source_word((enum apd_checkpoint_source)source))));
	for (int status = APD_RUN_PENDING; status <= APD_RUN_INTERRUPTED; status++) {
		struct apd_str word = apd_str(apd_run_status_word((enum apd_run_status)status));
		uint32_t list = resolve(APD_STR("#/components/schemas/RunStatus/enum"));

		assert_true(has_word(list, word));
	}
}

/* Checks a text against a schema of the document. */
static void check_matches(const char *schema_name, struct apd_str text)
{
	struct apd_buf pointer = {0};
	struct apd_schema *schema;
	struct apd_schema_error error;
	struct apd_json json = {0};

	apd_buf_addf(&pointer, "/components/schemas/%s", schema_name);
	assert_int_equal(apd_schema_compile_at(&doc, apd_buf_str(&pointer), &schema, NULL), 0);
	assert_int_equal(apd_json_scan(&json, text), 0);
	if (apd_schema_check(schema, &json, 0, &error) < 0)
		fail_msg("%s: %s: %s in %.*s", schema_name, error.path, error.message,
			APD_STR_FMT(text));
	apd_schema_destroy(schema);
	apd_json_finish(&json);
	apd_buf_finish(&pointer);
}

static void threads_match_their_schemas(void **state)
{
	struct apd_buf out = {0};

	(void)state;
	for (int rest = APD_THREAD_IDLE; rest <= APD_THREAD_ERROR; rest++) {
		struct apd_thread_view view = lab_view((enum apd_thread_rest)rest, rest == 2);

		apd_buf_clear(&out);
		apd_thread_view_add_json(&out, &view);
		check_matches("Thread", apd_buf_str(&out));
		assert_int_equal(
			strstr(out.data, "\"interrupts\"") != NULL, rest == APD_THREAD_INTERRUPTED);
		apd_buf_clear(&out);
		apd_checkpoint_add_state_json(&out, view.head, view.state);
		check_matches("ThreadState", apd_buf_str(&out));
		apd_thread_view_finish(&view);
	}
	apd_buf_finish(&out);
}

static void answers_match_their_schemas(void **state)
{
	struct lab *lab = lab_create();
	struct apd_run_row *row = lab_row(APD_RUN_ERROR, NULL);
	struct apd_problem problem = {0};
	struct apd_buf out = {0};

	(void)state;
	lab_add_agent(lab, "a", "{\"type\":\"object\"}", NULL);
	lab_handle(lab_request(lab, "a", NULL), api_get_agent);
	check_matches("Agent", apd_buf_str(&lab->body));
	lab_handle(lab_request(lab, "a", NULL), api_get_agent_schemas);
	check_matches("AgentSchemas", apd_buf_str(&lab->body));
	lab_handle(lab_request(lab, NULL, NULL), api_info);
	check_matches("Info", apd_buf_str(&lab->body));
	row->created_us = row->updated_us = row->started_us = row->ended_us = 1700000000000000;
	apd_run_row_add_json(&out, row);
	check_matches("Run", apd_buf_str(&out));
	apd_buf_clear(&out);
	apd_run_row_add_result_json(&out, row);
	check_matches("RunResult", apd_buf_str(&out));
	apd_buf_clear(&out);
	apd_problem_set(&problem, APD_PROBLEM_INVALID_JSON, "no");
	apd_problem_add_json(&out, &problem);
	check_matches("Problem", apd_buf_str(&out));
	apd_buf_finish(&out);
	apd_run_row_unref(row);
	lab_destroy(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_references_resolve),
		cmocka_unit_test(all_components_are_used),
		cmocka_unit_test(the_document_has_the_routes_and_no_others),
		cmocka_unit_test(the_routes_are_the_operations),
		cmocka_unit_test(braces_of_paths_are_parameters),
		cmocka_unit_test(words_are_those_of_the_code),
		cmocka_unit_test(threads_match_their_schemas),
		cmocka_unit_test(answers_match_their_schemas),
	};

	return cmocka_run_group_tests(tests, scan_document, forget_document);
}
