/* Threads and their checkpoints as the protocol shows them. */
#include "base/json_text.h"
#include "storage/thread.h"

/* Adds "values" and, when there ever were any, "messages". */
static void add_state(struct apd_buf *out, const struct apd_state *state)
{
	apd_buf_lit(out, ",\"values\":");
	apd_state_add_values(out, state);
	if (state->has_messages) {
		apd_buf_lit(out, ",\"messages\":");
		apd_state_add_messages(out, state);
	}
}

void apd_thread_view_add_json(struct apd_buf *out, const struct apd_thread_view *view)
{
	const struct apd_thread_row *thread = view->thread;
	enum apd_thread_status status = apd_thread_view_status(view);

	apd_buf_lit(out, "{");
	apd_json_member_id(out, "thread_id", &thread->thread_id);
	apd_json_member_time(out, "created_at", thread->created_us);
	apd_json_member_time(out, "updated_at", apd_thread_view_updated_us(view));
	apd_json_member_raw(out, "metadata", thread->metadata);
	apd_json_member_str(out, "status", apd_str(apd_thread_status_word(status)));
	add_state(out, view->state);
	if (status == APD_THREAD_STATUS_INTERRUPTED && thread->interrupts.ptr)
		apd_json_member_raw(out, "interrupts", thread->interrupts);
	apd_buf_lit(out, "}");
}

/* Adds the members that say how a checkpoint came to be. */
static void add_origin(struct apd_buf *out, const struct apd_checkpoint_row *row)
{
	apd_json_member_i64(out, "step", row->step);
	apd_json_member_str(out, "source", apd_str(apd_checkpoint_source_word(row->source)));
}

void apd_checkpoint_add_json(struct apd_buf *out, const struct apd_checkpoint_row *row)
{
	apd_buf_lit(out, "{");
	apd_json_member_id(out, "checkpoint_id", &row->checkpoint_id);
	if (row->has_parent)
		apd_json_member_id(out, "parent_checkpoint_id", &row->parent_id);
	add_origin(out, row);
	apd_json_member_time(out, "created_at", row->created_us);
	if (row->has_run)
		apd_json_member_id(out, "run_id", &row->run_id);
	apd_buf_lit(out, "}");
}

/* Adds what ThreadState tells of how the state came to be, beside its checkpoint. */
static void add_metadata(struct apd_buf *out, const struct apd_checkpoint_row *row)
{
	apd_buf_lit(out, "{");
	add_origin(out, row);
	if (row->has_run)
		apd_json_member_id(out, "run_id", &row->run_id);
	if (row->name.ptr)
		apd_json_member_str(out, "name", row->name);
	apd_buf_lit(out, "}");
}

void apd_checkpoint_add_state_json(
	struct apd_buf *out, const struct apd_checkpoint_row *row, const struct apd_state *state)
{
	apd_buf_lit(out, "{\"checkpoint\":");
	apd_checkpoint_add_json(out, row);
	add_state(out, state);
	apd_buf_lit(out, ",\"metadata\":");
	add_metadata(out, row);
	apd_buf_lit(out, "}");
}
