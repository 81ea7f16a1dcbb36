/* sugar.h: streaming a text message. */
#include <ap/sugar.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "fake_run.h"

static int setup(void **state)
{
	static struct fake_run fake;

	fake_run_init(&fake);
	*state = &fake;
	return 0;
}

static int teardown(void **state)
{
	fake_run_finish(*state);
	return 0;
}

/* The lines of a fake run, in order, ended by NULL, and no others. */
static void assert_lines(const struct fake_run *fake, const char *const *lines)
{
	int n = 0;

	for (; lines[n]; n++) {
		assert_true(n < fake->count);
		assert_string_equal(fake->lines[n], lines[n]);
	}
	assert_int_equal(fake->count, n);
}

#define DELTA(text)                                                    \
	"messages say {\"event\":\"content-block-delta\",\"index\":0," \
	"\"delta\":{\"type\":\"text-delta\",\"text\":\"" text "\"}}"
#define START                                                                        \
	"messages say {\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m-1\"}", \
		"messages say {\"event\":\"content-block-start\",\"index\":0,"       \
		"\"content\":{\"type\":\"text\",\"text\":\"\"}}"
#define FINISH(text)                                                    \
	"messages say {\"event\":\"content-block-finish\",\"index\":0," \
	"\"content\":{\"type\":\"text\",\"text\":\"" text "\"}}",       \
		"messages say {\"event\":\"message-finish\"}"

static void test_whole_message(void **state)
{
	struct fake_run *fake = *state;
	ap_message m;

	assert_int_equal(ap_message_begin(&m, &fake->run, "say", "m-1"), AP_OK);
	assert_int_equal(ap_message_text(&m, AP_STR("Hello ")), AP_OK);
	assert_int_equal(ap_message_text(&m, AP_STR("")), AP_OK);
	assert_int_equal(ap_message_text(&m, AP_STR("\"you\"")), AP_OK);
	assert_int_equal(ap_message_end(&m), AP_OK);
	assert_true(ap_str_is(ap_message_get_text(&m), "Hello \"you\""));
	assert_int_equal(ap_message_commit(&m, "answer"), AP_OK);
	assert_lines(fake,
		(const char *const[]){START, DELTA("Hello "), DELTA("\\\"you\\\""),
			FINISH("Hello \\\"you\\\""),
			"commit answer {\"messages\":[{\"role\":\"assistant\",\"id\":\"m-1\","
			"\"content\":\"Hello \\\"you\\\"\"}]}",
			NULL});
	ap_message_free(&m);
}

static void test_empty_message(void **state)
{
	struct fake_run *fake = *state;
	ap_message m;

	ap_message_begin(&m, &fake->run, "say", "m-1");
	assert_int_equal(ap_message_end(&m), AP_OK);
	assert_lines(fake, (const char *const[]){START, FINISH(""), NULL});
	ap_message_free(&m);
}

/* A piece may end anywhere: half a character waits for its other half, or for the end. */
static void test_pieces_cut_in_a_character(void **state)
{
	struct fake_run *fake = *state;
	ap_message m;

	ap_message_begin(&m, &fake->run, "say", "m-1");
	ap_message_text(&m, AP_STR("a\xe2"));
	ap_message_text(&m, AP_STR("\x82"));
	ap_message_text(&m, AP_STR("\xac\xf0\x9f\x98"));
	ap_message_text(&m, AP_STR("\x80"));
	ap_message_text(&m,
		AP_STR("\x80"
		       "b\xc3"));
	assert_int_equal(ap_message_end(&m), AP_OK);
	assert_lines(fake,
		(const char *const[]){START, DELTA("a"), DELTA("\xe2\x82\xac"),
			DELTA("\xf0\x9f\x98\x80"),
			DELTA("\xef\xbf\xbd"
			      "b"),
			DELTA("\xef\xbf\xbd"),
			FINISH("a\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd"
			       "b\xef\xbf\xbd"),
			NULL});
	ap_message_free(&m);
}

