/* For tests: looks at a runtime from the inside and says what does not add up. */
#ifndef APD_RUNTIME_INSPECT_H
#define APD_RUNTIME_INSPECT_H

#include "runtime/runtime.h"

/* Walks everything; NULL when all adds up, else a static sentence. To be called after a flush. */
const char *apd_runtime_inspect(struct apd_runtime *runtime);

#endif
