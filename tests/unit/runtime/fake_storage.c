/* What the fake storage does with batches and reads. */
#include "fake_storage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct fake_thread *find(struct fake *f, const struct apd_id *id)
{
	for (unsigned i = 0; i < f->n_threads; i++)
		if (apd_id_eq(&f->threads[i].row->thread_id, id))
			return &f->threads[i];
	return NULL;
}

static struct apd_id id_of(unsigned id)
{
	struct apd_id out = {{(uint8_t)id}};

	return out;
}

struct fake_thread *fake_thread(struct fake *f, unsigned id)
{
	struct apd_id thread_id = id_of(id);

	return find(f, &thread_id);
}

static void put_thread(struct fake *f, struct apd_thread_row *row)
{
	struct fake_thread *thread = find(f, &row->thread_id);

	if (!thread) {
		assert_true(f->n_threads < FAKE_THREADS);
		thread = &f->threads[f->n_threads++];
		*thread = (struct fake_thread){0};
	}
	apd_thread_row_unref(thread->row);
	thread->row = apd_thread_row_ref(row);
	f->threads_put++;
}

void fake_thread_put(struct fake *f, unsigned id, const char *interrupts)
{
	struct apd_thread_row from = {.thread_id = id_of(id),
		.metadata = APD_STR("{}"),
		.rest = interrupts ? APD_THREAD_INTERRUPTED : APD_THREAD_IDLE,
		.interrupts = interrupts ? apd_str(interrupts) : APD_STR_ABSENT};
	struct apd_thread_row *row = apd_thread_row_create(&from);

	put_thread(f, row);
	apd_thread_row_unref(row);
}

/* Removes the checkpoints that are newer than an id. */
static void undo(struct fake_thread *thread, const struct apd_id *after)
{
	while (thread->n_points &&
		memcmp(thread->points[thread->n_points - 1]->checkpoint_id.bytes, after->bytes,
			sizeof(after->bytes)) > 0)
		apd_checkpoint_row_unref(thread->points[--thread->n_points]);
}

static void remove_run(struct fake *f, const struct apd_id *run_id)
{
	for (unsigned i = 0; i < f->n_runs; i++) {
		if (!apd_id_eq(&f->runs[i]->run_id, run_id))
			continue;
		apd_run_row_unref(f->runs[i]);
		f->runs[i] = f->runs[--f->n_runs];
		return;
	}
}

static void delete_thread(struct fake *f, const struct apd_id *id)
{
	static const struct apd_id nothing;
	struct fake_thread *thread = find(f, id);

	f->threads_deleted++;
	if (!thread)
		return;
	for (unsigned i = f->n_runs; i > 0; i--)
		if (apd_id_eq(&f->runs[i - 1]->thread_id, id))
			remove_run(f, &f->runs[i - 1]->run_id);
	undo(thread, &nothing);
	apd_thread_row_unref(thread->row);
	*thread = f->threads[--f->n_threads];
}

void fake_sweep(struct fake *f, unsigned id)
{
	struct apd_id thread_id = id_of(id);

	delete_thread(f, &thread_id);
}

static void put_run(struct fake *f, struct apd_run_row *row)
{
	apd_run_row_unref(f->stored);
	f->stored = apd_run_row_ref(row);
	f->stored_count++;
	remove_run(f, &row->run_id);
	if (row->flags & APD_RUN_ROW_EPHEMERAL)
		return;
	assert_true(f->n_runs < FAKE_RUNS);
	f->runs[f->n_runs++] = apd_run_row_ref(row);
}

static void put_point(struct fake *f, struct apd_checkpoint_row *row)
{
	struct fake_thread *thread = find(f, &row->thread_id);

	assert_true(thread->n_points < FAKE_POINTS);
	if (thread->n_points)
		assert_true(memcmp(row->checkpoint_id.bytes,
				    thread->points[thread->n_points - 1]->checkpoint_id.bytes,
				    sizeof(row->checkpoint_id.bytes)) > 0);
	thread->points[thread->n_points++] = apd_checkpoint_row_ref(row);
}

