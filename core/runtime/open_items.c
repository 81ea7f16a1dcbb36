/*
 * What an attempt left open in the event log: messages that did not finish,
 * tools that did not return, child namespaces that did not complete. When the
 * attempt ends without its agent's word, they are closed in its place.
 */
#include "runtime/internal.h"

#include <stdlib.h>

#include "base/json_text.h"

/* More than so many open items of one run are not remembered. */
#define ITEMS_MAX 1024

struct item {
	ap_channel channel;
	struct apd_text *ns; /* NULL: absent */
	struct apd_text *node; /* NULL: absent */
	struct apd_text *id; /* of a tool's call, as JSON; else NULL */
};

struct open_items {
	struct item *items;
	size_t count, cap;
};

static bool same(const struct apd_text *text, struct apd_str s)
{
	return text ? s.ptr && apd_str_eq(apd_text_str(text), s) : !s.ptr;
}

static struct apd_text *copy(struct apd_str s)
{
	return s.ptr ? apd_text_create(s) : NULL;
}

static void item_finish(struct item *item)
{
	apd_text_unref(item->ns);
	apd_text_unref(item->node);
	apd_text_unref(item->id);
}

void apd_rt_open_items_free(struct open_items *items)
{
	if (!items)
		return;
	for (size_t i = 0; i < items->count; i++)
		item_finish(&items->items[i]);
	free(items->items);
	free(items);
}

/* What identifies the item that an event is about. */
struct item_key {
	ap_channel channel;
	struct apd_str ns, node, id;
};

static void item_open(struct apd_run *run, const struct item_key *key)
{
	struct open_items *items = run->open;

	if (!items)
		items = run->open = apd_calloc(1, sizeof(*items));
	if (items->count == ITEMS_MAX)
		return;
	if (items->count == items->cap) {
		items->cap = items->cap ? items->cap * 2 : 4;
		items->items = apd_realloc(items->items, items->cap * sizeof(*items->items));
	}
	items->items[items->count++] = (struct item){.channel = key->channel,
		.ns = copy(key->ns),
		.node = copy(key->node),
		.id = copy(key->id)};
}

static void item_close(struct apd_run *run, const struct item_key *key)
{
	struct open_items *items = run->open;

	for (size_t i = 0; items && i < items->count; i++) {
		struct item *item = &items->items[i];

		if (item->channel != key->channel || !same(item->id, key->id) ||
			!same(item->ns, key->ns) || !same(item->node, key->node))
			continue;
		item_finish(item);
		memmove(item, item + 1, (--items->count - i) * sizeof(*item));
		return;
	}
}

/* 1 for an event that opens, -1 for one that closes, else 0. */
static int direction(ap_channel channel, const struct apd_json *json, uint32_t event)
{
	static const struct {
		ap_channel channel;
		struct apd_str word;
		int direction;
	} words[] = {
		{AP_CHANNEL_MESSAGES, {"message-start", 13}, 1},
		{AP_CHANNEL_MESSAGES, {"message-finish", 14}, -1},
		{AP_CHANNEL_MESSAGES, {"error", 5}, -1},
		{AP_CHANNEL_TOOLS, {"tool-started", 12}, 1},
		{AP_CHANNEL_TOOLS, {"tool-finished", 13}, -1},
		{AP_CHANNEL_TOOLS, {"tool-error", 10}, -1},
		{AP_CHANNEL_LIFECYCLE, {"started", 7}, 1},
		{AP_CHANNEL_LIFECYCLE, {"completed", 9}, -1},
		{AP_CHANNEL_LIFECYCLE, {"failed", 6}, -1},
		{AP_CHANNEL_LIFECYCLE, {"interrupted", 11}, -1},
	};

	for (size_t i = 0; i < APD_COUNT(words); i++)
		if (words[i].channel == channel && apd_json_is(json, event, words[i].word))
			return words[i].direction;
	return 0;
}

void apd_rt_open_items_take(
	struct apd_runtime *rt, struct apd_run *run, const struct apd_emission *e)
{
	struct item_key key = {.channel = e->channel, .ns = e->ns, .node = e->node};
	uint32_t event, id;
	int way;

	if (e->channel != AP_CHANNEL_MESSAGES && e->channel != AP_CHANNEL_TOOLS &&
		e->channel != AP_CHANNEL_LIFECYCLE)
		return;
	if (apd_json_scan(&rt->json, e->data) < 0 || apd_json_type(&rt->json, 0) != APD_JSON_OBJECT)
		return;
	event = apd_json_given(&rt->json, 0, APD_STR("event"));
	if (!event || apd_json_type(&rt->json, event) != APD_JSON_STRING)
		return;
	way = direction(e->channel, &rt->json, event);
	if (way == 0)
		return;
	if (e->channel != AP_CHANNEL_MESSAGES)
		key.node = APD_STR_ABSENT;
	if (e->channel == AP_CHANNEL_TOOLS) {
		id = apd_json_given(&rt->json, 0, APD_STR("toolCallId"));
		key.id = id ? apd_json_slice(&rt->json, id) : APD_STR("\"\"");
	}
	item_close(run, &key);
	if (way > 0)
		item_open(run, &key);
}

/* Writes the event that closes an item. */
static void item_close_json(struct apd_buf *out, const struct item *item, const char *why)
{
	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	if (item->channel == AP_CHANNEL_MESSAGES) {
		apd_json_member_str(out, "event", APD_STR("error"));
		apd_json_member_str(out, "message", apd_str(why));
	} else if (item->channel == AP_CHANNEL_TOOLS) {
		apd_json_member_str(out, "event", APD_STR("tool-error"));
		apd_json_member_raw(out, "toolCallId", apd_text_str(item->id));
		apd_json_member_str(out, "message", apd_str(why));
	} else {
		apd_json_member_str(out, "event", APD_STR("failed"));
		apd_json_member_str(out, "error", apd_str(why));
	}
	apd_buf_lit(out, "}");
}

void apd_rt_open_items_close(struct apd_runtime *rt, struct apd_run *run, const char *why)
{
	struct open_items *items = run->open;

	if (!items)
		return;
	/* What was opened last is closed first: a child before its parent. */
	while (items->count) {
		struct item *item = &items->items[--items->count];

		item_close_json(&rt->buf, item, why);
		apd_rt_log_append(rt, run,
			&(struct apd_event){.kind = APD_EVENT_EMITTED,
				.channel = item->channel,
				.ns = apd_text_str(item->ns),
				.node = apd_text_str(item->node),
				.data = apd_buf_str(&rt->buf)});
		item_finish(item);
	}
}
