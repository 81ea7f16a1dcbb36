/* Calls about threads: creating, changing, copying, deleting, and their order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fakes.h"

/* A world with thread 1. */
static void begin(struct fake *f)
{
	fake_init(f);
	f->n_slots = 2;
	f->agent.max_queue = 5;
	fake_start(f);
	fake_thread_put(f, 1, NULL);
}

static void create(struct fake *f, struct fake_thread_call *call, unsigned id, bool existing)
{
	struct apd_id thread_id = fake_spec(id, APD_MULTITASK_REJECT).thread_id;

	fake_thread_call_init(call);
	apd_runtime_create_thread(
		f->rt, &thread_id, APD_STR("{\"who\":\"me\"}"), existing, &call->call);
	assert_int_equal(call->done, 0);
	apd_runtime_flush(f->rt);
}

static void copy(struct fake *f, struct fake_thread_call *call, unsigned id)
{
	struct apd_id thread_id = fake_spec(id, APD_MULTITASK_REJECT).thread_id;

	fake_thread_call_init(call);
	apd_runtime_copy_thread(f->rt, &thread_id, &call->call);
	apd_runtime_flush(f->rt);
}

static void delete (struct fake *f, struct fake_thread_call *call, unsigned id)
{
	struct apd_id thread_id = fake_spec(id, APD_MULTITASK_REJECT).thread_id;

	fake_thread_call_init(call);
	apd_runtime_delete_thread(f->rt, &thread_id, &call->call);
	apd_runtime_flush(f->rt);
}

static void run(struct fake *f, struct fake_call *call, unsigned id, bool create_thread)
{
	struct apd_run_spec spec = fake_spec(id, APD_MULTITASK_ENQUEUE);

	spec.create_thread = create_thread;
	fake_create(f, call, APD_MODE_BACKGROUND, &spec, NULL);
}

static void several_may_want_the_same_thread(void **unused)
{
	struct fake_thread_call calls[3];
	struct fake_call first, second;
	struct fake f;

	(void)unused;
	begin(&f);
	/* All of this waits for one read, and then for one creation. */
	run(&f, &first, 2, false);
	create(&f, &calls[0], 2, false);
	create(&f, &calls[1], 2, false);
	create(&f, &calls[2], 2, true);
	run(&f, &second, 2, false);
	fake_store_all(&f);
	assert_int_equal(first.code, APD_PROBLEM_THREAD_NOT_FOUND);
	assert_int_equal(calls[0].code, APD_PROBLEM_NONE);
	assert_int_equal(calls[1].code, APD_PROBLEM_THREAD_EXISTS);
	assert_int_equal(calls[2].code, APD_PROBLEM_NONE);
	assert_non_null(strstr(calls[2].json, "\"metadata\":{\"who\":\"me\"}"));
	assert_int_equal(second.accepted, 1);
	assert_int_equal(f.threads_put, 2);
	fake_call_finish(&second);
	fake_finish(&f);
}

