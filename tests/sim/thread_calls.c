/* Clients' calls about threads: each is answered once, and truly. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define GOES UINT32_MAX

void metadata_add(struct apd_buf *out, const uint32_t *metadata)
{
	bool first = true;

	apd_buf_lit(out, "{");
	for (unsigned k = 0; k < N_KEYS; k++) {
		if (!metadata[k])
			continue;
		apd_buf_addf(out, "%s\"d%u\":", first ? "" : ",", k);
		if (metadata[k] == GOES)
			apd_buf_lit(out, "null");
		else
			apd_buf_add_u64(out, metadata[k]);
		first = false;
	}
	apd_buf_lit(out, "}");
}

void metadata_of(struct apd_str json, uint32_t *ret_metadata)
{
	memset(ret_metadata, 0, N_KEYS * sizeof(*ret_metadata));
	for (size_t i = 0; i + 5 < json.len; i++)
		if (json.ptr[i] == '"' && json.ptr[i + 1] == 'd' && json.ptr[i + 3] == '"')
			ret_metadata[json.ptr[i + 2] - '0'] =
				(uint32_t)strtoul(json.ptr + i + 5, NULL, 10);
}

static void merge(const uint32_t *old, const uint32_t *patch, uint32_t *ret_new)
{
	for (int k = 0; k < N_KEYS; k++)
		ret_new[k] = patch[k] == GOES ? 0 : patch[k] ? patch[k] : old[k];
}

void calls_take_metadata(struct world *w, struct thr *thr, const uint32_t *metadata, bool born)
{
	static const uint32_t bare[N_KEYS];
	uint32_t merged[N_KEYS];
	struct tcall *c;

	apd_list_each (c, &w->tcalls, link) {
		if (c->thr != thr || c->kind != (born ? CALL_CREATE : CALL_PATCH))
			continue;
		merge(born ? bare : thr->metadata, c->metadata, merged);
		if (memcmp(merged, metadata, sizeof(merged)) != 0)
			continue;
		if (born && !c->got_thread) {
			c->got_thread = true;
			return;
		}
		if (!born && c->has_metadata && !c->got_metadata) {
			c->got_metadata = true;
			return;
		}
	}
	SIM_CHECK(w, born && memcmp(bare, metadata, sizeof(bare)) == 0,
		"thread %u has metadata that nobody gave", thr->number);
}

struct patch *calls_take_point(struct world *w, struct thr *thr,
	const struct apd_checkpoint_row *row, const struct model *parent,
	const struct apd_state *state)
{
	struct tcall *c;

	SIM_CHECK(w, thr->pending == 0, "thread %u is changed by a client while it is busy",
		thr->number);
	apd_list_each (c, &w->tcalls, link) {
		struct model *model;
		bool same;

		if (c->thr != thr || !c->patch || c->got_point)
			continue;
		if (c->has_at ? !apd_id_eq(&c->at, &row->parent_id)
			      : row->source != APD_SOURCE_UPDATE)
			continue;
		model = model_apply(parent, c->patch);
		same = model_is(model, state);
		model_unref(model);
		if (!same)
			continue;
		c->got_point = true;
		return patch_ref(c->patch);
	}
	sim_fail(w, "thread %u: checkpoint %.*s (%s) was asked for by nobody", thr->number,
		APD_STR_FMT(row->patch), apd_checkpoint_source_word(row->source));
}

/* The copy that is on its way gets an entry in the ledger. */
struct thr *calls_name_copy(struct world *w, struct thr *from, const struct apd_id *to_id)
{
	struct tcall *c;

	apd_list_each (c, &w->tcalls, link)
		if (c->kind == CALL_COPY && c->thr == from && !c->copy)
			return c->copy = thr_add(w, to_id);
	sim_fail(w, "thread %u is copied for nobody", from->number);
}

