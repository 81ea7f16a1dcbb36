/* Looking through the plugin directories, and describing what is new in them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "host/describe.h"
#include "host/parts.h"

/* Throw-away workers side by side. */
#define DESCRIBES_AT_ONCE 8

/* A new version of a file that waits to be described. */
struct item {
	struct apd_list link; /* in the scan's */
	struct apd_scan *scan;
	struct apd_plugin *plugin;
	int memfd;
	struct apd_describe *describe; /* or NULL: not begun */
};

struct apd_scan {
	struct apd_pool *pool;
	uv_loop_t *loop;
	struct apd_deadlines *deadlines;
	apd_scanned_cb *done;
	struct apd_list waiting, running;
	unsigned n_running;
	bool cancelled;
};

/* The file that lies there now is not served, and why. */
static void refuse(struct apd_plugin *plugin, const char *why)
{
	if (!plugin->refusal || strcmp(plugin->refusal, why) != 0)
		apd_log(APD_LOG_WARN, "host", "plugin %s is refused: %s%s", plugin->path, why,
			plugin->image ? "; the one that was loaded goes on" : "");
	free(plugin->refusal);
	plugin->refusal = apd_strdup(why);
}

static struct apd_plugin *find_plugin(struct apd_pool *pool, const char *path)
{
	struct apd_plugin *plugin;

	apd_list_each (plugin, &pool->plugins, link) {
		if (strcmp(plugin->path, path) == 0)
			return plugin;
	}
	return NULL;
}

/* The plugin of a path, at the end of the order now. */
static struct apd_plugin *take_plugin(struct apd_pool *pool, const char *dir, const char *name)
{
	struct apd_buf path = {0};
	struct apd_plugin *plugin;

	apd_buf_add_cstr(&path, dir);
	if (path.len && path.data[path.len - 1] != '/')
		apd_buf_add_char(&path, '/');
	apd_buf_add_cstr(&path, name);
	plugin = find_plugin(pool, path.data);
	if (plugin && plugin->seen) { /* the directory is configured twice */
		apd_buf_finish(&path);
		return NULL;
	}
	if (!plugin) {
		plugin = apd_calloc(1, sizeof(*plugin));
		plugin->pool = pool;
		plugin->path = apd_buf_steal(&path);
		plugin->file = plugin->path + strlen(plugin->path) - strlen(name);
		apd_list_init(&plugin->wards);
	}
	apd_buf_finish(&path);
	apd_list_remove(&plugin->link);
	apd_list_append(&pool->plugins, &plugin->link);
	plugin->seen = true;
	return plugin;
}

/* Reads a new version of a file, and notes that it is to be described or why not. */
static void look_into(struct apd_scan *scan, struct apd_plugin *plugin, int fd)
{
	char name[96], why[APD_WHY_SIZE];
	struct item *item;
	int memfd;

	snprintf(name, sizeof(name), "%.64s#%u", plugin->file, plugin->images + 1);
	memfd = apd_plugin_file_seal(fd, name, (size_t)plugin->key.size, why);
	if (memfd >= 0 && apd_plugin_file_judge(memfd, why) < 0) {
		close(memfd);
		memfd = -1;
	}
	if (memfd < 0) {
		refuse(plugin, why);
		return;
	}
	item = apd_calloc(1, sizeof(*item));
	item->scan = scan;
	item->plugin = plugin;
	item->memfd = memfd;
	apd_list_append(&scan->waiting, &item->link);
}

static void look_at(
	struct apd_scan *scan, int dir_fd, const char *dir, const char *name, const char *distrust)
{
	struct apd_plugin *plugin = take_plugin(scan->pool, dir, name);
	char why[APD_WHY_SIZE];
	struct apd_file_key key;
	int fd = -1;

	if (!plugin)
		return;
	snprintf(why, sizeof(why), "%s", distrust);
	if (distrust[0] == '\0')
		fd = apd_plugin_file_open(dir_fd, name, &key, why);
	if (fd < 0) {
		plugin->known = false;
		refuse(plugin, why);
		return;
	}
	if (!plugin->known || !apd_file_key_eq(&plugin->key, &key)) {
		plugin->known = true;
		plugin->key = key;
		look_into(scan, plugin, fd);
	}
	close(fd);
}

