/* Executions that are out of use, the one that has been for longest first. */
#include "worker/exec_pool.h"

#include "base/alloc.h"

/* So many runs must end before the memory of one is used again; more when looking for misuse. */
#define QUARANTINE       64
#define QUARANTINE_DEBUG 1024

/* Shared by all workers of a process: a stale ap_run may outlive its worker. */
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct apd_list unused = {&unused, &unused};
static unsigned n_unused;

static struct apd_exec *create(void)
{
	struct apd_exec *exec = apd_calloc(1, sizeof(*exec));

	pthread_mutex_init(&exec->lock, NULL);
	pthread_mutex_init(&exec->op_lock, NULL);
	pthread_cond_init(&exec->changed, NULL);
	apd_list_init(&exec->commits);
	apd_list_init(&exec->free_link);
	apd_message_order_init(&exec->order);
	exec->halt = APD_HALT_OVER;
	/* Set once: a plugin that kept an ap_run reads them whenever it likes. */
	exec->run.size = sizeof(exec->run);
	exec->run.ops = &apd_exec_ops;
	exec->run.impl = exec;
	return exec;
}

struct apd_exec *apd_exec_pool_take(struct apd_worker *worker)
{
	unsigned least = worker->setup.debug ? QUARANTINE_DEBUG : QUARANTINE;
	struct apd_exec *exec = NULL;

	pthread_mutex_lock(&pool_lock);
	if (n_unused > least) {
		exec = apd_list_first(&unused, struct apd_exec, free_link);
		apd_list_remove(&exec->free_link);
		n_unused--;
	}
	pthread_mutex_unlock(&pool_lock);
	return exec ? exec : create();
}

static void put(struct apd_exec *exec, bool last)
{
	pthread_mutex_lock(&pool_lock);
	if (last)
		apd_list_append(&unused, &exec->free_link);
	else
		apd_list_prepend(&unused, &exec->free_link);
	n_unused++;
	pthread_mutex_unlock(&pool_lock);
}

void apd_exec_pool_put(struct apd_exec *exec)
{
	put(exec, true);
}

void apd_exec_pool_put_back(struct apd_exec *exec)
{
	put(exec, false);
}

void apd_exec_forget(struct apd_worker *worker)
{
	struct apd_exec *exec;

	pthread_mutex_lock(&pool_lock);
	apd_list_each (exec, &unused, free_link) {
		pthread_mutex_lock(&exec->lock);
		if (exec->worker == worker) {
			exec->worker = NULL;
			apd_buf_finish(&exec->payload);
			apd_buf_finish(&exec->message);
		}
		pthread_mutex_unlock(&exec->lock);
	}
	pthread_mutex_unlock(&pool_lock);
}
