/* Crashes while it is mapped, before anybody has called it. */
#include "plugin.h"

__attribute__((constructor)) static void construct(void)
{
	__builtin_trap();
}

ONE_AGENT("ctor_crashes", never);
