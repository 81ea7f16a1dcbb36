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
#include "storage/sqlite/row_sql.h"

struct connection {
	struct apd_list link;
	uint64_t thread; /* whose it is */
	sqlite3 *db;
	sqlite3_stmt *get_run;
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
		apd_db_close(connection->db);
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
	r = apd_db_open(keyed->path, APD_DB_READER, false, &connection->db);
	if (r == 0)
		r = apd_db_prepare(connection->db,
			"SELECT " APD_RUN_COLUMNS " FROM run WHERE run_id = ?1",
			&connection->get_run);
	if (r < 0) {
		apd_db_close(connection->db);
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

static int connection_of(struct apd_keyed *keyed, struct connection **ret_connection)
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
	*ret_connection = last.connection;
	return 0;
}

int apd_keyed_get_run(
	struct apd_keyed *keyed, const struct apd_id *run_id, struct apd_run_row **ret_row)
{
	struct connection *connection;
	int rc, r;

	r = connection_of(keyed, &connection);
	if (r < 0)
		return r;
	apd_db_bind_id(connection->get_run, 1, run_id);
	rc = sqlite3_step(connection->get_run);
	if (rc == SQLITE_ROW)
		r = apd_run_row_read(connection->get_run, ret_row);
	else
		r = rc == SQLITE_DONE ? -ENOENT : apd_db_errno(rc);
	sqlite3_reset(connection->get_run);
	return r;
}
