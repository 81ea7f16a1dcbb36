/*
 * Searching runs: along the list of a thread's, by the rarest tag of the metadata
 * where there is one, else by an index, which is named in the statement by the
 * filter that leaves the fewest rows, so that a plan never depends on statistics.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"
#include "storage/sqlite/thread_sql.h"

/* What the rows of one answer may weigh: as many large inputs would fill the memory. */
#define ANSWER_MAX_BYTES (64u << 20)

/* Which statement of the cache serves a query. */
static size_t slot_of(const struct apd_run_query *query)
{
	size_t slot = (size_t)query->status + 1; /* 0 for any status, which is -1 */

	assert(query->status >= -1 && query->status <= APD_RUN_INTERRUPTED);
	slot = slot * 2 + (query->agent_id.ptr ? 1 : 0);
	return slot * 2 + (query->metadata.ptr ? 1 : 0);
}

/*
 * The index that serves a query and, for a partial one, the condition that lets
 * it be used. No index finds success by status: most runs are.
 */
static const char *source_of(const struct apd_run_query *query)
{
	if (query->status == APD_RUN_PENDING)
		return " INDEXED BY run_pending WHERE status = 0";
	if (query->status > APD_RUN_SUCCESS)
		return " INDEXED BY run_status WHERE status > 1";
	/* The key itself needs no name: nothing else gives the order. */
	return query->agent_id.ptr ? " INDEXED BY run_agent WHERE 1" : " WHERE 1";
}

/* Writes the statement of a query. The status is no parameter, since it decides about the index. */
static void write_sql(struct apd_buf *sql, const struct apd_run_query *query)
{
	apd_buf_addf(sql, "SELECT " APD_RUN_COLUMNS_LISTED " FROM run%s", source_of(query));
	apd_buf_lit(sql, " AND " APD_RUN_IS_THERE);
	if (query->agent_id.ptr)
		apd_buf_lit(sql, " AND agent_id = ?2");
	if (query->status >= 0)
		apd_buf_addf(sql, " AND status = %d", query->status);
	if (query->metadata.ptr)
		apd_buf_lit(sql, " AND apd_contains(metadata, ?3)");
	apd_buf_lit(sql, " ORDER BY run_id DESC LIMIT ?4 OFFSET ?5");
}

/* The prepared statement of a query. */
static int statement(struct apd_search_cache *cache, sqlite3 *db, const struct apd_run_query *query,
	sqlite3_stmt **ret_stmt)
{
	sqlite3_stmt **slot = &cache->stmts[slot_of(query)];
	struct apd_buf sql = {0};
	int r = 0;

	if (!*slot) {
		write_sql(&sql, query);
		r = apd_db_prepare(db, sql.data, slot);
		apd_buf_finish(&sql);
	}
	if (r == 0)
		*ret_stmt = *slot;
	return r;
}

/* Searches with a statement of the cache. */
static int search_plain(struct apd_search_cache *cache, sqlite3 *db, struct apd_run_search *search)
{
	const struct apd_run_query *query = &search->query;
	sqlite3_stmt *stmt = NULL;
	int r;

	r = statement(cache, db, query, &stmt);
	if (r < 0)
		return r;
	if (query->agent_id.ptr)
		apd_db_bind_str(stmt, 2, query->agent_id);
	if (query->metadata.ptr)
		apd_db_bind_str(stmt, 3, query->metadata);
	sqlite3_bind_int64(stmt, 4, query->limit);
	sqlite3_bind_int64(stmt, 5, query->offset > INT64_MAX ? INT64_MAX : (int64_t)query->offset);
	r = apd_run_rows_read(stmt, ANSWER_MAX_BYTES, &search->rows, &search->n_rows);
	/* The ranges are the caller's, and gone when the statement is used again. */
	sqlite3_clear_bindings(stmt);
	return r;
}

/* A search that looks at one run after the other. */
struct search {
	struct apd_reads *reads;
	const struct apd_run_query *query;
	const struct apd_json *filter; /* of the metadata; NULL: none */
	uint64_t skip;
	struct apd_run_rows rows;
};

