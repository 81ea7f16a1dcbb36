/* People in the loop: questions, answers, and what makes questions go. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fakes.h"

/* A world with thread 1, whose question q1 is pending. */
static void ask(struct fake *f)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake_call call;

	fake_init(f);
	fake_start(f);
	fake_thread_put(f, 1, NULL);
	fake_create(f, &call, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(f);
	fake_commit_later(f, 0, "{\"half\":1}");
	fake_store_all(f);
	fake_ask(f, 0, "q1", "v1 where I was");
	fake_store_all(f);
	assert_int_equal(call.row->status, APD_RUN_INTERRUPTED);
	fake_call_finish(&call);
}

static const struct apd_thread_row *row(struct fake *f)
{
	return fake_thread(f, 1)->row;
}

/* Creates a run with an answer, or a plain one. */
static void answer(struct fake *f, struct fake_call *call, const char *resume)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);

	if (resume)
		spec.resume = apd_str(resume);
	spec.jump = APD_STR("\"there\"");
	fake_create(f, call, APD_MODE_BACKGROUND, &spec, NULL);
	fake_store_all(f);
}

static void an_answer_goes_on_where_the_agent_was(void **unused)
{
	(void)unused;
	for (int restart = 0; restart < 2; restart++) {
		struct fake f;
		struct fake_call call;

		ask(&f);
		assert_int_equal(row(&f)->rest, APD_THREAD_INTERRUPTED);
		if (restart)
			fake_restart(&f);
		answer(&f, &call, "{\"yes\":true}");
		assert_int_equal(call.accepted, 1);
		assert_string_equal(f.slots[0].resume,
			"[{\"namespace\":[],\"id\":\"q1\",\"response\":{\"yes\":true}}]");
		assert_string_equal(f.slots[0].continuation, "v1 where I was");
		assert_string_equal(f.slots[0].jump, "\"there\"");
		assert_string_equal(f.slots[0].values, "{\"half\":1}");
		/* They stay until it ends, for a rollback or another attempt. */
		assert_non_null(row(&f)->interrupts.ptr);
		fake_done(&f, 0, AP_OK);
		fake_store_all(&f);
		assert_int_equal(row(&f)->rest, APD_THREAD_IDLE);
		assert_null(row(&f)->interrupts.ptr);
		assert_null(row(&f)->continuation.ptr);
		fake_call_finish(&call);
		answer(&f, &call, "1");
		assert_int_equal(call.code, APD_PROBLEM_NOT_INTERRUPTED);
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

static void a_restart_in_the_middle_answers_again(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	ask(&f);
	f.agent.retry_safe = true;
	answer(&f, &call, "2");
	fake_restart(&f);
	assert_int_equal(f.slots[0].attempt, 2);
	assert_string_equal(f.slots[0].resume, "[{\"namespace\":[],\"id\":\"q1\",\"response\":2}]");
	assert_string_equal(f.slots[0].continuation, "v1 where I was");
	assert_string_equal(f.slots[0].jump, "\"there\"");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_plain_run_drops_the_questions_at_its_end(void **unused)
{
	static const struct {
		ap_status status;
		enum apd_thread_rest rest;
	} ends[] = {{AP_OK, APD_THREAD_IDLE}, {AP_E_FAILED, APD_THREAD_ERROR}};

	(void)unused;
	for (size_t i = 0; i < APD_COUNT(ends); i++) {
		struct fake f;
		struct fake_call call;

		ask(&f);
		answer(&f, &call, NULL);
		assert_string_equal(f.slots[0].resume, "");
		assert_string_equal(f.slots[0].continuation, "");
		assert_non_null(row(&f)->interrupts.ptr);
		fake_done(&f, 0, ends[i].status);
		fake_store_all(&f);
		assert_null(row(&f)->interrupts.ptr);
		assert_int_equal(row(&f)->rest, ends[i].rest);
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

static void questions_come_back_with_a_rollback(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	ask(&f);
	answer(&f, &call, "1");
	apd_runtime_cancel_run(f.rt, &call.row->run_id, true, NULL);
	fake_done(&f, 0, AP_E_CANCELLED);
	fake_store_all(&f);
	assert_int_equal(row(&f)->rest, APD_THREAD_INTERRUPTED);
	fake_call_finish(&call);
	answer(&f, &call, "2");
	assert_string_equal(f.slots[0].resume, "[{\"namespace\":[],\"id\":\"q1\",\"response\":2}]");
	/* And a new question takes the place of the old. */
	fake_ask(&f, 0, "q2", NULL);
	fake_store_all(&f);
	assert_true(apd_str_is(row(&f)->interrupts, "[{\"id\":\"q2\",\"value\":{\"ok\":null}}]"));
	assert_null(row(&f)->continuation.ptr);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void who_never_began_leaves_the_questions(void **unused)
{
	struct fake f;
	struct fake_call call;

	(void)unused;
	ask(&f);
	f.n_slots = 0;
	answer(&f, &call, "1");
	apd_runtime_cancel_run(f.rt, &call.row->run_id, false, NULL);
	fake_store_all(&f);
	assert_int_equal(f.stored->status, APD_RUN_INTERRUPTED);
	assert_int_equal(row(&f)->rest, APD_THREAD_INTERRUPTED);
	assert_non_null(row(&f)->interrupts.ptr);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_cancelled_run_asks_nothing(void **unused)
{
	struct apd_ask question = {APD_STR("q2"), APD_STR_ABSENT, APD_STR("1")};
	struct fake f;
	struct fake_call call;

	(void)unused;
	ask(&f);
	answer(&f, &call, NULL);
	apd_runtime_sink.asked(f.rt, &f.slots[0].base, &question, 1, APD_STR("c"));
	apd_runtime_cancel_run(f.rt, &call.row->run_id, false, NULL);
	fake_done(&f, 0, AP_E_CANCELLED);
	fake_store_all(&f);
	assert_int_equal(f.stored->status, APD_RUN_INTERRUPTED);
	assert_null(f.stored->interrupts.ptr);
	assert_int_equal(row(&f)->rest, APD_THREAD_IDLE);
	assert_null(row(&f)->interrupts.ptr);
	assert_null(row(&f)->continuation.ptr);
	fake_call_finish(&call);
	fake_finish(&f);
}

static void several_questions_need_a_map(void **unused)
{
	static const char questions[] = "[{\"id\":\"q1\",\"value\":1},{\"id\":\"q\\u0032\","
					"\"value\":2,\"namespace\":[\"n\"]}]";
	static const struct {
		const char *resume, *given;
	} cases[] = {
		{"1", NULL},
		{"{}", NULL},
		{"{\"q1\":1,\"other\":2}", NULL},
		{"{\"q2\":{\"q1\":1}}",
			"[{\"namespace\":[\"n\"],\"id\":\"q\\u0032\",\"response\":{\"q1\":1}}]"},
		{"{\"q1\":\"a\",\"q2\":null}",
			"[{\"namespace\":[],\"id\":\"q1\",\"response\":\"a\"},"
			"{\"namespace\":[\"n\"],\"id\":\"q\\u0032\",\"response\":null}]"},
	};

	(void)unused;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		struct fake f;
		struct fake_call call;

		fake_init(&f);
		fake_start(&f);
		fake_thread_put(&f, 1, questions);
		answer(&f, &call, cases[i].resume);
		if (cases[i].given)
			assert_string_equal(f.slots[0].resume, cases[i].given);
		else
			assert_int_equal(call.code, APD_PROBLEM_INVALID_REQUEST);
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

static void a_single_question_takes_a_map_or_anything(void **unused)
{
	static const char *const cases[][2] = {
		{"{\"q1\":5}", "5"}, {"{\"x\":5}", "{\"x\":5}"}, {"{}", "{}"}, {"[]", "[]"}};

	(void)unused;
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		char given[128];
		struct fake f;
		struct fake_call call;

		fake_init(&f);
		fake_start(&f);
		fake_thread_put(&f, 1, "[{\"id\":\"q1\",\"value\":1}]");
		answer(&f, &call, cases[i][0]);
		snprintf(given, sizeof(given), "[{\"namespace\":[],\"id\":\"q1\",\"response\":%s}]",
			cases[i][1]);
		assert_string_equal(f.slots[0].resume, given);
		fake_call_finish(&call);
		fake_finish(&f);
	}
}

static void nobody_asks_where_the_thread_goes(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake f;
	struct fake_call call;

	(void)unused;
	fake_init(&f);
	fake_start(&f);
	fake_thread_put(&f, 1, NULL);
	spec.delete_thread = true;
	fake_create(&f, &call, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(&f);
	fake_ask(&f, 0, "q1", NULL);
	fake_store_all(&f);
	assert_int_equal(call.row->status, APD_RUN_ERROR);
	assert_string_equal(fake_state(&f, 1), "none");
	fake_call_finish(&call);
	fake_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_goes_on_where_the_agent_was),
		cmocka_unit_test(a_restart_in_the_middle_answers_again),
		cmocka_unit_test(a_plain_run_drops_the_questions_at_its_end),
		cmocka_unit_test(questions_come_back_with_a_rollback),
		cmocka_unit_test(who_never_began_leaves_the_questions),
		cmocka_unit_test(a_cancelled_run_asks_nothing),
		cmocka_unit_test(several_questions_need_a_map),
		cmocka_unit_test(a_single_question_takes_a_map_or_anything),
		cmocka_unit_test(nobody_asks_where_the_thread_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
