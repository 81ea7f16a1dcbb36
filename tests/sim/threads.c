/*
 * Kept threads as they are durable, and as the ledger reckons them: a checkpoint must be the
 * child of the newest one, be asked for by somebody, and fold to what was asked for.
 */
#include "sim.h"

#include <stdlib.h>

struct thr *thr_find(struct world *w, const struct apd_id *id)
{
	return apd_map_get(&w->threads, apd_id_key(id));
}

struct thr *thr_add(struct world *w, const struct apd_id *id)
{
	struct thr *thr = apd_calloc(1, sizeof(*thr));

	thr->id = *id;
	thr->number = ++w->n_thrs;
	thr->place = -1;
	apd_list_append(&w->thrs, &thr->link);
	SIM_CHECK(
		w, !apd_map_put(&w->threads, apd_id_key(&thr->id), thr), "two threads have one id");
	return thr_ref(thr);
}

struct thr *thr_ref(struct thr *thr)
{
	thr->refs++;
	return thr;
}

void thr_unref(struct world *w, struct thr *thr)
{
	if (!thr || --thr->refs)
		return;
	apd_map_remove(&w->threads, apd_id_key(&thr->id));
	apd_list_remove(&thr->link);
	free(thr->points);
	free(thr);
}

/* From now on clients that pick this place get this thread. */
void thr_place(struct world *w, struct thr *thr, int place)
{
	struct thr *old = w->places[place];

	if (old)
		old->place = -1;
	w->places[place] = thr_ref(thr);
	thr->place = place;
	thr_unref(w, old);
}

struct thr *thr_pick(struct world *w)
{
	return w->places[sim_below(w, N_PLACES)];
}

struct point *thr_head(const struct thr *thr)
{
	return thr->n_points ? &thr->points[thr->n_points - 1] : NULL;
}

struct model *thr_model(const struct thr *thr)
{
	return thr->n_points ? thr->points[thr->n_points - 1].model : NULL;
}

struct point *thr_point(const struct thr *thr, const struct apd_id *id)
{
	for (size_t i = thr->n_points; i-- > 0;)
		if (apd_id_eq(&thr->points[i].row->checkpoint_id, id))
			return &thr->points[i];
	return NULL;
}

static void point_finish(struct point *point)
{
	apd_checkpoint_row_unref(point->row);
	apd_state_unref(point->state);
	model_unref(point->model);
}

static struct point *push_point(struct thr *thr)
{
	if (thr->n_points == thr->cap_points) {
		thr->cap_points = thr->cap_points ? thr->cap_points * 2 : 8;
		thr->points = apd_realloc(thr->points, thr->cap_points * sizeof(*thr->points));
	}
	return &thr->points[thr->n_points++];
}

/* The thread exists from now on. */
static void be_born(struct thr *thr)
{
	thr->exists = true;
	thr->births++;
	thr->rest = APD_THREAD_IDLE;
	thr->questions = (struct questions){0};
	thr_ref(thr);
}

void thr_put(struct world *w, struct thr *thr, struct apd_thread_row *row)
{
	uint32_t metadata[N_KEYS];
	bool born = !thr->exists;

	metadata_of(row->metadata, metadata);
	if (born)
		be_born(thr);
	if (born || memcmp(metadata, thr->metadata, sizeof(metadata)) != 0)
		calls_take_metadata(w, thr, metadata, born);
	memcpy(thr->metadata, metadata, sizeof(metadata));
	SIM_CHECK(w, born || row->created_us == thr->row->created_us, "thread %u was created twice",
		thr->number);
	apd_thread_row_unref(thr->row);
	thr->row = apd_thread_row_ref(row);
}

void thr_drop(struct world *w, struct thr *thr)
{
	thr->exists = false;
	thr->questions = (struct questions){0};
	thr->deaths++;
	while (thr->n_points)
		point_finish(&thr->points[--thr->n_points]);
	apd_thread_row_unref(thr->row);
	thr->row = NULL;
	thr_unref(w, thr);
}

/* The same checkpoint in another thread. */
static struct apd_checkpoint_row *copy_row(
	const struct apd_checkpoint_row *row, const struct apd_id *thread_id)
{
	struct apd_text *text = apd_text_ref(row->text), *removed = apd_text_ref(row->removed_text);
	struct apd_checkpoint_row *copy = apd_checkpoint_row_create(text, removed);

	copy->thread_id = *thread_id;
	copy->checkpoint_id = row->checkpoint_id;
	copy->has_parent = row->has_parent;
	copy->parent_id = row->parent_id;
	copy->step = row->step;
	copy->source = row->source;
	copy->created_us = row->created_us;
	copy->has_run = row->has_run;
	copy->run_id = row->run_id;
	copy->whole = row->whole;
	copy->name = row->name;
	copy->patch = row->patch;
	copy->removed = row->removed;
	return copy;
}

