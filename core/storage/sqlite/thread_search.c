/*
 * Searching threads. Candidates come newest first from where there are the
 * fewest: the tags of the metadata, the busy ones, those that rest in something,
 * or all. Each is looked at in turn, the cheap things first, its state last.
 */
#include <errno.h>
#include <stdlib.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/thread_sql.h"

/* What the threads of one answer may weigh. */
#define ANSWER_MAX_BYTES (64u << 20)

/* A search while it runs. */
struct run {
	struct apd_reads *reads;
	struct apd_thread_search *search;
	struct apd_json metadata; /* the filters, scanned; count 0: none */
	struct apd_json values;
	struct apd_tag_walk walk;
	bool tagged; /* candidates come from the walk, */
	sqlite3_stmt *candidates; /* or from here */
	sqlite3_stmt *thread;
	uint64_t skip;
	size_t cap;
	size_t bytes;
};

/* Scans a filter, which has to be an object. */
static int scan_filter(struct apd_json *json, struct apd_str text)
{
	if (!text.ptr)
		return 0;
	if (apd_json_scan(json, text) < 0 || apd_json_type(json, 0) != APD_JSON_OBJECT) {
		json->count = 0;
		return -EINVAL;
	}
	return 0;
}

/* Chooses the statement for candidates that no tag finds. */
static int choose_statement(struct run *run)
{
	const struct apd_thread_query *query = &run->search->query;
	bool all = query->status < 0 && !run->metadata.count && !run->values.count;
	enum apd_read_stmt which = APD_READ_THREADS;
	int r;

	if (query->status == APD_THREAD_STATUS_BUSY)
		which = APD_READ_THREADS_BUSY;
	else if (query->status == APD_THREAD_STATUS_INTERRUPTED ||
		query->status == APD_THREAD_STATUS_ERROR)
		which = APD_READ_THREADS_AT_REST;
	r = apd_reads_stmt(run->reads, which, &run->candidates);
	if (r < 0)
		return r;
	if (which == APD_READ_THREADS_AT_REST)
		sqlite3_bind_int64(run->candidates, 1,
			query->status == APD_THREAD_STATUS_ERROR ? APD_THREAD_ERROR
								 : APD_THREAD_INTERRUPTED);
	if (which != APD_READ_THREADS)
		return 0;
	/* Where nothing is looked at, skipping is the statement's. */
	sqlite3_bind_int64(run->candidates, 1,
		!all                                      ? 0
			: run->skip > (uint64_t)INT64_MAX ? INT64_MAX
							  : (int64_t)run->skip);
	if (all)
		run->skip = 0;
	return 0;
}

/* Chooses where candidates come from. */
static int choose(struct run *run)
{
	int status = run->search->query.status;
	int r = 0;

	r = apd_reads_stmt(run->reads, APD_READ_THREAD_BY_TID, &run->thread);
	if (r == 0 && run->metadata.count) {
		r = apd_tag_walk_begin(&run->walk, run->reads, APD_TAG_THREADS, &run->metadata);
		if (r < 0)
			return r;
		run->tagged = r > 0 &&
			(!run->walk.common || status < 0 || status == APD_THREAD_STATUS_IDLE);
		if (r > 0 && !run->tagged)
			apd_tag_walk_end(&run->walk);
		r = 0;
	}
	return r < 0 || run->tagged ? r : choose_statement(run);
}

/* The next candidate's number: 1, 0 at the end, or a negative errno. */
static int next_candidate(struct run *run, int64_t *ret_tid)
{
	struct apd_id id;
	int rc;

	if (run->tagged)
		return apd_tag_walk_next(&run->walk, &id, ret_tid);
	rc = sqlite3_step(run->candidates);
	if (rc == SQLITE_ROW)
		*ret_tid = sqlite3_column_int64(run->candidates, 0);
	return rc == SQLITE_ROW ? 1 : apd_db_errno(rc);
}

/* Whether the status of the thread is the one that is asked for. 1, 0 or a negative errno. */
static int has_status(struct run *run, int64_t tid)
{
	static const int64_t rests[] = {
		[APD_THREAD_STATUS_IDLE] = APD_THREAD_IDLE,
		[APD_THREAD_STATUS_INTERRUPTED] = APD_THREAD_INTERRUPTED,
		[APD_THREAD_STATUS_ERROR] = APD_THREAD_ERROR,
	};
	int status = run->search->query.status;
	int busy;

	if (status < 0)
		return 1;
	if (status != APD_THREAD_STATUS_BUSY &&
		sqlite3_column_int64(run->thread, APD_THREAD_COLUMN_REST) != rests[status])
		return 0;
	busy = apd_view_busy(run->reads, tid);
	return busy < 0 ? busy : busy == (status == APD_THREAD_STATUS_BUSY);
}

