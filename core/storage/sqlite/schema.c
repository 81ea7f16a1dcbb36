/* The schema, as the steps that led to it. */
#include "base/alloc.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/migrate.h"
#include "storage/sqlite/tags.h"

/*
 * Runs are a table with a rowid: they are wide, and a table keeps up to a page
 * of a row in place where WITHOUT ROWID keeps a quarter. Metadata stands before
 * the wide columns, so that a scan over it does not follow their overflow pages.
 * The order of searches is that of run_id, which is the order of creation and,
 * unlike created_us, knows no clock that jumps back; every index ends with it.
 * run_status leaves out success, which is most runs and found as fast by date.
 */
static const char version_1[] =
	"CREATE TABLE thread ("
	" thread_id BLOB NOT NULL PRIMARY KEY CHECK (length(thread_id) = 16),"
	" created_us INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE run ("
	" run_id BLOB NOT NULL PRIMARY KEY CHECK (length(run_id) = 16),"
	" thread_id BLOB NOT NULL CHECK (length(thread_id) = 16),"
	" agent_id TEXT NOT NULL,"
	" status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 4),"
	" flags INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" updated_us INTEGER NOT NULL,"
	" started_us INTEGER NOT NULL," /* 0: not yet, as in memory */
	" ended_us INTEGER NOT NULL,"
	" metadata TEXT," /* NULL: {} */
	" request TEXT NOT NULL,"
	" error TEXT,"
	" output TEXT"
	") STRICT;"
	"CREATE INDEX run_thread ON run (thread_id, run_id);"
	"CREATE INDEX run_agent ON run (agent_id, run_id);"
	"CREATE INDEX run_status ON run (status, run_id) WHERE status <> 1;"
	"CREATE INDEX run_ephemeral ON run (ended_us) WHERE (flags & 1) AND ended_us > 0;";

/*
 * Threads got numbers: a thread that is made again under an id has another one,
 * so that what is left of the old one is never taken for its own, and can go
 * bit by bit; `purge` says of which numbers something is left. check_us is when
 * to look next whether a thread is old, never later than its last use: it moves
 * only when one looks, so that use costs nothing.
 *
 * Checkpoints are written in the order of time, and so is their index, so that
 * those of many threads share the pages of a commit: an index by thread would
 * cost a page for each. Instead each knows the one before it in its thread, and
 * `head` the newest, in rows so small that those of all busy threads share pages.
 * The same goes for the runs of kept threads.
 *
 * The tables of tags end with the order of searches.
 */