/* Whether the statement's current row is one that is asked for. */
static bool matches(const struct search *search, sqlite3_stmt *stmt)
{
	const struct apd_run_query *query = search->query;
	struct apd_json *json = &search->reads->json;
	struct apd_str agent_id, metadata;

	if (query->status >= 0 &&
		sqlite3_column_int64(stmt, APD_RUN_COLUMN_STATUS) != query->status)
		return false;
	if (query->agent_id.ptr &&
		(!apd_db_column_text(stmt, APD_RUN_COLUMN_AGENT_ID, &agent_id) ||
			!apd_str_eq(agent_id, query->agent_id)))
		return false;
	if (!search->filter)
		return true;
	return apd_db_column_text(stmt, APD_RUN_COLUMN_METADATA, &metadata) &&
		apd_json_scan(json, metadata.ptr ? metadata : APD_STR("{}")) == 0 &&
		apd_json_contains(json, 0, search->filter, 0);
}

/* Looks at the statement's current row; adds it to those found, or passes it over. */
static int look_at(struct search *search, sqlite3_stmt *stmt)
{
	int r = apd_reads_check_time(search->reads);

	if (r < 0 || !matches(search, stmt))
		return r;
	if (search->skip) {
		search->skip--;
		return 0;
	}
	return apd_run_rows_add(&search->rows, stmt, ANSWER_MAX_BYTES);
}

/* Searches along a walk by tags. */
static int search_tagged(struct search *search, struct apd_tag_walk *walk)
{
	sqlite3_stmt *stmt;
	int r = apd_reads_stmt(search->reads, APD_READ_RUN_LISTED, &stmt);

	while (r == 0 && search->rows.n < search->query->limit) {
		struct apd_id id;
		int64_t tid;
		int rc;

		r = apd_tag_walk_next(walk, &id, &tid);
		if (r <= 0)
			break;
		apd_db_bind_id(stmt, 1, &id);
		rc = sqlite3_step(stmt);
		/* One that is not there is gone with its thread. */
		r = rc == SQLITE_ROW ? look_at(search, stmt) : apd_db_errno(rc);
		sqlite3_reset(stmt);
	}
	return r;
}

/* The runs of a thread: those of its list, and ephemeral ones under the same id. */
struct thread_runs {
	sqlite3_stmt *kept;
	sqlite3_stmt *ephemeral;
	bool has_kept; /* the statement is at a row that was not looked at */
	bool has_ephemeral;
	int64_t tid;
};

/* Goes to the kept run of a number, if it is one. */
static int step_kept(struct thread_runs *runs, int64_t rid)
{
	int rc;

	sqlite3_reset(runs->kept);
	runs->has_kept = false;
	if (rid == 0)
		return 0;
	sqlite3_bind_int64(runs->kept, 1, rid);
	sqlite3_bind_int64(runs->kept, 2, runs->tid);
	rc = sqlite3_step(runs->kept);
	runs->has_kept = rc == SQLITE_ROW;
	return rc == SQLITE_DONE ? -EBADMSG : apd_db_errno(rc);
}

static int step_ephemeral(struct thread_runs *runs)
{
	int rc = sqlite3_step(runs->ephemeral);

	runs->has_ephemeral = rc == SQLITE_ROW;
	return apd_db_errno(rc);
}

/* Finds the newest kept run of the thread; 0 if there is none. */
static int find_newest(
	struct apd_reads *reads, const struct apd_id *thread_id, int64_t *ret_tid, int64_t *ret_rid)
{
	sqlite3_stmt *stmt;
	int rc, r;

	r = apd_reads_stmt(reads, APD_READ_THREAD, &stmt);
	if (r < 0)
		return r;
	apd_db_bind_id(stmt, 1, thread_id);
	rc = sqlite3_step(stmt);
	*ret_tid = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, APD_THREAD_COLUMN_TID) : 0;
	sqlite3_reset(stmt);
	*ret_rid = 0;
	if (rc != SQLITE_ROW)
		return apd_db_errno(rc);
	r = apd_reads_stmt(reads, APD_READ_HEAD, &stmt);
	if (r < 0)
		return r;
	sqlite3_bind_int64(stmt, 1, *ret_tid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret_rid = sqlite3_column_int64(stmt, 1);
	sqlite3_reset(stmt);
	return apd_db_errno(rc);
}