static void copy_thread(struct fake *f, const struct apd_op *op)
{
	struct fake_thread *from, *to;

	put_thread(f, op->thread);
	from = find(f, &op->id);
	to = find(f, &op->thread->thread_id);
	for (unsigned i = 0; i < from->n_points; i++)
		to->points[to->n_points++] = apd_checkpoint_row_ref(from->points[i]);
}

/* True if the op needs a thread that is not there. */
static bool is_missing(struct fake *f, const struct apd_op *op)
{
	if (op->type == APD_OP_RUN_PUT && !(op->run->flags & APD_RUN_ROW_EPHEMERAL))
		return !find(f, &op->run->thread_id);
	if (op->type == APD_OP_THREAD_PUT && op->replaces)
		return !find(f, &op->thread->thread_id);
	return op->type == APD_OP_CHECKPOINT_PUT && !find(f, &op->checkpoint->thread_id);
}

static void apply_op(struct fake *f, struct apd_batch *batch, const struct apd_op *op)
{
	switch (op->type) {
	case APD_OP_RUN_PUT:
		put_run(f, op->run);
		break;
	case APD_OP_RUN_DELETE:
		remove_run(f, &op->id);
		f->deleted++;
		break;
	case APD_OP_THREAD_PUT:
		put_thread(f, op->thread);
		break;
	case APD_OP_THREAD_DELETE:
		batch->missing += !find(f, &op->id);
		delete_thread(f, &op->id);
		break;
	case APD_OP_THREAD_COPY:
		if (find(f, &op->id))
			copy_thread(f, op);
		else
			batch->missing++;
		break;
	case APD_OP_CHECKPOINT_PUT:
		put_point(f, op->checkpoint);
		break;
	case APD_OP_CHECKPOINTS_UNDO:
		undo(find(f, &op->id), &op->after);
		break;
	case APD_OP_OUTBOX_PUT:
		apd_outbox_row_unref(f->hook);
		f->hook = apd_outbox_row_ref(op->outbox);
		f->hooks++;
		break;
	default:
		fail();
	}
}

int fake_apply(struct fake *f, struct apd_batch *batch)
{
	bool puts = batch->ops[0].type == APD_OP_THREAD_PUT && !batch->ops[0].replaces;

	for (uint32_t i = 0; i < batch->n_ops; i++)
		if (!puts && is_missing(f, &batch->ops[i]))
			return -ENOENT;
	for (uint32_t i = 0; i < batch->n_ops; i++)
		apply_op(f, batch, &batch->ops[i]);
	return 0;
}

/* What the checkpoint makes of a state, whose reference it takes over. */
static struct apd_state *fold(struct apd_state *state, const struct apd_checkpoint_row *row)
{
	struct apd_state_change change = {0};
	struct apd_json patch = {0}, removed = {0};
	struct apd_state *next = NULL;

	if (row->whole) {
		apd_state_unref(state);
		state = apd_state_empty();
	}
	assert_int_equal(apd_json_scan(&patch, row->patch), 0);
	change.patch = &patch;
	if (row->removed.ptr) {
		assert_int_equal(apd_json_scan(&removed, row->removed), 0);
		change.removed = &removed;
	}
	assert_int_equal(apd_state_apply(state, &change, &next, NULL), 0);
	apd_state_unref(state);
	apd_json_finish(&patch);
	apd_json_finish(&removed);
	return next;
}

/* The checkpoint of an id, or the number of points. */
static unsigned point_of(const struct fake_thread *thread, const struct apd_id *id)
{
	unsigned i = 0;

	while (i < thread->n_points && !apd_id_eq(&thread->points[i]->checkpoint_id, id))
		i++;
	return i;
}

/* The state at a checkpoint, by its chain of parents; and what reading it weighs. */
static struct apd_state *state_at(const struct fake_thread *thread, unsigned i, size_t *ret_chain)
{
	const struct apd_checkpoint_row *row = thread->points[i];
	struct apd_state *before;

