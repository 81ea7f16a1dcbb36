/* What batches do to runs, and to the tags by which runs are found. */
#include <errno.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"
#include "storage/sqlite/tags.h"

/* Adds or removes the tags of a run. */
static int change_tags(struct apd_apply *apply, sqlite3_stmt *stmt, const struct apd_id *run_id,
	struct apd_str metadata)
{
	struct apd_tags tags;
	int r = 0;

	apd_tags_of_row(&tags, &apply->json, metadata);
	for (unsigned i = 0; r == 0 && i < tags.n; i++) {
		sqlite3_bind_int64(stmt, 1, tags.items[i]);
		apd_db_bind_id(stmt, 2, run_id);
		r = apd_db_run(stmt);
	}
	return r;
}

int apd_apply_run_put(struct apd_apply *apply, const struct apd_run_row *row)
{
	bool tagged = row->metadata.len > 2;
	int64_t tid = 0;
	int r = 0;

	if (!(row->flags & APD_RUN_ROW_EPHEMERAL))
		r = apd_apply_find_thread(apply, &row->thread_id, &tid);
	if (r < 0)
		return r;
	/* Only an insertion changes it, so that it tells one from a replacement. */
	if (tagged)
		sqlite3_set_last_insert_rowid(apply->db, 0);
	apd_run_row_bind(apply->stmts.run_put, row, tid);
	r = apd_db_run(apply->stmts.run_put);
	if (r == 0 && tagged && sqlite3_last_insert_rowid(apply->db) != 0)
		r = change_tags(apply, apply->stmts.run_tag_put, &row->run_id, row->metadata);
	return r;
}

int apd_apply_run_delete_by(struct apd_apply *apply, sqlite3_stmt *stmt)
{
	int rc, n = 0, r = 0;

	/* All rows are gone at the first step; those that follow tell of them. */
	while (r == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct apd_str metadata;
		struct apd_id run_id;

		n++;
		if (apd_db_column_id(stmt, 0, &run_id) && apd_db_column_text(stmt, 1, &metadata) &&
			metadata.ptr)
			r = change_tags(apply, apply->stmts.run_tag_delete, &run_id, metadata);
	}
	sqlite3_reset(stmt);
	if (r < 0)
		return r;
	apd_db_check_fsync(rc);
	r = apd_db_errno(rc);
	return r < 0 ? r : n;
}

int apd_apply_run_delete(struct apd_apply *apply, const struct apd_id *run_id, uint32_t *missing)
{
	int r;

	apd_db_bind_id(apply->stmts.run_delete, 1, run_id);
	r = apd_apply_run_delete_by(apply, apply->stmts.run_delete);
	if (r == 0)
		++*missing;
	return r < 0 ? r : 0;
}