void calls_take_copy(struct world *w, struct thr *from, struct thr *to)
{
	struct tcall *c;
	bool patched = false;

	to->copy_of = from;

	apd_list_each (c, &w->tcalls, link) {
		patched |= c->kind == CALL_PATCH && c->thr == from && c->has_metadata;
	}
	SIM_CHECK(w, patched || !memcmp(from->metadata, to->metadata, sizeof(to->metadata)),
		"the copy of thread %u has other metadata", from->number);
}

bool calls_may_create(struct world *w, const struct thr *thr)
{
	struct tcall *c;

	apd_list_each (c, &w->tcalls, link)
		if (c->kind == CALL_CREATE && c->thr == thr && !c->got_thread)
			return true;
	for (size_t i = 0; i < w->n_live; i++)
		if (w->live[i]->thr == thr && w->live[i]->create_thread && !w->live[i]->over)
			return true;
	return false;
}

static const char *const words[] = {"create", "patch", "copy", "delete"};

/* Something of the thread's runs is under way. */
static bool is_busy(const struct world *w, const struct thr *thr)
{
	if (thr->pending || thr->deleting)
		return true;
	for (size_t i = 0; i < w->n_live; i++)
		if (w->live[i]->thr == thr && !w->live[i]->refused && !w->live[i]->over)
			return true;
	return false;
}

/* A refusal must have a reason. */
static void check_problem(struct world *w, struct tcall *c, enum apd_problem_code code)
{
	const struct thr *thr = c->thr;
	bool steady = thr->births == c->births && thr->deaths == c->deaths;
	bool bare = true;

	for (int k = 0; k < N_KEYS; k++)
		bare &= c->metadata[k] == 0;
	switch (code) {
	case APD_PROBLEM_SHUTTING_DOWN:
		SIM_CHECK(w, w->stopping, "nobody shuts down");
		return;
	case APD_PROBLEM_STORAGE_UNAVAILABLE:
		/* Perhaps earlier: while an end is tried again nobody waits for it. */
		SIM_CHECK(w, w->failures > 0, "storage never failed");
		break;
	case APD_PROBLEM_THREAD_NOT_FOUND:
		SIM_CHECK(w, c->kind != CALL_CREATE && !(steady && c->existed && !thr->deleting),
			"thread %u is not found and exists", thr->number);
		break;
	case APD_PROBLEM_THREAD_EXISTS:
		SIM_CHECK(w,
			c->kind == CALL_CREATE && !c->existing &&
				!(steady && !c->existed && !calls_may_create(w, thr)),
			"thread %u exists and does not", thr->number);
		break;
	case APD_PROBLEM_THREAD_ACTIVE:
		SIM_CHECK(w, c->kind == CALL_PATCH && c->patch && (c->was_busy || is_busy(w, thr)),
			"thread %u is busy with nothing", thr->number);
		break;
	case APD_PROBLEM_CHECKPOINT_NOT_FOUND:
		SIM_CHECK(w,
			c->kind == CALL_PATCH && c->has_at && !(steady && thr_point(thr, &c->at)),
			"thread %u: a checkpoint is not found and exists", thr->number);
		break;
	default:
		sim_fail(
			w, "%s thread %u: %s", words[c->kind], thr->number, apd_problem_word(code));
	}
	SIM_CHECK(w, !c->got_metadata && !c->got_point && (!c->got_thread || bare),
		"%s thread %u was refused (%s) and done", words[c->kind], thr->number,
		apd_problem_word(code));
}

/* What is shown is what is durable, or was. */
static void check_view(struct world *w, const struct tcall *c, const struct thr *thr)
{
	const struct apd_thread_view *view = &c->call.view;
	const struct point *point;

	SIM_CHECK(w, view->thread && view->state, "an answer without a thread");
	SIM_CHECK(w, apd_id_eq(&view->thread->thread_id, &thr->id), "another thread is shown");
	if (!thr->exists)
		return;
	point = view->head ? thr_point(thr, &view->head->checkpoint_id) : NULL;
	if (view->head && !point) {
		/* Undone or deleted since. */
		SIM_CHECK(w, thr->pending || w->rollbacks || thr->births != c->births,
			"thread %u shows a checkpoint that is not durable", thr->number);
		return;
	}
	SIM_CHECK(w, model_is(point ? point->model : NULL, view->state),
		"thread %u shows another state than its checkpoint's", thr->number);
}

