/* Confinements: resolving, comparing, and telling a worker of them. */
#include "host/confinement.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/frame.h"

/* Kernel headers may be older than the call; its numbers are the same for all machines. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#define LANDLOCK_VERSION 1u

/* The soft limit of open files before anything of apd raised it. */
static uint32_t files_soft(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > UINT32_MAX)
		return 0;
	return (uint32_t)limit.rlim_cur;
}

/* All groups that the user is in. */
static void find_groups(struct apd_confinement *confinement)
{
	int n = 16;

	do {
		confinement->n_groups = n;
		confinement->groups =
			apd_realloc(confinement->groups, (size_t)n * sizeof(*confinement->groups));
	} while (getgrouplist(confinement->user, confinement->gid, confinement->groups, &n) < 0 &&
		n > confinement->n_groups);
	confinement->n_groups = n;
}

static int find_user(struct apd_confinement *confinement, struct apd_buf *error)
{
	const struct passwd *user;

	if (geteuid() != 0) {
		apd_buf_addf(error,
			"user: only an apd that runs as root can start workers as \"%s\"",
			confinement->user);
		return -EPERM;
	}
	errno = 0;
	user = getpwnam(confinement->user);
	if (!user) {
		int r = errno;

		apd_buf_addf(error, "user: there is no user \"%s\"", confinement->user);
		if (r)
			apd_buf_addf(error, " (%s)", strerror(r));
		return -ENOENT;
	}
	confinement->uid = user->pw_uid;
	confinement->gid = user->pw_gid;
	find_groups(confinement);
	return 0;
}

static int check_paths(const char *const *paths, const char *key, struct apd_buf *error)
{
	for (; paths && *paths; paths++) {
		if ((*paths)[0] != '/') {
			apd_buf_addf(error, "%s: \"%s\" is not an absolute path", key, *paths);
			return -EINVAL;
		}
	}
	return 0;
}

static bool has_landlock(const struct apd_confinement *confinement)
{
	return confinement->read_paths || confinement->write_paths;
}

/* Paths can be kept only where the kernel does it. */
static int check_landlock(const struct apd_confinement *confinement, struct apd_buf *error)
{
	int r = check_paths(confinement->read_paths, "paths.read", error);

	if (r == 0)
		r = check_paths(confinement->write_paths, "paths.write", error);
	if (r < 0 || !has_landlock(confinement))
		return r;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION) >= 1)
		return 0;
	r = -errno;
	apd_buf_addf(error,
		"paths: this kernel has no Landlock, or it is switched off (%s): apd will not "
		"start "
		"agents that could read more than they were granted",
		strerror(-r));
	return r;
}

/* True if the environment has a variable of that name. */
static bool has_env(char **env, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
			return true;
	}
	return false;
}

/* The variables let through, with their values; what stands first wins. */
static char **make_env(const char *const *allowed)
{
	size_t room = 1, n = 0;
	char **env;

	for (const char *const *at = allowed; at && *at; at++)
		room++;
	env = apd_calloc(room, sizeof(*env));
	for (; allowed && *allowed; allowed++) {
		size_t len = strcspn(*allowed, "=");
		const char *value = (*allowed)[len] == '=' ? *allowed + len + 1 : getenv(*allowed);
		struct apd_buf pair = {0};

		if (!value || has_env(env, n, *allowed, len))
			continue;
		apd_buf_addf(&pair, "%.*s=%s", (int)len, *allowed, value);
		env[n++] = apd_buf_steal(&pair);
	}
	return env;
}

int apd_confinement_init(struct apd_confinement *confinement, const struct apd_host_config *config,
	const struct apd_agent_config *entry, struct apd_buf *error)
{
	static const struct apd_agent_config none = {0};
	int r = 0;

	if (!entry)
		entry = &none;
	*confinement = (struct apd_confinement){
		.memory_max = entry->memory_max ? entry->memory_max : config->memory_max,
		.files_max = entry->files_max ? entry->files_max : config->files_max,
		.processes_max =
			entry->processes_max ? entry->processes_max : config->processes_max,
		.files_soft = files_soft(),
		.user = entry->user ? entry->user : config->user,
		.read_paths = config->read_paths,
		.write_paths = config->write_paths,
		.env = make_env(entry->env),
	};
	if (entry->read_paths || entry->write_paths) {
		confinement->read_paths = entry->read_paths;
		confinement->write_paths = entry->write_paths;
	}
	/* A plugin within this very process is not confined: there is nothing to check. */
	if (config->in_process)
		return 0;
	if (confinement->user)
		r = find_user(confinement, error);
	if (r == 0)
		r = check_landlock(confinement, error);
	if (r < 0)
		apd_confinement_finish(confinement);
	return r;
}

void apd_confinement_finish(struct apd_confinement *confinement)
{
	for (char **env = confinement->env; env && *env; env++)
		free(*env);
	free(confinement->env);
	free(confinement->groups);
	*confinement = (struct apd_confinement){0};
}

static bool same_list(const char *const *a, const char *const *b)
{
	if (!a || !b)
		return a == b;
	while (*a && *b && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return !*a && !*b;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool apd_confinement_eq(const struct apd_confinement *a, const struct apd_confinement *b)
{
	return a->memory_max == b->memory_max && a->files_max == b->files_max &&
		a->processes_max == b->processes_max && same_text(a->user, b->user) &&
		same_list(a->read_paths, b->read_paths) &&
		same_list(a->write_paths, b->write_paths) &&
		same_list((const char *const *)a->env, (const char *const *)b->env);
}

/* The paths with a NUL behind each; absent if there are none. */
static struct apd_str join(struct apd_buf *out, const char *const *paths)
{
	for (; paths && *paths; paths++)
		apd_buf_add(out, *paths, strlen(*paths) + 1);
	return out->len ? apd_buf_str(out) : APD_STR_ABSENT;
}

void apd_setup_add(struct apd_buf *out, const struct apd_host_config *config,
	const struct apd_confinement *confinement, const char *file, bool describe)
{
	struct apd_setup setup = {
		.describe = describe,
		.emit_max = config->emit_max,
		.commit_max = config->commit_max,
		.log_max = config->log_max,
		.parent = (int32_t)getpid(),
		.debug = config->debug,
		.memory_max = confinement->memory_max,
		.files_max = confinement->files_max,
		.processes_max = confinement->processes_max,
		.files_soft = confinement->files_soft,
		.as_user = confinement->user != NULL,
		.uid = confinement->uid,
		.gid = confinement->gid,
		.landlock = has_landlock(confinement),
	};
	struct apd_buf reads = {0}, writes = {0};
	const struct apd_str fields[] = {
		{(const char *)&setup, sizeof(setup)},
		apd_str(file),
		{(const char *)confinement->groups,
			(size_t)confinement->n_groups * sizeof(*confinement->groups)},
		join(&reads, confinement->read_paths),
		join(&writes, confinement->write_paths),
	};

	apd_frame_add(out, APD_FRAME_SETUP, 0, 0, fields, APD_COUNT(fields));
	apd_buf_finish(&reads);
	apd_buf_finish(&writes);
}

bool apd_setup_is_confinement(struct apd_str step)
{
	static const char *const steps[] = {"user", "parent", "limits", "no_new_privs", "landlock"};

	for (size_t i = 0; i < APD_COUNT(steps); i++) {
		if (apd_str_is(step, steps[i]))
			return true;
	}
	return false;
}
