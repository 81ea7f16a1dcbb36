/* Storage that keeps nothing. */
#include "apd/no_storage.h"

#include <errno.h>

static void commit(struct apd_storage *storage, struct apd_batch *batch)
{
	(void)storage;
	batch->done(batch, 0);
}

static void load(struct apd_storage *storage, struct apd_load *what)
{
	(void)storage;
	what->runs = NULL;
	what->n_runs = 0;
	what->found = false;
	what->done(what, 0);
}

static int get_run(struct apd_storage *storage, const struct apd_id *run_id, bool with_output,
	struct apd_run_row **ret_row)
{
	(void)with_output;
	(void)storage;
	(void)run_id;
	(void)ret_row;
	return -ENOENT;
}

static void search_runs(struct apd_storage *storage, struct apd_run_search *search)
{
	(void)storage;
	search->rows = NULL;
	search->n_rows = 0;
	search->done(search, 0);
}

static int get_thread(struct apd_storage *storage, const struct apd_id *thread_id,
	struct apd_thread_view *ret_view)
{
	(void)storage;
	(void)thread_id;
	(void)ret_view;
	return -ENOENT;
}

static void search_threads(struct apd_storage *storage, struct apd_thread_search *search)
{
	(void)storage;
	search->views = NULL;
	search->n_views = 0;
	search->done(search, 0);
}

static void read_history(struct apd_storage *storage, struct apd_history_read *read)
{
	(void)storage;
	read->items = NULL;
	read->n_items = 0;
	read->done(read, -ENOENT);
}

static int read_outbox(struct apd_storage *storage, int64_t now_us, uint32_t limit,
	struct apd_outbox_row ***ret_rows, size_t *ret_n, int64_t *ret_next_us)
{
	(void)storage;
	(void)now_us;
	(void)limit;
	*ret_rows = NULL;
	*ret_n = 0;
	*ret_next_us = INT64_MAX;
	return 0;
}

static void sweep(struct apd_storage *storage, const struct apd_sweep *what)
{
	(void)storage;
	(void)what;
}

static void stats(struct apd_storage *storage, struct apd_storage_stats *ret_stats)
{
	(void)storage;
	*ret_stats = (struct apd_storage_stats){0};
}

struct apd_storage *apd_no_storage(void)
{
	static const struct apd_storage_ops ops = {
		.commit = commit,
		.load = load,
		.get_run = get_run,
		.get_thread = get_thread,
		.search_runs = search_runs,
		.search_threads = search_threads,
		.read_history = read_history,
		.read_outbox = read_outbox,
		.sweep = sweep,
		.stats = stats,
	};
	static struct apd_storage storage = {&ops};

	return &storage;
}
