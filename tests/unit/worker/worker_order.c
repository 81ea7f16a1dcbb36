/* The order of message events: a table of sequences and what each of their events gives. */
#include "driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/message_order.h"

#define START "{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m\"}"
#define BLOCK(i) \
	"{\"event\":\"content-block-start\",\"index\":" #i ",\"content\":{\"type\":\"text\"}}"
#define DELTA(i) \
	"{\"event\":\"content-block-delta\",\"index\":" #i ",\"delta\":{\"type\":\"text-delta\"}}"
#define CLOSE(i) \
	"{\"event\":\"content-block-finish\",\"index\":" #i ",\"content\":{\"type\":\"text\"}}"
#define FINISH "{\"event\":\"message-finish\"}"
#define ERROR  "{\"event\":\"error\",\"message\":\"m\"}"

/* One event; why: what is wrong with it, or NULL. */
struct event {
	const char *data;
	const char *why;
	const char *ns;
	const char *node;
};

static int take(struct apd_message_order *order, const struct event *event, const char **why)
{
	struct apd_json json = {0};
	int r;

	assert_int_equal(apd_json_scan(&json, apd_str(event->data)), 0);
	r = apd_message_order_take(order, apd_str(event->ns), apd_str(event->node), &json, why);
	apd_json_finish(&json);
	return r;
}

static void check(struct apd_message_order *order, const struct event *events, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *why = NULL;
		int r = take(order, &events[i], &why);

		if (events[i].why) {
			assert_int_equal(r, -EINVAL);
			assert_string_equal(why, events[i].why);
		} else {
			if (r < 0)
				print_error("event %zu: %s\n", i, why);
			assert_int_equal(r, 0);
		}
	}
}

static void test_order(void **state)
{
	static const struct event events[] = {
		{DELTA(0), "content-block-delta: no block is open", NULL, NULL},
		{CLOSE(0), "content-block-finish: no block is open", NULL, NULL},
		{BLOCK(0), "content-block-start: no message is open", NULL, NULL},
		{FINISH, "message-finish: no message is open", NULL, NULL},
		{ERROR, "error: no message is open", NULL, NULL},
		{START, NULL, NULL, NULL},
		{START, "message-start: a message is open already", NULL, NULL},
		{BLOCK(0), NULL, NULL, NULL},
		{BLOCK(1), "content-block-start: a block is open already", NULL, NULL},
		{DELTA(1), "content-block-delta: another block is open", NULL, NULL},
		{DELTA(0), NULL, NULL, NULL},
		{CLOSE(1), "content-block-finish: another block is open", NULL, NULL},
		{FINISH, "message-finish: a block is open", NULL, NULL},
		{CLOSE(0), NULL, NULL, NULL},
		{BLOCK(0), "content-block-start: index must rise", NULL, NULL},
		{BLOCK(3), NULL, NULL, NULL},
		{CLOSE(3), NULL, NULL, NULL},
		{FINISH, NULL, NULL, NULL},
		{START, NULL, NULL, NULL},
		{BLOCK(0), NULL, NULL, NULL},
		{ERROR, NULL, NULL, NULL},
		{START, NULL, NULL, NULL},
		{FINISH, NULL, NULL, NULL},
	};
	struct apd_message_order order;

	(void)state;
	apd_message_order_init(&order);
	check(&order, events, APD_COUNT(events));
	assert_true(apd_list_empty(&order.open));
	apd_message_order_finish(&order);
}

