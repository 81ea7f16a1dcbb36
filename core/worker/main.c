/* apd-worker: a process that runs the agents of one plugin. */
#include <fcntl.h>
#include <unistd.h>

#include "host/frame.h"
#include "worker/worker.h"

/* Built with a sanitizer a worker must still die of the signals that kill it. */
#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
#elif defined(__SANITIZE_THREAD__)
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
{
	return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0";
}
#endif

#if defined(__SANITIZE_ADDRESS__)
/* The leak check stops its threads by way of /proc, which Landlock may have taken from them. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return 1;
	close(fd);
	return 0;
}
#endif

int main(void)
{
	return apd_worker_serve(APD_WORKER_SOCKET_FD, APD_WORKER_PLUGIN_FD, false);
}
