/* Threads and checkpoints: references, words, weights, and what a view adds up to. */
#include "storage/thread.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

/* What a checkpoint costs beside its texts: looking for its row and scanning it. */
#define ROW_WEIGHT 128

/* A chain that is lighter than this is read as fast as a whole state. */
#define CHAIN_FREE 4096

static const char *const status_words[] = {
	[APD_THREAD_STATUS_IDLE] = "idle",
	[APD_THREAD_STATUS_BUSY] = "busy",
	[APD_THREAD_STATUS_INTERRUPTED] = "interrupted",
	[APD_THREAD_STATUS_ERROR] = "error",
};

static const char *const source_words[] = {
	[APD_SOURCE_INPUT] = "input",
	[APD_SOURCE_LOOP] = "loop",
	[APD_SOURCE_UPDATE] = "update",
	[APD_SOURCE_FORK] = "fork",
};

const char *apd_thread_status_word(enum apd_thread_status status)
{
	return status_words[status];
}

int apd_thread_status_of(struct apd_str word, enum apd_thread_status *ret_status)
{
	for (size_t i = 0; i < APD_COUNT(status_words); i++) {
		if (apd_str_is(word, status_words[i])) {
			*ret_status = (enum apd_thread_status)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *apd_checkpoint_source_word(enum apd_checkpoint_source source)
{
	return source_words[source];
}

/* Copies a range to *at, which moves on. */
static struct apd_str copy_str(struct apd_str s, char **at)
{
	struct apd_str copy = {*at, s.len};

	if (!s.ptr)
		return APD_STR_ABSENT;
	if (s.len)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return copy;
}

struct apd_thread_row *apd_thread_row_create(const struct apd_thread_row *from)
{
	struct apd_thread_row *row = apd_calloc(1, sizeof(*row));
	char *at;

	atomic_init(&row->refs, 1);
	row->thread_id = from->thread_id;
	row->created_us = from->created_us;
	row->updated_us = from->updated_us;
	row->rest = from->rest;
	row->text =
		apd_text_alloc(from->metadata.len + from->interrupts.len + from->continuation.len);
	at = row->text->data;
	row->metadata = from->metadata.ptr ? copy_str(from->metadata, &at) : APD_STR("{}");
	row->interrupts = copy_str(from->interrupts, &at);
	row->continuation = copy_str(from->continuation, &at);
	return row;
}

struct apd_thread_row *apd_thread_row_ref(struct apd_thread_row *row)
{
	if (row)
		atomic_fetch_add_explicit(&row->refs, 1, memory_order_relaxed);
	return row;
}

void apd_thread_row_unref(struct apd_thread_row *row)
{
	if (!row || atomic_fetch_sub_explicit(&row->refs, 1, memory_order_acq_rel) != 1)
		return;
	apd_text_unref(row->text);
	free(row);
}

struct apd_checkpoint_row *apd_checkpoint_row_create(
	struct apd_text *text, struct apd_text *removed_text)
{
	struct apd_checkpoint_row *row = apd_calloc(1, sizeof(*row));

	atomic_init(&row->refs, 1);
	row->text = text;
	row->removed_text = removed_text;
	return row;
}

struct apd_checkpoint_row *apd_checkpoint_row_ref(struct apd_checkpoint_row *row)
{
	if (row)
		atomic_fetch_add_explicit(&row->refs, 1, memory_order_relaxed);
	return row;
}

void apd_checkpoint_row_unref(struct apd_checkpoint_row *row)
{
	if (!row || atomic_fetch_sub_explicit(&row->refs, 1, memory_order_acq_rel) != 1)
		return;
	apd_text_unref(row->text);
	apd_text_unref(row->removed_text);
	free(row);
}

size_t apd_checkpoint_weight(const struct apd_checkpoint_row *row)
{
	return ROW_WEIGHT + row->name.len + row->patch.len + row->removed.len;
}

bool apd_checkpoint_should_be_whole(size_t chain, const struct apd_state *state)
{
	return chain > CHAIN_FREE + 2 * (ROW_WEIGHT + state->bytes);
}

void apd_thread_view_finish(struct apd_thread_view *view)
{
	apd_thread_row_unref(view->thread);
	apd_checkpoint_row_unref(view->head);
	apd_state_unref(view->state);
	*view = (struct apd_thread_view){0};
}

enum apd_thread_status apd_thread_view_status(const struct apd_thread_view *view)
{
	if (view->busy)
		return APD_THREAD_STATUS_BUSY;
	switch (view->thread->rest) {
	case APD_THREAD_INTERRUPTED:
		return APD_THREAD_STATUS_INTERRUPTED;
	case APD_THREAD_ERROR:
		return APD_THREAD_STATUS_ERROR;
	case APD_THREAD_IDLE:
		break;
	}
	return APD_THREAD_STATUS_IDLE;
}

int64_t apd_thread_view_updated_us(const struct apd_thread_view *view)
{
	if (view->head && view->head->created_us > view->thread->updated_us)
		return view->head->created_us;
	return view->thread->updated_us;
}
