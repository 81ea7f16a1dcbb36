/* A shared object that is no plugin. */
#include "plugin.h"

AP_EXPORT int nothing(void);

int nothing(void)
{
	return never(NULL, NULL);
}
