/* Rows of the outbox: references. */
#include "storage/outbox.h"

#include <stdlib.h>

#include "base/alloc.h"

struct apd_outbox_row *apd_outbox_row_create(struct apd_text *text)
{
	struct apd_outbox_row *row = apd_calloc(1, sizeof(*row));

	atomic_init(&row->refs, 1);
	row->text = text;
	return row;
}

struct apd_outbox_row *apd_outbox_row_ref(struct apd_outbox_row *row)
{
	if (row)
		atomic_fetch_add_explicit(&row->refs, 1, memory_order_relaxed);
	return row;
}

void apd_outbox_row_unref(struct apd_outbox_row *row)
{
	if (!row || atomic_fetch_sub_explicit(&row->refs, 1, memory_order_acq_rel) != 1)
		return;
	apd_text_unref(row->text);
	free(row);
}