void thr_copy(struct world *w, struct thr *from, struct apd_thread_row *row)
{
	struct thr *to = thr_find(w, &row->thread_id);

	SIM_CHECK(w, to && !to->exists, "a thread is copied over another");
	be_born(to);
	to->row = apd_thread_row_ref(row);
	to->rest = row->rest;
	to->questions = questions_of(w, row);
	metadata_of(row->metadata, to->metadata);
	for (size_t i = 0; i < from->n_points; i++) {
		const struct point *point = &from->points[i];

		*push_point(to) = (struct point){copy_row(point->row, &to->id),
			apd_state_ref(point->state), model_ref(point->model), point->chain};
	}
	calls_take_copy(w, from, to);
}

/* Reads what a checkpoint holds on top of its parent, as an engine does. */
static struct apd_state *fold(
	struct world *w, const struct apd_checkpoint_row *row, const struct point *parent)
{
	struct apd_state *empty = apd_state_empty(), *state;
	struct apd_state_change change = {.patch = &w->json};

	SIM_CHECK(w, apd_json_scan(&w->json, row->patch) == 0, "a patch is no JSON: %.*s",
		APD_STR_FMT(row->patch));
	if (row->removed.ptr) {
		SIM_CHECK(w, apd_json_scan(&w->json2, row->removed) == 0, "no JSON: %.*s",
			APD_STR_FMT(row->removed));
		change.removed = &w->json2;
	}
	SIM_CHECK(w,
		apd_state_apply(
			row->whole || !parent ? empty : parent->state, &change, &state, NULL) == 0,
		"a checkpoint cannot be folded: %.*s", APD_STR_FMT(row->patch));
	apd_state_unref(empty);
	return state;
}

/* What an input checkpoint says of its run. */
static struct patch *take_input(
	struct world *w, struct thr *thr, const struct apd_checkpoint_row *row)
{
	struct srun *run = ledger_find(w, &row->run_id);

	SIM_CHECK(w, row->has_run && run && run->thr == thr, "an input of no run");
	SIM_CHECK(w, !run->began, "run %lu begins twice", run->serial);
	run->began = true;
	run->base_n = thr->n_points;
	return patch_ref(run->input);
}

/* The parent: the newest there is, but for branches. */
static const struct point *check_parent(
	struct world *w, const struct thr *thr, const struct apd_checkpoint_row *row)
{
	const struct point *head = thr_head(thr);
	const struct point *parent = row->has_parent ? thr_point(thr, &row->parent_id) : NULL;

	SIM_CHECK(w, !row->has_parent || parent, "thread %u: a checkpoint without its parent",
		thr->number);
	SIM_CHECK(w, row->source == APD_SOURCE_FORK || parent == head,
		"thread %u: a checkpoint's parent is not the newest", thr->number);
	SIM_CHECK(w,
		!head || memcmp(row->checkpoint_id.bytes, head->row->checkpoint_id.bytes, 16) > 0,
		"thread %u: ids of checkpoints do not rise", thr->number);
	SIM_CHECK(w, row->step == (parent ? parent->row->step + 1 : 0), "thread %u: step %ld",
		thr->number, (long)row->step);
	return parent;
}

/* Reading must cost about what the state weighs. */
static void check_chain(struct world *w, const struct thr *thr, const struct point *parent,
	const struct point *point)
{
	if (point->row->whole || !parent)
		return;
	SIM_CHECK(w,
		!apd_checkpoint_should_be_whole(parent->chain, parent->state) ||
			!apd_checkpoint_should_be_whole(parent->chain, point->state),
		"thread %u: a chain of %zu for a state of %zu", thr->number, point->chain,
		point->state->bytes);
}

void thr_add_point(struct world *w, struct thr *thr, struct apd_checkpoint_row *row)
{
	const struct point *parent = check_parent(w, thr, row);
	struct point point = {.row = apd_checkpoint_row_ref(row)};
	struct patch *patch;

	w->points++;
	w->wholes += row->whole;
	point.state = fold(w, row, parent);
	point.chain = apd_checkpoint_weight(row) + (row->whole || !parent ? 0 : parent->chain);
	if (row->source == APD_SOURCE_INPUT)
		patch = take_input(w, thr, row);
	else if (row->source == APD_SOURCE_LOOP)
		patch = commit_stored(w, row);
	else
		patch = calls_take_point(w, thr, row, parent ? parent->model : NULL, point.state);
	point.model = model_apply(parent ? parent->model : NULL, patch);
	patch_unref(patch);
	SIM_CHECK(w, model_is(point.model, point.state),
		"thread %u: checkpoint %.*s (%s) is not what was asked for", thr->number,
		APD_STR_FMT(row->patch), apd_checkpoint_source_word(row->source));
	check_chain(w, thr, parent, &point);
	*push_point(thr) = point;
}

