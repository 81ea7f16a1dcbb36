/* Limits of a worker process, in the order in which they are safe. */
#include "worker/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "worker/landlock.h"

/* Under a limit of address space each malloc arena counts with 64 MiB that it only reserves. */
#define ARENAS 2

/* Says which call failed; returns -errno. */
static int failed(struct apd_buf *error, const char *what)
{
	int r = -errno;

	apd_buf_addf(error, "%s: %s", what, strerror(-r));
	return r;
}

/* Becomes the user for good: real, effective and saved, so that there is no way back. */
static int become_user(
	const struct apd_setup *setup, const struct apd_grants *grants, struct apd_buf *error)
{
	size_t n = grants->groups.len / sizeof(uint32_t);
	gid_t *groups;
	int r = 0;

	if (!setup->as_user)
		return 0;
	groups = apd_calloc(n + 1, sizeof(*groups));
	if (n)
		memcpy(groups, grants->groups.ptr, n * sizeof(*groups));
	if (setgroups(n, groups) < 0)
		r = failed(error, "setgroups");
	else if (setresgid(setup->gid, setup->gid, setup->gid) < 0)
		r = failed(error, "setresgid");
	else if (setresuid(setup->uid, setup->uid, setup->uid) < 0)
		r = failed(error, "setresuid");
	free(groups);
	return r;
}

/* Dies with the parent, also if that happened before this call. */
static int follow_parent(const struct apd_setup *setup, struct apd_buf *error)
{
	pid_t parent;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return failed(error, "PR_SET_PDEATHSIG");
	parent = getppid();
	if (parent != setup->parent) {
		apd_buf_addf(error, "wanted process %d, found %d", setup->parent, parent);
		return -ESRCH;
	}
	return 0;
}

/* Sets one limit, both soft and hard, as far as the hard one allows. */
static int limit(
	struct apd_buf *error, __rlimit_resource_t resource, uint64_t value, const char *name)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return failed(error, name);
	if (value < now.rlim_max)
		now.rlim_max = value;
	now.rlim_cur = now.rlim_max;
	return setrlimit(resource, &now) < 0 ? failed(error, name) : 0;
}

/* The daemon raised its own soft limit for its connections: the plugin gets what is usual. */
static int restore_files(struct apd_buf *error, uint32_t soft)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return failed(error, "RLIMIT_NOFILE");
	if (soft < now.rlim_cur)
		now.rlim_cur = soft;
	return setrlimit(RLIMIT_NOFILE, &now) < 0 ? failed(error, "RLIMIT_NOFILE") : 0;
}

static int set_limits(const struct apd_setup *setup, struct apd_buf *error)
{
	int r = limit(error, RLIMIT_CORE, 0, "RLIMIT_CORE");

	if (r == 0 && setup->memory_max) {
		mallopt(M_ARENA_MAX, ARENAS);
		r = limit(error, RLIMIT_AS, setup->memory_max, "RLIMIT_AS");
	}
	if (r == 0 && setup->files_max)
		r = limit(error, RLIMIT_NOFILE, setup->files_max, "RLIMIT_NOFILE");
	else if (r == 0 && setup->files_soft)
		r = restore_files(error, setup->files_soft);
	if (r == 0 && setup->processes_max)
		r = limit(error, RLIMIT_NPROC, setup->processes_max, "RLIMIT_NPROC");
	return r;
}

int apd_confine(const struct apd_setup *setup, const struct apd_grants *grants, int socket_fd,
	int plugin_fd, const char **ret_step, struct apd_buf *error)
{
	int r;

	*ret_step = "user";
	r = become_user(setup, grants, error);
	if (r < 0)
		return r;
	/* Becoming another user forgets the tie to the parent: it must come after. */
	*ret_step = "parent";
	r = follow_parent(setup, error);
	if (r < 0)
		return r;
	*ret_step = "limits";
	r = set_limits(setup, error);
	if (r < 0)
		return r;
	*ret_step = "no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed(error, "PR_SET_NO_NEW_PRIVS");
	*ret_step = "landlock";
	if (setup->landlock) {
		r = apd_landlock_restrict(grants->read_paths, grants->write_paths, error);
		if (r < 0)
			return r;
	}
	*ret_step = "cloexec";
	if (fcntl(socket_fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(plugin_fd, F_SETFD, FD_CLOEXEC) < 0)
		return failed(error, "FD_CLOEXEC");
	return 0;
}