/* A change that was told to be done is durable. */
static void check_done(struct world *w, struct tcall *c)
{
	struct thr *thr = c->thr, *copy;

	switch (c->kind) {
	case CALL_CREATE:
		/* One that was there may have been swept away while it was in memory. */
		SIM_CHECK(w,
			thr->exists || thr->deaths != c->deaths || (c->existing && thr->deaths),
			"thread %u was made and does not exist", thr->number);
		SIM_CHECK(w, c->got_thread || c->existing, "thread %u was made by somebody else",
			thr->number);
		check_view(w, c, thr);
		break;
	case CALL_PATCH:
		SIM_CHECK(w, c->got_metadata == c->has_metadata && c->got_point == !!c->patch,
			"thread %u was patched and is not", thr->number);
		check_view(w, c, thr);
		break;
	case CALL_COPY:
		copy = c->call.view.thread ? thr_find(w, &c->call.view.thread->thread_id) : NULL;
		SIM_CHECK(w, copy && copy->copy_of == thr && copy->births,
			"thread %u was copied and was not", thr->number);
		check_view(w, c, copy);
		if (copy->exists && sim_chance(w, 50))
			thr_place(w, copy, (int)sim_below(w, N_PLACES));
		break;
	case CALL_DELETE:
		SIM_CHECK(w, thr->deaths != c->deaths || !thr->exists,
			"thread %u was deleted and is there", thr->number);
		SIM_CHECK(w, !c->call.view.thread, "a deletion shows something");
		break;
	}
}

static void on_done(struct apd_thread_call *call, const struct apd_problem *problem)
{
	struct tcall *c = apd_container_of(call, struct tcall, call);
	struct world *w = c->world;

	sim_story(w, "client: %s thread %u: %s", words[c->kind], c->thr->number,
		problem ? apd_problem_word(problem->code) : "done");
	SIM_CHECK(w, !w->in_call, "a call is answered from within");
	SIM_CHECK(
		w, !c->answered, "%s thread %u is answered twice", words[c->kind], c->thr->number);
	c->answered = true;
	if (problem)
		check_problem(w, c, problem->code);
	else
		check_done(w, c);
	if (c->kind == CALL_DELETE)
		c->thr->deleting--;
	apd_list_remove(&c->link);
	apd_list_append(&w->answered, &c->link);
}

static void call_free(struct tcall *c)
{
	struct world *w = c->world;

	apd_list_remove(&c->link);
	patch_unref(c->patch);
	thr_unref(w, c->copy);
	thr_unref(w, c->thr);
	free(c);
}

/* A thread of a client's own id takes somebody's place. */
static struct thr *new_thread(struct world *w)
{
	struct apd_id id = apd_id_next(&w->ids, w->clock.wall_us(&w->clock));
	struct thr *thr = thr_add(w, &id);

	thr_place(w, thr, (int)sim_below(w, N_PLACES));
	thr_unref(w, thr);
	return thr;
}

static void make_create(struct world *w, struct tcall *c)
{
	for (int k = 0; k < N_KEYS; k++)
		if (sim_chance(w, 30))
			c->metadata[k] = ++w->numbers;
	c->existing = sim_chance(w, 40);
	apd_buf_clear(&w->buf);
	metadata_add(&w->buf, c->metadata);
	apd_runtime_create_thread(w->rt, &c->thr->id, apd_buf_str(&w->buf), c->existing, &c->call);
}

