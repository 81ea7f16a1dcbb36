/*
 * Watching the plugin directories: when plugin files come, change or go, the
 * directories are looked at again as soon as they are left alone for a moment,
 * so that a file that is being copied is not read by halves. In the place of a
 * directory that is not there the nearest one above it is watched.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

#define QUIET_NS (300 * APD_NS_PER_MS)

struct apd_dir_watch {
	uv_fs_event_t handle;
	struct apd_pool *pool;
	const char *dir;
	char *place; /* what is watched: it, or the nearest above it that is there */
	bool lost; /* it could not be watched, and the log says so */
};

/* True if a path ends with this name. */
static bool is_named(const char *path, const char *name)
{
	size_t len = strlen(name), n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	return n >= len && strncmp(path + n - len, name, len) == 0 &&
		(n == len || path[n - len - 1] == '/');
}

/* True if what is watched is not the directory but one above it. */
static bool waits(const struct apd_dir_watch *watch)
{
	return strcmp(watch->place, watch->dir) != 0;
}

/* True for the name of what would lie on the way from the place to the directory. */
static bool is_next(const struct apd_dir_watch *watch, const char *name)
{
	size_t len = strlen(name), n = strlen(watch->place);
	const char *at = watch->dir;

	/* Else it is relative to ".". */
	if (strncmp(at, watch->place, n) == 0 && (at[n] == '/' || watch->place[n - 1] == '/'))
		at += n;
	at += strspn(at, "/");
	return strncmp(at, name, len) == 0 && (at[len] == '/' || at[len] == '\0');
}

/* True for what may be a plugin, and for the place itself, by whose name its end is told. */
static bool concerns(const struct apd_dir_watch *watch, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || is_named(watch->place, name)) /* empty: of a path that ends with a slash */
		return true;
	if (waits(watch))
		return is_next(watch, name);
	return name[0] != '.' && len > 3 && strcmp(name + len - 3, ".so") == 0;
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

/* The directory, or the nearest one above it that is there; free() it. */
static char *find_place(const char *dir)
{
	char *place = apd_strdup(dir);
	struct stat st;

	while (stat(place, &st) < 0 || !S_ISDIR(st.st_mode)) {
		size_t n = strlen(place);

		while (n > 0 && place[n - 1] == '/')
			n--;
		while (n > 0 && place[n - 1] != '/')
			n--;
		while (n > 1 && place[n - 1] == '/')
			n--;
		place[n] = '\0';
		if (n == 0) {
			free(place);
			return apd_strdup(".");
		}
	}
	return place;
}

/* Watches what is there of a directory now, and again if that changes meanwhile. */
static int renew(struct apd_dir_watch *watch)
{
	char *place = find_place(watch->dir);
	bool same;
	int r;

	do {
		free(watch->place);
		watch->place = place;
		/* From the path again: another directory may lie there now. */
		uv_fs_event_stop(&watch->handle);
		r = uv_fs_event_start(&watch->handle, on_event, place, 0);
		place = find_place(watch->dir);
		same = strcmp(place, watch->place) == 0;
	} while (!same);
	free(place);
	return r;
}

void apd_watches_renew(struct apd_pool *pool)
{
	if (!pool->config->watch)
		return;
	if (!pool->watches)
		create(pool);
	for (size_t i = 0; i < pool->n_watches; i++) {
		struct apd_dir_watch *watch = &pool->watches[i];
		bool waited = watch->place && waits(watch);
		int r = renew(watch);

		if (r < 0 && !watch->lost)
			apd_log(APD_LOG_WARN, "host",
				"plugin directory %s cannot be watched: %s: %s; SIGHUP has apd "
				"look again",
				watch->dir, watch->place, uv_strerror(r));
		else if (r == 0 && waits(watch) && !waited)
			apd_log(APD_LOG_WARN, "host",
				"plugin directory %s is not there: apd looks again when it comes",
				watch->dir);
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
	for (size_t i = 0; i < pool->n_watches; i++) {
		uv_close((uv_handle_t *)&pool->watches[i].handle, on_closed);
		free(pool->watches[i].place);
		pool->watches[i].place = NULL;
	}
}
