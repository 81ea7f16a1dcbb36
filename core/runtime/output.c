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

static void add_error(struct apd_buf *out, const struct ending *ending)
{
	apd_buf_lit(out, "{");
	apd_json_member_str(out, "code", apd_str(apd_run_error_word(ending->error)));
	apd_json_member_str(out, "message", ending->message);
	if (ending->agent_code.len)
		apd_json_member_str(out, "agent_code", ending->agent_code);
	apd_buf_lit(out, "}");
}

static void add_output(struct apd_buf *out, const struct apd_run *run)
{
	apd_buf_lit(out, "{\"values\":");
	add_values(out, run);
	if (run->state->has_messages) {
		apd_buf_lit(out, ",\"messages\":");
		apd_state_add_messages(out, run->state);
	}
	if (run->status == APD_RUN_INTERRUPTED && run->asks) {
		apd_buf_lit(out, ",\"interrupts\":");
		apd_buf_add_str(out, apd_text_str(run->asks));
	}
	apd_buf_lit(out, "}");
}

struct apd_run_row *apd_rt_output_row(
	struct apd_runtime *rt, struct apd_run *run, const struct ending *ending)
{
	struct apd_buf *out = &rt->buf2;
	struct apd_text *text = NULL;
	struct apd_run_row *row;
	size_t error_len;

	apd_buf_clear(out);
	if (ending->error)
		add_error(out, ending);
	error_len = out->len;
	if (run->state && run->agent)
		add_output(out, run);
	if (out->len)
		text = apd_text_of(out);
	row = apd_rt_run_make_row(run, text);
	if (error_len)
		row->error = (struct apd_str){text->data, error_len};
	if (text && text->len > error_len)
		row->output = (struct apd_str){text->data + error_len, text->len - error_len};
	return row;
}
