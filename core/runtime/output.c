/* The result of a run: its error and its output, as one text that a row points into. */
#include "runtime/internal.h"

#include <errno.h>
#include <stdio.h>

#include "base/json_text.h"
#include "schema/schema.h"

/* The value of a key, or NULL. */
static const struct apd_state_entry *find_value(const struct apd_state *state, struct apd_str key)
{
	for (size_t i = 0; i < state->n_values; i++)
		if (apd_str_eq(apd_text_str(state->values[i].key), key))
			return &state->values[i];
	return NULL;
}

/* Adds the values that the agent's output schema names, all where it names none. */
static void add_values(struct apd_buf *out, const struct apd_run *run)
{
	const struct apd_schema *schema = run->agent ? run->agent->output : NULL;
	struct apd_str name = schema ? apd_schema_property(schema, 0) : APD_STR_ABSENT;

	if (!name.ptr) {
		apd_state_add_values(out, run->state);
		return;
	}
	apd_buf_lit(out, "{");
	for (size_t n = 0; name.ptr; name = apd_schema_property(schema, ++n)) {
		const struct apd_state_entry *entry = find_value(run->state, name);

		if (!entry)
			continue;
		apd_json_add_comma(out);
		apd_json_add_string(out, name);
		apd_buf_lit(out, ":");
		apd_buf_add_str(out, apd_text_str(entry->value));
	}
	apd_buf_lit(out, "}");
}

int apd_rt_output_check(struct apd_runtime *rt, struct apd_run *run, char *message, size_t size)
{
	struct apd_schema_error error;

	if (!run->agent->output)
		return 0;
	apd_buf_clear(&rt->buf);
	add_values(&rt->buf, run);
	if (apd_json_scan(&rt->json, apd_buf_str(&rt->buf)) < 0) {
		snprintf(message, size, "The output is not JSON: %s.", rt->json.error);
		return -EINVAL;
	}
	if (apd_schema_check(run->agent->output, &rt->json, 0, &error) == 0)
		return 0;
	snprintf(message, size, "values%s: %s", error.path, error.message);
	return -EINVAL;
}

struct apd_text *apd_rt_output_error(struct apd_runtime *rt, const struct ending *ending)
{
	struct apd_buf *out = &rt->buf;

	if (!ending->error)
		return NULL;
	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	apd_json_member_str(out, "code", apd_str(apd_run_error_word(ending->error)));
	apd_json_member_str(out, "message", ending->message);
	if (ending->agent_code.len)
		apd_json_member_str(out, "agent_code", ending->agent_code);
	apd_buf_lit(out, "}");
	return apd_text_of(out);
}

static void add_output(struct apd_buf *out, const struct apd_run *run)
{
	apd_buf_lit(out, "{\"values\":");
	add_values(out, run);
	if (run->state->has_messages) {
		apd_buf_lit(out, ",\"messages\":");
		apd_state_add_messages(out, run->state);
	}
	apd_buf_lit(out, "}");
}

/* Adds the names of the values that the output is restricted to; nothing where it has all. */
static void add_keys(struct apd_buf *out, const struct apd_run *run)
{
	const struct apd_schema *schema = run->agent ? run->agent->output : NULL;
	struct apd_str name = schema ? apd_schema_property(schema, 0) : APD_STR_ABSENT;

	if (!name.ptr)
		return;
	apd_buf_lit(out, "[");
	for (size_t n = 0; name.ptr; name = apd_schema_property(schema, ++n)) {
		apd_json_add_comma(out);
		apd_json_add_string(out, name);
	}
	apd_buf_lit(out, "]");
}

/* Where the parts of a result begin in its text: each ends where the next begins. */
struct parts {
	size_t keys, interrupts, output, end;
};

/* The part of the row's text; absent when it is empty. */
static struct apd_str part(const struct apd_text *text, size_t from, size_t to)
{
	return to > from ? (struct apd_str){text->data + from, to - from} : APD_STR_ABSENT;
}

/* Makes the row with a text of those bytes. */
static struct apd_run_row *make_row(
	struct apd_run *run, struct apd_str bytes, const struct parts *parts)
{
	struct apd_text *text = parts->end ? apd_text_create(bytes) : NULL;
	struct apd_run_row *row = apd_rt_run_make_row(run, text);

	row->error = part(text, 0, parts->keys);
	row->output_keys = part(text, parts->keys, parts->interrupts);
	row->interrupts = part(text, parts->interrupts, parts->output);
	row->output = part(text, parts->output, parts->end);
	return row;
}

struct apd_run_row *apd_rt_output_row(struct apd_runtime *rt, struct apd_run *run, bool goes)
{
	const struct apd_checkpoint_row *head =
		run->began && !run->rollback && !goes ? run->thread->tip.head : NULL;
	struct apd_buf *out = &rt->buf2;
	struct apd_run_row *row;
	struct parts parts;

	apd_buf_clear(out);
	if (run->error)
		apd_buf_add_str(out, apd_text_str(run->error));
	parts.keys = out->len;
	if (head)
		add_keys(out, run);
	parts.interrupts = out->len;
	if (run->asks)
		apd_buf_add_str(out, apd_text_str(run->asks));
	parts.output = out->len;
	if (run->state)
		add_output(out, run);
	parts.end = out->len;
	row = make_row(run, apd_buf_str(out), &parts);
	if (head) {
		row->at_checkpoint = true;
		row->checkpoint_id = head->checkpoint_id;
	}
	return row;
}

void apd_rt_output_lighten(struct apd_run *run)
{
	struct apd_run_row *row = run->row, *light;
	struct parts parts;
	struct apd_str bytes;

	if (!row || !row->at_checkpoint || !row->output.ptr)
		return;
	parts.keys = row->error.len;
	parts.interrupts = parts.keys + row->output_keys.len;
	parts.output = parts.end = parts.interrupts + row->interrupts.len;
	bytes = (struct apd_str){row->result_text->data, parts.end};
	light = make_row(run, bytes, &parts);
	light->at_checkpoint = true;
	light->checkpoint_id = row->checkpoint_id;
	apd_rt_run_set_row(run, light);
}
