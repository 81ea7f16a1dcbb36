/* The state of a thread: commits, messages, sharing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "storage/state.h"

/* Scans a text, or gives NULL for NULL. */
static struct apd_json *scan(struct apd_json *json, const char *text)
{
	if (!text)
		return NULL;
	assert_int_equal(apd_json_scan(json, apd_str(text)), 0);
	return json;
}

/* Applies a commit; takes over the old state unless it fails. */
static int apply(
	struct apd_state **state, const char *patch, const char *removed, const char *messages)
{
	struct apd_json a = {0}, b = {0}, c = {0};
	struct apd_state *next = NULL;
	struct apd_id_gen gen;
	int r;

	apd_id_gen_init(&gen, 7);
	r = apd_state_apply(*state,
		&(struct apd_state_change){.patch = scan(&a, patch),
			.removed = scan(&b, removed),
			.messages = scan(&c, messages),
			.gen = &gen,
			.wall_us = 1700000000000000},
		&next, NULL);
	if (r == 0) {
		apd_state_unref(*state);
		*state = next;
	} else {
		assert_null(next);
	}
	apd_json_finish(&a);
	apd_json_finish(&b);
	apd_json_finish(&c);
	return r;
}

static void assert_json(const struct apd_state *state, const char *expected)
{
	struct apd_buf out = {0};

	apd_state_add_json(&out, state);
	assert_string_equal(apd_buf_str(&out).ptr, expected);
	apd_buf_finish(&out);
}

static void keys_are_replaced_whole_and_keep_their_place(void **unused)
{
	struct apd_state *state = apd_state_empty();

	(void)unused;
	assert_json(state, "{}");
	assert_int_equal(apply(&state, "{\"a\":1,\"b\":{\"x\":0.10}}", NULL, NULL), 0);
	assert_int_equal(apply(&state, "{\"a\":[2],\"c\\n\":null}", NULL, NULL), 0);
	assert_json(state, "{\"a\":[2],\"b\":{\"x\":0.10},\"c\\n\":null}");
	assert_int_equal(apply(&state, "{\"d\":1}", "[\"b\",\"d\",\"none\"]", NULL), 0);
	assert_json(state, "{\"a\":[2],\"c\\n\":null}");
	assert_int_equal(state->bytes, 1 + 3 + 2 + 4);
	apd_state_unref(state);
}

static void messages_combine_by_id(void **unused)
{
	struct apd_state *state = apd_state_empty();

	(void)unused;
	assert_int_equal(apply(&state, NULL, NULL, "[]"), 0);
	assert_json(state, "{\"messages\":[]}");
	assert_int_equal(
		apply(&state, NULL, NULL, "[{\"id\":\"1\",\"t\":1},{\"id\":\"2\",\"t\":2}]"), 0);
	assert_int_equal(
		apply(&state,
			"{\"messages\":[{\"id\":\"1\",\"t\":9},{\"id\":\"3\"},"
			"{\"type\":\"remove\",\"id\":\"2\"},{\"type\":\"remove\",\"id\":\"7\"}]}",
			NULL, NULL),
		0);
	assert_json(state, "{\"messages\":[{\"id\":\"1\",\"t\":9},{\"id\":\"3\"}]}");
	assert_int_equal(apply(&state, NULL, "[\"messages\"]", NULL), 0);
	assert_json(state, "{}");
	apd_state_unref(state);
}

static void messages_without_an_id_get_one(void **unused)
{
	static const char *const texts[] = {
		"[{}]", "[{\"a\":1}]", "[{\"a\":1,\"id\":null,\"b\":2}]"};

	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		struct apd_state *state = apd_state_empty();
		struct apd_json json = {0};
		struct apd_id id;
		uint32_t at;

		assert_int_equal(apply(&state, NULL, NULL, texts[i]), 0);
		assert_int_equal(state->n_messages, 1);
		assert_int_equal(apd_json_scan(&json, apd_text_str(state->messages[0].value)), 0);
		at = apd_json_member(&json, 0, APD_STR("id"));
		assert_true(apd_json_is(&json, at, apd_text_str(state->messages[0].key)));
		assert_int_equal(apd_id_parse(apd_text_str(state->messages[0].key), &id), 0);
		apd_json_finish(&json);
		apd_state_unref(state);
	}
}

static void bad_messages_change_nothing(void **unused)
{
	static const char *const bad[] = {"{\"messages\":null}", "{\"x\":1,\"messages\":[1]}",
		"{\"messages\":{}}", "{\"messages\":[{\"id\":1}]}"};
	struct apd_state *state = apd_state_empty();

	(void)unused;
	assert_int_equal(apply(&state, "{\"a\":1}", NULL, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(apply(&state, bad[i], NULL, NULL), -EINVAL);
	assert_json(state, "{\"a\":1}");
	apd_state_unref(state);
}

/* Long lists go through a map: the outcome must be the same. */
static void long_states_work_like_short_ones(void **unused)
{
	struct apd_state *state = apd_state_empty();
	struct apd_state *before;
	char text[64];

	(void)unused;
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "{\"k%d\":%d,\"messages\":[{\"id\":\"m%d\"}]}", i, i,
			i);
		assert_int_equal(apply(&state, text, NULL, NULL), 0);
	}
	before = apd_state_ref(state);
	for (int i = 0; i < 200; i += 2) {
		snprintf(text, sizeof(text), "[\"k%d\"]", i);
		assert_int_equal(apply(&state, "{\"k199\":\"x\"}", text, NULL), 0);
	}
	assert_int_equal(state->n_values, 100);
	assert_string_equal(state->values[0].key->data, "k1");
	assert_string_equal(state->values[99].value->data, "\"x\"");
	/* What was not touched is shared, and the old state is as it was. */
	assert_ptr_equal(state->values[0].value, before->values[1].value);
	assert_int_equal(before->n_values, 200);
	assert_int_equal(state->n_messages, 200);
	apd_state_unref(before);
	apd_state_unref(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_replaced_whole_and_keep_their_place),
		cmocka_unit_test(messages_combine_by_id),
		cmocka_unit_test(messages_without_an_id_get_one),
		cmocka_unit_test(bad_messages_change_nothing),
		cmocka_unit_test(long_states_work_like_short_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
