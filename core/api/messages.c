/*
 * Stream mode "messages": the blocks of the messages channel put together.
 * messages/metadata when a message starts, messages/partial with the message so
 * far, messages/complete at its end.
 */
#include <stdlib.h>
#include <string.h>

#include "api/project.h"
#include "base/alloc.h"
#include "base/json_text.h"

struct block {
	struct apd_buf json; /* the block as an object; where it is open: without its `"}` */
	const char *open; /* json ends within the string of this field; NULL: it is whole */
	bool text;
};

struct message {
	struct apd_list link;
	struct apd_text *node; /* or NULL */
	struct apd_buf id; /* JSON string */
	struct apd_buf role;
	struct block *blocks;
	size_t n_blocks;
};

void api_messages_init(struct api_messages *messages)
{
	apd_list_init(&messages->open);
	messages->json = (struct apd_json){0};
}

static void message_destroy(struct message *message)
{
	apd_list_remove(&message->link);
	for (size_t i = 0; i < message->n_blocks; i++)
		apd_buf_finish(&message->blocks[i].json);
	free(message->blocks);
	apd_buf_finish(&message->id);
	apd_buf_finish(&message->role);
	apd_text_unref(message->node);
	free(message);
}

void api_messages_finish(struct api_messages *messages)
{
	struct message *message, *next;

	apd_list_each_safe (message, next, &messages->open, link)
		message_destroy(message);
	apd_json_finish(&messages->json);
}

/* The open message of a node, or NULL. All are of the root namespace. */
static struct message *find(struct api_messages *messages, const struct apd_event *event)
{
	struct message *message;

	apd_list_each (message, &messages->open, link)
		if (!message->node == !event->node.ptr &&
			apd_str_eq(apd_text_str(message->node), event->node))
			return message;
	return NULL;
}

/* The text field of a block type that is streamed by appending, or NULL. */
static const char *appended_field(const struct apd_json *json, uint32_t type)
{
	if (apd_json_is(json, type, APD_STR("text")) ||
		apd_json_is(json, type, APD_STR("text-delta")))
		return "text";
	if (apd_json_is(json, type, APD_STR("reasoning")) ||
		apd_json_is(json, type, APD_STR("reasoning-delta")))
		return "reasoning";
	return NULL;
}

/* Sets a block to an object as it came. */
static void block_set(struct block *block, const struct apd_json *json, uint32_t content)
{
	uint32_t type = apd_json_member(json, content, APD_STR("type"));

	apd_buf_clear(&block->json);
	apd_buf_add_str(&block->json, apd_json_slice(json, content));
	block->open = NULL;
	block->text = type && apd_json_is(json, type, APD_STR("text"));
}

/* Closes the string that is open. */
static void block_close(struct block *block)
{
	if (block->open)
		apd_buf_lit(&block->json, "\"}");
	block->open = NULL;
}

/* Makes the block end within the string of the field, so that text can be appended. */
static void block_open(struct block *block, const char *field)
{
	struct apd_json json = {0};
	struct apd_buf open = {0};
	uint32_t text = 0;

	if (block->open && strcmp(block->open, field) == 0)
		return;
	block_close(block);
	apd_buf_lit(&open, "{");
	if (apd_json_scan(&json, apd_buf_str(&block->json)) == 0 &&
		apd_json_type(&json, 0) == APD_JSON_OBJECT)
		apd_json_each_member (&json, 0, k) {
			if (apd_json_is(&json, k, apd_str(field))) {
				text = k + 1;
				continue;
			}
			apd_json_add_comma(&open);
			apd_buf_add_str(&open, apd_json_slice(&json, k));
			apd_buf_lit(&open, ":");
			apd_buf_add_str(&open, apd_json_slice(&json, k + 1));
		}
	apd_json_add_key(&open, field);
	if (text && apd_json_type(&json, text) == APD_JSON_STRING) {
		apd_buf_add_str(&open, apd_json_slice(&json, text));
		open.data[--open.len] = '\0';
	} else {
		apd_buf_lit(&open, "\"");
	}
	apd_json_finish(&json);
	apd_buf_finish(&block->json);
	block->json = open;
	block->open = field;
}