/* Puts both statements at their newest run. */
static int begin_thread(
	struct apd_reads *reads, const struct apd_id *thread_id, struct thread_runs *runs)
{
	int64_t rid;
	int r;

	r = apd_reads_stmt(reads, APD_READ_RUN_BY_RID, &runs->kept);
	if (r == 0)
		r = apd_reads_stmt(reads, APD_READ_RUNS_EPHEMERAL, &runs->ephemeral);
	if (r == 0)
		r = find_newest(reads, thread_id, &runs->tid, &rid);
	if (r < 0)
		return r;
	apd_db_bind_id(runs->ephemeral, 1, thread_id);
	r = step_kept(runs, rid);
	return r < 0 ? r : step_ephemeral(runs);
}

/* Whether the kept run is the newer one of the two. */
static bool kept_is_newer(const struct thread_runs *runs)
{
	struct apd_id kept, ephemeral;

	if (!runs->has_kept || !runs->has_ephemeral)
		return runs->has_kept;
	return apd_db_column_id(runs->kept, APD_RUN_COLUMN_ID, &kept) &&
		apd_db_column_id(runs->ephemeral, APD_RUN_COLUMN_ID, &ephemeral) &&
		memcmp(kept.bytes, ephemeral.bytes, sizeof(kept.bytes)) > 0;
}

/* Searches among the runs of a thread. */
static int search_thread(struct search *search)
{
	struct thread_runs runs = {0};
	int r = begin_thread(search->reads, search->query->thread_id, &runs);

	while (r == 0 && search->rows.n < search->query->limit &&
		(runs.has_kept || runs.has_ephemeral)) {
		bool kept = kept_is_newer(&runs);

		r = look_at(search, kept ? runs.kept : runs.ephemeral);
		if (r == 0)
			r = kept ? step_kept(&runs,
					   sqlite3_column_int64(runs.kept, APD_RUN_N_COLUMNS))
				 : step_ephemeral(&runs);
	}
	if (runs.kept)
		sqlite3_reset(runs.kept);
	if (runs.ephemeral)
		sqlite3_reset(runs.ephemeral);
	return r;
}

/* Whether an index leaves few rows without looking at the metadata. */
static bool is_narrow(const struct apd_run_query *query)
{
	return query->status >= 0 && query->status != APD_RUN_SUCCESS;
}

/* Searches one run after the other: 1; 0 where a statement of the cache does it better. */
static int search_each(struct search *search)
{
	struct apd_tag_walk walk;
	bool good;
	int r;

	if (search->query->thread_id) {
		r = search_thread(search);
		return r < 0 ? r : 1;
	}
	if (!search->filter)
		return 0;
	r = apd_tag_walk_begin(&walk, search->reads, APD_TAG_RUNS, search->filter);
	if (r <= 0)
		return r;
	good = !walk.common || !is_narrow(search->query);
	if (good)
		r = search_tagged(search, &walk);
	apd_tag_walk_end(&walk);
	return r < 0 ? r : good;
}

int apd_search_run(
	struct apd_search_cache *cache, struct apd_reads *reads, struct apd_run_search *search)
{
	struct search each = {
		.reads = reads, .query = &search->query, .skip = search->query.offset};
	struct apd_json filter = {0};
	int r = 0;

	if (search->query.metadata.ptr) {
		each.filter = &filter;
		if (apd_json_scan(&filter, search->query.metadata) < 0)
			r = -EINVAL;
	}
	if (r == 0)
		r = search_each(&each);
	apd_json_finish(&filter);
	if (r == 0)
		return search_plain(cache, reads->db, search);
	if (r < 0) {
		apd_run_rows_free(each.rows.items, each.rows.n);
		return r;
	}
	search->rows = each.rows.items;
	search->n_rows = each.rows.n;
	return 0;
}
