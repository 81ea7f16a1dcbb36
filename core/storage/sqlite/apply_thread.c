/* What batches do to threads and their checkpoints, and to the tags by which threads are found. */
#include <errno.h>
#include <stdlib.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/tags.h"
#include "storage/sqlite/thread_sql.h"

/* Where a thread is in the cache if it is there: ids of one moment differ at their end. */
static struct apd_thread_place *place_of(struct apd_apply *apply, const struct apd_id *thread_id)
{
	uint64_t word;

	memcpy(&word, thread_id->bytes + 8, sizeof(word));
	return &apply->threads.places[(word ^ word >> 32) % APD_COUNT(apply->threads.places)];
}

/* Writes the newest checkpoint and run of a thread. */
static int write_head(struct apd_apply *apply, struct apd_thread_place *place)
{
	sqlite3_stmt *stmt = apply->stmts.head_update;

	place->changed = false;
	sqlite3_bind_int64(stmt, 1, place->tid);
	sqlite3_bind_int64(stmt, 2, place->cid);
	sqlite3_bind_int64(stmt, 3, place->rid);
	return apd_db_run(stmt);
}

int apd_apply_write_heads(struct apd_apply *apply)
{
	int r = 0;

	while (r == 0 && apply->n_changed > 0) {
		struct apd_thread_place *place = apply->changed[--apply->n_changed];

		if (place->changed)
			r = write_head(apply, place);
	}
	return r;
}

void apd_apply_set_changed(struct apd_apply *apply, struct apd_thread_place *place)
{
	if (place->changed)
		return;
	place->changed = true;
	apply->changed[apply->n_changed++] = place;
}

void apd_apply_forget_threads(struct apd_apply *apply)
{
	apply->threads = (struct apd_thread_cache){0};
	apply->n_changed = 0;
}

/* Makes a place free for another thread. */
static int vacate(struct apd_apply *apply, struct apd_thread_place *place)
{
	return place->changed ? apd_apply_write_heads(apply) : 0;
}

int apd_apply_find_thread(struct apd_apply *apply, const struct apd_id *thread_id,
	struct apd_thread_place **ret_place)
{
	struct apd_thread_place *place = place_of(apply, thread_id);
	sqlite3_stmt *stmt = apply->stmts.thread_find;
	int rc, r;

	*ret_place = place;
	if (place->tid && apd_id_eq(&place->thread_id, thread_id))
		return 0;
	r = vacate(apply, place);
	if (r < 0)
		return r;
	apd_db_bind_id(stmt, 1, thread_id);
	rc = sqlite3_step(stmt);
	r = rc == SQLITE_DONE ? -ENOENT : apd_db_errno(rc);
	if (r == 0)
		*place = (struct apd_thread_place){.thread_id = *thread_id,
			.tid = sqlite3_column_int64(stmt, 0),
			.cid = sqlite3_column_int64(stmt, 1),
			.rid = sqlite3_column_int64(stmt, 2)};
	sqlite3_reset(stmt);
	return r;
}

/* What all tags of a thread end with. */
struct tagged {
	int64_t created_us;
	const struct apd_id *thread_id;
	int64_t tid;
};

static int put_tag(struct apd_apply *apply, int64_t tag, const struct tagged *what)
{
	sqlite3_stmt *stmt = apply->stmts.thread_tag_put;

	sqlite3_bind_int64(stmt, 1, tag);
	sqlite3_bind_int64(stmt, 2, what->created_us);
	apd_db_bind_id(stmt, 3, what->thread_id);
	sqlite3_bind_int64(stmt, 4, what->tid);
	return apd_db_run(stmt);
}

static int delete_tag(struct apd_apply *apply, int64_t tag, const struct tagged *what)
{
	sqlite3_stmt *stmt = apply->stmts.thread_tag_delete;

	sqlite3_bind_int64(stmt, 1, tag);
	sqlite3_bind_int64(stmt, 2, what->created_us);
	apd_db_bind_id(stmt, 3, what->thread_id);
	return apd_db_run(stmt);
}

/* Removes the tags that are only in `before` and adds those that are only in `after`. */
static int change_tags(struct apd_apply *apply, const struct tagged *what,
	const struct apd_tags *before, const struct apd_tags *after)
{
	unsigned i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < before->n || j < after->n)) {
		if (j == after->n || (i < before->n && before->items[i] < after->items[j]))
			r = delete_tag(apply, before->items[i++], what);
		else if (i == before->n || after->items[j] < before->items[i])
			r = put_tag(apply, after->items[j++], what);
		else
			i++, j++;
	}
	return r;
}

