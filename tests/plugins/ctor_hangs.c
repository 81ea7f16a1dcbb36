/* Never comes back from being mapped. */
#include "plugin.h"

#include <unistd.h>

__attribute__((constructor)) static void construct(void)
{
	for (;;)
		pause();
}

ONE_AGENT("ctor_hangs", never);
