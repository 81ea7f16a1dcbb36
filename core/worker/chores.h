/*
 * Chores: what is done one at a time on the thread that serves the worker, so
 * that the plugin's [main] calls never overlap.
 */
#ifndef APD_WORKER_CHORES_H
#define APD_WORKER_CHORES_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"

struct apd_worker;

enum apd_chore_kind {
	APD_CHORE_CREATE = 1,
	APD_CHORE_QUIT, /* the daemon asked for it */
	APD_CHORE_LOST, /* the daemon is gone, or talks nonsense */
};

struct apd_chore {
	struct apd_list link;
	enum apd_chore_kind kind;
	uint32_t arg;
	struct apd_buf payload;
};

struct apd_chores {
	pthread_mutex_t lock;
	pthread_cond_t added;
	struct apd_list list;
};

void apd_chores_init(struct apd_chores *chores);
void apd_chores_finish(struct apd_chores *chores);

/* Adds a chore with a copy of its payload. [any] */
void apd_chores_add(
	struct apd_chores *chores, enum apd_chore_kind kind, uint32_t arg, struct apd_str payload);

/* Does chores until it is QUIT or LOST, which it returns. */
enum apd_chore_kind apd_chores_run(struct apd_worker *worker);

/* Destroys all instances, the last one first. */
void apd_instances_destroy(struct apd_worker *worker);

#endif