/* Chooses what the PATCH changes: something. */
static void choose_patch(struct world *w, struct tcall *c)
{
	struct thr *thr = c->thr;

	if (sim_chance(w, 50)) {
		c->has_metadata = true;
		c->metadata[sim_below(w, N_KEYS)] = GOES;
		c->metadata[sim_below(w, N_KEYS)] = ++w->numbers;
	}
	if (!c->has_metadata || sim_chance(w, 50)) {
		c->patch = patch_make(w, PATCH_CLIENT, thr_model(thr));
		c->has_at = sim_chance(w, 25);
		if (!c->has_at && !c->patch->says)
			c->patch->values[sim_below(w, N_KEYS)] = ++w->numbers;
	}
	if (c->has_at && thr->n_points)
		c->at = thr->points[sim_below(w, (unsigned)thr->n_points)].row->checkpoint_id;
	else if (c->has_at)
		c->at = apd_id_next(&w->ids, 1000);
	if (c->has_at && sim_chance(w, 5))
		c->at.bytes[15] ^= 1;
}

static void make_patch(struct world *w, struct tcall *c)
{
	struct apd_buf *out = &w->buf;
	struct apd_thread_patch patch = {0};
	size_t values = 0, messages = 0, end = 0;

	choose_patch(w, c);
	apd_buf_clear(out);
	if (c->has_metadata)
		metadata_add(out, c->metadata);
	values = messages = end = out->len;
	if (c->patch) {
		apd_buf_lit(out, "{");
		patch_add_values(out, c->patch);
		apd_buf_lit(out, "}");
		messages = end = out->len;
		if (c->patch->says)
			patch_add_messages(out, c->patch);
		end = out->len;
	}
	patch.text = apd_text_of(out);
	if (values)
		patch.metadata = (struct apd_str){patch.text->data, values};
	if (messages - values > 2)
		patch.values = (struct apd_str){patch.text->data + values, messages - values};
	if (end > messages)
		patch.messages = (struct apd_str){patch.text->data + messages, end - messages};
	patch.has_checkpoint = c->has_at;
	patch.checkpoint_id = c->at;
	sim_story(w, "client: ... with %.300s%s", patch.text->data, c->has_at ? ", branching" : "");
	apd_runtime_patch_thread(w->rt, &c->thr->id, &patch, &c->call);
	apd_text_unref(patch.text);
}

/* What may stop runs, or take their rows. */
static void make_delete(struct world *w, struct tcall *c)
{
	c->thr->deleting++;
	for (size_t i = 0; i < w->n_live; i++)
		if (w->live[i]->thr == c->thr)
			w->live[i]->overtaken = true;
	apd_runtime_delete_thread(w->rt, &c->thr->id, &c->call);
}

void calls_make(struct world *w)
{
	unsigned dice = sim_below(w, 100);
	struct tcall *c = apd_calloc(1, sizeof(*c));
	bool fresh = dice >= 60 && dice < 68;

	c->world = w;
	c->kind = dice < 60 ? CALL_PATCH
		: dice < 84 ? CALL_CREATE
		: dice < 93 ? CALL_COPY
			    : CALL_DELETE;
	c->thr = thr_ref(fresh ? new_thread(w) : thr_pick(w));
	c->existed = c->thr->exists;
	c->was_busy = is_busy(w, c->thr);
	c->births = c->thr->births;
	c->deaths = c->thr->deaths;
	c->call.done = on_done;
	apd_list_append(&w->tcalls, &c->link);
	w->calls++;
	sim_story(w, "client: asks to %s thread %u", words[c->kind], c->thr->number);
	w->in_call = true;
	switch (c->kind) {
	case CALL_CREATE:
		make_create(w, c);
		break;
	case CALL_PATCH:
		make_patch(w, c);
		break;
	case CALL_COPY:
		apd_runtime_copy_thread(w->rt, &c->thr->id, &c->call);
		break;
	case CALL_DELETE:
		make_delete(w, c);
		break;
	}
	w->in_call = false;
}

void calls_forget_answered(struct world *w)
{
	while (!apd_list_empty(&w->answered))
		call_free(apd_list_first(&w->answered, struct tcall, link));
}

/* The daemon died: nobody will be answered. */
void calls_crash(struct world *w)
{
	struct tcall *c, *tmp;

	apd_list_each_safe (c, tmp, &w->tcalls, link) {
		if (c->kind == CALL_DELETE)
			c->thr->deleting--;
		call_free(c);
	}
	calls_forget_answered(w);
}
