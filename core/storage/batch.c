/* Batches: filling one and giving its references back. */
#include <assert.h>

#include "storage/storage.h"

/* The next free op of a batch. */
static struct apd_op *add(struct apd_batch *batch, enum apd_op_type type)
{
	struct apd_op *op;

	assert(batch->n_ops < APD_COUNT(batch->ops));
	op = &batch->ops[batch->n_ops++];
	*op = (struct apd_op){.type = type};
	return op;
}

void apd_batch_put_run(struct apd_batch *batch, struct apd_run_row *row)
{
	add(batch, APD_OP_RUN_PUT)->run = apd_run_row_ref(row);
}

void apd_batch_delete_run(struct apd_batch *batch, const struct apd_id *run_id)
{
	add(batch, APD_OP_RUN_DELETE)->id = *run_id;
}

void apd_batch_put_thread(struct apd_batch *batch, struct apd_thread_row *row)
{
	add(batch, APD_OP_THREAD_PUT)->thread = apd_thread_row_ref(row);
}

void apd_batch_replace_thread(struct apd_batch *batch, struct apd_thread_row *row)
{
	struct apd_op *op = add(batch, APD_OP_THREAD_PUT);

	op->thread = apd_thread_row_ref(row);
	op->replaces = true;
}

void apd_batch_delete_thread(struct apd_batch *batch, const struct apd_id *thread_id)
{
	add(batch, APD_OP_THREAD_DELETE)->id = *thread_id;
}

void apd_batch_copy_thread(
	struct apd_batch *batch, const struct apd_id *from_id, struct apd_thread_row *to)
{
	struct apd_op *op = add(batch, APD_OP_THREAD_COPY);

	op->id = *from_id;
	op->thread = apd_thread_row_ref(to);
}

void apd_batch_put_checkpoint(struct apd_batch *batch, struct apd_checkpoint_row *row)
{
	add(batch, APD_OP_CHECKPOINT_PUT)->checkpoint = apd_checkpoint_row_ref(row);
}

void apd_batch_undo_checkpoints(
	struct apd_batch *batch, const struct apd_id *thread_id, const struct apd_id *after)
{
	struct apd_op *op = add(batch, APD_OP_CHECKPOINTS_UNDO);

	op->id = *thread_id;
	if (after)
		op->after = *after;
}

void apd_batch_put_outbox(struct apd_batch *batch, struct apd_outbox_row *row)
{
	add(batch, APD_OP_OUTBOX_PUT)->outbox = apd_outbox_row_ref(row);
}

void apd_batch_delete_outbox(struct apd_batch *batch, const struct apd_id *id)
{
	add(batch, APD_OP_OUTBOX_DELETE)->id = *id;
}

void apd_batch_finish(struct apd_batch *batch)
{
	for (uint32_t i = 0; i < batch->n_ops; i++) {
		struct apd_op *op = &batch->ops[i];

		apd_run_row_unref(op->run);
		apd_thread_row_unref(op->thread);
		apd_checkpoint_row_unref(op->checkpoint);
		apd_outbox_row_unref(op->outbox);
	}
	batch->n_ops = 0;
}