/* Reads the tags that a thread has, and its created_us. */
static int read_tags(
	struct apd_apply *apply, int64_t tid, struct apd_tags *ret_tags, int64_t *ret_created_us)
{
	sqlite3_stmt *stmt = apply->stmts.thread_metadata;
	struct apd_str metadata = APD_STR_ABSENT;
	int rc;

	sqlite3_bind_int64(stmt, 1, tid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		apd_db_column_text(stmt, 0, &metadata);
		apd_tags_of_row(ret_tags, &apply->json, metadata);
		*ret_created_us = sqlite3_column_int64(stmt, 1);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

static int insert_thread(struct apd_apply *apply, const struct apd_thread_row *row, int64_t tid)
{
	struct tagged what = {row->created_us, &row->thread_id, tid};
	struct apd_thread_place *place = place_of(apply, &row->thread_id);
	struct apd_tags none = {.n = 0}, tags;
	int r;

	apd_thread_row_bind(apply->stmts.thread_insert, row, tid);
	r = apd_db_run(apply->stmts.thread_insert);
	if (r == 0) {
		sqlite3_bind_int64(apply->stmts.head_insert, 1, tid);
		r = apd_db_run(apply->stmts.head_insert);
	}
	if (r == 0)
		r = vacate(apply, place);
	if (r < 0)
		return r;
	*place = (struct apd_thread_place){.thread_id = row->thread_id, .tid = tid};
	apd_tags_of_row(&tags, &apply->json, row->metadata);
	return change_tags(apply, &what, &none, &tags);
}

static int update_thread(struct apd_apply *apply, const struct apd_thread_row *row, int64_t tid)
{
	struct tagged what = {.thread_id = &row->thread_id, .tid = tid};
	struct apd_tags before, after;
	int r;

	r = read_tags(apply, tid, &before, &what.created_us);
	if (r < 0)
		return r;
	apd_tags_of_row(&after, &apply->json, row->metadata);
	r = change_tags(apply, &what, &before, &after);
	if (r < 0)
		return r;
	apd_thread_row_bind(apply->stmts.thread_update, row, tid);
	return apd_db_run(apply->stmts.thread_update);
}

int apd_apply_thread_put(struct apd_apply *apply, const struct apd_thread_row *row, bool replaces)
{
	struct apd_thread_place *place;
	int r = apd_apply_find_thread(apply, &row->thread_id, &place);

	if (r == -ENOENT && !replaces)
		return insert_thread(apply, row, apply->next_tid++);
	return r < 0 ? r : update_thread(apply, row, place->tid);
}

/* Removes what finds a thread. */
static int untag_thread(struct apd_apply *apply, const struct apd_thread_place *place)
{
	struct tagged what = {.thread_id = &place->thread_id, .tid = place->tid};
	struct apd_tags before, none = {.n = 0};
	int r = read_tags(apply, place->tid, &before, &what.created_us);

	return r < 0 ? r : change_tags(apply, &what, &before, &none);
}

/* Runs a statement whose one parameter is a number. */
static int run_with(sqlite3_stmt *stmt, int64_t number)
{
	sqlite3_bind_int64(stmt, 1, number);
	return apd_db_run(stmt);
}

/* Removes the thread's own rows, and leaves the rest for the purge. */
static int delete_thread(struct apd_apply *apply, struct apd_thread_place *place)
{
	struct apd_write_stmts *stmts = &apply->stmts;
	int r = untag_thread(apply, place);

	if (r == 0)
		r = run_with(stmts->thread_delete, place->tid);
	if (r == 0)
		r = run_with(stmts->head_delete, place->tid);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmts->purge_put, 1, place->tid);
	sqlite3_bind_int64(stmts->purge_put, 2, place->cid);
	sqlite3_bind_int64(stmts->purge_put, 3, place->rid);
	r = apd_db_run(stmts->purge_put);
	place->tid = 0;
	place->changed = false;
	apply->deleted_threads = apply->deletes_thread = true;
	return r;
}

int apd_apply_thread_delete(
	struct apd_apply *apply, const struct apd_id *thread_id, uint32_t *missing)
{
	struct apd_thread_place *place;
	int r = apd_apply_find_thread(apply, thread_id, &place);

