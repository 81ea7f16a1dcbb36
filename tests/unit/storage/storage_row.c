/* Rows: words, references, and the JSON of a run and of its result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "base/json_scan.h"
#include "storage/storage.h"

#define HEAD                                                                             \
	"{\"run_id\":\"01020304-0506-0708-090a-0b0c0d0e0f10\","                          \
	"\"thread_id\":\"11111111-1111-1111-1111-111111111111\",\"status\":\"success\"," \
	"\"created_at\":\"2023-11-14T22:13:20.000001Z\","                                \
	"\"updated_at\":\"2023-11-14T22:13:20.000002Z\""

static struct apd_run_row *make_row(const char *request)
{
	struct apd_run_row *row = apd_run_row_create(apd_text_create(apd_str(request)), NULL);

	for (uint8_t i = 0; i < 16; i++)
		row->run_id.bytes[i] = (uint8_t)(i + 1);
	memset(row->thread_id.bytes, 0x11, 16);
	row->status = APD_RUN_SUCCESS;
	row->created_us = 1700000000000001;
	row->updated_us = 1700000000000002;
	row->request = apd_text_str(row->request_text);
	return row;
}

static void assert_run(const struct apd_run_row *row, const char *expected)
{
	struct apd_buf out = {0};
	struct apd_json json = {0};

	apd_run_row_add_json(&out, row);
	assert_string_equal(out.data, expected);
	assert_int_equal(out.len, strlen(expected));
	assert_int_equal(apd_json_scan(&json, apd_buf_str(&out)), 0);
	apd_json_finish(&json);
	apd_buf_finish(&out);
}

static void assert_result(const struct apd_run_row *row, const char *expected)
{
	struct apd_buf out = {0};

	apd_run_row_add_result_json(&out, row);
	assert_string_equal(out.data, expected);
	assert_int_equal(out.len, strlen(expected));
	apd_buf_finish(&out);
}

static void words(void **state)
{
	enum apd_run_status status = APD_RUN_ERROR;

	(void)state;
	for (int i = APD_RUN_PENDING; i <= APD_RUN_INTERRUPTED; i++) {
		const char *word = apd_run_status_word((enum apd_run_status)i);

		assert_int_equal(apd_run_status_of(apd_str(word), &status), 0);
		assert_int_equal(status, i);
	}
	status = APD_RUN_TIMEOUT;
	assert_int_equal(apd_run_status_of(APD_STR("running"), &status), -EINVAL);
	assert_int_equal(apd_run_status_of(APD_STR(""), &status), -EINVAL);
	assert_int_equal(apd_run_status_of(APD_STR_ABSENT, &status), -EINVAL);
	assert_int_equal(status, APD_RUN_TIMEOUT);
}

static void run_with_request(void **state)
{
	struct apd_run_row *row = make_row("{\"agent_id\":\"echo\",\"input\":{\"n\": 0.10}}");

	(void)state;
	row->attempt = 1;
	assert_run(row, HEAD ",\"agent_id\":\"echo\",\"input\":{\"n\": 0.10},\"attempt\":1}");
	row->started_us = 1700000000000003;
	row->ended_us = 1700000000000004;
	row->error = APD_STR("{\"code\":\"agent_error\",\"message\":\"no\"}");
	assert_run(row,
		HEAD ",\"agent_id\":\"echo\",\"input\":{\"n\": 0.10}"
		     ",\"started_at\":\"2023-11-14T22:13:20.000003Z\""
		     ",\"ended_at\":\"2023-11-14T22:13:20.000004Z\",\"attempt\":1"
		     ",\"error\":{\"code\":\"agent_error\",\"message\":\"no\"}}");
	apd_run_row_unref(row);
}

static void run_without_members(void **state)
{
	static const char *const empty[] = {"{}", "{ }", "{\n\t\r }", ""};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(empty); i++) {
		struct apd_run_row *row = make_row(empty[i]);

		assert_run(row, HEAD ",\"attempt\":0}");
		apd_run_row_unref(row);
	}
}

static void run_with_spaces(void **state)
{
	struct apd_run_row *row = make_row("{ \"input\" : [ 1 ] }");

	(void)state;
	assert_run(row, HEAD ",\"input\" : [ 1 ],\"attempt\":0}");
	apd_run_row_unref(row);
}

/* The longest of every part that has no range fits into the one reservation. */
static void run_at_its_longest(void **state)
{
	struct apd_run_row *row = make_row("{}");
	struct apd_buf out = {0};

	(void)state;
	row->status = APD_RUN_INTERRUPTED;
	row->attempt = UINT32_MAX;
	row->started_us = row->ended_us = 253402300799999999; /* the last of year 9999 */
	row->error = APD_STR("{}");
	apd_run_row_add_json(&out, row);
	assert_non_null(strstr(out.data, "\"attempt\":4294967295,\"error\":{}}"));
	assert_non_null(strstr(out.data, "\"ended_at\":\"9999-12-31T23:59:59.999999Z\""));
	assert_true(out.len < 512);
	apd_buf_finish(&out);
	apd_run_row_unref(row);
}

