/*
 * The order of the messages channel. What is open is found by namespace and
 * node; a namespace is JSON text, so white space outside its strings does not
 * count, and an absent one is the empty one.
 */
#include "host/message_order.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

/* More messages at once than any agent needs: what is open costs memory here and in the daemon. */
#define MAX_OPEN 1024

/* A message between its start and its finish. */
struct open_message {
	struct apd_list link;
	struct apd_str ns; /* without white space, in `text` as the node */
	struct apd_str node; /* or absent */
	bool in_block;
	int64_t block; /* the open block's index */
	int64_t next_block; /* blocks rise: the least index of the next one */
	char text[];
};

/* What an event of the channel is called, and what it must bring along. */
enum event {
	MESSAGE_START,
	BLOCK_START,
	BLOCK_DELTA,
	BLOCK_FINISH,
	MESSAGE_FINISH,
	MESSAGE_ERROR,
};

static const char *const event_names[] = {
	[MESSAGE_START] = "message-start",
	[BLOCK_START] = "content-block-start",
	[BLOCK_DELTA] = "content-block-delta",
	[BLOCK_FINISH] = "content-block-finish",
	[MESSAGE_FINISH] = "message-finish",
	[MESSAGE_ERROR] = "error",
};

void apd_message_order_init(struct apd_message_order *order)
{
	apd_list_init(&order->open);
}

void apd_message_order_finish(struct apd_message_order *order)
{
	struct open_message *message, *tmp;

	if (!order->open.next)
		return;
	apd_list_each_safe (message, tmp, &order->open, link) {
		apd_list_remove(&message->link);
		free(message);
	}
}

/* Copies a JSON array of strings without the white space between them; returns its length. */
static size_t copy_ns(struct apd_str ns, char *out)
{
	bool in_string = false;
	size_t n = 0;

	for (size_t i = 0; i < ns.len; i++) {
		char c = ns.ptr[i];

		if (in_string && c == '\\' && i + 1 < ns.len) {
			out[n++] = c;
			c = ns.ptr[++i];
		} else if (c == '"') {
			in_string = !in_string;
		} else if (!in_string && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
			continue;
		}
		out[n++] = c;
	}
	return n;
}

/* True if the namespace as it was sent is the one that was stored. */
static bool same_ns(struct apd_str stored, struct apd_str ns)
{
	char small[256], *copy = ns.len <= sizeof(small) ? small : apd_malloc(ns.len);
	bool same;

	same = apd_str_eq(stored, (struct apd_str){copy, copy_ns(ns, copy)});
	if (copy != small)
		free(copy);
	return same;
}

/* The open message of a namespace and node, or NULL; also counts them all when there is none. */
static struct open_message *find(
	struct apd_message_order *order, struct apd_str ns, struct apd_str node, size_t *ret_count)
{
	struct open_message *message;
	size_t count = 0;

	apd_list_each (message, &order->open, link) {
		if (!message->node.ptr == !node.ptr && apd_str_eq(message->node, node) &&
			(apd_str_eq(message->ns, ns) || same_ns(message->ns, ns)))
			return message;
		count++;
	}
	*ret_count = count;
	return NULL;
}

static void open_message(struct apd_message_order *order, struct apd_str ns, struct apd_str node)
{
	struct open_message *message = apd_calloc(1, sizeof(*message) + ns.len + node.len + 1);

	message->ns = (struct apd_str){message->text, copy_ns(ns, message->text)};
	if (node.ptr) {
		char *copy = message->text + message->ns.len;

		if (node.len)
			memcpy(copy, node.ptr, node.len);
		message->node = (struct apd_str){copy, node.len};
	}
	apd_list_prepend(&order->open, &message->link);
}

static void close_message(struct open_message *message)
{
	apd_list_remove(&message->link);
	free(message);
}

/* The kind of the event, or -EINVAL. */
static int event_of(const struct apd_json *data)
{
	uint32_t name;

	if (data->count == 0 || apd_json_type(data, 0) != APD_JSON_OBJECT)
		return -EINVAL;
	name = apd_json_member(data, 0, APD_STR("event"));
	if (!name || apd_json_type(data, name) != APD_JSON_STRING)
		return -EINVAL;
	for (size_t i = 0; i < APD_COUNT(event_names); i++)
		if (apd_json_is(data, name, apd_str(event_names[i])))
			return (int)i;
	return -EINVAL;
}

/* True if the event has a string under the key. */
static bool has_string(const struct apd_json *data, struct apd_str key)
{
	uint32_t i = apd_json_member(data, 0, key);

	return i && apd_json_type(data, i) == APD_JSON_STRING;
}

