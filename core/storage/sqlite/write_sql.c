/* The statements that write. */
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"
#include "storage/sqlite/thread_sql.h"

static const char run_put[] =
	"INSERT INTO run (" APD_RUN_COLUMNS ", prev)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
	" ?19, ?20)"
	" ON CONFLICT (run_id) DO UPDATE SET"
	/* Not thread_id, agent_id, metadata, created_us: they never change, and naming them would
	   rewrite indexes. Nor prev: a run keeps its place. */
	" tid = ?3, status = ?5, flags = ?6, attempt = ?7, updated_us = ?9, started_us = ?10,"
	" ended_us = ?11, checkpoint_id = ?12, base_id = ?13, request = ?15, error = ?16,"
	" interrupts = ?17, output_keys = ?18, output = ?19";

static const char thread_insert[] = "INSERT INTO thread (" APD_THREAD_COLUMNS ", check_us)"
				    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?4)";

static const char thread_update[] =
	"UPDATE thread SET updated_us = ?4, rest = ?5, metadata = ?6, interrupts = ?7,"
	" continuation = ?8 WHERE tid = ?1";

static const char checkpoint_put[] = "INSERT INTO checkpoint (" APD_CHECKPOINT_COLUMNS ")"
				     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

static const char checkpoint_copy[] =
	"INSERT INTO checkpoint (" APD_CHECKPOINT_COLUMNS ")"
	" SELECT " APD_CHECKPOINT_COLUMNS_BUT_TID ", ?2, ?3 FROM checkpoint WHERE cid = ?1";

static const char outbox_put[] =
	"INSERT INTO outbox (" APD_OUTBOX_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
	" ON CONFLICT (id) DO UPDATE SET next_us = ?4, attempts = ?5";

/* What apd_apply_run_delete_by() reads. */
#define RETURNING " RETURNING run_id, metadata, thread_id, tid, rid, prev"

static const char purge_run[] = "DELETE FROM run WHERE rid = ?1 AND tid = ?2" RETURNING;

static const char sweep_run[] =
	"DELETE FROM run WHERE rid = (SELECT rid FROM run INDEXED BY run_ephemeral"
	" WHERE (flags & 1) AND ended_us > 0 AND ended_us < ?1 ORDER BY ended_us LIMIT "
	"1)" RETURNING;

static const char sweep_thread[] = "SELECT tid, thread_id FROM thread INDEXED BY thread_check"
				   " WHERE check_us < ?1 ORDER BY check_us LIMIT 1";

/* A busy thread is used right now, whatever the time is. */
static const char sweep_last_use[] =
	"SELECT max(updated_us,"
	" coalesce((SELECT created_us FROM checkpoint"
	"  WHERE cid = (SELECT cid FROM head WHERE tid = ?1)), updated_us),"
	" coalesce((SELECT updated_us FROM run"
	"  WHERE rid = (SELECT rid FROM head WHERE tid = ?1)), updated_us),"
	" iif(EXISTS (SELECT 1 FROM run INDEXED BY run_pending"
	"  WHERE tid = ?1 AND status = 0), ?2, updated_us))"
	" FROM thread WHERE tid = ?1";

int apd_write_prepare(struct apd_write_stmts *s, sqlite3 *db)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&s->begin, "BEGIN IMMEDIATE"},
		{&s->commit, "COMMIT"},
		{&s->rollback, "ROLLBACK"},
		{&s->save, "SAVEPOINT batch"},
		{&s->undo, "ROLLBACK TO batch"},
		{&s->release, "RELEASE batch"},
		{&s->run_put, run_put},
		{&s->run_delete, "DELETE FROM run WHERE run_id = ?1" RETURNING},
		{&s->run_find, "SELECT thread_id, tid, rid, prev FROM run WHERE run_id = ?1"},
		{&s->run_prev, "SELECT prev FROM run WHERE rid = ?1"},
		{&s->run_relink, "UPDATE run SET prev = ?2 WHERE rid = ?1"},
		{&s->run_tag_put,
			"INSERT INTO run_tag (hash, run_id) VALUES (?1, ?2)"
			" ON CONFLICT DO NOTHING"},
		{&s->run_tag_delete, "DELETE FROM run_tag WHERE hash = ?1 AND run_id = ?2"},
		{&s->thread_find,
			"SELECT tid, cid, rid FROM thread JOIN head USING (tid) WHERE thread_id = "
			"?1"},
		{&s->thread_insert, thread_insert},
		{&s->thread_update, thread_update},
		{&s->thread_metadata, "SELECT metadata, created_us FROM thread WHERE tid = ?1"},
		{&s->thread_delete, "DELETE FROM thread WHERE tid = ?1"},
		{&s->thread_tag_put,
			"INSERT INTO thread_tag (hash, created_us, thread_id, tid)"
			" VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET tid = ?4"},
		{&s->thread_tag_delete,
			"DELETE FROM thread_tag"
			" WHERE hash = ?1 AND created_us = ?2 AND thread_id = ?3"},
		{&s->head_insert, "INSERT INTO head (tid, cid, rid) VALUES (?1, 0, 0)"},
		{&s->head_update, "UPDATE head SET cid = ?2, rid = ?3 WHERE tid = ?1"},
		{&s->head_delete, "DELETE FROM head WHERE tid = ?1"},
		{&s->checkpoint_put, checkpoint_put},
		{&s->checkpoint_look, "SELECT prev, checkpoint_id FROM checkpoint WHERE cid = ?1"},
		{&s->checkpoint_delete, "DELETE FROM checkpoint WHERE cid = ?1"},
		{&s->checkpoint_copy, checkpoint_copy},
		{&s->outbox_put, outbox_put},
		{&s->outbox_delete, "DELETE FROM outbox WHERE id = ?1"},
		{&s->purge_put, "INSERT INTO purge (tid, cid, rid) VALUES (?1, ?2, ?3)"},
		{&s->purge_find, "SELECT tid, cid, rid FROM purge WHERE tid = ?1"},
		{&s->purge_first, "SELECT tid, cid, rid FROM purge ORDER BY tid LIMIT 1"},
		{&s->purge_update, "UPDATE purge SET cid = ?2, rid = ?3 WHERE tid = ?1"},
		{&s->purge_run, purge_run},
		{&s->purge_end, "DELETE FROM purge WHERE tid = ?1"},
		{&s->sweep_run, sweep_run},
		{&s->sweep_thread, sweep_thread},
		{&s->sweep_last_use, sweep_last_use},
		{&s->sweep_later, "UPDATE thread SET check_us = ?2 WHERE tid = ?1"},
	};

	for (size_t i = 0; i < APD_COUNT(all); i++) {
		int r = apd_db_prepare(db, all[i].sql, all[i].stmt);

		if (r < 0)
			return r;
	}
	return 0;
}
