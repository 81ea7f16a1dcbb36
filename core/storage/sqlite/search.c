/*
 * Searching runs: by the rarest tag of the metadata where there is one, else by
 * an index, which is named in the statement by the filter that leaves the fewest
 * rows, so that a plan never depends on statistics; all of them give the order
 * for nothing.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/row_sql.h"

/* What the rows of one answer may weigh: as many large inputs would fill the memory. */
#define ANSWER_MAX_BYTES (64u << 20)

/* Which statement of the cache serves a query. */
static size_t slot_of(const struct apd_run_query *query)
{
	size_t slot = (size_t)query->status + 1; /* 0 for any status, which is -1 */

	assert(query->status >= -1 && query->status <= APD_RUN_INTERRUPTED);
	slot = slot * 2 + (query->thread_id ? 1 : 0);
	slot = slot * 2 + (query->agent_id.ptr ? 1 : 0);
	return slot * 2 + (query->metadata.ptr ? 1 : 0);
}

/*
 * The index that serves a query and, for a partial one, the condition that lets
 * it be used. No index finds success by status: most runs are.
 */
static const char *source_of(const struct apd_run_query *query)
{
	if (query->thread_id)
		return " INDEXED BY run_thread WHERE 1";
	if (query->status >= 0 && query->status != APD_RUN_SUCCESS)
		return " INDEXED BY run_status WHERE status <> 1";
	/* The key itself needs no name: nothing else gives the order. */
	return query->agent_id.ptr ? " INDEXED BY run_agent WHERE 1" : " WHERE 1";
}

/* Writes the statement of a query. The status is no parameter, since it decides about the index. */
static void write_sql(struct apd_buf *sql, const struct apd_run_query *query)
{
	apd_buf_addf(sql, "SELECT " APD_RUN_COLUMNS_LISTED " FROM run%s", source_of(query));
	apd_buf_lit(sql, " AND " APD_RUN_IS_THERE);
	if (query->thread_id)
		apd_buf_lit(sql, " AND thread_id = ?1");
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
	if (query->thread_id)
		apd_db_bind_id(stmt, 1, query->thread_id);
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

/* Whether the statement's current row is one that is asked for. */
static bool matches(sqlite3_stmt *stmt, struct apd_json *json, const struct apd_run_query *query,
	const struct apd_json *filter)
{
	struct apd_str agent_id, metadata;
	struct apd_id thread_id;

	if (query->status >= 0 &&
		sqlite3_column_int64(stmt, APD_RUN_COLUMN_STATUS) != query->status)
		return false;
	if (query->thread_id &&
		(!apd_db_column_id(stmt, APD_RUN_COLUMN_THREAD_ID, &thread_id) ||
			!apd_id_eq(&thread_id, query->thread_id)))
		return false;
	if (query->agent_id.ptr &&
		(!apd_db_column_text(stmt, APD_RUN_COLUMN_AGENT_ID, &agent_id) ||
			!apd_str_eq(agent_id, query->agent_id)))
		return false;
	return apd_db_column_text(stmt, APD_RUN_COLUMN_METADATA, &metadata) && metadata.ptr &&
		apd_json_scan(json, metadata) == 0 && apd_json_contains(json, 0, filter, 0);
}

/* Looks at one run; adds it to the rows, or passes it over. */
static int look_at(struct apd_reads *reads, sqlite3_stmt *stmt, const struct apd_run_query *query,
	const struct apd_json *filter, uint64_t *skip, struct apd_run_rows *rows)
{
	int rc, r;

	r = apd_reads_check_time(reads);
	if (r < 0)
		return r;
	rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return apd_db_errno(rc); /* gone with its thread */
	if (!matches(stmt, &reads->json, query, filter))
		return 0;
	if (*skip) {
		--*skip;
		return 0;
	}
	return apd_run_rows_add(rows, stmt, ANSWER_MAX_BYTES);
}

/* Searches along a walk by tags. */
static int search_tagged(struct apd_reads *reads, struct apd_tag_walk *walk,
	const struct apd_json *filter, struct apd_run_search *search)
{
	uint64_t skip = search->query.offset;
	struct apd_run_rows rows = {0};
	sqlite3_stmt *stmt;
	int r;

	r = apd_reads_stmt(reads, APD_READ_RUN_LISTED, &stmt);
	while (r == 0 && rows.n < search->query.limit) {
		struct apd_id id;
		int64_t tid;

		r = apd_tag_walk_next(walk, &id, &tid);
		if (r <= 0)
			break;
		apd_db_bind_id(stmt, 1, &id);
		r = look_at(reads, stmt, &search->query, filter, &skip, &rows);
		sqlite3_reset(stmt);
	}
	if (r < 0) {
		apd_run_rows_free(rows.items, rows.n);
		return r;
	}
	search->rows = rows.items;
	search->n_rows = rows.n;
	return 0;
}

/* Whether an index leaves few rows without looking at the metadata. */
static bool is_narrow(const struct apd_run_query *query)
{
	return query->thread_id || (query->status >= 0 && query->status != APD_RUN_SUCCESS);
}

int apd_search_run(
	struct apd_search_cache *cache, struct apd_reads *reads, struct apd_run_search *search)
{
	const struct apd_run_query *query = &search->query;
	struct apd_json filter = {0};
	struct apd_tag_walk walk;
	int r = 0;

	if (query->metadata.ptr) {
		if (apd_json_scan(&filter, query->metadata) < 0)
			r = -EINVAL;
		else
			r = apd_tag_walk_begin(&walk, reads, APD_TAG_RUNS, &filter);
	}
	if (r > 0) {
		bool tagged = !walk.common || !is_narrow(query);

		r = tagged ? search_tagged(reads, &walk, &filter, search) : 0;
		apd_tag_walk_end(&walk);
		if (!tagged)
			r = search_plain(cache, reads->db, search);
	} else if (r == 0) {
		r = search_plain(cache, reads->db, search);
	}
	apd_json_finish(&filter);
	return r;
}
