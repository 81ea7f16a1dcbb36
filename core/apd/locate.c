/* Where the parts of an installation lie: relative to the binary, so that a tree can be moved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apd/command.h"

/* The places of the plugins, relative to the directory of the binary: build tree and installation. */
static const char *const plugin_places[] = {"../plugins", "../" APD_LIBDIR "/apd/plugins"};

/* The places of apd-worker. */
static const char *const worker_places[] = {
	"../libexec/apd-worker", "../" APD_LIBEXECDIR "/apd-worker"};

/* The first of the places that is there, kept by the configuration; NULL for none. */
static const char *locate(struct apd_config *config, const char *const *places, size_t n)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct apd_buf path = {0};
	const char *found = NULL;
	char *slash;

	if (len <= 0)
		return NULL;
	self[len] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	for (size_t i = 0; i < n && !found; i++) {
		apd_buf_clear(&path);
		apd_buf_addf(&path, "%s/%s", self, places[i]);
		if (access(path.data, R_OK) == 0)
			found = apd_config_keep(config, apd_buf_str(&path));
	}
	apd_buf_finish(&path);
	return found;
}

int apd_command_config(struct apd_config *config, const char *file, const char **plugin_dirs)
{
	struct apd_buf error = {0};
	const char *plugins;
	int r = file ? apd_config_load(config, file, &error) : 0;

	if (r < 0) {
		fprintf(stderr, "apd: %s\n", error.data);
		apd_buf_finish(&error);
		free((void *)plugin_dirs);
		return -1;
	}
	if (plugin_dirs) {
		free((void *)config->plugin_dirs);
		config->plugin_dirs = plugin_dirs;
	}
	if (!config->plugin_dirs) {
		plugins = locate(config, plugin_places, 2);
		if (plugins)
			apd_config_add(config, &config->plugin_dirs, apd_str(plugins));
	}
	if (!config->worker_path)
		config->worker_path = locate(config, worker_places, 2);
	if (!config->worker_path) {
		fprintf(stderr, "apd: apd-worker is not where it belongs, beside this binary\n");
		return -1;
	}
	return 0;
}
