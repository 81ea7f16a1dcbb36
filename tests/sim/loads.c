/* Reads of the fake storage: they see what is durable at some moment, and tell it later. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

static void active_runs(struct world *w, struct apd_load *load)
{
	struct row *row;

	apd_list_each (row, &w->rows, link) {
		if (row->row->status != APD_RUN_PENDING)
			continue;
		if ((load->n_runs & (load->n_runs - 1)) == 0)
			load->runs = apd_realloc(load->runs,
				(load->n_runs ? load->n_runs * 2 : 1) * sizeof(*load->runs));
		load->runs[load->n_runs++] = apd_run_row_ref(row->row);
	}
}

/* What a read finds now. */
static void read_load(struct world *w, struct load *load)
{
	struct apd_load *seen = &load->seen;
	const struct thr *thr = thr_find(w, &seen->id);
	const struct point *at;
	unsigned percent = w->fail_percent;

	load->read = true;
	/* A daemon that cannot read what it left does not begin: not too often. */
	if (w->recovering && percent)
		percent = seen->type == APD_LOAD_ACTIVE_RUNS ? 0 : 2;
	load->result = sim_chance(w, percent) ? -EIO : 0;
	w->failures += load->result < 0;
	if (load->result < 0)
		return;
	switch (seen->type) {
	case APD_LOAD_ACTIVE_RUNS:
		active_runs(w, seen);
		break;
	case APD_LOAD_THREAD:
		thr_view(thr, thr ? thr_head(thr) : NULL, seen);
		break;
	case APD_LOAD_CHECKPOINT:
		at = thr && thr->exists ? thr_point(thr, &seen->at) : NULL;
		thr_view(thr, at, seen);
		seen->found_at = at != NULL;
		break;
	}
}

/* Hands over what was read, which may be out of date by now. */
static void finish_load(struct world *w, struct load *load)
{
	struct apd_load *to = load->load;
	int result;

	if (!load->read)
		read_load(w, load);
	result = load->result;
	sim_story(w, "storage: read %s", result ? "failed" : "done");
	to->runs = load->seen.runs;
	to->n_runs = load->seen.n_runs;
	to->found = load->seen.found;
	to->found_at = load->seen.found_at;
	to->view = load->seen.view;
	to->chain = load->seen.chain;
	to->newest = load->seen.newest;
	free(load);
	to->done(to, result);
}

void load_begin(struct apd_storage *storage, struct apd_load *base)
{
	struct world *w = apd_container_of(storage, struct world, storage);
	struct load *load = apd_calloc(1, sizeof(*load));

	load->load = base;
	load->seen.type = base->type;
	load->seen.id = base->id;
	load->seen.at = base->at;
	if (w->sync_storage && base->type != APD_LOAD_ACTIVE_RUNS && sim_chance(w, 30)) {
		finish_load(w, load);
		return;
	}
	apd_list_append(&w->loads, &load->link);
}

/* The oldest read sees something, or tells what it saw. */
void loads_step(struct world *w)
{
	struct load *load = apd_list_first(&w->loads, struct load, link);

	if (!load->read && sim_chance(w, 40)) {
		read_load(w, load);
		return;
	}
	apd_list_remove(&load->link);
	finish_load(w, load);
}

/* Nobody waits for what was read. */
void loads_crash(struct world *w)
{
	while (!apd_list_empty(&w->loads)) {
		struct load *load = apd_list_first(&w->loads, struct load, link);

		apd_list_remove(&load->link);
		for (size_t i = 0; i < load->seen.n_runs; i++)
			apd_run_row_unref(load->seen.runs[i]);
		free(load->seen.runs);
		apd_thread_view_finish(&load->seen.view);
		free(load);
	}
}
