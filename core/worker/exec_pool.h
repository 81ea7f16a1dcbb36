/* The memory of executions: one pool in a process, never given back. */
#ifndef APD_WORKER_EXEC_POOL_H
#define APD_WORKER_EXEC_POOL_H

#include "worker/exec.h"

/* An execution that has been out of use for long, or a new one. [any] */
struct apd_exec *apd_exec_pool_take(struct apd_worker *worker);

/* Puts one aside, behind all the others. [any] */
void apd_exec_pool_put(struct apd_exec *exec);

/* Puts one aside that was never used, before all the others. [any] */
void apd_exec_pool_put_back(struct apd_exec *exec);

#endif
