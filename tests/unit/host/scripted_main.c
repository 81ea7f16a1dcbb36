/* The scripted worker as a process. */
#include "host/frame.h"
#include "scripted.h"

int main(void)
{
	return scripted_serve(APD_WORKER_SOCKET_FD, APD_WORKER_PLUGIN_FD);
}
