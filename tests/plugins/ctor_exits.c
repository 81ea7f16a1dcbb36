/* Ends its process while it is mapped, as if all were well. */
#include "plugin.h"

#include <unistd.h>

__attribute__((constructor)) static void construct(void)
{
	_exit(0);
}

ONE_AGENT("ctor_exits", never);
