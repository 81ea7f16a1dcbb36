/* Finding, killing and waiting for what workers leave behind. */
#include "host/strays.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

/* Of an environment so much is looked at. */
#define ENVIRONMENT_MAX (256u << 10)

/* So often a sweep looks again at once, for those that become ours as others die. */
#define ROUNDS 4

/* Reads a file of /proc as far as room goes, into scratch; false if it cannot be read. */
static bool slurp(struct apd_strays *strays, int dir, const char *path)
{
	struct apd_buf *out = &strays->scratch;
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	apd_buf_clear(out);
	if (fd < 0)
		return false;
	while (out->len < ENVIRONMENT_MAX) {
		n = read(fd, apd_buf_reserve(out, 4096), 4096);
		if (n <= 0)
			break;
		out->len += (size_t)n;
	}
	close(fd);
	apd_buf_reserve(out, 1)[0] = '\0';
	return n >= 0;
}

static bool is_kin(const struct apd_strays *strays, pid_t pid)
{
	const struct apd_kin *kin;

	apd_list_each (kin, &strays->kin, link) {
		if (kin->pid == pid)
			return true;
	}
	return false;
}

/* What the environment in scratch says: whether it has our mark, and that of a worker that lives. */
static bool is_marked(const struct apd_strays *strays, bool *ret_lives)
{
	const char *at = strays->scratch.data, *end = at + strays->scratch.len;
	const struct apd_kin *kin;

	for (; at < end; at += strlen(at) + 1) {
		if (strncmp(at, strays->mark, APD_STRAY_OURS) != 0)
			continue;
		*ret_lives = false;
		apd_list_each (kin, &strays->kin, link)
			*ret_lives = *ret_lives || strcmp(at, kin->mark) == 0;
		return true;
	}
	return false;
}

/* True if it can never get more rights: all workers have given that up, for good. */
static bool is_humble(struct apd_strays *strays, pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return slurp(strays, AT_FDCWD, path) && strstr(strays->scratch.data, "\nNoNewPrivs:\t1\n");
}

/*
 * True if a worker left the process that is a child of ours now. One that hid
 * whose it is ends with any worker; it is told by what it cannot undo from
 * others who lost their parents, which come to us where we are a container's
 * first process, and from those that we had before we were apd.
 */
static bool is_stray(struct apd_strays *strays, pid_t pid)
{
	char path[40];
	bool lives;

	if (is_kin(strays, pid) || is_kin(strays, getpgid(pid)))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	if (slurp(strays, AT_FDCWD, path) && is_marked(strays, &lives))
		return !lives;
	return !strays->humble && is_humble(strays, pid);
}

static bool is_doomed(const struct apd_strays *strays, pid_t pid)
{
	for (size_t i = 0; i < strays->n_doomed; i++) {
		if (strays->doomed[i] == pid)
			return true;
	}
	return false;
}

/* Kills a process that nobody has waited for, so that its number is no other's, and its group. */
static void kill_stray(struct apd_strays *strays, pid_t pid)
{
	if (strays->n_doomed == strays->room) {
		strays->room = 2 * strays->room + 8;
		strays->doomed =
			apd_realloc(strays->doomed, strays->room * sizeof(*strays->doomed));
	}
	strays->doomed[strays->n_doomed++] = pid;
	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
}

/* Kills those of a thread's children, as the kernel lists them, that are to go: how many. */
static unsigned kill_among(struct apd_strays *strays, char *list)
{
	unsigned killed = 0;

	for (char *end; *list; list = end) {
		pid_t pid = (pid_t)strtol(list, &end, 10);

		if (end == list)
			break;
		if (is_doomed(strays, pid) || !is_stray(strays, pid))
			continue;
		kill_stray(strays, pid);
		killed++;
	}
	return killed;
}

