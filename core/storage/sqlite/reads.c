/* The statements that read. */
#include "storage/sqlite/reads.h"

#include <errno.h>

#include "base/clock.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/row_sql.h"
#include "storage/sqlite/thread_sql.h"

static const char *const texts[APD_READ_COUNT] = {
	[APD_READ_BEGIN] = "BEGIN",
	[APD_READ_END] = "COMMIT",
	[APD_READ_ACTIVE] = "SELECT " APD_RUN_COLUMNS " FROM run INDEXED BY run_pending"
			    " WHERE status = 0 AND " APD_RUN_IS_THERE " ORDER BY run_id",
	[APD_READ_RUN] = "SELECT " APD_RUN_COLUMNS " FROM run WHERE run_id = ?1"
			 " AND " APD_RUN_IS_THERE,
	[APD_READ_RUN_LISTED] = "SELECT " APD_RUN_COLUMNS_LISTED " FROM run WHERE run_id = ?1"
				" AND " APD_RUN_IS_THERE,
	[APD_READ_THREAD] = "SELECT " APD_THREAD_COLUMNS " FROM thread WHERE thread_id = ?1",
	[APD_READ_THREAD_BY_TID] = "SELECT " APD_THREAD_COLUMNS " FROM thread WHERE tid = ?1",
	[APD_READ_BUSY] = "SELECT 1 FROM run INDEXED BY run_pending"
			  " WHERE tid = ?1 AND status = 0 LIMIT 1",
	[APD_READ_HEAD] = "SELECT cid, rid FROM head WHERE tid = ?1",
	[APD_READ_RUN_BY_RID] = "SELECT " APD_RUN_COLUMNS_LISTED ", prev FROM run"
				" WHERE rid = ?1 AND tid = ?2",
	[APD_READ_RUNS_EPHEMERAL] =
		"SELECT " APD_RUN_COLUMNS_LISTED " FROM run INDEXED BY run_thread"
		" WHERE thread_id = ?1 AND tid = 0 ORDER BY run_id DESC",
	[APD_READ_CHECKPOINT] = "SELECT " APD_CHECKPOINT_COLUMNS " FROM checkpoint WHERE cid = ?1",
	[APD_READ_CHECKPOINT_BY_ID] = "SELECT cid, prev FROM checkpoint INDEXED BY checkpoint_key"
				      " WHERE checkpoint_id = ?1 AND tid = ?2",
	[APD_READ_OUTBOX] = "SELECT " APD_OUTBOX_COLUMNS
			    " FROM outbox INDEXED BY outbox_next ORDER BY next_us, id LIMIT ?1",
	[APD_READ_THREADS] = "SELECT tid FROM thread INDEXED BY thread_created"
			     " ORDER BY created_us DESC, thread_id DESC LIMIT -1 OFFSET ?1",
	[APD_READ_THREADS_AT_REST] =
		"SELECT tid FROM thread INDEXED BY thread_rest WHERE rest = ?1 AND rest <> 0"
		" ORDER BY created_us DESC, thread_id DESC",
	[APD_READ_THREADS_BUSY] = "SELECT tid FROM thread NOT INDEXED WHERE tid IN"
				  " (SELECT tid FROM run INDEXED BY run_pending"
				  "  WHERE status = 0 AND tid > 0)"
				  " ORDER BY created_us DESC, thread_id DESC",
	[APD_READ_RUN_TAG] = "SELECT run_id, 0, 0 FROM run_tag WHERE hash = ?1"
			     " ORDER BY run_id DESC",
	[APD_READ_RUN_TAG_MANY] = "SELECT run_id, 0, 0 FROM run_tag WHERE hash = 0"
				  " ORDER BY run_id DESC",
	[APD_READ_RUN_TAG_COUNT] =
		"SELECT count(*) FROM (SELECT 1 FROM run_tag WHERE hash = ?1 LIMIT ?2)",
	[APD_READ_THREAD_TAG] = "SELECT thread_id, created_us, tid FROM thread_tag"
				" WHERE hash = ?1 ORDER BY created_us DESC, thread_id DESC",
	[APD_READ_THREAD_TAG_MANY] = "SELECT thread_id, created_us, tid FROM thread_tag"
				     " WHERE hash = 0 ORDER BY created_us DESC, thread_id DESC",
	[APD_READ_THREAD_TAG_COUNT] =
		"SELECT count(*) FROM (SELECT 1 FROM thread_tag WHERE hash = ?1 LIMIT ?2)",
};

int apd_reads_open(struct apd_reads *reads, const char *path)
{
	return apd_db_open(path, APD_DB_READER, false, &reads->db);
}

void apd_reads_close(struct apd_reads *reads)
{
	apd_db_close(reads->db); /* with its statements */
	apd_json_finish(&reads->json);
	apd_json_finish(&reads->json2);
}

int apd_reads_stmt(struct apd_reads *reads, enum apd_read_stmt which, sqlite3_stmt **ret_stmt)
{
	int r = 0;

	if (!reads->stmts[which])
		r = apd_db_prepare(reads->db, texts[which], &reads->stmts[which]);
	if (r == 0)
		*ret_stmt = reads->stmts[which];
	return r;
}

/* Runs a statement that gives nothing. */
static int run(struct apd_reads *reads, enum apd_read_stmt which)
{
	sqlite3_stmt *stmt;
	int r = apd_reads_stmt(reads, which, &stmt);

	return r < 0 ? r : apd_db_run(stmt);
}

int apd_reads_begin(struct apd_reads *reads)
{
	return run(reads, APD_READ_BEGIN);
}

void apd_reads_end(struct apd_reads *reads)
{
	if (sqlite3_get_autocommit(reads->db))
		return;
	/* Past its deadline a connection is interrupted, and the end of its transaction with it. */
	if (run(reads, APD_READ_END) < 0)
		apd_db_exec(reads->db, "ROLLBACK");
}

int apd_reads_check_time(const struct apd_reads *reads)
{
	return reads->deadline_ns && apd_clock_mono_ns() >= reads->deadline_ns ? -ETIME : 0;
}