static void a_thread_that_cannot_be_read_or_made_is_refused(void **unused)
{
	struct fake_thread_call call;
	struct fake_call first, second;
	struct fake f;

	(void)unused;
	begin(&f);
	run(&f, &first, 1, false);
	fake_patch(&f, &call, 1, "{\"a\":1}", NULL, NULL);
	fake_store(&f, -EIO);
	assert_int_equal(first.code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(call.code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	/* A run that makes its thread fails: who waited for it finds none. */
	run(&f, &first, 2, true);
	run(&f, &second, 2, false);
	while (!apd_list_empty(&f.loads)) {
		struct apd_load *load = apd_list_first(&f.loads, struct apd_load, link);

		apd_list_remove(&load->link);
		load->done(load, 0);
	}
	apd_runtime_flush(f.rt);
	fake_store(&f, -ENOSPC);
	assert_int_equal(first.code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	assert_int_equal(second.code, APD_PROBLEM_THREAD_NOT_FOUND);
	create(&f, &call, 2, false);
	fake_store_all(&f);
	assert_int_equal(call.code, APD_PROBLEM_NONE);
	fake_finish(&f);
}

static void metadata_is_merged_member_by_member(void **unused)
{
	struct fake_thread_call call;
	struct fake f;

	(void)unused;
	begin(&f);
	fake_patch(&f, &call, 1, "{\"a\":1,\"b\":{\"x\":1},\"none\":null}", NULL, NULL);
	fake_store_all(&f);
	assert_true(apd_str_is(fake_thread(&f, 1)->row->metadata, "{\"a\":1,\"b\":{\"x\":1}}"));
	fake_patch(&f, &call, 1, "{\"a\":null,\"b\":{\"y\":2},\"c\":3}", NULL, NULL);
	fake_store_all(&f);
	assert_true(apd_str_is(fake_thread(&f, 1)->row->metadata, "{\"b\":{\"y\":2},\"c\":3}"));
	/* What was refused rides with nothing later. */
	fake_patch(&f, &call, 1, "{\"d\":4}", NULL, NULL);
	fake_store(&f, -EIO);
	fake_store(&f, -EIO);
	assert_int_equal(call.code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	fake_patch(&f, &call, 1, "{\"c\":null}", NULL, NULL);
	fake_store_all(&f);
	assert_true(apd_str_is(fake_thread(&f, 1)->row->metadata, "{\"b\":{\"y\":2}}"));
	fake_patch(&f, &call, 1, "[1]", NULL, NULL);
	fake_store_all(&f);
	assert_int_equal(call.code, APD_PROBLEM_INVALID_REQUEST);
	assert_string_equal(fake_sources(&f, 1), "");
	fake_finish(&f);
}

static void values_make_a_checkpoint_and_branches_another(void **unused)
{
	struct apd_id first, nowhere = {{9}};
	struct fake_thread_call call;
	struct fake f;

	(void)unused;
	begin(&f);
	fake_patch(&f, &call, 1, NULL, "{\"a\":1,\"messages\":[{\"id\":\"m\"}]}", NULL);
	fake_store_all(&f);
	fake_patch(&f, &call, 1, NULL, "{\"a\":2,\"b\":2}", NULL);
	fake_store_all(&f);
	assert_non_null(strstr(call.json, "\"values\":{\"a\":2,\"b\":2}"));
	assert_non_null(strstr(call.json, "\"messages\":[{\"id\":\"m\"}]"));
	first = fake_thread(&f, 1)->points[0]->checkpoint_id;
	fake_patch(&f, &call, 1, NULL, NULL, &nowhere);
	fake_store_all(&f);
	assert_int_equal(call.code, APD_PROBLEM_CHECKPOINT_NOT_FOUND);
	fake_patch(&f, &call, 1, "{\"x\":1}", "{\"c\":3}", &first);
	fake_store_all(&f);
	assert_int_equal(call.code, APD_PROBLEM_NONE);
	assert_string_equal(fake_sources(&f, 1), "uuf");
	assert_true(apd_id_eq(&fake_thread(&f, 1)->points[2]->parent_id, &first));
	assert_int_equal(fake_thread(&f, 1)->points[2]->step, 1);
	assert_string_equal(fake_state(&f, 1), "{\"a\":1,\"c\":3,\"messages\":[{\"id\":\"m\"}]}");
	/* An empty change is none. */
	fake_patch(&f, &call, 1, NULL, NULL, NULL);
	fake_store_all(&f);
	assert_int_equal(call.done, 1);
	assert_string_equal(fake_sources(&f, 1), "uuf");
	fake_finish(&f);
}

static void a_busy_thread_takes_metadata_only(void **unused)
{
	struct fake_thread_call state, metadata;
	struct fake_call call, later;
	struct fake f;

	(void)unused;
	begin(&f);
	run(&f, &call, 1, false);
	fake_store_all(&f);
	fake_patch(&f, &state, 1, NULL, "{\"a\":1}", NULL);
	fake_patch(&f, &metadata, 1, "{\"a\":1}", NULL, NULL);
	assert_int_equal(state.code, APD_PROBLEM_THREAD_ACTIVE);
	/* The end waits for the change of the row, and is based on it. */
	fake_done(&f, 0, AP_E_FAILED);
	fake_store_all(&f);
	assert_non_null(strstr(metadata.json, "\"status\":\"busy\""));
	assert_int_equal(fake_thread(&f, 1)->row->rest, APD_THREAD_ERROR);
	assert_true(apd_str_is(fake_thread(&f, 1)->row->metadata, "{\"a\":1}"));
	/* The other way round: a change waits for an end, or is refused while it fails. */
	run(&f, &later, 1, false);
	fake_store_all(&f);
	fake_done(&f, 0, AP_OK);
	fake_patch(&f, &metadata, 1, "{\"b\":1}", NULL, NULL);
	assert_int_equal(metadata.done, 0);
	fake_store(&f, -EIO);
	assert_int_equal(metadata.code, APD_PROBLEM_STORAGE_UNAVAILABLE);
	fake_sleep(&f, 2 * APD_NS_PER_S);
	fake_store_all(&f);
	assert_int_equal(fake_thread(&f, 1)->row->rest, APD_THREAD_IDLE);
	fake_call_finish(&call);
	fake_call_finish(&later);
	fake_finish(&f);
}

static void a_run_waits_for_a_change_on_its_way(void **unused)
{
	struct fake_thread_call patch;
	struct fake_call call;
	struct fake f;

	(void)unused;
	begin(&f);
	fake_patch(&f, &patch, 1, NULL, "{\"a\":1}", NULL);
	run(&f, &call, 1, false);
	fake_store_all(&f);
	assert_int_equal(patch.code, APD_PROBLEM_NONE);
	assert_string_equal(f.slots[0].values, "{\"a\":1}");
	assert_string_equal(fake_sources(&f, 1), "ui");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void who_waits_for_a_turn_ends_whatever_is_on_its_way(void **unused)
{
	struct fake_thread_call metadata;
	struct fake_call calls[2];
	struct fake f;

	(void)unused;
	begin(&f);
	for (int i = 0; i < 2; i++)
		run(&f, &calls[i], 1, false);
	fake_store_all(&f);
	fake_patch(&f, &metadata, 1, "{\"a\":1}", NULL, NULL);
	apd_runtime_cancel_run(f.rt, &calls[1].row->run_id, false, NULL);
	fake_store_all(&f);
	assert_int_equal(metadata.done, 1);
	assert_int_equal(fake_run(&f, &calls[1].row->run_id)->status, APD_RUN_INTERRUPTED);
	for (int i = 0; i < 2; i++)
		fake_call_finish(&calls[i]);
	fake_finish(&f);
}

static void a_copy_has_all_and_is_free(void **unused)
{
	struct fake_thread_call call;
	struct fake f;

	(void)unused;
	begin(&f);
	fake_patch(&f, &call, 1, "{\"x\":1}", "{\"a\":1}", NULL);
	fake_store_all(&f);
	copy(&f, &call, 1);
	fake_store_all(&f);
	assert_int_equal(call.code, APD_PROBLEM_NONE);
	assert_int_not_equal(call.id.bytes[1], 0);
	assert_non_null(strstr(call.json, "\"values\":{\"a\":1}"));
	assert_non_null(strstr(call.json, "\"metadata\":{\"x\":1}"));
	assert_int_equal(f.n_threads, 2);
	fake_patch(&f, &call, 1, NULL, "{\"a\":2}", NULL);
	fake_store_all(&f);
	assert_int_equal(f.threads[1].n_points, 1);
	copy(&f, &call, 7);
	fake_store_all(&f);
	assert_int_equal(call.code, APD_PROBLEM_THREAD_NOT_FOUND);
	fake_finish(&f);
}

static void a_deletion_stops_all_and_what_comes_behind_sees_none(void **unused)
{
	struct fake_thread_call gone, again;
	struct fake_call calls[4];
	struct fake f;

	(void)unused;
	begin(&f);
	for (int i = 0; i < 2; i++)
		run(&f, &calls[i], 1, false);
	fake_store_all(&f);
	delete (&f, &gone, 1);
	run(&f, &calls[2], 1, false);
	create(&f, &again, 1, false);
	run(&f, &calls[3], 1, false);
	assert_int_equal(f.slots[0].reason, APD_STOP_CANCEL);
	fake_store_all(&f);
	assert_int_equal(gone.done, 0);
	fake_done(&f, 0, AP_E_CANCELLED);
	fake_store_all(&f);
	assert_int_equal(gone.done, 1);
	assert_int_equal(gone.code, APD_PROBLEM_NONE);
	assert_null(apd_runtime_find_run(f.rt, &calls[0].row->run_id));
	assert_null(fake_run(&f, &calls[1].row->run_id));
	assert_int_equal(calls[2].code, APD_PROBLEM_THREAD_NOT_FOUND);
	assert_int_equal(again.code, APD_PROBLEM_NONE);
	assert_int_equal(calls[3].accepted, 1);
	delete (&f, &gone, 8);
	fake_store_all(&f);
	assert_int_equal(gone.code, APD_PROBLEM_THREAD_NOT_FOUND);
	for (int i = 0; i < 4; i++)
		fake_call_finish(&calls[i]);
	fake_finish(&f);
}

static void a_run_may_take_the_thread_before_the_client_does(void **unused)
{
	struct apd_run_spec spec = fake_spec(1, APD_MULTITASK_REJECT);
	struct fake_thread_call gone, again;
	struct fake_call call;
	struct fake f;

	(void)unused;
	begin(&f);
	spec.delete_thread = true;
	fake_create(&f, &call, APD_MODE_WAIT, &spec, NULL);
	fake_store_all(&f);
	fake_done(&f, 0, AP_OK);
	delete (&f, &gone, 1);
	create(&f, &again, 1, false);
	fake_store_all(&f);
	assert_int_equal(call.ended, 1);
	assert_int_equal(gone.code, APD_PROBLEM_NONE);
	assert_int_equal(again.code, APD_PROBLEM_NONE);
	assert_string_equal(fake_state(&f, 1), "{}");
	fake_call_finish(&call);
	fake_finish(&f);
}

static void a_swept_thread_does_not_come_back(void **unused)
{
	struct fake_thread_call call;
	struct fake_call plain, creates;
	struct fake f;

	(void)unused;
	begin(&f);
	for (int i = 0; i < 2; i++) {
		fake_patch(&f, &call, 1, "{\"a\":1}", NULL, NULL);
		fake_store_all(&f);
		if (i == 0)
			fake_sweep(&f, 1);
	}
	assert_int_equal(call.code, APD_PROBLEM_THREAD_NOT_FOUND);
	assert_string_equal(fake_state(&f, 1), "none");
	fake_thread_put(&f, 1, NULL);
	for (int i = 0; i < 2; i++) {
		create(&f, &call, 1, true);
		fake_store_all(&f);
		fake_sweep(&f, 1);
		if (i == 0)
			run(&f, &plain, 1, false);
		else
			run(&f, &creates, 1, true);
		fake_store_all(&f);
	}
	assert_int_equal(plain.code, APD_PROBLEM_THREAD_NOT_FOUND);
	assert_int_equal(creates.accepted, 1);
	assert_string_equal(fake_sources(&f, 1), "i");
	fake_call_finish(&creates);
	fake_finish(&f);
}

static void threads_leave_memory(void **unused)
{
	struct apd_runtime_stats stats;
	struct fake_thread_call call;
	struct fake_call created;
	struct fake f;

	(void)unused;
	begin(&f);
	fake_patch(&f, &call, 1, NULL, "{\"a\":1}", NULL);
	fake_store_all(&f);
	run(&f, &created, 1, false);
	fake_store_all(&f);
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	/* In memory nothing has to be read. */
	fake_patch(&f, &call, 1, "{}", NULL, NULL);
	assert_true(apd_list_empty(&f.loads));
	fake_store_all(&f);
	apd_runtime_stats(f.rt, &stats);
	assert_int_equal(stats.threads, 1);
	fake_sleep(&f, 61 * APD_NS_PER_S);
	fake_sleep(&f, 61 * APD_NS_PER_S);
	apd_runtime_stats(f.rt, &stats);
	assert_int_equal(stats.threads, 0);
	assert_int_equal(apd_runtime_next_timer(f.rt), INT64_MAX);
	fake_call_finish(&created);
	fake_finish(&f);
}

static void is_done(void *data)
{
	*(bool *)data = true;
}

static void a_shutdown_answers_all_calls(void **unused)
{
	struct fake_thread_call reading, saving, deleting, late;
	struct fake_call call, loading;
	bool done = false;
	struct fake f;

	(void)unused;
	begin(&f);
	run(&f, &call, 1, false);
	fake_store_all(&f);
	fake_patch(&f, &saving, 1, "{\"a\":1}", NULL, NULL);
	delete (&f, &deleting, 1);
	fake_patch(&f, &reading, 2, NULL, "{\"a\":1}", NULL);
	run(&f, &loading, 3, true);
	apd_runtime_shutdown(f.rt, is_done, &done);
	create(&f, &late, 4, false);
	assert_int_equal(late.code, APD_PROBLEM_SHUTTING_DOWN);
	assert_int_equal(reading.code, APD_PROBLEM_SHUTTING_DOWN);
	assert_int_equal(loading.code, APD_PROBLEM_SHUTTING_DOWN);
	assert_int_equal(deleting.code, APD_PROBLEM_SHUTTING_DOWN);
	fake_done(&f, 0, AP_OK);
	fake_store_all(&f);
	assert_int_equal(saving.code, APD_PROBLEM_NONE);
	assert_true(done);
	assert_non_null(fake_thread(&f, 1));
	fake_call_finish(&call);
	fake_call_finish(&loading);
	fake_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_may_want_the_same_thread),
		cmocka_unit_test(a_thread_that_cannot_be_read_or_made_is_refused),
		cmocka_unit_test(metadata_is_merged_member_by_member),
		cmocka_unit_test(values_make_a_checkpoint_and_branches_another),
		cmocka_unit_test(a_busy_thread_takes_metadata_only),
		cmocka_unit_test(a_run_waits_for_a_change_on_its_way),
		cmocka_unit_test(who_waits_for_a_turn_ends_whatever_is_on_its_way),
		cmocka_unit_test(a_copy_has_all_and_is_free),
		cmocka_unit_test(a_deletion_stops_all_and_what_comes_behind_sees_none),
		cmocka_unit_test(a_run_may_take_the_thread_before_the_client_does),
		cmocka_unit_test(a_swept_thread_does_not_come_back),
		cmocka_unit_test(threads_leave_memory),
		cmocka_unit_test(a_shutdown_answers_all_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