static void test_long_message(void **state)
{
	struct fake_run *fake = *state;
	char piece[100];
	ap_message m;

	memset(piece, 'x', sizeof(piece));
	ap_message_begin(&m, &fake->run, "say", "m-1");
	for (int i = 0; i < 100; i++)
		assert_int_equal(ap_message_text(&m, ap_mem(piece, sizeof(piece))), AP_OK);
	assert_int_equal(ap_message_end(&m), AP_OK);
	assert_int_equal(ap_message_get_text(&m).len, 10000);
	assert_int_equal(fake->count, 104);
	assert_true(strlen(fake->lines[102]) > 10000);
	ap_message_free(&m);
}

/* Ids that are made begin with the run's and are never the same. */
static void test_made_ids(void **state)
{
	struct fake_run *fake = *state;
	ap_message a, b;

	ap_message_begin(&a, &fake->run, NULL, NULL);
	ap_message_begin(&b, &fake->run, NULL, NULL);
	assert_memory_equal(a.id, "run-1-", 6);
	assert_memory_equal(b.id, "run-1-", 6);
	assert_string_not_equal(a.id, b.id);
	assert_memory_equal(fake->lines[0], "messages  {", 11);
	ap_message_free(&a);
	ap_message_free(&b);
}

static void test_nobody_listens(void **state)
{
	struct fake_run *fake = *state;
	ap_message m;

	fake->listening = ~(1u << AP_CHANNEL_MESSAGES);
	assert_int_equal(ap_message_begin_if_heard(&m, &fake->run, "say", "m-1"), AP_OK);
	assert_int_equal(ap_message_text(&m, AP_STR("Hello")), AP_OK);
	assert_int_equal(ap_message_end(&m), AP_OK);
	assert_int_equal(ap_message_commit(&m, "answer"), AP_OK);
	assert_lines(fake,
		(const char *const[]){"commit answer {\"messages\":[{\"role\":\"assistant\","
				      "\"id\":\"m-1\",\"content\":\"Hello\"}]}",
			NULL});
	ap_message_free(&m);

	fake_run_forget(fake);
	fake->listening = 1u << AP_CHANNEL_MESSAGES;
	ap_message_begin_if_heard(&m, &fake->run, "say", "m-1");
	assert_lines(fake, (const char *const[]){START, NULL});
	ap_message_free(&m);
}

/* A stop in the middle: nothing more is sent, but what was said can be kept. */
static void test_stop_keeps_the_text(void **state)
{
	struct fake_run *fake = *state;
	ap_message m;

	fake->stop_after_emits = 3;
	ap_message_begin(&m, &fake->run, "say", "m-1");
	assert_int_equal(ap_message_text(&m, AP_STR("a")), AP_OK);
	assert_int_equal(ap_message_text(&m, AP_STR("b")), AP_E_CANCELLED);
	assert_int_equal(ap_message_text(&m, AP_STR("c")), AP_E_CANCELLED);
	assert_int_equal(ap_message_end(&m), AP_E_CANCELLED);
	assert_int_equal(ap_message_abort(&m, "stopped"), AP_E_CANCELLED);
	assert_int_equal(ap_message_commit(&m, "answer"), AP_OK);
	assert_lines(fake,
		(const char *const[]){START, DELTA("a"),
			"commit answer {\"messages\":[{\"role\":\"assistant\","
			"\"id\":\"m-1\",\"content\":\"abc\"}]}",
			NULL});
	ap_message_free(&m);
}

static void test_abort(void **state)
{
	struct fake_run *fake = *state;
	ap_message m;

	ap_message_begin(&m, &fake->run, "say", "m-1");
	ap_message_text(&m, AP_STR("a"));
	assert_int_equal(ap_message_abort(&m, "the \"model\" is gone"), AP_OK);
	assert_lines(fake,
		(const char *const[]){START, DELTA("a"),
			"messages say {\"event\":\"error\","
			"\"message\":\"the \\\"model\\\" is gone\"}",
			NULL});
	ap_message_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces_cut_in_a_character, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_made_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_listens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_keeps_the_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
