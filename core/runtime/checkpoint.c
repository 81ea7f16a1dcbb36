/* Making checkpoints: their ids, what they hold, and when one holds the whole state. */
#include "runtime/internal.h"

#include <errno.h>

/* An id that is greater than all that the thread has, even where the clock went back. */
static struct apd_id next_id(struct apd_runtime *rt, struct thread *thread, int64_t wall)
{
	struct apd_id id = apd_id_next(&rt->gen, wall);

	if (memcmp(id.bytes, thread->newest.bytes, sizeof(id.bytes)) <= 0) {
		id = thread->newest;
		for (size_t i = sizeof(id.bytes); i > 0 && ++id.bytes[i - 1] == 0; i--)
			;
	}
	thread->newest = id;
	return id;
}

/* The row's text: what it holds, its name, and where that is not the change, the change too. */
static struct apd_text *compose(struct apd_runtime *rt, const struct checkpoint_plan *plan,
	struct apd_str patch, const struct apd_state *whole, size_t *ret_held)
{
	struct apd_buf *out = &rt->buf2;

	apd_buf_clear(out);
	if (whole)
		apd_state_add_json(out, whole);
	else
		apd_buf_add_str(out, patch);
	*ret_held = out->len;
	apd_buf_add_str(out, plan->name);
	apd_buf_add_str(out, plan->ns);
	if (whole)
		apd_buf_add_str(out, patch);
	return apd_text_of(out);
}

/* The part of a text behind another one of so many bytes; absent where it was. */
static struct apd_str behind(const struct apd_text *text, size_t at, struct apd_str what)
{
	return what.ptr ? (struct apd_str){text->data + at, what.len} : APD_STR_ABSENT;
}

/* Fills in what a row says of its place. */
static void place(struct apd_runtime *rt, struct thread *thread, const struct thread_tip *tip,
	const struct checkpoint_plan *plan, struct apd_checkpoint_row *row)
{
	row->thread_id = thread->id;
	row->created_us = plan->change.wall_us;
	row->checkpoint_id = next_id(rt, thread, row->created_us);
	row->source = plan->source;
	if (tip->head) {
		row->has_parent = true;
		row->parent_id = tip->head->checkpoint_id;
		row->step = tip->head->step + 1;
	}
	if (plan->run) {
		row->has_run = true;
		row->run_id = plan->run->id;
	}
}

int apd_rt_checkpoint_make(struct apd_runtime *rt, struct thread *thread,
	const struct thread_tip *tip, const struct checkpoint_plan *plan,
	struct checkpoint_made *ret_made)
{
	struct apd_text *stored = NULL, *text;
	struct apd_state *state;
	struct apd_checkpoint_row *row;
	struct apd_str patch;
	size_t held;
	bool whole;
	int r;

	r = apd_state_apply(tip->state, &plan->change, &state, &stored);
	if (r < 0)
		return r;
	patch = stored               ? apd_text_str(stored)
		: plan->change.patch ? apd_json_slice(plan->change.patch, 0)
				     : APD_STR("{}");
	whole = apd_checkpoint_should_be_whole(tip->chain, state);
	text = compose(rt, plan, patch, whole ? state : NULL, &held);
	row = apd_checkpoint_row_create(
		text, plan->removed.ptr && !whole ? apd_text_create(plan->removed) : NULL);
	place(rt, thread, tip, plan, row);
	row->whole = whole;
	row->patch = (struct apd_str){text->data, held};
	row->name = behind(text, held, plan->name);
	row->removed = apd_text_str(row->removed_text);
	*ret_made = (struct checkpoint_made){.row = row,
		.state = state,
		.ns = behind(text, held + plan->name.len, plan->ns),
		.patch = whole ? (struct apd_str){text->data + held + plan->name.len + plan->ns.len,
					 patch.len}
			       : row->patch};
	apd_text_unref(stored);
	return 0;
}
