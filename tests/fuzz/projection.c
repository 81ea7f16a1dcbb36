/*
 * A run's events as server-sent events. The input is lines of namespace, tab,
 * node, tab, data, as an agent may send them: what passes the checks of the
 * host is projected, and must come out as events whose data is JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ap/agent.h"
#include "api/internal.h"
#include "api/project.h"
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

/* Ends the process, so that the fuzzer keeps the input. */
static void complain(const struct apd_buf *out, const char *what)
{
	fprintf(stderr, "%s:\n%s\n", what, out->data);
	abort();
}

/* Each event is lines `id: ` or `event: ` or one `data: ` with JSON, and an empty line. */
static void check_events(const struct apd_buf *out)
{
	const char *at = out->data, *end = out->data + out->len;
	struct apd_json json = {0};
	bool has_data = false;

	while (at < end) {
		struct apd_str line = cut(&at, end, '\n');

		if (line.len == 0) {
			if (!has_data)
				complain(out, "an event without data");
			has_data = false;
		} else if (line.len > 6 && memcmp(line.ptr, "data: ", 6) == 0) {
			if (has_data)
				complain(out, "an event with two lines of data");
			has_data = true;
			if (apd_json_scan(&json, (struct apd_str){line.ptr + 6, line.len - 6}) < 0)
				complain(out, json.error);
		} else if (line.len <= 4 ||
			(memcmp(line.ptr, "id: ", 4) != 0 && memcmp(line.ptr, "even", 4) != 0)) {
			complain(out, "a line that is no event's");
		}
	}
	if (has_data)
		complain(out, "an event that does not end");
	apd_json_finish(&json);
}

/* What the two sides of the host keep about a run's events. */
struct run {
	struct apd_message_order order;
	struct apd_json ns_json, json;
	struct api_projection projection;
	struct apd_buf out;
};

/* Projects one event, if the host lets it pass. */
static void take(struct run *run, struct apd_event *event, uint8_t how)
{
	const char *why;

	event->seq++;
	if (event->ns.ptr &&
		(apd_json_scan(&run->ns_json, event->ns) < 0 ||
			apd_json_type(&run->ns_json, 0) != APD_JSON_ARRAY))
		return;
	if (apd_json_scan(&run->json, event->data) < 0 ||
		apd_json_type(&run->json, 0) != APD_JSON_OBJECT)
		return;
	event->kind = how & 8 ? APD_EVENT_UPDATES : APD_EVENT_EMITTED;
	event->channel = how & 16 ? AP_CHANNEL_CUSTOM : AP_CHANNEL_MESSAGES;
	if (event->kind == APD_EVENT_EMITTED && event->channel == AP_CHANNEL_MESSAGES &&
		apd_message_order_take(&run->order, event->ns, event->node, &run->json, &why) < 0)
		return;
	api_project(&run->projection, event, how & 32, &run->out);
}

/* Ends the run with the last event's data as its error, if it is as the daemon writes them. */
static void end(struct run *run, struct apd_event *event)
{
	if (event->data.len == 0 || event->data.ptr[0] != '{')
		event->data = APD_STR_ABSENT;
	event->kind = APD_EVENT_ENDED;
	event->status = APD_RUN_ERROR;
	if (!api_project(&run->projection, event, false, &run->out))
		complain(&run->out, "the run did not end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *data_end = at + size;
	struct run run = {.out = {0}};
	struct apd_event event = {.seq = 0, .attempt = 1};

	apd_message_order_init(&run.order);
	api_projection_init(&run.projection, API_MODE_MESSAGES | API_MODE_CUSTOM | API_MODE_UPDATES,
		&event.run_id);
	while (at < data_end) {
		const char *line = at, *line_end;
		uint8_t how = (uint8_t)*line++;

		at = line;
		(void)cut(&at, data_end, '\n');
		line_end = at;
		event.ns = cut(&line, line_end, '\t');
		event.node = cut(&line, line_end, '\t');
		event.data = (struct apd_str){line, (size_t)(line_end - line)};
		take(&run, &event, how);
	}
	if (size)
		end(&run, &event);
	if (run.out.len)
		check_events(&run.out);
	api_projection_finish(&run.projection);
	apd_message_order_finish(&run.order);
	apd_json_finish(&run.ns_json);
	apd_json_finish(&run.json);
	apd_buf_finish(&run.out);
	return 0;
}
