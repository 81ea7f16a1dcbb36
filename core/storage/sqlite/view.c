/* Threads and runs as they are shown: a row with the state that belongs to it. */
#include <errno.h>

#include "base/json_text.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/reads.h"
#include "storage/sqlite/row_sql.h"
#include "storage/sqlite/thread_sql.h"

int apd_view_busy(struct apd_reads *reads, int64_t tid)
{
	sqlite3_stmt *stmt;
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_BUSY, &stmt);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, tid);
	rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 1 : apd_db_errno(rc);
}

/* Makes a view of the current row with the state at a checkpoint, or at the newest for NULL. */
static int read_view(struct apd_reads *reads, sqlite3_stmt *thread, const struct apd_id *at,
	struct apd_thread_view *ret_view, size_t *ret_weight)
{
	int64_t tid = sqlite3_column_int64(thread, APD_THREAD_COLUMN_TID);
	struct apd_thread_row *row;
	struct apd_chain chain;
	int r, busy;

	r = apd_thread_row_read(thread, &row);
	if (r < 0)
		return r;
	busy = apd_view_busy(reads, tid);
	r = busy < 0 ? busy : apd_chain_read(reads, &row->thread_id, tid, at, &chain);
	if (r < 0) {
		apd_thread_row_unref(row);
		return r;
	}
	*ret_view = (struct apd_thread_view){
		.thread = row, .head = chain.head, .state = chain.state, .busy = busy};
	*ret_weight = chain.weight;
	return 0;
}

int apd_view_read(struct apd_reads *reads, sqlite3_stmt *thread, struct apd_thread_view *ret_view)
{
	size_t weight;

	return read_view(reads, thread, NULL, ret_view, &weight);
}

/* Steps to the row of a thread, and gives the statement to be reset: 0, or -ENOENT. */
static int find_thread(
	struct apd_reads *reads, const struct apd_id *thread_id, sqlite3_stmt **ret_stmt)
{
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_THREAD, ret_stmt);
	if (r < 0)
		return r;
	apd_db_bind_id(*ret_stmt, 1, thread_id);
	rc = sqlite3_step(*ret_stmt);
	if (rc == SQLITE_ROW)
		return 0;
	sqlite3_reset(*ret_stmt);
	return rc == SQLITE_DONE ? -ENOENT : apd_db_errno(rc);
}

int apd_view_get_thread(
	struct apd_reads *reads, const struct apd_id *thread_id, struct apd_thread_view *ret_view)
{
	sqlite3_stmt *stmt;
	int r = find_thread(reads, thread_id, &stmt);

	if (r < 0)
		return r;
	r = apd_view_read(reads, stmt, ret_view);
	sqlite3_reset(stmt);
	return r;
}

/* The id of a thread's newest checkpoint; stays as it is if there is none. */
static int read_newest(struct apd_reads *reads, int64_t tid, struct apd_id *ret_id)
{
	sqlite3_stmt *stmt;
	int64_t cid = 0;
	int r;

	r = apd_chain_head(reads, tid, &cid);
	if (r < 0 || cid == 0)
		return r;
	r = apd_chain_row(reads, tid, cid, &stmt);
	if (r < 0)
		return r;
	r = apd_db_column_id(stmt, APD_CHECKPOINT_COLUMN_ID, ret_id) ? 0 : -EBADMSG;
	sqlite3_reset(stmt);
	return r;
}

/* Reads the thread of a load, with the state at a checkpoint if that is asked for. */
static int load_thread(struct apd_reads *reads, struct apd_load *load)
{
	const struct apd_id *at = load->type == APD_LOAD_CHECKPOINT ? &load->at : NULL;
	sqlite3_stmt *stmt;
	int r;

	r = find_thread(reads, &load->id, &stmt);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = read_newest(reads, sqlite3_column_int64(stmt, APD_THREAD_COLUMN_TID), &load->newest);
	if (r == 0) {
		r = read_view(reads, stmt, at, &load->view, &load->chain);
		load->found_at = r == 0 && at;
	}
	/* The thread is there all the same, as it is. */
	if (r == -ESRCH)
		r = read_view(reads, stmt, NULL, &load->view, &load->chain);
	load->found = r == 0;
	sqlite3_reset(stmt);
	return r;
}

