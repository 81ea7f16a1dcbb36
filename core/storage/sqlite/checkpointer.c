/*
 * The checkpoint thread: copies the WAL into the database beside the writer.
 * PASSIVE every 1,000 pages never makes anybody wait, but under steady load it
 * never catches up either, and the WAL grows. Beyond the limit the writer is
 * asked to stand aside for the last few pages, so that the WAL can start anew;
 * readers that still need it are waited for a moment only, and a long time only
 * when the WAL is far beyond the limit.
 */
#include "base/log.h"
#include "storage/sqlite/db.h"
#include "storage/sqlite/internal.h"

#define PASSIVE_PAGES   1000
#define RESTART_PAGES   (APD_DB_WAL_LIMIT / APD_DB_PAGE_SIZE)
#define RESTART_WAIT_MS 30
#define FORCE_FACTOR    4
#define FORCE_WAIT_MS   1000

/* One checkpoint; complains about anything but being too busy. */
static void checkpoint(struct apd_checkpointer *cp, int mode)
{
	int rc = sqlite3_wal_checkpoint_v2(cp->db, NULL, mode, NULL, NULL);

	apd_db_check_fsync(rc);
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
		apd_log(APD_LOG_ERROR, "storage", "checkpoint failed: %s", sqlite3_errmsg(cp->db));
}

static void set_pause(struct apd_checkpointer *cp, bool pause)
{
	pthread_mutex_lock(&cp->mutex);
	atomic_store_explicit(&cp->pause, pause, memory_order_relaxed);
	if (!pause)
		pthread_cond_signal(&cp->resume);
	pthread_mutex_unlock(&cp->mutex);
}

/* Makes the next commit start the WAL anew. */
static void restart(struct apd_checkpointer *cp, int64_t wal_pages)
{
	bool force = wal_pages > FORCE_FACTOR * RESTART_PAGES;

	sqlite3_busy_timeout(cp->db, force ? FORCE_WAIT_MS : RESTART_WAIT_MS);
	set_pause(cp, true);
	checkpoint(cp, SQLITE_CHECKPOINT_RESTART);
	set_pause(cp, false);
}

static void *checkpointer_main(void *data)
{
	struct apd_checkpointer *cp = data;

	pthread_mutex_lock(&cp->mutex);
	for (;;) {
		int64_t wal_pages;

		while (!cp->wanted && !cp->stop)
			pthread_cond_wait(&cp->wake, &cp->mutex);
		if (cp->stop)
			break;
		cp->wanted = false;
		pthread_mutex_unlock(&cp->mutex);
		checkpoint(cp, SQLITE_CHECKPOINT_PASSIVE);
		wal_pages = atomic_load_explicit(&cp->wal_pages, memory_order_relaxed);
		if (wal_pages > RESTART_PAGES)
			restart(cp, wal_pages);
		pthread_mutex_lock(&cp->mutex);
	}
	pthread_mutex_unlock(&cp->mutex);
	return NULL;
}

int apd_checkpointer_start(struct apd_checkpointer *cp, const char *path, bool full)
{
	int r;

	pthread_mutex_init(&cp->mutex, NULL);
	pthread_cond_init(&cp->wake, NULL);
	pthread_cond_init(&cp->resume, NULL);
	cp->next_at = PASSIVE_PAGES;
	r = apd_db_open(path, APD_DB_CHECKPOINTER, full, &cp->db);
	if (r < 0)
		return r;
	r = -pthread_create(&cp->thread, NULL, checkpointer_main, cp);
	if (r < 0) {
		apd_db_close(cp->db);
		return r;
	}
	pthread_setname_np(cp->thread, "apd-checkpoint");
	cp->running = true;
	return 0;
}

void apd_checkpointer_stop(struct apd_checkpointer *cp)
{
	if (!cp->running)
		return;
	pthread_mutex_lock(&cp->mutex);
	cp->stop = true;
	pthread_cond_signal(&cp->wake);
	pthread_mutex_unlock(&cp->mutex);
	pthread_join(cp->thread, NULL);
	cp->running = false;
	apd_db_close(cp->db);
	pthread_cond_destroy(&cp->resume);
	pthread_cond_destroy(&cp->wake);
	pthread_mutex_destroy(&cp->mutex);
}

void apd_checkpointer_committed(struct apd_checkpointer *cp, int64_t wal_pages)
{
	/* The WAL has started anew. */
	if (wal_pages < atomic_load_explicit(&cp->wal_pages, memory_order_relaxed))
		cp->next_at = PASSIVE_PAGES;
	atomic_store_explicit(&cp->wal_pages, wal_pages, memory_order_relaxed);
	if (wal_pages < cp->next_at)
		return;
	cp->next_at = wal_pages + PASSIVE_PAGES;
	pthread_mutex_lock(&cp->mutex);
	cp->wanted = true;
	pthread_cond_signal(&cp->wake);
	pthread_mutex_unlock(&cp->mutex);
}

void apd_checkpointer_give_way(struct apd_checkpointer *cp)
{
	if (!atomic_load_explicit(&cp->pause, memory_order_relaxed))
		return;
	pthread_mutex_lock(&cp->mutex);
	while (atomic_load_explicit(&cp->pause, memory_order_relaxed))
		pthread_cond_wait(&cp->resume, &cp->mutex);
	pthread_mutex_unlock(&cp->mutex);
}