	if (r == -ENOENT) {
		++*missing;
		return 0;
	}
	return r < 0 ? r : delete_thread(apply, place);
}

int apd_apply_look_at_checkpoint(
	struct apd_apply *apply, int64_t cid, int64_t *ret_prev, struct apd_id *ret_id)
{
	sqlite3_stmt *stmt = apply->stmts.checkpoint_look;
	int rc, r;

	sqlite3_bind_int64(stmt, 1, cid);
	rc = sqlite3_step(stmt);
	r = rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
	if (r == 0) {
		*ret_prev = sqlite3_column_int64(stmt, 0);
		if (!apd_db_column_id(stmt, 1, ret_id))
			r = -EBADMSG;
	}
	sqlite3_reset(stmt);
	return r;
}

int apd_apply_checkpoint_delete(struct apd_apply *apply, int64_t cid)
{
	return run_with(apply->stmts.checkpoint_delete, cid);
}

/* The numbers of a thread's checkpoints. */
struct numbers {
	int64_t *items;
	size_t n;
	size_t cap;
};

/* Lists the checkpoints from one on down. */
static int list(struct apd_apply *apply, int64_t cid, struct numbers *numbers)
{
	struct apd_id id;
	int r = 0;

	while (r == 0 && cid != 0) {
		if (numbers->n == numbers->cap) {
			numbers->cap = numbers->cap ? numbers->cap * 2 : 64;
			numbers->items =
				apd_realloc(numbers->items, numbers->cap * sizeof(*numbers->items));
		}
		numbers->items[numbers->n++] = cid;
		r = apd_apply_look_at_checkpoint(apply, cid, &cid, &id);
	}
	return r;
}

/* Copies the checkpoint of a number on top of those that a thread has. */
static int copy_checkpoint(struct apd_apply *apply, int64_t cid, struct apd_thread_place *to)
{
	sqlite3_stmt *stmt = apply->stmts.checkpoint_copy;
	int r;

	sqlite3_bind_int64(stmt, 1, cid);
	sqlite3_bind_int64(stmt, 2, to->tid);
	sqlite3_bind_int64(stmt, 3, to->cid);
	r = apd_db_run(stmt);
	to->cid = sqlite3_last_insert_rowid(apply->db);
	return r;
}

int apd_apply_thread_copy(struct apd_apply *apply, const struct apd_id *from_id,
	const struct apd_thread_row *to, uint32_t *missing)
{
	struct numbers numbers = {0};
	struct apd_thread_place *place;
	int r = apd_apply_find_thread(apply, from_id, &place);

	if (r == -ENOENT) {
		++*missing;
		return 0;
	}
	if (r == 0)
		r = list(apply, place->cid, &numbers);
	if (r == 0)
		r = insert_thread(apply, to, apply->next_tid++);
	if (r == 0)
		r = apd_apply_find_thread(apply, &to->thread_id, &place);
	while (r == 0 && numbers.n > 0)
		r = copy_checkpoint(apply, numbers.items[--numbers.n], place);
	free(numbers.items);
	if (r == 0)
		apd_apply_set_changed(apply, place);
	return r;
}

int apd_apply_checkpoint_put(struct apd_apply *apply, const struct apd_checkpoint_row *row)
{
	struct apd_thread_place *place;
	int r = apd_apply_find_thread(apply, &row->thread_id, &place);

	if (r < 0)
		return r;
	apd_checkpoint_row_bind(apply->stmts.checkpoint_put, row, place->tid, place->cid);
	r = apd_db_run(apply->stmts.checkpoint_put);
	if (r < 0)
		return r;
	place->cid = sqlite3_last_insert_rowid(apply->db);
	apd_apply_set_changed(apply, place);
	return 0;
}

int apd_apply_checkpoint_undo(
	struct apd_apply *apply, const struct apd_id *thread_id, const struct apd_id *after)
{
	struct apd_thread_place *place;
	struct apd_id id;
	int64_t cid, prev;
	int r = apd_apply_find_thread(apply, thread_id, &place);

	/* Nothing is there, so nothing is newer. */
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (cid = place->cid; cid != 0; cid = prev) {
		r = apd_apply_look_at_checkpoint(apply, cid, &prev, &id);
		if (r < 0 || memcmp(id.bytes, after->bytes, sizeof(id.bytes)) <= 0)
			break;
		r = apd_apply_checkpoint_delete(apply, cid);
		if (r < 0)
			break;
	}
	if (r < 0 || cid == place->cid)
		return r;
	place->cid = cid;
	apd_apply_set_changed(apply, place);
	return 0;
}
