/* apd-worker: a process that runs the agents of one plugin. */
#include "host/frame.h"
#include "worker/worker.h"

int main(void)
{
	return apd_worker_serve(APD_WORKER_SOCKET_FD, APD_WORKER_PLUGIN_FD, false);
}
