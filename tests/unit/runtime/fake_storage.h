/* The storage of the runtime's direct tests: kept threads, their checkpoints and runs, in memory. */
#ifndef APD_TEST_FAKE_STORAGE_H
#define APD_TEST_FAKE_STORAGE_H

#include "fakes.h"

/* Applies a batch: 0, or -ENOENT and nothing is applied. */
int fake_apply(struct fake *f, struct apd_batch *batch);
void fake_load_active(struct fake *f, struct apd_load *load);
void fake_load_thread(struct fake *f, struct apd_load *load);
void fake_storage_finish(struct fake *f);

#endif
