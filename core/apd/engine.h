/*
 * The engine: the runtime with its loop, its workers and its storage. What
 * `apd serve` puts behind HTTP and `apd run` behind a terminal.
 */
#ifndef APD_APD_ENGINE_H
#define APD_APD_ENGINE_H

#include <uv.h>

#include "apd/config.h"
#include "base/mailbox.h"
#include "host/pool.h"
#include "runtime/runtime.h"
#include "storage/storage.h"
#include "webhook/webhook.h"

struct apd_engine {
	uv_loop_t loop;
	int wake_fd;
	uv_poll_t wake;
	uv_prepare_t turn; /* before the loop waits */
	uv_check_t woken; /* after it */
	uv_timer_t timer;
	struct apd_mailbox mailbox; /* tasks for the runtime's thread */
	struct apd_host_config host_config;
	struct apd_runtime *runtime;
	struct apd_pool *pool;
	struct apd_storage *storage; /* borrowed */
	struct apd_webhook *webhook; /* borrowed; NULL while or where nothing is delivered */
	bool ready;
	int failed; /* of recovery: a negative errno */
	bool over;
	int64_t shutdown_limit_ns;
};

/*
 * Makes the mailbox and the loop: the first step, since storage needs the
 * mailbox. 0, or -1 with a sentence in error.
 */
int apd_engine_init(struct apd_engine *engine, struct apd_buf *error);

/*
 * Finds the plugins, makes the runtime and recovers: runs the loop until that is
 * done. in_process: agents are mapped into this process. 0, or -1 with a sentence.
 */
int apd_engine_start(struct apd_engine *engine, const struct apd_config *config,
	struct apd_storage *storage, bool in_process, struct apd_buf *error);

/*
 * Shuts the runtime down and runs the loop until nothing executes and all is
 * durable, or storage has not taken it two seconds behind the grace.
 */
void apd_engine_shutdown(struct apd_engine *engine);

/* Ends the workers. Storage may be closed afterwards. */
void apd_engine_stop_workers(struct apd_engine *engine);

/* Frees all but storage, which must be closed. */
void apd_engine_finish(struct apd_engine *engine);

#endif
