/* The webhook of a run that ended: its row in the outbox, in the batch of the end. */
#include "runtime/internal.h"

void apd_rt_webhook_put(struct apd_runtime *rt, struct apd_run *run, struct save *save)
{
	int64_t wall = runtime_wall(rt);
	struct apd_outbox_row *row;
	struct apd_text *text;
	size_t body;

	if (!run->webhook.ptr || run->rollback)
		return;
	apd_buf_clear(&rt->buf);
	apd_run_row_add_result_json(&rt->buf, run->final);
	body = rt->buf.len;
	apd_buf_add_str(&rt->buf, run->webhook);
	text = apd_text_of(&rt->buf);
	row = apd_outbox_row_create(text);
	row->id = apd_id_next(&rt->gen, wall);
	row->run_id = run->id;
	row->created_us = row->next_us = wall;
	row->body = (struct apd_str){text->data, body};
	row->url = (struct apd_str){text->data + body, run->webhook.len};
	apd_batch_put_outbox(&save->batch, row);
	apd_outbox_row_unref(row);
	save->outbox = true;
}