/* A message belongs to a namespace, however it is written, and a node. */
static void test_places(void **state)
{
	static const struct event events[] = {
		{START, NULL, NULL, NULL},
		{START, "message-start: a message is open already", "[]", NULL},
		{START, "message-start: a message is open already", " [ ] ", NULL},
		{START, NULL, NULL, "node"},
		{START, NULL, NULL, ""},
		{START, NULL, "[\"a b\",\"c\"]", NULL},
		{START, NULL, "[\"ab\",\"c\"]", NULL},
		{BLOCK(0), NULL, "[ \"a b\" , \"c\" ]", NULL},
		{DELTA(0), NULL, "[\"a b\",\"c\"]", NULL},
		{DELTA(0), "content-block-delta: no block is open", "[\"ab\",\"c\"]", NULL},
		{START, NULL, "[\"\\\" \"]", NULL},
		{START, NULL, "[\"\\\"\"]", NULL},
		{FINISH, NULL, "[]", "node"},
		{FINISH, "message-finish: no message is open", "[]", "node"},
	};
	struct apd_message_order order;

	(void)state;
	apd_message_order_init(&order);
	check(&order, events, APD_COUNT(events));
	apd_message_order_finish(&order);
}

static void test_shapes(void **state)
{
	static const struct event events[] = {
		{"1", "event: not one of the messages channel", NULL, NULL},
		{"{}", "event: not one of the messages channel", NULL, NULL},
		{"{\"event\":1}", "event: not one of the messages channel", NULL, NULL},
		{"{\"event\":\"tool-started\"}", "event: not one of the messages channel", NULL,
			NULL},
		{"{\"event\":\"message-start\",\"id\":\"m\"}",
			"message-start: role must be a string", NULL, NULL},
		{"{\"event\":\"message-start\",\"role\":\"ai\",\"id\":1}",
			"message-start: id must be a string", NULL, NULL},
		{START, NULL, NULL, NULL},
		{BLOCK(-1), "content-block-start: index must be an integer from 0", NULL, NULL},
		{BLOCK(1.5), "content-block-start: index must be an integer from 0", NULL, NULL},
		{"{\"event\":\"content-block-start\",\"index\":0,\"content\":\"x\"}",
			"content-block-start: content must be an object with a type", NULL, NULL},
		{BLOCK(0), NULL, NULL, NULL},
		{"{\"event\":\"content-block-delta\",\"index\":0,\"delta\":{}}",
			"content-block-delta: delta must be an object with a type", NULL, NULL},
		{"{\"event\":\"content-block-delta\"}",
			"content-block-delta: index must be an integer from 0", NULL, NULL},
		{"{\"event\":\"content-block-finish\",\"index\":0}",
			"content-block-finish: content must be an object with a type", NULL, NULL},
		{"{\"event\":\"error\"}", "error: message must be a string", NULL, NULL},
	};
	struct apd_message_order order;

	(void)state;
	apd_message_order_init(&order);
	check(&order, events, APD_COUNT(events));
	apd_message_order_finish(&order);
}

/* Only so many messages may be open at once. */
static void test_many(void **state)
{
	struct apd_message_order order;
	const char *why = NULL;
	char node[16];

	(void)state;
	apd_message_order_init(&order);
	for (int i = 0; i < 1024; i++) {
		snprintf(node, sizeof(node), "%d", i);
		assert_int_equal(take(&order, &(struct event){START, NULL, NULL, node}, &why), 0);
	}
	assert_int_equal(take(&order, &(struct event){START, NULL, NULL, "x"}, &why), -EINVAL);
	assert_string_equal(why, "message-start: too many messages are open");
	apd_message_order_finish(&order);
}

static void note(void *data, struct apd_str ns, struct apd_str node)
{
	apd_buf_addf(
		data, "%.*s/%s%.*s;", APD_STR_FMT(ns), node.ptr ? "" : "absent", APD_STR_FMT(node));
}

static void test_close(void **state)
{
	static const struct event events[] = {
		{START, NULL, NULL, NULL},
		{START, NULL, "[ \"x\" ]", "n"},
	};
	struct apd_message_order order;
	struct apd_buf seen = {0};

	(void)state;
	apd_message_order_init(&order);
	check(&order, events, APD_COUNT(events));
	apd_message_order_close(&order, note, &seen);
	assert_string_equal(seen.data, "[\"x\"]/n;[]/absent;");
	assert_true(apd_list_empty(&order.open));
	apd_buf_finish(&seen);
	apd_message_order_finish(&order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
