/* Events as server-sent events. */
#include "api/project.h"

#include <string.h>

#include "ap/agent.h"
#include "api/internal.h"
#include "base/json_text.h"

void api_projection_init(
	struct api_projection *projection, unsigned modes, const struct apd_id *run_id)
{
	*projection = (struct api_projection){.modes = modes, .run_id = *run_id};
	api_messages_init(&projection->messages);
}

void api_projection_finish(struct api_projection *projection)
{
	api_messages_finish(&projection->messages);
}

void api_sse_add(struct apd_buf *out, uint64_t seq, const char *name, struct apd_str data)
{
	size_t start;

	if (seq) {
		apd_buf_lit(out, "id: ");
		apd_buf_add_u64(out, seq);
		apd_buf_add_char(out, '\n');
	}
	apd_buf_lit(out, "event: ");
	apd_buf_add_cstr(out, name);
	apd_buf_lit(out, "\ndata: ");
	start = out->len;
	apd_buf_add_str(out, data);
	/* Between tokens JSON may have line breaks; within strings it has none. */
	for (size_t i = start; i < out->len; i++)
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
	apd_buf_lit(out, "\n\n");
}

void api_project_metadata(struct apd_buf *out, const struct apd_id *run_id,
	const struct apd_id *thread_id, uint32_t attempt)
{
	struct apd_buf data = {0};

	apd_buf_lit(&data, "{");
	apd_json_member_id(&data, "run_id", run_id);
	apd_json_member_id(&data, "thread_id", thread_id);
	apd_json_member_i64(&data, "attempt", attempt ? attempt : 1);
	apd_buf_lit(&data, "}");
	api_sse_add(out, 0, "metadata", apd_buf_str(&data));
	apd_buf_finish(&data);
}

/* Adds `error`: the error object with the agent's own code as "error", where it has one. */
static void project_error(struct apd_buf *out, uint64_t seq, struct apd_str error)
{
	struct apd_json json = {0};
	struct apd_buf data = {0};
	uint32_t code;

	if (apd_json_scan(&json, error) == 0 && apd_json_type(&json, 0) == APD_JSON_OBJECT) {
		code = apd_json_member(&json, 0, APD_STR("agent_code"));
		if (!code)
			code = apd_json_member(&json, 0, APD_STR("code"));
		apd_buf_lit(&data, "{");
		if (code)
			apd_json_member_raw(&data, "error", apd_json_slice(&json, code));
		apd_json_add_comma(&data);
		apd_buf_add(&data, error.ptr + 1, error.len - 1);
		api_sse_add(out, seq, "error", apd_buf_str(&data));
	}
	apd_buf_finish(&data);
	apd_json_finish(&json);
}

void api_project_end(struct apd_buf *out, uint64_t seq, const struct apd_id *run_id,
	enum apd_run_status status, struct apd_str error)
{
	struct apd_buf data = {0};

	/* The id is that of `end`: whoever has seen only `error` is told of both again. */
	if (error.ptr && (status == APD_RUN_ERROR || status == APD_RUN_TIMEOUT))
		project_error(out, 0, error);
	apd_buf_lit(&data, "{");
	apd_json_member_id(&data, "run_id", run_id);
	apd_json_member_str(&data, "status", apd_str(apd_run_status_word(status)));
	apd_buf_lit(&data, "}");
	api_sse_add(out, seq, "end", apd_buf_str(&data));
	apd_buf_finish(&data);
}

void api_project_missed(struct apd_buf *out)
{
	api_sse_add(out, 0, "error",
		APD_STR("{\"error\":\"events_missed\",\"code\":\"events_missed\",\"message\":"
			"\"Events "
			"that this stream should show are gone: read the run's result "
			"instead.\"}"));
}

/* Adds a state as `values`. */
static void project_values(struct apd_buf *out, uint64_t seq, const struct apd_state *state)
{
	struct apd_buf data = {0};

	apd_state_add_json(&data, state);
	api_sse_add(out, seq, "values", apd_buf_str(&data));
	apd_buf_finish(&data);
}

/* Adds a patch as `updates`: {"step": patch}. */
static void project_update(struct apd_buf *out, const struct apd_event *event)
{
	struct apd_buf data = {0};

	apd_buf_lit(&data, "{");
	apd_json_add_string(&data, event->node);
	apd_buf_lit(&data, ":");
	apd_buf_add_str(&data, event->data);
	apd_buf_lit(&data, "}");
	api_sse_add(out, event->seq, "updates", apd_buf_str(&data));
	apd_buf_finish(&data);
}

/* Adds a custom event: its payload, or, when it has a name, the whole of it. */
static void project_custom(
	struct api_projection *projection, struct apd_buf *out, const struct apd_event *event)
{
	struct apd_json *json = &projection->messages.json;
	struct apd_str data = event->data;
	uint32_t payload;

	if (apd_json_scan(json, data) == 0 && apd_json_type(json, 0) == APD_JSON_OBJECT &&
		!apd_json_member(json, 0, APD_STR("name"))) {
		payload = apd_json_member(json, 0, APD_STR("payload"));
		if (payload)
			data = apd_json_slice(json, payload);
	}
	api_sse_add(out, event->seq, "custom", data);
}

/* True for events of the root namespace: the only ones that a run's stream shows. */
static bool at_root(const struct apd_event *event)
{
	/* A namespace is an array of strings: without a string it is the empty one. */
	return event->ns.len == 0 || !memchr(event->ns.ptr, '"', event->ns.len);
}

/* Projects an event that the agent emitted. */
static void project_emitted(struct api_projection *projection, const struct apd_event *event,
	bool silent, struct apd_buf *out)
{
	if (event->channel == AP_CHANNEL_MESSAGES && (projection->modes & API_MODE_MESSAGES))
		api_messages_take(&projection->messages, event, silent, out);
	if (event->channel == AP_CHANNEL_CUSTOM && (projection->modes & API_MODE_CUSTOM) && !silent)
		project_custom(projection, out, event);
}

bool api_project(struct api_projection *projection, const struct apd_event *event, bool silent,
	struct apd_buf *out)
{
	if (!apd_id_eq(&event->run_id, &projection->run_id))
		return false;
	switch (event->kind) {
	case APD_EVENT_STARTED:
		if (silent)
			break;
		api_project_metadata(out, &event->run_id, &event->thread_id, event->attempt);
		if ((projection->modes & API_MODE_VALUES) && event->state)
			project_values(out, 0, event->state);
		break;
	case APD_EVENT_EMITTED:
		if (at_root(event))
			project_emitted(projection, event, silent, out);
		break;
	case APD_EVENT_UPDATES:
		if ((projection->modes & API_MODE_UPDATES) && !silent && at_root(event))
			project_update(out, event);
		break;
	case APD_EVENT_VALUES:
		if ((projection->modes & API_MODE_VALUES) && !silent)
			project_values(out, event->seq, event->state);
		break;
	case APD_EVENT_CHECKPOINT:
		break;
	case APD_EVENT_ENDED:
		/* Also to one who has seen it: a stream without `end` looks broken. */
		api_project_end(out, event->seq, &event->run_id, event->status, event->data);
		return true;
	}
	return false;
}
