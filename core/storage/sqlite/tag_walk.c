/* Walking over rows by a tag. */
#include <errno.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/reads.h"
#include "storage/sqlite/tags.h"

/* How far tags are counted, step by step, to find the rarest. */
static const int64_t probes[] = {16, 256, 4096};

/* The statements of a kind. */
static const struct {
	enum apd_read_stmt walk;
	enum apd_read_stmt many;
	enum apd_read_stmt count;
} kinds[] = {
	[APD_TAG_RUNS] = {APD_READ_RUN_TAG, APD_READ_RUN_TAG_MANY, APD_READ_RUN_TAG_COUNT},
	[APD_TAG_THREADS] = {APD_READ_THREAD_TAG, APD_READ_THREAD_TAG_MANY,
		APD_READ_THREAD_TAG_COUNT},
};

/* Counts the rows of a tag, up to a number. */
static int count(sqlite3_stmt *stmt, int64_t tag, int64_t most, int64_t *ret_count)
{
	int rc;

	sqlite3_bind_int64(stmt, 1, tag);
	sqlite3_bind_int64(stmt, 2, most);
	rc = sqlite3_step(stmt);
	*ret_count = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	return apd_db_errno(rc);
}

/* Finds the rarest of some tags. */
static int rarest(struct apd_reads *reads, enum apd_tag_kind kind, const struct apd_tags *tags,
	int64_t *ret_tag, bool *ret_common)
{
	int64_t best = tags->items[0], n;
	sqlite3_stmt *stmt;
	int r;

	r = apd_reads_stmt(reads, kinds[kind].count, &stmt);
	*ret_common = true;
	for (size_t p = 0; r == 0 && *ret_common && p < APD_COUNT(probes); p++) {
		int64_t least = probes[p];

		for (unsigned i = 0; r == 0 && i < tags->n; i++) {
			r = count(stmt, tags->items[i], probes[p], &n);
			if (r == 0 && n < least) {
				least = n;
				best = tags->items[i];
				*ret_common = false;
			}
		}
	}
	*ret_tag = best;
	return r;
}

/* Goes to a statement's next row. */
static int advance(sqlite3_stmt *stmt, bool *ret_has)
{
	int rc = sqlite3_step(stmt);

	*ret_has = rc == SQLITE_ROW;
	return apd_db_errno(rc);
}

int apd_tag_walk_begin(struct apd_tag_walk *walk, struct apd_reads *reads, enum apd_tag_kind kind,
	const struct apd_json *filter)
{
	struct apd_tags tags;
	int64_t tag;
	int r;

	*walk = (struct apd_tag_walk){0};
	apd_tags_of_filter(&tags, filter);
	if (tags.n == 0)
		return 0;
	r = rarest(reads, kind, &tags, &tag, &walk->common);
	if (r == 0)
		r = apd_reads_stmt(reads, kinds[kind].walk, &walk->rare);
	if (r == 0)
		r = apd_reads_stmt(reads, kinds[kind].many, &walk->many);
	if (r < 0)
		return r;
	sqlite3_bind_int64(walk->rare, 1, tag);
	r = advance(walk->rare, &walk->has_rare);
	if (r == 0)
		r = advance(walk->many, &walk->has_many);
	if (r < 0)
		apd_tag_walk_end(walk);
	return r < 0 ? r : 1;
}

/* Whether the row of one statement is newer than that of the other. */
static bool is_newer(sqlite3_stmt *a, sqlite3_stmt *b)
{
	int64_t x = sqlite3_column_int64(a, 1), y = sqlite3_column_int64(b, 1);
	struct apd_id i, j;

	if (x != y)
		return x > y;
	return apd_db_column_id(a, 0, &i) && apd_db_column_id(b, 0, &j) &&
		memcmp(i.bytes, j.bytes, sizeof(i.bytes)) > 0;
}

int apd_tag_walk_next(struct apd_tag_walk *walk, struct apd_id *ret_id, int64_t *ret_tid)
{
	bool rare;
	sqlite3_stmt *stmt;
	int r;

	if (!walk->has_rare && !walk->has_many)
		return 0;
	rare = walk->has_rare && (!walk->has_many || is_newer(walk->rare, walk->many));
	stmt = rare ? walk->rare : walk->many;
	if (!apd_db_column_id(stmt, 0, ret_id))
		return -EBADMSG;
	*ret_tid = sqlite3_column_int64(stmt, 2);
	r = advance(stmt, rare ? &walk->has_rare : &walk->has_many);
	return r < 0 ? r : 1;
}

void apd_tag_walk_end(struct apd_tag_walk *walk)
{
	if (walk->rare)
		sqlite3_reset(walk->rare);
	if (walk->many)
		sqlite3_reset(walk->many);
}