/* Whether the metadata of the thread contains the filter. */
static bool has_metadata(struct run *run)
{
	struct apd_json *json = &run->reads->json;
	struct apd_str text;

	if (!run->metadata.count)
		return true;
	if (!apd_db_column_text(run->thread, APD_THREAD_COLUMN_METADATA, &text))
		return false;
	return apd_json_scan(json, text.ptr ? text : APD_STR("{}")) == 0 &&
		apd_json_contains(json, 0, &run->metadata, 0);
}

/* Whether the values contain the filter; only those that it names are scanned. */
static bool has_values(struct run *run, const struct apd_state *state)
{
	struct apd_json *json = &run->reads->json;
	struct apd_buf scratch = {0};
	bool all = true;

	if (!run->values.count)
		return true;
	apd_json_each_member (&run->values, 0, k) {
		struct apd_str value =
			apd_state_value(state, apd_json_string(&run->values, k, &scratch));

		all = value.ptr && apd_json_scan(json, value) == 0 &&
			apd_json_contains(json, 0, &run->values, k + 1);
		if (!all)
			break;
	}
	apd_buf_finish(&scratch);
	return all;
}

/* Adds a view to what was found, or passes it over. */
static int found(struct run *run, struct apd_thread_view *view)
{
	struct apd_thread_search *search = run->search;

	if (run->skip) {
		run->skip--;
		apd_thread_view_finish(view);
		return 0;
	}
	if (search->n_views == run->cap) {
		run->cap = run->cap ? run->cap * 2 : 16;
		search->views = apd_realloc(search->views, run->cap * sizeof(*search->views));
	}
	run->bytes += view->state->bytes + view->thread->text->len;
	search->views[search->n_views++] = *view;
	return run->bytes > ANSWER_MAX_BYTES ? -E2BIG : 0;
}

/* Looks at the thread that is the statement's current row. */
static int judge(struct run *run, int64_t tid)
{
	struct apd_thread_view view;
	int r;

	if (!has_metadata(run))
		return 0;
	r = has_status(run, tid);
	if (r <= 0)
		return r;
	/* What is passed over needs no state unless that decides. */
	if (run->skip && !run->values.count) {
		run->skip--;
		return 0;
	}
	r = apd_view_read(run->reads, run->thread, &view);
	if (r < 0)
		return r;
	if (has_values(run, view.state))
		return found(run, &view);
	apd_thread_view_finish(&view);
	return 0;
}

/* Looks at one candidate. */
static int look_at(struct run *run, int64_t tid)
{
	int rc, r;

	r = apd_reads_check_time(run->reads);
	if (r < 0)
		return r;
	sqlite3_bind_int64(run->thread, 1, tid);
	rc = sqlite3_step(run->thread);
	r = rc == SQLITE_ROW ? judge(run, tid) : apd_db_errno(rc);
	sqlite3_reset(run->thread);
	return r;
}

static int walk(struct run *run)
{
	int64_t tid;
	int r = choose(run);

	while (r == 0 && run->search->n_views < run->search->query.limit) {
		r = next_candidate(run, &tid);
		if (r <= 0)
			break;
		r = look_at(run, tid);
	}
	if (run->candidates)
		sqlite3_reset(run->candidates);
	if (run->tagged)
		apd_tag_walk_end(&run->walk);
	return r;
}

int apd_search_threads(struct apd_reads *reads, struct apd_thread_search *search)
{
	struct run run = {.reads = reads, .search = search, .skip = search->query.offset};
	int r;

	search->views = NULL;
	search->n_views = 0;
	r = scan_filter(&run.metadata, search->query.metadata);
	if (r == 0)
		r = scan_filter(&run.values, search->query.values);
	if (r == 0)
		r = walk(&run);
	apd_json_finish(&run.metadata);
	apd_json_finish(&run.values);
	if (r == 0)
		return 0;
	while (search->n_views > 0)
		apd_thread_view_finish(&search->views[--search->n_views]);
	free(search->views);
	search->views = NULL;
	return r;
}
