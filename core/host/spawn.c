/* posix_spawn with what a worker may have: three standard streams, its socket, its plugin. */
#include "host/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/frame.h"

int apd_fd_raise(int fd)
{
	int raised = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	int error = errno;

	close(fd);
	return raised < 0 ? -error : raised;
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct apd_spawn *spawn)
{
	int r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, spawn->output, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, spawn->output, STDERR_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, spawn->socket, APD_WORKER_SOCKET_FD);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(actions, spawn->plugin, APD_WORKER_PLUGIN_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, APD_WORKER_PLUGIN_FD + 1);
	return r;
}

/* A group of its own, and the signal state of a fresh process: the daemon ignores some. */
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	r = posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawnattr_setpgroup(attributes, 0);
	if (r == 0)
		r = posix_spawnattr_setsigmask(attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attributes, &all);
	return r;
}

static int spawn_process(const struct apd_spawn *spawn, pid_t *ret_pid)
{
	char *argv[] = {(char *)spawn->title, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0)
		goto no_attributes;
	r = add_actions(&actions, spawn);
	if (r == 0)
		r = set_attributes(&attributes);
	if (r == 0)
		r = posix_spawn(ret_pid, spawn->program, &actions, &attributes, argv,
			(char *const *)spawn->env);
	posix_spawnattr_destroy(&attributes);
no_attributes:
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int apd_spawn_process(const struct apd_spawn *spawn, pid_t *ret_pid, int *ret_pidfd)
{
	pid_t pid = 0;
	int pidfd, r;

	r = spawn_process(spawn, &pid);
	if (r < 0)
		return r;
	/* The number cannot be another's: the process stays a zombie until it is waited for. */
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = -errno;
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}