/* Goes through the children of all of our threads once: how many were killed. */
static unsigned sweep_once(struct apd_strays *strays)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *task;
	unsigned killed = 0;
	bool seen = false;

	while (tasks && (task = readdir(tasks))) {
		char path[300];
		char *list;

		snprintf(path, sizeof(path), "%s/children", task->d_name);
		if (task->d_name[0] == '.' || !slurp(strays, dirfd(tasks), path))
			continue;
		seen = true;
		list = apd_buf_steal(&strays->scratch); /* which is needed to look at each */
		killed += kill_among(strays, list);
		free(list);
	}
	if (tasks)
		closedir(tasks);
	if (!seen && !strays->blind)
		apd_log(APD_LOG_WARN, "host",
			"/proc does not list children here: processes that leave their worker's "
			"group outlive it");
	strays->blind = !seen;
	return killed;
}

static void forget(struct apd_strays *strays, pid_t pid)
{
	for (size_t i = 0; i < strays->n_doomed; i++) {
		if (strays->doomed[i] == pid)
			strays->doomed[i] = strays->doomed[--strays->n_doomed];
	}
}

/* Waits for the dead that are not workers: those have somebody who does. */
static void reap(struct apd_strays *strays)
{
	for (;;) {
		siginfo_t info = {0};

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		/* Those behind it are waited for when it is. */
		if (is_kin(strays, info.si_pid))
			return;
		forget(strays, info.si_pid);
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
}

static void sweep(struct apd_strays *strays)
{
	unsigned killed = 0, more;

	for (int i = 0; i < ROUNDS; i++) {
		reap(strays);
		more = sweep_once(strays);
		killed += more;
		if (more == 0)
			break;
	}
	if (killed)
		apd_log(APD_LOG_DEBUG, "host", "processes that a worker left were killed");
}

static void on_child(uv_signal_t *handle, int number)
{
	struct apd_strays *strays = apd_container_of(handle, struct apd_strays, signal);

	(void)number;
	if (strays->n_doomed)
		sweep(strays);
	else
		reap(strays);
}

int apd_strays_init(struct apd_strays *strays, uv_loop_t *loop, void *data)
{
	int r;

	apd_list_init(&strays->kin);
	apd_id_gen_init_random(&strays->random);
	strays->humble = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	snprintf(strays->mark, sizeof(strays->mark), "APD_WORKER=%08x-",
		(unsigned)apd_id_random(&strays->random));
	r = uv_signal_init(loop, &strays->signal);
	if (r < 0)
		return r;
	strays->signal.data = data;
	r = uv_signal_start(&strays->signal, on_child, SIGCHLD);
	if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		r = -errno;
	/* It must not keep the loop alive by itself. */
	uv_unref((uv_handle_t *)&strays->signal);
	return r;
}

void apd_strays_close(struct apd_strays *strays, uv_close_cb closed)
{
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	apd_buf_finish(&strays->scratch);
	free(strays->doomed);
	strays->doomed = NULL;
	uv_close((uv_handle_t *)&strays->signal, closed);
}

void apd_kin_init(struct apd_kin *kin, struct apd_strays *strays)
{
	kin->strays = strays;
	apd_list_init(&kin->link);
	snprintf(kin->mark, sizeof(kin->mark), "%s%08x", strays->mark, ++strays->marks);
}

void apd_kin_add(struct apd_kin *kin, pid_t pid)
{
	kin->pid = pid;
	apd_list_append(&kin->strays->kin, &kin->link);
}

void apd_kin_remove(struct apd_kin *kin)
{
	if (!kin->strays || !apd_list_linked(&kin->link))
		return;
	apd_list_remove(&kin->link);
	sweep(kin->strays);
}

void apd_strays_end(struct apd_strays *strays)
{
	const struct timespec pause = {.tv_nsec = APD_NS_PER_MS};
	int64_t end = apd_clock_mono_ns() + APD_NS_PER_S;

	do {
		sweep(strays);
		if (strays->n_doomed)
			nanosleep(&pause, NULL);
	} while (strays->n_doomed && apd_clock_mono_ns() < end);
}
