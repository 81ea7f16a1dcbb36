/* The lab: runtime, pool and storage, played. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "lab.h"

/* ---- the runtime ---- */

void apd_runtime_create_run(
	struct apd_runtime *runtime, const struct apd_run_spec *spec, struct apd_run_call *call)
{
	apd_text_unref(runtime->request);
	runtime->spec = *spec;
	runtime->request = apd_text_ref(spec->request);
	runtime->call = call;
}

/* Gives a call what it may read within callbacks. */
static void fill(struct apd_runtime *runtime, struct apd_run_call *call)
{
	call->row = runtime->row;
	call->log = runtime->log;
	if (runtime->log)
		call->log_seq = apd_event_log_last(runtime->log);
}

int apd_runtime_join_run(struct apd_runtime *runtime, const struct apd_id *run_id,
	enum apd_run_mode mode, struct apd_run_call *call)
{
	(void)run_id;
	if (!runtime->row || runtime->light)
		return -ENOENT;
	fill(runtime, call);
	runtime->call = runtime->at_once ? NULL : call;
	if (mode == APD_MODE_STREAM)
		call->ops->accepted(call);
	if (runtime->at_once)
		call->ops->ended(call);
	return 0;
}

void apd_runtime_leave(struct apd_runtime *runtime, struct apd_run_call *call)
{
	if (runtime->call == call)
		runtime->call = NULL;
	runtime->leaves++;
}

void apd_runtime_taken(struct apd_runtime *runtime, struct apd_run_call *call, uint64_t seq)
{
	assert_ptr_equal(runtime->call, call);
	runtime->taken = seq;
}

struct apd_run_row *apd_runtime_find_run(struct apd_runtime *runtime, const struct apd_id *run_id)
{
	(void)run_id;
	return runtime->row;
}

int apd_runtime_cancel_run(struct apd_runtime *runtime, const struct apd_id *run_id, bool rollback,
	struct apd_run_call *call)
{
	(void)run_id;
	if (!runtime->row)
		return -ENOENT;
	runtime->rollback = rollback;
	runtime->call = runtime->at_once ? NULL : call;
	if (call && runtime->at_once) {
		fill(runtime, call);
		call->ops->ended(call);
	}
	return 0;
}

void apd_runtime_delete_run(
	struct apd_runtime *runtime, const struct apd_id *run_id, struct apd_change *change)
{
	(void)run_id;
	runtime->change = change;
}

void apd_runtime_watch(
	struct apd_runtime *runtime, struct apd_event_log *log, struct apd_watch *watch)
{
	assert_null(runtime->watch);
	watch->log = log;
	runtime->watch = watch;
}

void apd_runtime_unwatch(struct apd_runtime *runtime, struct apd_watch *watch)
{
	assert_ptr_equal(runtime->watch, watch);
	runtime->watch = NULL;
}

void apd_runtime_stats(const struct apd_runtime *runtime, struct apd_runtime_stats *ret_stats)
{
	(void)runtime;
	*ret_stats = (struct apd_runtime_stats){.created = 3, .succeeded = 2, .queued = 1};
}

/* Remembers a request about a thread. */
static void ask_thread(
	struct apd_runtime *runtime, const struct apd_id *thread_id, struct apd_thread_call *call)
{
	assert_null(runtime->thread_call);
	runtime->thread_call = call;
	runtime->thread_id = *thread_id;
}

void apd_runtime_create_thread(struct apd_runtime *runtime, const struct apd_id *thread_id,
	struct apd_str metadata, bool existing, struct apd_thread_call *call)
{
	ask_thread(runtime, thread_id, call);
	apd_text_unref(runtime->metadata);
	runtime->metadata = apd_text_create(metadata);
	runtime->existing = existing;
}

void apd_runtime_patch_thread(struct apd_runtime *runtime, const struct apd_id *thread_id,
	const struct apd_thread_patch *patch, struct apd_thread_call *call)
{
	ask_thread(runtime, thread_id, call);
	apd_text_unref(runtime->patch.text);
	runtime->patch = *patch;
	apd_text_ref(patch->text);
}

void apd_runtime_copy_thread(
	struct apd_runtime *runtime, const struct apd_id *thread_id, struct apd_thread_call *call)
{
	ask_thread(runtime, thread_id, call);
}

