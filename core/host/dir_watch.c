/*
 * Watching the plugin directories: when plugin files come, change or go, the
 * directories are looked at again as soon as they are left alone for a moment,
 * so that a file that is being copied is not read by halves.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

#define QUIET_NS (300 * APD_NS_PER_MS)

struct apd_dir_watch {
	uv_fs_event_t handle;
	struct apd_pool *pool;
	const char *dir;
	bool lost; /* it could not be watched, and the log says so */
};

/* True for what may be a plugin, and for the directory itself, by whose name its end is told. */
static bool concerns(const struct apd_dir_watch *watch, const char *name)
{
	size_t len = strlen(name), dir = strlen(watch->dir);

	if (name[0] != '.' && len > 3 && strcmp(name + len - 3, ".so") == 0)
		return true;
	while (dir > 0 && watch->dir[dir - 1] == '/')
		dir--;
	return dir > len && watch->dir[dir - len - 1] == '/' &&
		strncmp(watch->dir + dir - len, name, len) == 0;
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct apd_dir_watch *watch = apd_container_of(handle, struct apd_dir_watch, handle);
	struct apd_pool *pool = watch->pool;

	(void)events;
	if (status < 0 || !name || concerns(watch, name))
		apd_deadline_set_in(&pool->deadlines, &pool->changed, QUIET_NS);
}

/* Nothing has changed for a moment. */
static void on_quiet(struct apd_deadline *deadline)
{
	struct apd_pool *pool = apd_container_of(deadline, struct apd_pool, changed);

	apd_log(APD_LOG_DEBUG, "host", "plugin files have changed");
	apd_pool_reload(pool);
}

/* Makes the handles, idle. */
static void create(struct apd_pool *pool)
{
	const char *const *dirs = pool->config->plugin_dirs;
	size_t n = 0;

	while (dirs && dirs[n])
		n++;
	pool->changed.expired = on_quiet;
	pool->watches = apd_calloc(n + 1, sizeof(*pool->watches));
	for (size_t i = 0; i < n; i++) {
		struct apd_dir_watch *watch = &pool->watches[i];

		watch->pool = pool;
		watch->dir = dirs[i];
		if (uv_fs_event_init(pool->loop, &watch->handle) < 0)
			break;
		watch->handle.data = pool;
		pool->n_watches++;
		pool->open_handles++;
	}
}

void apd_watches_renew(struct apd_pool *pool)
{
	if (!pool->config->watch)
		return;
	if (!pool->watches)
		create(pool);
	for (size_t i = 0; i < pool->n_watches; i++) {
		struct apd_dir_watch *watch = &pool->watches[i];
		int r;

		/* From the path again: another directory may lie there now. */
		uv_fs_event_stop(&watch->handle);
		r = uv_fs_event_start(&watch->handle, on_event, watch->dir, 0);
		if (r < 0 && !watch->lost)
			apd_log(APD_LOG_WARN, "host",
				"plugin directory %s cannot be watched: %s; SIGHUP has apd look "
				"again",
				watch->dir, uv_strerror(r));
		watch->lost = r < 0;
	}
}

static void on_closed(uv_handle_t *handle)
{
	struct apd_pool *pool = handle->data;

	pool->open_handles--;
}

void apd_watches_close(struct apd_pool *pool)
{
	for (size_t i = 0; i < pool->n_watches; i++)
		uv_close((uv_handle_t *)&pool->watches[i].handle, on_closed);
}
