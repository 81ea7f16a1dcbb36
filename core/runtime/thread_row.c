/* A thread's own row: what it rests in, its questions and its metadata, and how they change. */
#include "runtime/internal.h"

#include <errno.h>

#include "base/json_text.h"

struct apd_thread_row *apd_rt_thread_row_new(
	const struct apd_id *id, struct apd_str metadata, int64_t wall_us)
{
	return apd_thread_row_create(&(struct apd_thread_row){.thread_id = *id,
		.created_us = wall_us,
		.updated_us = wall_us,
		.rest = APD_THREAD_IDLE,
		.metadata = metadata.ptr ? metadata : APD_STR("{}")});
}

struct apd_thread_row *apd_rt_thread_row_ended(struct apd_runtime *rt, const struct apd_run *run)
{
	const struct apd_thread_row *row = run->thread->row;
	struct apd_thread_row next;

	/* Who never began leaves all as it was, and so does who was undone. */
	if (!row || !run->began || run->rollback)
		return NULL;
	next = *row;
	next.rest = run->asks ? APD_THREAD_INTERRUPTED
		: run->status == APD_RUN_ERROR || run->status == APD_RUN_TIMEOUT ? APD_THREAD_ERROR
										 : APD_THREAD_IDLE;
	if (next.rest == row->rest && !row->interrupts.ptr && !row->continuation.ptr && !run->asks)
		return NULL;
	next.interrupts = apd_text_str(run->asks);
	next.continuation = apd_text_str(run->continuation);
	next.updated_us = runtime_wall(rt);
	return apd_thread_row_create(&next);
}

/* Adds the members of one object that the other does not name. */
static void add_unnamed(
	struct apd_buf *out, const struct apd_json *from, const struct apd_json *named)
{
	struct apd_buf scratch = {0};

	apd_json_each_member (from, 0, k) {
		if (apd_json_member(named, 0, apd_json_string(from, k, &scratch)))
			continue;
		apd_json_add_comma(out);
		apd_buf_add_str(out, apd_json_slice(from, k));
		apd_buf_lit(out, ":");
		apd_buf_add_str(out, apd_json_slice(from, k + 1));
	}
	apd_buf_finish(&scratch);
}

/* Adds the members that are not null. */
static void add_given(struct apd_buf *out, const struct apd_json *from)
{
	apd_json_each_member (from, 0, k) {
		if (apd_json_type(from, k + 1) == APD_JSON_NULL)
			continue;
		apd_json_add_comma(out);
		apd_buf_add_str(out, apd_json_slice(from, k));
		apd_buf_lit(out, ":");
		apd_buf_add_str(out, apd_json_slice(from, k + 1));
	}
}

int apd_rt_thread_row_merge(struct apd_runtime *rt, const struct apd_thread_row *row,
	struct apd_str metadata, struct apd_thread_row **ret_row)
{
	struct apd_thread_row next = *row;
	struct apd_buf *out = &rt->buf;
	struct apd_str before = row->metadata.ptr ? row->metadata : APD_STR("{}");

	if (apd_json_scan(&rt->json, before) < 0 ||
		apd_json_type(&rt->json, 0) != APD_JSON_OBJECT ||
		apd_json_scan(&rt->json2, metadata) < 0 ||
		apd_json_type(&rt->json2, 0) != APD_JSON_OBJECT)
		return -EINVAL;
	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	add_unnamed(out, &rt->json, &rt->json2);
	add_given(out, &rt->json2);
	apd_buf_lit(out, "}");
	next.metadata = apd_buf_str(out);
	next.updated_us = runtime_wall(rt);
	*ret_row = apd_thread_row_create(&next);
	return 0;
}