static void run_behind_other_text(void **state)
{
	struct apd_run_row *row = make_row("{}");
	struct apd_buf out = {0};

	(void)state;
	apd_buf_lit(&out, "[");
	apd_run_row_add_json(&out, row);
	apd_buf_lit(&out, ",");
	apd_run_row_add_json(&out, row);
	apd_buf_lit(&out, "]");
	assert_string_equal(out.data, "[" HEAD ",\"attempt\":0}," HEAD ",\"attempt\":0}]");
	apd_buf_finish(&out);
	apd_run_row_unref(row);
}

static void results(void **state)
{
	struct apd_run_row *row = make_row("{}");

	(void)state;
	assert_result(row, "{\"run\":" HEAD ",\"attempt\":0},\"values\":{}}");
	row->output = APD_STR("{}");
	assert_result(row, "{\"run\":" HEAD ",\"attempt\":0},\"values\":{}}");
	row->output = APD_STR("{\"values\":{\"a\":1},\"messages\":[]}");
	assert_result(
		row, "{\"run\":" HEAD ",\"attempt\":0},\"values\":{\"a\":1},\"messages\":[]}");
	apd_run_row_unref(row);
}

static void references(void **state)
{
	struct apd_text *request = apd_text_create(APD_STR("{}"));
	struct apd_text *result = apd_text_create(APD_STR("{}"));
	struct apd_run_row *row = apd_run_row_create(apd_text_ref(request), apd_text_ref(result));

	(void)state;
	assert_ptr_equal(apd_run_row_ref(row), row);
	assert_null(apd_run_row_ref(NULL));
	apd_run_row_unref(NULL);
	apd_run_row_unref(row);
	assert_int_equal(request->refs, 2);
	apd_run_row_unref(row);
	assert_int_equal(request->refs, 1);
	assert_int_equal(result->refs, 1);
	apd_text_unref(request);
	apd_text_unref(result);
}

static void batches(void **state)
{
	struct apd_run_row *row = make_row("{}");
	struct apd_thread_row *thread = apd_thread_row_create(
		&(struct apd_thread_row){.thread_id = row->thread_id, .created_us = 7});
	struct apd_batch batch = {0};

	(void)state;
	apd_batch_put_thread(&batch, thread);
	apd_batch_put_run(&batch, row);
	apd_batch_delete_run(&batch, &row->run_id);
	apd_batch_delete_thread(&batch, &row->thread_id);
	assert_int_equal(batch.n_ops, 4);
	assert_int_equal(batch.ops[0].type, APD_OP_THREAD_PUT);
	assert_ptr_equal(batch.ops[0].thread, thread);
	assert_int_equal(thread->refs, 2);
	assert_ptr_equal(batch.ops[1].run, row);
	assert_true(apd_id_eq(&batch.ops[2].id, &row->run_id));
	assert_int_equal(batch.ops[3].type, APD_OP_THREAD_DELETE);
	assert_int_equal(row->refs, 2);
	apd_batch_finish(&batch);
	assert_int_equal(row->refs, 1);
	assert_int_equal(thread->refs, 1);
	apd_thread_row_unref(thread);
	apd_run_row_unref(row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(run_with_request),
		cmocka_unit_test(run_without_members),
		cmocka_unit_test(run_with_spaces),
		cmocka_unit_test(run_at_its_longest),
		cmocka_unit_test(run_behind_other_text),
		cmocka_unit_test(results),
		cmocka_unit_test(references),
		cmocka_unit_test(batches),
	};

	return cmocka_run_group_tests_name("storage_row", tests, NULL, NULL);
}