static int load_active(struct apd_reads *reads, struct apd_load *load)
{
	sqlite3_stmt *stmt;
	int r = apd_reads_stmt(reads, APD_READ_ACTIVE, &stmt);

	return r < 0 ? r : apd_run_rows_read(stmt, SIZE_MAX, &load->runs, &load->n_runs);
}

int apd_view_load(struct apd_reads *reads, struct apd_load *load)
{
	switch (load->type) {
	case APD_LOAD_ACTIVE_RUNS:
		return load_active(reads, load);
	case APD_LOAD_THREAD:
	case APD_LOAD_CHECKPOINT:
		return load_thread(reads, load);
	}
	return -EINVAL;
}

/* Adds the values that a run's output shows, in the order in which the keys name them. */
static void add_values(struct apd_buf *out, struct apd_reads *reads, const struct apd_state *state,
	struct apd_str keys)
{
	struct apd_buf scratch = {0};

	if (!keys.ptr || apd_json_scan(&reads->json, keys) < 0 ||
		apd_json_type(&reads->json, 0) != APD_JSON_ARRAY) {
		apd_state_add_values(out, state);
		return;
	}
	apd_buf_lit(out, "{");
	apd_json_each_item (&reads->json, 0, i) {
		struct apd_str value;

		if (apd_json_type(&reads->json, i) != APD_JSON_STRING)
			continue;
		value = apd_state_value(state, apd_json_string(&reads->json, i, &scratch));
		if (!value.ptr)
			continue;
		apd_json_add_comma(out);
		apd_buf_add_str(out, apd_json_slice(&reads->json, i));
		apd_buf_lit(out, ":");
		apd_buf_add_str(out, value);
	}
	apd_buf_lit(out, "}");
	apd_buf_finish(&scratch);
}

/* Gives the row, which nobody else has yet, its output. */
static void make_output(
	struct apd_reads *reads, struct apd_run_row *row, const struct apd_state *state)
{
	struct apd_buf out = {0};

	apd_buf_lit(&out, "{\"values\":");
	add_values(&out, reads, state, row->output_keys);
	if (state->has_messages) {
		apd_buf_lit(&out, ",\"messages\":");
		apd_state_add_messages(&out, state);
	}
	apd_buf_lit(&out, "}");
	row->output = apd_buf_str(&out);
	apd_run_row_own_results(row);
	apd_buf_finish(&out);
}

/* Gives the row its output, if that is the state at a checkpoint. */
static int add_output(struct apd_reads *reads, struct apd_run_row *row, int64_t tid)
{
	struct apd_chain chain;
	int r;

	if (!row->at_checkpoint)
		return 0;
	r = apd_chain_read(reads, &row->thread_id, tid, &row->checkpoint_id, &chain);
	if (r < 0)
		return r == -ESRCH ? -EBADMSG : r;
	make_output(reads, row, chain.state);
	apd_checkpoint_row_unref(chain.head);
	apd_state_unref(chain.state);
	return 0;
}

int apd_view_get_run(struct apd_reads *reads, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row)
{
	struct apd_run_row *row;
	sqlite3_stmt *stmt;
	int64_t tid = 0;
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_RUN, &stmt);
	if (r < 0)
		return r;
	apd_db_bind_id(stmt, 1, run_id);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		tid = sqlite3_column_int64(stmt, APD_RUN_COLUMN_TID);
		r = apd_run_row_read(stmt, &row);
	} else {
		r = rc == SQLITE_DONE ? -ENOENT : apd_db_errno(rc);
	}
	sqlite3_reset(stmt);
	if (r < 0)
		return r;
	if (with_output)
		r = add_output(reads, row, tid);
	if (r == 0)
		*ret_row = row;
	else
		apd_run_row_unref(row);
	return r;
}
