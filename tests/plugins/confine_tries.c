/*
 * Tries what its input says, "read /etc/passwd" or "files 100", and commits what
 * came of it: {"result": "ok" or the name of an errno, "number": ...}.
 */
#include "plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 4096

/* What was tried: an errno or 0, and a number that goes with it. */
struct outcome {
	int error;
	long number;
};

static struct outcome try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	struct outcome outcome = {fd < 0 ? errno : 0, 0};

	if (fd >= 0)
		close(fd);
	return outcome;
}

/* Opens descriptors until there are that many or no more can be had. */
static struct outcome try_files(long n)
{
	struct outcome outcome = {0};
	int fds[MANY];

	while (outcome.number < n && outcome.number < MANY) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			outcome.error = errno;
			break;
		}
		fds[outcome.number++] = fd;
	}
	for (long i = 0; i < outcome.number; i++)
		close(fds[i]);
	return outcome;
}

static struct outcome try_memory(long mib)
{
	char *data = malloc((size_t)mib << 20);
	struct outcome outcome = {data ? 0 : errno, mib};

	/* Else the compiler sees that nobody needs it. */
	if (data)
		*(volatile char *)data = 1;
	free(data);
	return outcome;
}

/* Starts processes that only wait, until there are that many or no more can be had. */
static struct outcome try_forks(long n)
{
	struct outcome outcome = {0};
	pid_t pids[MANY];

	while (outcome.number < n && outcome.number < MANY) {
		pid_t pid = fork();

		if (pid < 0) {
			outcome.error = errno;
			break;
		}
		if (pid == 0)
			for (;;)
				pause();
		pids[outcome.number++] = pid;
	}
	for (long i = 0; i < outcome.number; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	return outcome;
}

/* A program that would give more privileges, had they not been given up; its exit status. */
static struct outcome try_program(const char *path)
{
	struct outcome outcome = {0};
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl(path, path, (char *)NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	outcome.error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return outcome;
}

static struct outcome of(int result)
{
	return (struct outcome){result < 0 ? errno : 0, result};
}

static struct outcome limit_of(const char *name)
{
	struct rlimit limit;

	getrlimit(strcmp(name, "files") == 0 ? RLIMIT_NOFILE : RLIMIT_CORE, &limit);
	return (struct outcome){0, (long)limit.rlim_cur};
}

static struct outcome try(const char *verb, const char *object)
{
	long number = strtol(object, NULL, 10);

	if (strcmp(verb, "read") == 0)
		return try_open(object, O_RDONLY);
	if (strcmp(verb, "write") == 0)
		return try_open(object, O_WRONLY | O_CREAT);
	if (strcmp(verb, "remove") == 0)
		return of(unlink(object));
	if (strcmp(verb, "program") == 0)
		return try_program(object);
	if (strcmp(verb, "files") == 0)
		return try_files(number);
	if (strcmp(verb, "memory") == 0)
		return try_memory(number);
	if (strcmp(verb, "forks") == 0)
		return try_forks(number);
	if (strcmp(verb, "setuid") == 0)
		return of(setresuid((uid_t)number, (uid_t)number, (uid_t)number));
	if (strcmp(verb, "setgroups") == 0)
		return of(setgroups(0, NULL));
	if (strcmp(verb, "signal") == 0)
		return of(kill((pid_t)number, 0));
	if (strcmp(verb, "uid") == 0)
		return of((int)getuid());
	if (strcmp(verb, "groups") == 0)
		return of(getgroups(0, NULL));
	if (strcmp(verb, "pid") == 0)
		return of((int)getpid());
	if (strcmp(verb, "limit") == 0)
		return limit_of(object);
	if (strcmp(verb, "env") == 0)
		return (struct outcome){getenv(object) ? 0 : ENOENT, 0};
	if (strcmp(verb, "privileges") == 0)
		return of(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	return (struct outcome){EINVAL, 0};
}

static ap_status invoke(void *self, ap_run *run)
{
	char verb[32] = "", object[512] = "", input[600], result[128];
	struct outcome outcome;

	(void)self;
	snprintf(input, sizeof(input), "%.*s", (int)run->input.len, run->input.ptr);
	if (sscanf(input, "\"%31[a-z] %511[^\"]", verb, object) < 1)
		return AP_E_INVALID;
	outcome = try(verb, object);
	snprintf(result, sizeof(result), "{\"result\":\"%s\",\"number\":%ld}",
		outcome.error ? strerrorname_np(outcome.error) : "ok", outcome.number);
	return commit(run, result);
}

ONE_AGENT("confine-tries", invoke);
