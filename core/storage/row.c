/* Rows: references and the words of a status. */
#include "storage/row.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

static const char *const status_words[] = {
	[APD_RUN_PENDING] = "pending",
	[APD_RUN_SUCCESS] = "success",
	[APD_RUN_ERROR] = "error",
	[APD_RUN_TIMEOUT] = "timeout",
	[APD_RUN_INTERRUPTED] = "interrupted",
};

const char *apd_run_status_word(enum apd_run_status status)
{
	return status_words[status];
}

int apd_run_status_of(struct apd_str word, enum apd_run_status *ret_status)
{
	for (size_t i = 0; i < APD_COUNT(status_words); i++) {
		if (apd_str_is(word, status_words[i])) {
			*ret_status = (enum apd_run_status)i;
			return 0;
		}
	}
	return -EINVAL;
}

struct apd_run_row *apd_run_row_create(struct apd_text *request_text, struct apd_text *result_text)
{
	struct apd_run_row *row = apd_calloc(1, sizeof(*row));

	atomic_init(&row->refs, 1);
	row->request_text = request_text;
	row->result_text = result_text;
	return row;
}

struct apd_run_row *apd_run_row_ref(struct apd_run_row *row)
{
	if (row)
		atomic_fetch_add_explicit(&row->refs, 1, memory_order_relaxed);
	return row;
}

void apd_run_row_unref(struct apd_run_row *row)
{
	if (!row || atomic_fetch_sub_explicit(&row->refs, 1, memory_order_acq_rel) != 1)
		return;
	apd_text_unref(row->request_text);
	apd_text_unref(row->result_text);
	free(row);
}