static const char version_2[] =
	"ALTER TABLE thread RENAME TO thread_1;"
	"CREATE TABLE thread ("
	" tid INTEGER PRIMARY KEY,"
	" thread_id BLOB NOT NULL UNIQUE CHECK (length(thread_id) = 16),"
	" created_us INTEGER NOT NULL,"
	" updated_us INTEGER NOT NULL,"
	" check_us INTEGER NOT NULL,"
	" rest INTEGER NOT NULL CHECK (rest BETWEEN 0 AND 2),"
	" metadata TEXT," /* NULL: {} */
	" interrupts TEXT,"
	" continuation BLOB"
	") STRICT;"
	"INSERT INTO thread (thread_id, created_us, updated_us, check_us, rest)"
	" SELECT thread_id, created_us, created_us, created_us, 0 FROM thread_1 ORDER BY "
	"created_us;"
	"DROP TABLE thread_1;"
	"CREATE INDEX thread_created ON thread (created_us, thread_id);"
	"CREATE INDEX thread_rest ON thread (rest, created_us, thread_id) WHERE rest <> 0;"
	"CREATE INDEX thread_check ON thread (check_us);"
	"CREATE TABLE thread_tag ("
	" hash INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" thread_id BLOB NOT NULL,"
	" tid INTEGER NOT NULL,"
	" PRIMARY KEY (hash, created_us, thread_id)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE head ("
	" tid INTEGER PRIMARY KEY,"
	" cid INTEGER NOT NULL," /* the newest checkpoint; 0: there is none */
	" rid INTEGER NOT NULL" /* the newest run; 0: there is none */
	") STRICT;"
	"CREATE TABLE checkpoint ("
	" cid INTEGER PRIMARY KEY,"
	" tid INTEGER NOT NULL,"
	" prev INTEGER NOT NULL," /* the one before it in its thread; 0: it is the first */
	" checkpoint_id BLOB NOT NULL CHECK (length(checkpoint_id) = 16),"
	" parent_id BLOB,"
	" run_id BLOB,"
	" step INTEGER NOT NULL,"
	" source INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" whole INTEGER NOT NULL,"
	" name TEXT,"
	" removed TEXT,"
	" patch TEXT NOT NULL"
	") STRICT;"
	"CREATE UNIQUE INDEX checkpoint_key ON checkpoint (checkpoint_id, tid);"
	"CREATE TABLE purge ("
	" tid INTEGER PRIMARY KEY,"
	" cid INTEGER NOT NULL," /* the newest checkpoint and run that are left */
	" rid INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE outbox ("
	" id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),"
	" run_id BLOB NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" next_us INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL,"
	" url TEXT NOT NULL,"
	" body TEXT NOT NULL"
	") STRICT;"
	"CREATE INDEX outbox_next ON outbox (next_us, id);"
	"DROP INDEX run_thread;"
	"DROP INDEX run_agent;"
	"DROP INDEX run_status;"
	"DROP INDEX run_ephemeral;"
	"ALTER TABLE run RENAME TO run_1;"
	"CREATE TABLE run ("
	" rid INTEGER PRIMARY KEY,"
	" run_id BLOB NOT NULL UNIQUE CHECK (length(run_id) = 16),"
	" thread_id BLOB NOT NULL CHECK (length(thread_id) = 16),"
	" tid INTEGER NOT NULL," /* 0: an ephemeral run */
	" prev INTEGER NOT NULL," /* the one before it in its thread; 0: it is the first */
	" agent_id TEXT NOT NULL,"
	" status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 4),"
	" flags INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" created_us INTEGER NOT NULL,"
	" updated_us INTEGER NOT NULL,"
	" started_us INTEGER NOT NULL," /* 0: not yet, as in memory */
	" ended_us INTEGER NOT NULL,"
	" checkpoint_id BLOB," /* whose state is the output */
	" base_id BLOB,"
	" metadata TEXT," /* NULL: {} */
	" request TEXT NOT NULL,"
	" error TEXT,"
	" interrupts TEXT,"
	" output_keys TEXT,"
	" output TEXT"
	") STRICT;"
	"INSERT INTO run (run_id, thread_id, tid, prev, agent_id, status, flags, attempt, "
	"created_us,"
	" updated_us, started_us, ended_us, metadata, request, error, output)"
	" SELECT run_id, thread_id,"
	" iif(flags & 1, 0, coalesce((SELECT tid FROM thread WHERE thread_id = run_1.thread_id), "
	"0)), 0,"
	" agent_id, status, flags, attempt, created_us, updated_us, started_us, ended_us, metadata,"
	" request, error, output FROM run_1 ORDER BY run_id;"
	"DROP TABLE run_1;"
	"UPDATE run SET prev = link.prev FROM"
	" (SELECT rid, lag(rid, 1, 0) OVER (PARTITION BY tid ORDER BY rid) AS prev"
	"  FROM run WHERE tid <> 0) AS link WHERE link.rid = run.rid;"
	"INSERT INTO head (tid, cid, rid) SELECT tid, 0, 0 FROM thread;"
	"UPDATE head SET rid = newest.rid FROM"
	" (SELECT tid, max(rid) AS rid FROM run WHERE tid <> 0 GROUP BY tid) AS newest"
	" WHERE newest.tid = head.tid;"
	"CREATE INDEX run_thread ON run (thread_id, run_id) WHERE tid = 0;"
	"CREATE INDEX run_agent ON run (agent_id, run_id);"
	"CREATE INDEX run_status ON run (status, run_id) WHERE status > 1;"
	"CREATE INDEX run_pending ON run (tid, run_id) WHERE status = 0;"
	"CREATE INDEX run_ephemeral ON run (ended_us) WHERE (flags & 1) AND ended_us > 0;"
	"CREATE TABLE run_tag ("
	" hash INTEGER NOT NULL,"
	" run_id BLOB NOT NULL,"
	" PRIMARY KEY (hash, run_id)"
	") STRICT, WITHOUT ROWID;";

/* Gives the runs that there are their tags. */
static int tag_runs(sqlite3_stmt *read, sqlite3_stmt *write)
{
	struct apd_json json = {0};
	int rc, r = 0;

	while (r == 0 && (rc = sqlite3_step(read)) == SQLITE_ROW) {
		struct apd_tags tags;
		struct apd_str metadata;
		struct apd_id id;

		if (!apd_db_column_id(read, 0, &id) || !apd_db_column_text(read, 1, &metadata))
			continue;
		apd_tags_of_row(&tags, &json, metadata);
		for (unsigned i = 0; r == 0 && i < tags.n; i++) {
			sqlite3_bind_int64(write, 1, tags.items[i]);
			apd_db_bind_id(write, 2, &id);
			r = apd_db_run(write);
		}
	}
	apd_json_finish(&json);
	return r ? r : apd_db_errno(rc);
}

static int fill_2(sqlite3 *db)
{
	sqlite3_stmt *read = NULL, *write = NULL;
	int r;

	r = apd_db_prepare(
		db, "SELECT run_id, metadata FROM run WHERE metadata IS NOT NULL", &read);
	if (r == 0)
		r = apd_db_prepare(
			db, "INSERT INTO run_tag (hash, run_id) VALUES (?1, ?2)", &write);
	if (r == 0)
		r = tag_runs(read, write);
	sqlite3_finalize(read);
	sqlite3_finalize(write);
	return r;
}

const struct apd_schema_step apd_schema_steps[] = {
	{version_1, NULL},
	{version_2, fill_2},
};
const unsigned apd_schema_version = APD_COUNT(apd_schema_steps);