static int is_plugin_name(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* What cannot be read is not gone: its plugins stay as they are. */
static void keep_plugins_of(struct apd_pool *pool, const char *dir)
{
	struct apd_plugin *plugin;
	size_t len = strlen(dir), slash = len && dir[len - 1] != '/';

	apd_list_each (plugin, &pool->plugins, link) {
		if (strncmp(plugin->path, dir, len) == 0 &&
			plugin->file == plugin->path + len + slash)
			plugin->seen = true;
	}
}

static void look_through(struct apd_scan *scan, const char *dir)
{
	char why[APD_WHY_SIZE];
	struct dirent **entries = NULL;
	int fd = apd_plugin_dir_open(dir, why);
	int n = fd < 0 ? -1 : scandirat(fd, ".", &entries, is_plugin_name, by_name);

	if (n < 0) {
		int error = fd < 0 ? -fd : errno;

		apd_log(APD_LOG_WARN, "host", "plugin directory %s: %s%s", dir, strerror(error),
			scan->pool->config->watch ? "" : "; SIGHUP has apd look again");
		if (error != ENOENT)
			keep_plugins_of(scan->pool, dir);
	} else if (why[0])
		apd_log(APD_LOG_ERROR, "host", "plugin directory %s is refused: %s", dir, why);
	for (int i = 0; i < n; i++) {
		look_at(scan, fd, dir, entries[i]->d_name, why);
		free(entries[i]);
	}
	free(entries);
	if (fd >= 0)
		close(fd);
}

/* Forgets the files that are not there any more. */
static void drop_unseen(struct apd_pool *pool)
{
	struct apd_plugin *plugin;

	apd_list_each (plugin, &pool->plugins, link) {
		if (plugin->seen)
			continue;
		if (plugin->image)
			apd_log(APD_LOG_INFO, "host", "plugin %s is gone", plugin->path);
		apd_image_unref(plugin->image);
		plugin->image = NULL;
		plugin->known = false;
		free(plugin->refusal);
		plugin->refusal = apd_strdup("its file is gone");
	}
}

static void go_on(struct apd_scan *scan);

/* The item has its answer. */
static void finish_item(struct item *item, struct apd_description *description, const char *why)
{
	struct apd_scan *scan = item->scan;
	struct apd_plugin *plugin = item->plugin;

	apd_list_remove(&item->link);
	if (description) {
		apd_image_unref(plugin->image);
		plugin->image = apd_image_create(item->memfd, ++plugin->images, description);
		free(plugin->refusal);
		plugin->refusal = NULL;
		apd_log(APD_LOG_INFO, "host", "plugin %s: %.*s %.*s, generation %u", plugin->path,
			APD_STR_FMT(description->name), APD_STR_FMT(description->version),
			plugin->images);
	} else {
		close(item->memfd);
		if (scan->cancelled)
			plugin->known = false;
		else
			refuse(plugin, why);
	}
	free(item);
}

static void on_described(
	void *data, struct apd_description *description, const char *why, bool unconfined)
{
	struct item *item = data;
	struct apd_scan *scan = item->scan;

	if (unconfined) /* it is not the file's fault: look again at the next scan */
		item->plugin->known = false;

	scan->n_running--;
	finish_item(item, description, why);
	go_on(scan);
}

/*
 * How the file is described: as it will serve the first entry that names it by
 * its file. Which entries name it by what it calls itself is known only then.
 */
static const struct apd_confinement *confinement_of(const struct apd_plugin *plugin)
{
	const struct apd_pool *pool = plugin->pool;

	for (size_t i = 0; i < pool->config->n_agents; i++) {
		if (apd_plugin_is_named(plugin, pool->config->agents[i].plugin))
			return pool->confined[i + 1];
	}
	return pool->confined[0];
}

static void begin_item(struct item *item)
{
	struct apd_scan *scan = item->scan;
	struct apd_pool *pool = scan->pool;
	char why[APD_WHY_SIZE];
	int r;

	apd_list_remove(&item->link);
	apd_list_append(&scan->running, &item->link);
	r = apd_describe_start(pool->config, &pool->strays, confinement_of(item->plugin),
		scan->loop, scan->deadlines, item->memfd, item->plugin->file, on_described, item,
		&item->describe);
	if (r == 0) {
		scan->n_running++;
		return;
	}
	snprintf(why, sizeof(why), "cannot start %s: %s", pool->config->worker_path, strerror(-r));
	item->plugin->known = false;
	finish_item(item, NULL, why);
}

/* Starts what may be started; ends the scan when nothing is left. */
static void go_on(struct apd_scan *scan)
{
	struct apd_pool *pool = scan->pool;
	apd_scanned_cb *done = scan->done;
	bool cancelled = scan->cancelled;

	while (!apd_list_empty(&scan->waiting) && scan->n_running < DESCRIBES_AT_ONCE) {
		struct item *item = apd_list_first(&scan->waiting, struct item, link);

		/* NOLINTBEGIN(clang-analyzer-unix.Malloc): both take it out of the list. */
		if (cancelled)
			finish_item(item, NULL, "");
		else
			begin_item(item);
		/* NOLINTEND(clang-analyzer-unix.Malloc) */
	}
	if (scan->n_running)
		return;
	free(scan);
	pool->scan = NULL;
	if (!cancelled)
		done(pool);
}

void apd_scan_start(struct apd_pool *pool, uv_loop_t *loop, struct apd_deadlines *deadlines,
	apd_scanned_cb *done)
{
	struct apd_scan *scan = apd_calloc(1, sizeof(*scan));
	struct apd_plugin *plugin;

	scan->pool = pool;
	scan->loop = loop;
	scan->deadlines = deadlines;
	scan->done = done;
	apd_list_init(&scan->waiting);
	apd_list_init(&scan->running);
	pool->scan = scan;
	apd_list_each (plugin, &pool->plugins, link)
		plugin->seen = false;
	for (const char *const *dir = pool->config->plugin_dirs; dir && *dir; dir++)
		look_through(scan, *dir);
	drop_unseen(pool);
	go_on(scan);
}

void apd_scan_cancel(struct apd_pool *pool)
{
	struct item *item;

	if (!pool->scan)
		return;
	pool->scan->cancelled = true;
	apd_list_each (item, &pool->scan->running, link)
		apd_describe_cancel(item->describe);
}