void apd_runtime_delete_thread(
	struct apd_runtime *runtime, const struct apd_id *thread_id, struct apd_thread_call *call)
{
	ask_thread(runtime, thread_id, call);
}

void lab_thread_done(
	struct lab *lab, enum apd_problem_code code, const struct apd_thread_view *view)
{
	struct apd_thread_call *call = lab->runtime.thread_call;
	struct apd_problem problem = {.code = code};

	assert_non_null(call);
	lab->runtime.thread_call = NULL;
	if (view)
		call->view = *view;
	call->done(call, code ? &problem : NULL);
}

/* ---- pool and storage ---- */

struct apd_agent_set *apd_pool_agents(struct apd_pool *pool)
{
	return apd_agent_set_ref(((struct lab *)(void *)pool)->agents);
}

void apd_pool_stats(struct apd_pool *pool, struct apd_pool_stats *ret_stats)
{
	(void)pool;
	*ret_stats = (struct apd_pool_stats){.workers = 1};
}

static int get_run(struct apd_storage *storage, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row)
{
	struct lab *lab = apd_container_of(storage, struct lab, storage);

	(void)run_id;
	lab->with_output = with_output;
	if (!lab->stored)
		return -ENOENT;
	*ret_row = apd_run_row_ref(lab->stored);
	return 0;
}

static int get_thread(struct apd_storage *storage, const struct apd_id *thread_id,
	struct apd_thread_view *ret_view)
{
	struct lab *lab = apd_container_of(storage, struct lab, storage);

	(void)thread_id;
	if (lab->searched < 0)
		return lab->searched;
	if (!lab->thread_stored)
		return -ENOENT;
	*ret_view = lab_view(APD_THREAD_IDLE, false);
	return 0;
}

/* Copies what a query points to. */
static void note(char out[64], struct apd_str s)
{
	snprintf(out, 64, "%.*s", APD_STR_FMT(s));
}

static void search_runs(struct apd_storage *storage, struct apd_run_search *search)
{
	struct lab *lab = apd_container_of(storage, struct lab, storage);

	lab->run_query = search->query;
	note(lab->queried[0], search->query.agent_id);
	note(lab->queried[1], search->query.metadata);
	if (lab->searched == 0 && lab->stored) {
		search->rows = apd_calloc(1, sizeof(*search->rows));
		search->rows[0] = apd_run_row_ref(lab->stored);
		search->n_rows = 1;
	}
	search->done(search, lab->searched);
}

static void search_threads(struct apd_storage *storage, struct apd_thread_search *search)
{
	struct lab *lab = apd_container_of(storage, struct lab, storage);

	lab->thread_query = search->query;
	note(lab->queried[1], search->query.metadata);
	note(lab->queried[2], search->query.values);
	if (lab->searched == 0) {
		search->n_views = 2;
		search->views = apd_calloc(2, sizeof(*search->views));
		search->views[0] = lab_view(APD_THREAD_INTERRUPTED, false);
		search->views[1] = lab_view(APD_THREAD_INTERRUPTED, true);
	}
	search->done(search, lab->searched);
}

static void read_history(struct apd_storage *storage, struct apd_history_read *read)
{
	struct lab *lab = apd_container_of(storage, struct lab, storage);

	lab->history = *read;
	if (lab->searched == 0) {
		struct apd_thread_view view = lab_view(APD_THREAD_IDLE, false);

		read->n_items = 1;
		read->items = apd_calloc(1, sizeof(*read->items));
		read->items[0].row = apd_checkpoint_row_ref(view.head);
		read->items[0].state = apd_state_ref(view.state);
		apd_thread_view_finish(&view);
	}
	read->done(read, lab->searched);
}

static void storage_stats(struct apd_storage *storage, struct apd_storage_stats *ret_stats)
{
	(void)storage;
	*ret_stats = (struct apd_storage_stats){.commits = 9};
}

const struct apd_storage_ops lab_storage_ops = {.get_run = get_run,
	.get_thread = get_thread,
	.search_runs = search_runs,
	.search_threads = search_threads,
	.read_history = read_history,
	.stats = storage_stats};
