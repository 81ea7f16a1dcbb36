/*
 * ap/sugar/tool.h - telling the readers of a run about tool calls.  No part of
 * the ABI.
 *
 * A call is tool-started, then any number of outputs, then tool-finished or
 * tool-error, all with the same call id, which is unique within the run.
 */
#ifndef AP_SUGAR_TOOL_H
#define AP_SUGAR_TOOL_H

#include <ap/agent.h>

#include <ap/sugar/json.h>

#include <ap/sugar/run.h>

/* Begins a tool event in b. */
static inline void ap_tool_open_(
	ap_buf *b, char *space, size_t size, const char *event, const char *call_id)
{
	ap_buf_init(b, space, size, 0);
	ap_buf_add_char(b, '{');
	ap_json_member_str(b, "event", ap_cstr(event));
	ap_json_member_str(b, "toolCallId", ap_cstr(call_id));
}

/* Ends and sends it. */
static inline ap_status ap_tool_send_(ap_run *run, ap_buf *b)
{
	ap_buf_add_char(b, '}');
	return ap_emit_buf_(run, AP_CHANNEL_TOOLS, NULL, b);
}

/* A tool begins; input is JSON or absent. [run] */
static inline ap_status ap_tool_started(
	ap_run *run, const char *call_id, const char *name, ap_str input_json)
{
	char space[1024];
	ap_buf b;

	ap_tool_open_(&b, space, sizeof(space), "tool-started", call_id);
	ap_json_member_str(&b, "toolName", ap_cstr(name));
	if (input_json.ptr)
		ap_json_member_raw(&b, "input", input_json);
	return ap_tool_send_(run, &b);
}

/* A piece of a tool's output, as text. [run] */
static inline ap_status ap_tool_output(ap_run *run, const char *call_id, ap_str delta)
{
	char space[1024];
	ap_buf b;

	ap_tool_open_(&b, space, sizeof(space), "tool-output-delta", call_id);
	ap_json_member_str(&b, "delta", delta);
	return ap_tool_send_(run, &b);
}

/* A tool ends; output is JSON, absent is null. [run] */
static inline ap_status ap_tool_finished(ap_run *run, const char *call_id, ap_str output_json)
{
	char space[1024];
	ap_buf b;

	ap_tool_open_(&b, space, sizeof(space), "tool-finished", call_id);
	ap_json_member_raw(&b, "output", output_json);
	return ap_tool_send_(run, &b);
}

/* A tool fails; message is for people. [run] */
static inline ap_status ap_tool_error(ap_run *run, const char *call_id, const char *message)
{
	char space[1024];
	ap_buf b;

	ap_tool_open_(&b, space, sizeof(space), "tool-error", call_id);
	ap_json_member_str(&b, "message", ap_cstr(message));
	return ap_tool_send_(run, &b);
}

#endif /* AP_SUGAR_TOOL_H */