/* Puts the members of fields over those of the block. */
static void block_merge(struct block *block, const struct apd_json *fields, uint32_t f)
{
	struct apd_json json = {0};
	struct apd_buf merged = {0}, key = {0};

	block_close(block);
	apd_buf_lit(&merged, "{");
	if (apd_json_scan(&json, apd_buf_str(&block->json)) == 0 &&
		apd_json_type(&json, 0) == APD_JSON_OBJECT)
		apd_json_each_member (&json, 0, k) {
			if (apd_json_member(fields, f, apd_json_string(&json, k, &key)))
				continue;
			apd_json_add_comma(&merged);
			apd_buf_add_str(&merged, apd_json_slice(&json, k));
			apd_buf_lit(&merged, ":");
			apd_buf_add_str(&merged, apd_json_slice(&json, k + 1));
		}
	apd_json_each_member (fields, f, k) {
		apd_json_add_comma(&merged);
		apd_buf_add_str(&merged, apd_json_slice(fields, k));
		apd_buf_lit(&merged, ":");
		apd_buf_add_str(&merged, apd_json_slice(fields, k + 1));
	}
	apd_buf_lit(&merged, "}");
	apd_buf_finish(&key);
	apd_json_finish(&json);
	apd_buf_finish(&block->json);
	block->json = merged;
}

/* Applies a delta to a block. */
static void block_delta(struct block *block, const struct apd_json *json, uint32_t delta)
{
	uint32_t type = apd_json_member(json, delta, APD_STR("type"));
	uint32_t fields = apd_json_member(json, delta, APD_STR("fields"));
	const char *field = type ? appended_field(json, type) : NULL;
	uint32_t value;

	if (type && apd_json_is(json, type, APD_STR("data-delta"))) {
		block_open(block, "base64");
		value = apd_json_member(json, delta, APD_STR("data"));
	} else if (field) {
		block_open(block, field);
		value = apd_json_member(json, delta, apd_str(field));
	} else {
		if (fields && apd_json_type(json, fields) == APD_JSON_OBJECT)
			block_merge(block, json, fields);
		return;
	}
	/* A JSON string appended to another without their quotes is a JSON string. */
	if (value && apd_json_type(json, value) == APD_JSON_STRING) {
		struct apd_str text = apd_json_slice(json, value);

		apd_buf_add(&block->json, text.ptr + 1, text.len - 2);
	}
}

/* The last block, or a new one behind it. */
static struct block *block_at(struct message *message, bool add)
{
	if (add || message->n_blocks == 0) {
		message->blocks = apd_realloc(
			message->blocks, (message->n_blocks + 1) * sizeof(*message->blocks));
		message->blocks[message->n_blocks++] = (struct block){0};
		apd_buf_lit(&message->blocks[message->n_blocks - 1].json, "{\"type\":\"text\"}");
		message->blocks[message->n_blocks - 1].text = true;
	}
	return &message->blocks[message->n_blocks - 1];
}

/* Adds the content: one string for a message of one text block, else the list of blocks. */
static void add_content(struct apd_buf *out, const struct message *message)
{
	struct apd_json json = {0};
	struct apd_buf whole = {0};
	uint32_t text;

	apd_json_add_key(out, "content");
	if (message->n_blocks == 0) {
		apd_buf_lit(out, "\"\"");
		return;
	}
	for (size_t i = 0; i < message->n_blocks; i++) {
		apd_buf_add_cstr(&whole, i ? "," : "");
		apd_buf_add_str(&whole, apd_buf_str(&message->blocks[i].json));
		if (message->blocks[i].open)
			apd_buf_lit(&whole, "\"}");
	}
	if (message->n_blocks == 1 && message->blocks[0].text &&
		apd_json_scan(&json, apd_buf_str(&whole)) == 0) {
		text = apd_json_member(&json, 0, APD_STR("text"));
		apd_buf_add_str(out, text ? apd_json_slice(&json, text) : APD_STR("\"\""));
	} else {
		apd_buf_lit(out, "[");
		apd_buf_add_str(out, apd_buf_str(&whole));
		apd_buf_lit(out, "]");
	}
	apd_json_finish(&json);
	apd_buf_finish(&whole);
}