/* True if the event has an object with a string `type` under the key. */
static bool has_typed(const struct apd_json *data, struct apd_str key)
{
	uint32_t i = apd_json_member(data, 0, key), type;

	if (!i || apd_json_type(data, i) != APD_JSON_OBJECT)
		return false;
	type = apd_json_member(data, i, APD_STR("type"));
	return type && apd_json_type(data, type) == APD_JSON_STRING;
}

/* The block's index, or -EINVAL. */
static int64_t block_index(const struct apd_json *data)
{
	uint32_t i = apd_json_member(data, 0, APD_STR("index"));
	int64_t index;

	if (!i || apd_json_type(data, i) != APD_JSON_INTEGER ||
		apd_json_int64(data, i, &index) < 0 || index < 0 || index > UINT32_MAX)
		return -EINVAL;
	return index;
}

/* What is missing from the event itself, or NULL. */
static const char *shape_problem(enum event event, const struct apd_json *data)
{
	switch (event) {
	case MESSAGE_START:
		if (!has_string(data, APD_STR("role")))
			return "message-start: role must be a string";
		return has_string(data, APD_STR("id")) ? NULL
						       : "message-start: id must be a string";
	case BLOCK_START:
		if (block_index(data) < 0)
			return "content-block-start: index must be an integer from 0";
		return has_typed(data, APD_STR("content"))
			? NULL
			: "content-block-start: content must be an object with a type";
	case BLOCK_DELTA:
		if (block_index(data) < 0)
			return "content-block-delta: index must be an integer from 0";
		return has_typed(data, APD_STR("delta"))
			? NULL
			: "content-block-delta: delta must be an object with a type";
	case BLOCK_FINISH:
		if (block_index(data) < 0)
			return "content-block-finish: index must be an integer from 0";
		return has_typed(data, APD_STR("content"))
			? NULL
			: "content-block-finish: content must be an object with a type";
	case MESSAGE_ERROR:
		return has_string(data, APD_STR("message")) ? NULL
							    : "error: message must be a string";
	case MESSAGE_FINISH:
		break;
	}
	return NULL;
}

/* Takes the events of a block; returns what is wrong, or NULL. */
static const char *take_block(struct open_message *message, enum event event, int64_t index)
{
	if (event == BLOCK_START) {
		if (!message)
			return "content-block-start: no message is open";
		if (message->in_block)
			return "content-block-start: a block is open already";
		if (index < message->next_block)
			return "content-block-start: index must rise";
		message->in_block = true;
		message->block = index;
		message->next_block = index + 1;
		return NULL;
	}
	if (!message || !message->in_block)
		return event == BLOCK_DELTA ? "content-block-delta: no block is open"
					    : "content-block-finish: no block is open";
	if (index != message->block)
		return event == BLOCK_DELTA ? "content-block-delta: another block is open"
					    : "content-block-finish: another block is open";
	if (event == BLOCK_FINISH)
		message->in_block = false;
	return NULL;
}

/* Takes an event whose shape is right; returns what is wrong with its place, or NULL. */
static const char *take(struct apd_message_order *order, struct apd_str ns, struct apd_str node,
	enum event event, const struct apd_json *data)
{
	size_t count = 0;
	struct open_message *message = find(order, ns, node, &count);

	switch (event) {
	case MESSAGE_START:
		if (message)
			return "message-start: a message is open already";
		if (count >= MAX_OPEN)
			return "message-start: too many messages are open";
		open_message(order, ns, node);
		return NULL;
	case MESSAGE_FINISH:
		if (!message)
			return "message-finish: no message is open";
		if (message->in_block)
			return "message-finish: a block is open";
		close_message(message);
		return NULL;
	case MESSAGE_ERROR:
		if (!message)
			return "error: no message is open";
		close_message(message);
		return NULL;
	case BLOCK_START:
	case BLOCK_DELTA:
	case BLOCK_FINISH:
		break;
	}
	return take_block(message, event, block_index(data));
}

int apd_message_order_take(struct apd_message_order *order, struct apd_str ns, struct apd_str node,
	const struct apd_json *data, const char **ret_why)
{
	int event = event_of(data);
	const char *why;

	if (event < 0) {
		*ret_why = "event: not one of the messages channel";
		return -EINVAL;
	}
	if (!ns.ptr)
		ns = APD_STR("[]");
	why = shape_problem((enum event)event, data);
	if (!why)
		why = take(order, ns, node, (enum event)event, data);
	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	return 0;
}

void apd_message_order_close(struct apd_message_order *order,
	void (*each)(void *data, struct apd_str ns, struct apd_str node), void *data)
{
	struct open_message *message, *tmp;

	apd_list_each_safe (message, tmp, &order->open, link) {
		each(data, message->ns, message->node);
		close_message(message);
	}
}
