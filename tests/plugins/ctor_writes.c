/* Writes to the host's descriptor while it is mapped. */
#include "plugin.h"

#include <unistd.h>

__attribute__((constructor)) static void construct(void)
{
	static const char hello[] = "Hello, world! Is anybody there?";

	if (write(3, hello, sizeof(hello)) < 0)
		_exit(1);
}

ONE_AGENT("ctor_writes", never);
