/* Landlock by its system calls: the C library has no functions for it. */
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers may be older than the kernel; these never change. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif
#define RIGHT_EXECUTE    (1ULL << 0)
#define RIGHT_WRITE_FILE (1ULL << 1)
#define RIGHT_READ_FILE  (1ULL << 2)
#define RIGHT_READ_DIR   (1ULL << 3)
#define RIGHT_TRUNCATE   (1ULL << 14)
#define RIGHT_IOCTL_DEV  (1ULL << 15)
#define SCOPE_SOCKETS    (1ULL << 0)
#define SCOPE_SIGNALS    (1ULL << 1)

#define READING (RIGHT_EXECUTE | RIGHT_READ_FILE | RIGHT_READ_DIR)
#define OF_FILES \
	(RIGHT_EXECUTE | RIGHT_WRITE_FILE | RIGHT_READ_FILE | RIGHT_TRUNCATE | RIGHT_IOCTL_DEV)

/* struct landlock_ruleset_attr of newer headers; older kernels take it if the rest is zero. */
struct ruleset {
	uint64_t paths;
	uint64_t network;
	uint64_t scopes;
};

/* What mapping a plugin and the C library need, in any distribution; what is not there is skipped. */
static const char *const libraries[] = {"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32",
	"/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
	"/dev/random", "/dev/urandom", "/dev/zero"};
static const char *const sinks[] = {"/dev/null", "/dev/full"};

static int failed(struct apd_buf *error, const char *what)
{
	int r = -errno;

	apd_buf_addf(error, "%s: %s", what, strerror(-r));
	return r;
}

/* The rights over paths that a version of Landlock knows; it refuses others. */
static uint64_t rights_of(long version)
{
	unsigned known = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;

	return (1ULL << known) - 1;
}

/* Grants rights beneath a path. */
static int grant(int ruleset, const char *path, uint64_t rights, struct apd_buf *error)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights};
	struct stat st;
	int r = 0;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return failed(error, path);
	if (fstat(rule.parent_fd, &st) < 0)
		r = failed(error, path);
	else if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	if (r == 0 &&
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		r = failed(error, path);
	close(rule.parent_fd);
	return r;
}

static int grant_all(int ruleset, struct apd_str paths, uint64_t rights, struct apd_buf *error)
{
	const char *end = paths.ptr + paths.len;
	int r = 0;

	for (const char *at = paths.ptr; r == 0 && at && at < end; at += strlen(at) + 1)
		r = grant(ruleset, at, rights, error);
	return r;
}

/* Grants what no plugin can do without, as far as it is there. */
static int grant_system(int ruleset, uint64_t known, struct apd_buf *error)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(libraries) / sizeof(*libraries); i++) {
		if (access(libraries[i], F_OK) == 0)
			r = grant(ruleset, libraries[i], known & READING, error);
	}
	for (size_t i = 0; r == 0 && i < sizeof(sinks) / sizeof(*sinks); i++) {
		if (access(sinks[i], F_OK) == 0)
			r = grant(ruleset, sinks[i], known, error);
	}
	return r;
}

int apd_landlock_restrict(
	struct apd_str read_paths, struct apd_str write_paths, struct apd_buf *error)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attributes = {.paths = rights_of(version)};
	int ruleset, r;

	if (version < 1)
		return failed(error, "landlock_create_ruleset");
	if (version >= 6)
		attributes.scopes = SCOPE_SOCKETS | SCOPE_SIGNALS;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);
	if (ruleset < 0)
		return failed(error, "landlock_create_ruleset");
	r = grant_system(ruleset, attributes.paths, error);
	if (r == 0)
		r = grant_all(ruleset, read_paths, attributes.paths & READING, error);
	if (r == 0)
		r = grant_all(ruleset, write_paths, attributes.paths, error);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = failed(error, "landlock_restrict_self");
	close(ruleset);
	return r;
}
