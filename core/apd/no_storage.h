/* Storage that keeps nothing: for runs that nobody will ask for again. */
#ifndef APD_APD_NO_STORAGE_H
#define APD_APD_NO_STORAGE_H

#include "storage/storage.h"

/* Commits succeed at once, loads find nothing. Static: nothing to free. [any] */
struct apd_storage *apd_no_storage(void);

#endif
