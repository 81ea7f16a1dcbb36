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

static int get_run(
	struct apd_storage *storage, const struct apd_id *run_id, struct apd_run_row **ret_row)
{
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

static void sweep(struct apd_storage *storage, int64_t ended_before_us, uint32_t max)
{
	(void)storage;
	(void)ended_before_us;
	(void)max;
}

static void stats(struct apd_storage *storage, struct apd_storage_stats *ret_stats)
{
	(void)storage;
	*ret_stats = (struct apd_storage_stats){0};
}

struct apd_storage *apd_no_storage(void)
{
	static const struct apd_storage_ops ops = {
		commit, load, get_run, search_runs, sweep, stats};
	static struct apd_storage storage = {&ops};

	return &storage;
}
