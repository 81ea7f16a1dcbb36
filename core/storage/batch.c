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

void apd_batch_put_thread(struct apd_batch *batch, const struct apd_id *thread_id, int64_t wall_us)
{
	struct apd_op *op = add(batch, APD_OP_THREAD_PUT);

	op->id = *thread_id;
	op->wall_us = wall_us;
}

void apd_batch_delete_thread(struct apd_batch *batch, const struct apd_id *thread_id)
{
	add(batch, APD_OP_THREAD_DELETE)->id = *thread_id;
}

void apd_batch_finish(struct apd_batch *batch)
{
	for (uint32_t i = 0; i < batch->n_ops; i++)
		apd_run_row_unref(batch->ops[i].run);
	batch->n_ops = 0;
}
