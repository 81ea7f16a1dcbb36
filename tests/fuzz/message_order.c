/*
 * Fuzz target: the order of message events. The input is lines of namespace, tab,
 * node, tab, data. Whatever comes, closing at the end must empty the order, and
 * what was open must have been opened.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/message_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text up to a byte, which is skipped; a lone "-" is absent. */
static struct apd_str cut(const char **at, const char *end, char stop)
{
	const char *stop_at = memchr(*at, stop, (size_t)(end - *at));
	struct apd_str s = {*at, (size_t)((stop_at ? stop_at : end) - *at)};

	*at = stop_at ? stop_at + 1 : end;
	return apd_str_is(s, "-") ? APD_STR_ABSENT : s;
}

static void count(void *data, struct apd_str ns, struct apd_str node)
{
	unsigned *open = data;

	if (!ns.ptr || (node.len && !node.ptr))
		abort();
	++*open;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct apd_message_order order;
	struct apd_json ns_json = {0}, json = {0};
	unsigned taken = 0, open = 0;

	apd_message_order_init(&order);
	while (at < end) {
		const char *line = at, *line_end;
		struct apd_str ns, node, event;
		const char *why = NULL;

		(void)cut(&at, end, '\n');
		line_end = at;
		ns = cut(&line, line_end, '\t');
		node = cut(&line, line_end, '\t');
		event = (struct apd_str){line, (size_t)(line_end - line)};
		/* As in worker and daemon, both are JSON before the order is looked at. */
		if ((ns.ptr && apd_json_scan(&ns_json, ns) < 0) || apd_json_scan(&json, event) < 0)
			continue;
		if (apd_message_order_take(&order, ns, node, &json, &why) == 0)
			taken++;
		else if (!why || !*why)
			abort();
	}
	apd_message_order_close(&order, count, &open);
	if (open > taken || !apd_list_empty(&order.open))
		abort();
	apd_message_order_finish(&order);
	apd_json_finish(&ns_json);
	apd_json_finish(&json);
	return 0;
}
