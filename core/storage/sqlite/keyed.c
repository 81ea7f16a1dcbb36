/*
 * Keyed reads on the caller's thread. Each thread remembers the connection that
 * it used last, together with the serial number of the storage it belongs to, so
 * that a read takes no lock and a storage that was closed is never touched. The
 * connections themselves are in the storage's list and closed with it, not when
 * their thread ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"
#include "storage/sqlite/thread_sql.h"

struct connection {
	struct apd_list link;
	uint64_t thread; /* whose it is */
	struct apd_reads reads;
};

/* What this thread used last; valid only while the serial is the storage's. */
static _Thread_local struct {
	uint64_t serial;
	struct connection *connection;
} last;

/* A number for this thread that none other gets, unlike its id, which the next thread may get. */
static uint64_t this_thread(void)
{
	static _Atomic uint64_t counter;
	static _Thread_local uint64_t number;

	if (!number)
		number = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed) + 1;
	return number;
}

void apd_keyed_init(struct apd_keyed *keyed, const char *path)
{
	static _Atomic uint64_t counter;

	keyed->serial = atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed) + 1;
	keyed->path = path;
	pthread_mutex_init(&keyed->mutex, NULL);
	apd_list_init(&keyed->connections);
}

void apd_keyed_finish(struct apd_keyed *keyed)
{
	struct connection *connection, *next;

	apd_list_each_safe (connection, next, &keyed->connections, link) {
		apd_reads_close(&connection->reads);
		free(connection);
	}
	pthread_mutex_destroy(&keyed->mutex);
}

/* Makes this thread's connection. */
static int connect_thread(struct apd_keyed *keyed, struct connection **ret_connection)
{
	struct connection *connection = apd_calloc(1, sizeof(*connection));
	int r;

	connection->thread = this_thread();
	r = apd_reads_open(&connection->reads, keyed->path);
	if (r < 0) {
		free(connection);
		return r;
	}
	pthread_mutex_lock(&keyed->mutex);
	apd_list_append(&keyed->connections, &connection->link);
	pthread_mutex_unlock(&keyed->mutex);
	*ret_connection = connection;
	return 0;
}

/* Finds this thread's connection in the list, for a thread that reads several storages in turn. */
static struct connection *find(struct apd_keyed *keyed)
{
	struct connection *connection, *found = NULL;
	uint64_t thread = this_thread();

	pthread_mutex_lock(&keyed->mutex);
	apd_list_each (connection, &keyed->connections, link) {
		if (connection->thread == thread) {
			found = connection;
			break;
		}
	}
	pthread_mutex_unlock(&keyed->mutex);
	return found;
}

/* What this thread reads with. */
static int reads_of(struct apd_keyed *keyed, struct apd_reads **ret_reads)
{
	struct connection *connection;
	int r = 0;

	if (last.serial != keyed->serial) {
		connection = find(keyed);
		if (!connection)
			r = connect_thread(keyed, &connection);
		if (r < 0)
			return r;
		last.serial = keyed->serial;
		last.connection = connection;
	}
	*ret_reads = &last.connection->reads;
	return 0;
}

int apd_keyed_get_run(struct apd_keyed *keyed, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row)
{
	struct apd_reads *reads;
	int r = reads_of(keyed, &reads);

	if (r == 0 && with_output)
		r = apd_reads_begin(reads);
	if (r < 0)
		return r;
	r = apd_view_get_run(reads, run_id, with_output, ret_row);
	apd_reads_end(reads);
	return r;
}

int apd_keyed_get_thread(
	struct apd_keyed *keyed, const struct apd_id *thread_id, struct apd_thread_view *ret_view)
{
	struct apd_reads *reads;
	int r = reads_of(keyed, &reads);

	if (r == 0)
		r = apd_reads_begin(reads);
	if (r < 0)
		return r;
	r = apd_view_get_thread(reads, thread_id, ret_view);
	apd_reads_end(reads);
	return r;
}

/* Reads the due rows of a bound statement, and when the one after them is due. */
static int read_due(sqlite3_stmt *stmt, int64_t now_us, struct apd_outbox_row **rows,
	uint32_t limit, size_t *n, int64_t *ret_next_us)
{
	int rc, r = 0;

	*ret_next_us = INT64_MAX;
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct apd_outbox_row *row;

		r = apd_outbox_row_read(stmt, &row);
		if (r < 0)
			return r;
		if (*n == limit || row->next_us > now_us) {
			*ret_next_us = row->next_us;
			apd_outbox_row_unref(row);
			return 0;
		}
		rows[(*n)++] = row;
	}
	return apd_db_errno(rc);
}

int apd_keyed_read_outbox(struct apd_keyed *keyed, int64_t now_us, uint32_t limit,
	struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us)
{
	struct apd_outbox_row **rows;
	struct apd_reads *reads;
	sqlite3_stmt *stmt;
	size_t n = 0;
	int64_t next_us;
	int r;

	r = reads_of(keyed, &reads);
	if (r == 0)
		r = apd_reads_stmt(reads, APD_READ_OUTBOX, &stmt);
	if (r < 0)
		return r;
	rows = apd_calloc(limit ? limit : 1, sizeof(struct apd_outbox_row *));
	sqlite3_bind_int64(stmt, 1, (int64_t)limit + 1);
	r = read_due(stmt, now_us, rows, limit, &n, &next_us);
	sqlite3_reset(stmt);
	if (r == 0) {
		*ret_rows = rows;
		*ret_n = n;
		*ret_next_us = next_us;
		return 0;
	}
	while (n > 0)
		apd_outbox_row_unref(rows[--n]);
	free(rows);
	return r;
}