	if (row->whole || !row->has_parent) {
		*ret_chain = apd_checkpoint_weight(row);
		return fold(apd_state_empty(), row);
	}
	assert_true(point_of(thread, &row->parent_id) < i);
	before = state_at(thread, point_of(thread, &row->parent_id), ret_chain);
	*ret_chain += apd_checkpoint_weight(row);
	return fold(before, row);
}

static bool is_busy(struct fake *f, const struct apd_id *id)
{
	for (unsigned i = 0; i < f->n_runs; i++)
		if (apd_id_eq(&f->runs[i]->thread_id, id) && f->runs[i]->status == APD_RUN_PENDING)
			return true;
	return false;
}

void fake_load_thread(struct fake *f, struct apd_load *load)
{
	struct fake_thread *thread = find(f, &load->id);
	unsigned i;

	load->found = thread;
	if (!thread)
		return;
	i = load->type == APD_LOAD_CHECKPOINT ? point_of(thread, &load->at) : thread->n_points - 1;
	load->view.thread = apd_thread_row_ref(thread->row);
	load->view.busy = is_busy(f, &load->id);
	load->found_at = i < thread->n_points;
	if (thread->n_points)
		load->newest = thread->points[thread->n_points - 1]->checkpoint_id;
	if (load->found_at) {
		load->view.head = apd_checkpoint_row_ref(thread->points[i]);
		load->view.state = state_at(thread, i, &load->chain);
	} else {
		load->view.state = apd_state_empty();
	}
}

static int compare_runs(const void *a, const void *b)
{
	return memcmp(&(*(struct apd_run_row *const *)a)->run_id,
		&(*(struct apd_run_row *const *)b)->run_id, sizeof(struct apd_id));
}

void fake_load_active(struct fake *f, struct apd_load *load)
{
	load->runs = apd_malloc((f->n_runs + 1) * sizeof(struct apd_run_row *));
	if (f->pending)
		load->runs[load->n_runs++] = f->pending;
	f->pending = NULL;
	for (unsigned i = 0; i < f->n_runs; i++)
		if (f->runs[i]->status == APD_RUN_PENDING)
			load->runs[load->n_runs++] = apd_run_row_ref(f->runs[i]);
	qsort(load->runs, load->n_runs, sizeof(struct apd_run_row *), compare_runs);
}

struct apd_run_row *fake_run(struct fake *f, const struct apd_id *id)
{
	for (unsigned i = 0; i < f->n_runs; i++)
		if (apd_id_eq(&f->runs[i]->run_id, id))
			return f->runs[i];
	return NULL;
}

const char *fake_state(struct fake *f, unsigned id)
{
	static char text[2048];
	struct fake_thread *thread = fake_thread(f, id);
	struct apd_state *state;
	struct apd_buf out = {0};
	size_t chain;

	if (!thread)
		return "none";
	state = thread->n_points ? state_at(thread, thread->n_points - 1, &chain)
				 : apd_state_empty();
	apd_state_add_json(&out, state);
	snprintf(text, sizeof(text), "%.*s", APD_STR_FMT(apd_buf_str(&out)));
	apd_buf_finish(&out);
	apd_state_unref(state);
	return text;
}

const char *fake_sources(struct fake *f, unsigned id)
{
	static char text[FAKE_POINTS + 1];
	struct fake_thread *thread = fake_thread(f, id);
	unsigned n = thread ? thread->n_points : 0;

	for (unsigned i = 0; i < n; i++)
		text[i] = "iluf"[thread->points[i]->source];
	text[n] = '\0';
	return text;
}

void fake_storage_finish(struct fake *f)
{
	while (f->n_threads)
		delete_thread(f, &f->threads[0].row->thread_id);
	while (f->n_runs)
		remove_run(f, &f->runs[0]->run_id);
	apd_outbox_row_unref(f->hook);
}