void thr_undo(struct world *w, struct thr *thr, const struct apd_id *after)
{
	while (thr->n_points &&
		memcmp(thr_head(thr)->row->checkpoint_id.bytes, after->bytes, 16) > 0) {
		w->rollbacks++;
		point_finish(&thr->points[--thr->n_points]);
	}
}

/* What a load is to see. */
void thr_view(const struct thr *thr, const struct point *at, struct apd_load *load)
{
	load->found = thr && thr->exists;
	if (!load->found)
		return;
	if (thr->n_points)
		load->newest = thr_head(thr)->row->checkpoint_id;
	load->view.thread = apd_thread_row_ref(thr->row);
	load->view.busy = thr->pending > 0;
	load->view.head = at ? apd_checkpoint_row_ref(at->row) : NULL;
	load->view.state = at ? apd_state_ref(at->state) : apd_state_empty();
	load->chain = at ? at->chain : 0;
}

void thr_expect_end(
	struct world *w, struct thr *thr, const struct srun *run, const struct apd_run_row *row)
{
	enum apd_thread_rest rest;

	if (row->interrupts.ptr) {
		SIM_CHECK(w, row->status == APD_RUN_INTERRUPTED && run->paused,
			"run %lu has questions and did not pause", run->serial);
		thr->rest = APD_THREAD_INTERRUPTED;
		thr->questions = run->questions;
		return;
	}
	SIM_CHECK(w,
		!run->paused || row->status != APD_RUN_INTERRUPTED || ledger_may_be_stopped(run),
		"run %lu paused and its questions are lost", run->serial);
	rest = row->status == APD_RUN_ERROR || row->status == APD_RUN_TIMEOUT ? APD_THREAD_ERROR
									      : APD_THREAD_IDLE;
	/* One that failed and never began may leave the thread as it was. */
	if (!run->began) {
		thr->either = rest == APD_THREAD_ERROR;
		thr->other_rest = rest;
		return;
	}
	thr->questions = (struct questions){0};
	thr->rest = rest;
}

/* The thread's row says what it should. */
void thr_check(struct world *w, struct thr *thr)
{
	if (!thr->exists)
		return;
	if (thr->either && thr->row->rest == thr->other_rest && !thr->row->interrupts.ptr) {
		thr->rest = thr->other_rest;
		thr->questions = (struct questions){0};
	}
	thr->either = false;
	SIM_CHECK(w, thr->row->rest == thr->rest, "thread %u rests as %d and should as %d",
		thr->number, (int)thr->row->rest, (int)thr->rest);
	questions_check(w, thr);
}

void threads_init(struct world *w)
{
	static const struct apd_thread_row bare = {.created_us = 1};

	apd_list_init(&w->thrs);
	apd_id_gen_init(&w->ids, sim_random(w) | 1);
	for (int i = 0; i < N_PLACES; i++) {
		struct apd_id id = apd_id_next(&w->ids, 1000);
		struct thr *thr = thr_add(w, &id);
		struct apd_thread_row *row;

		thr_place(w, thr, i);
		if (sim_chance(w, 50)) {
			row = apd_thread_row_create(&bare);
			row->thread_id = id;
			be_born(thr);
			thr->row = row;
		}
		thr_unref(w, thr);
	}
}

/* Retention takes a thread that rests, and the runtime hears nothing of it. */
void threads_sweep(struct world *w)
{
	struct thr *thr = thr_pick(w);

	if (!thr->exists || thr->pending)
		return;
	sim_story(w, "storage: sweeps thread %u away", thr->number);
	w->sweeps++;
	storage_delete_thread(w, thr, NULL);
}

/* At rest: what no client knows of goes, and what has grown long. */
void threads_tidy(struct world *w)
{
	struct thr *thr, *tmp;

	apd_list_each_safe (thr, tmp, &w->thrs, link)
		if (thr->exists && (thr->place < 0 || thr->n_points > 400))
			storage_delete_thread(w, thr, NULL);
}

void threads_finish(struct world *w)
{
	struct thr *thr, *tmp;

	for (int i = 0; i < N_PLACES; i++)
		w->places[i]->place = -1;
	apd_list_each_safe (thr, tmp, &w->thrs, link)
		if (thr->exists)
			thr_drop(w, thr);
	for (int i = 0; i < N_PLACES; i++)
		thr_unref(w, w->places[i]);
	SIM_CHECK(w, apd_list_empty(&w->thrs), "the ledger leaks a thread");
	apd_map_finish(&w->threads);
}
