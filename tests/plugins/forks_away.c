/*
 * Leaves a process behind that is not in its worker's group any more, in the
 * way that its input says, and commits its number and its session's; it ends by
 * itself after a minute. "crash": crashes. "many": leaves ten that are gone at once.
 */
#include "plugin.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static bool is(const ap_run *run, const char *word)
{
	return run->input.len == strlen(word) + 2 &&
		memcmp(run->input.ptr + 1, word, strlen(word)) == 0;
}

/* What is left behind. */
static void stay(const ap_run *run)
{
	if (is(run, "hidden")) {
		environ = NULL;
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
	}
	if (is(run, "program"))
		execl("/bin/sleep", "sleep", "60", (char *)NULL);
	/* A process that is another one all the time. */
	for (time_t end = time(NULL) + 60; is(run, "chain") && time(NULL) < end;) {
		if (fork() > 0)
			_exit(0);
	}
	/* One of its own, so that the end of the one is not the end of all. */
	if (is(run, "family") && fork() == 0)
		setsid();
	sleep(60);
	_exit(0);
}

/* Forks, leads a session and, unless its parent is to know it, has its own parent end. */
static pid_t leave(const ap_run *run, pid_t *ret_session)
{
	pid_t pid, found = 0;
	int ends[2];

	if (pipe(ends) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		setsid();
		if (!is(run, "session") && fork() > 0)
			_exit(0);
		found = getpid();
		(void)!write(ends[1], &found, sizeof(found));
		if (is(run, "many"))
			_exit(0);
		close(ends[0]);
		close(ends[1]);
		stay(run);
	}
	if (pid > 0 && !is(run, "session"))
		waitpid(pid, NULL, 0);
	if (pid < 0 || read(ends[0], &found, sizeof(found)) != sizeof(found))
		found = -1;
	close(ends[0]);
	close(ends[1]);
	*ret_session = pid;
	return found;
}

static ap_status invoke(void *self, ap_run *run)
{
	char patch[64];
	pid_t pid = 0, session = 0;

	(void)self;
	if (is(run, "crash"))
		__builtin_trap();
	for (int i = 0; i < (is(run, "many") ? 10 : 1); i++)
		pid = leave(run, &session);
	snprintf(patch, sizeof(patch), "{\"pid\":%d,\"session\":%d}", (int)pid, (int)session);
	return commit(run, patch);
}

ONE_AGENT("forks_away", invoke);