/* Shows the message as it is now. */
static void show(struct apd_buf *out, uint64_t seq, const char *name, const struct message *message)
{
	struct apd_str role = apd_buf_str(&message->role);
	struct apd_buf data = {0};

	apd_buf_lit(&data, "[{");
	apd_json_member_raw(&data, "id", apd_buf_str(&message->id));
	apd_json_member_str(&data, "type", role);
	apd_json_member_str(&data, "role",
		apd_str_is(role, "ai")              ? APD_STR("assistant")
			: apd_str_is(role, "human") ? APD_STR("user")
						    : role);
	add_content(&data, message);
	apd_buf_lit(&data, "}]");
	api_sse_add(out, seq, name, apd_buf_str(&data));
	apd_buf_finish(&data);
}

/* Shows the metadata of a message that starts. */
static void show_metadata(struct apd_buf *out, const struct message *message,
	const struct apd_event *event, uint32_t m, const struct apd_json *json)
{
	struct apd_buf data = {0};
	char run[APD_ID_TEXT + 1];

	apd_id_format(&event->run_id, run);
	apd_buf_lit(&data, "{");
	apd_buf_add_str(&data, apd_buf_str(&message->id));
	apd_buf_lit(&data, ":{\"metadata\":{");
	if (m && apd_json_type(json, m) == APD_JSON_OBJECT) {
		apd_json_each_member (json, m, k) {
			apd_json_add_comma(&data);
			apd_buf_add_str(&data, apd_json_slice(json, k));
			apd_buf_lit(&data, ":");
			apd_buf_add_str(&data, apd_json_slice(json, k + 1));
		}
	} else {
		m = 0;
	}
	if (!m || !apd_json_member(json, m, APD_STR("run_id")))
		apd_json_member_str(&data, "run_id", apd_str(run));
	if (event->node.ptr && !(m && apd_json_member(json, m, APD_STR("langgraph_node"))))
		apd_json_member_str(&data, "langgraph_node", event->node);
	apd_buf_lit(&data, "}}}");
	api_sse_add(out, 0, "messages/metadata", apd_buf_str(&data));
	apd_buf_finish(&data);
}

/* Begins a message; what the node had open before was never finished. */
static void start(struct api_messages *messages, const struct apd_event *event, bool silent,
	struct apd_buf *out)
{
	const struct apd_json *json = &messages->json;
	struct message *message = find(messages, event);
	uint32_t id = apd_json_member(json, 0, APD_STR("id"));
	uint32_t role = apd_json_member(json, 0, APD_STR("role"));
	uint32_t metadata = apd_json_given(json, 0, APD_STR("metadata"));

	if (message)
		message_destroy(message);
	message = apd_calloc(1, sizeof(*message));
	message->node = event->node.ptr ? apd_text_create(event->node) : NULL;
	apd_buf_add_str(&message->id, id ? apd_json_slice(json, id) : APD_STR("\"\""));
	if (role)
		apd_json_unescape(json, role, &message->role);
	apd_list_append(&messages->open, &message->link);
	if (!silent)
		show_metadata(out, message, event, metadata, json);
}

void api_messages_take(struct api_messages *messages, const struct apd_event *event, bool silent,
	struct apd_buf *out)
{
	const struct apd_json *json = &messages->json;
	struct message *message;
	uint32_t kind, content;

	if (apd_json_scan(&messages->json, event->data) < 0 ||
		apd_json_type(json, 0) != APD_JSON_OBJECT)
		return;
	kind = apd_json_member(json, 0, APD_STR("event"));
	if (!kind)
		return;
	if (apd_json_is(json, kind, APD_STR("message-start"))) {
		start(messages, event, silent, out);
		return;
	}
	message = find(messages, event);
	if (!message)
		return;
	content = apd_json_member(json, 0, APD_STR("content"));
	if (apd_json_is(json, kind, APD_STR("content-block-start")) && content) {
		block_set(block_at(message, true), json, content);
	} else if (apd_json_is(json, kind, APD_STR("content-block-delta"))) {
		uint32_t delta = apd_json_member(json, 0, APD_STR("delta"));

		if (delta && apd_json_type(json, delta) == APD_JSON_OBJECT)
			block_delta(block_at(message, false), json, delta);
		if (!silent)
			show(out, event->seq, "messages/partial", message);
	} else if (apd_json_is(json, kind, APD_STR("content-block-finish")) && content) {
		block_set(block_at(message, false), json, content);
	} else if (apd_json_is(json, kind, APD_STR("message-finish"))) {
		if (!silent)
			show(out, event->seq, "messages/complete", message);
		message_destroy(message);
	} else if (apd_json_is(json, kind, APD_STR("error"))) {
		message_destroy(message);
	}
}
