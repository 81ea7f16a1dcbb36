/* apd-worker: a process that runs the agents of one plugin. */
#include "host/frame.h"
#include "worker/worker.h"

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void);

/* Built with AddressSanitizer a worker must still die of the signals that kill it. */
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0";
}
#endif

int main(void)
{
	return apd_worker_serve(APD_WORKER_SOCKET_FD, APD_WORKER_PLUGIN_FD, false);
}
