/*
 * ap/ext/thread.h - the past of the run's thread
 *
 * For agents that do not want the whole conversation at each run: they read of
 * it what they need.  What the run itself has committed is part of it.
 */
#ifndef AP_EXT_THREAD_H
#define AP_EXT_THREAD_H

#include <ap/agent.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AP_EXT_THREAD "ap.thread/1"

/* Errors are those of ap_store. */
typedef struct ap_thread {
	uint32_t size;
	uint32_t reserved;

	/*
	 * Gives checkpoints, newest first, as a JSON array of {"checkpoint_id",
	 * "parent_checkpoint_id","step","source","created_at","run_id"}.  before:
	 * only those older than this id, or absent.  At most limit, from 1 to
	 * 1,000.  Empty where the thread ends with the run. [run]
	 */
	ap_status (*checkpoints)(ap_run *run, ap_str before, uint32_t limit, ap_blob *result);

	/*
	 * Gives the state at a checkpoint: {"values":{...},"messages":[...]}; or
	 * AP_E_NOT_FOUND. [run]
	 */
	ap_status (*state)(ap_run *run, ap_str checkpoint_id, ap_blob *result);

	/*
	 * Gives messages by position, the oldest being 0; a negative from counts
	 * from the end: -10 is the tenth last.  {"total","from","messages"}; fewer
	 * than count where there are no more. [run]
	 */
	ap_status (*messages)(ap_run *run, int64_t from, uint32_t count, ap_blob *result);
} ap_thread;

#ifdef __cplusplus
}
#endif

#endif /* AP_EXT_THREAD_H */
