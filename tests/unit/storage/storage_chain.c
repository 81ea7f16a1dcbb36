/*
 * States as they are read against states that were folded one by one: random
 * commits, whole checkpoints now and then or when they are due, branches, undos.
 */
#include "fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS 120

/* A checkpoint with what has to be at it. */
struct node {
	struct apd_id id;
	int64_t step;
	struct apd_state *state;
	size_t chain;
};

/* A thread as it should be. */
struct model {
	struct fixture *f;
	struct apd_id thread;
	struct node nodes[STEPS];
	size_t n;
	unsigned whole; /* how many of them were whole */
};

static unsigned pick(struct model *m, unsigned n)
{
	return (unsigned)(apd_id_random(&m->f->gen) % n);
}

/* A random commit: some values, some messages (new, known, removed), sometimes removed keys. */
static void make_change(struct model *m, struct apd_buf *patch, struct apd_buf *removed)
{
	unsigned n_messages = pick(m, 4);

	apd_buf_lit(patch, "{");
	for (unsigned k = 0; k < 6; k++)
		if (pick(m, 4) == 0)
			apd_buf_addf(patch, "%s\"k%u\":{\"v\":%u,\"t\":\"%*s\"}",
				patch->len > 1 ? "," : "", k, pick(m, 1000), (int)pick(m, 60), "x");
	if (n_messages) {
		apd_buf_addf(patch, "%s\"messages\":[", patch->len > 1 ? "," : "");
		for (unsigned i = 0; i < n_messages; i++)
			apd_buf_addf(patch, "%s{\"id\":\"m%u\"%s,\"n\":%u}", i ? "," : "",
				pick(m, 60), pick(m, 4) ? "" : ",\"type\":\"remove\"",
				pick(m, 1000));
		apd_buf_lit(patch, "]");
	}
	apd_buf_lit(patch, "}");
	if (pick(m, 8) == 0)
		apd_buf_addf(removed, "[\"k%u\"%s]", pick(m, 6), pick(m, 4) ? "" : ",\"messages\"");
}

/* The state after a change, folded plainly. */
static struct apd_state *step(
	struct apd_state *before, const struct apd_buf *patch, const struct apd_buf *removed)
{
	struct apd_json a = {0}, b = {0};
	struct apd_state *after = NULL;

	assert_int_equal(apd_json_scan(&a, apd_buf_str(patch)), 0);
	if (removed->len)
		assert_int_equal(apd_json_scan(&b, apd_buf_str(removed)), 0);
	assert_int_equal(apd_state_apply(before,
				 &(struct apd_state_change){
					 .patch = &a, .removed = removed->len ? &b : NULL},
				 &after, NULL),
		0);
	apd_json_finish(&a);
	apd_json_finish(&b);
	return after;
}

/* Commits a random change on top of a checkpoint, or of none. */
static void commit(struct model *m, const struct node *parent)
{
	struct apd_state *before = parent ? apd_state_ref(parent->state) : apd_state_empty();
	struct apd_buf patch = {0}, removed = {0};
	struct node *node = &m->nodes[m->n++];
	struct apd_checkpoint_row *row;
	bool whole;

	make_change(m, &patch, &removed);
	node->state = step(before, &patch, &removed);
	node->step = parent ? parent->step + 1 : 0;
	whole = pick(m, 15) == 0 ||
		apd_checkpoint_should_be_whole(parent ? parent->chain : 0, before);
	if (whole) {
		m->whole++;
		apd_buf_clear(&patch);
		apd_buf_clear(&removed);
		apd_state_add_json(&patch, node->state);
	}
	row = fixture_checkpoint(m->f,
		(struct checkpoint_spec){.thread = &m->thread,
			.parent = parent ? &parent->id : NULL,
			.step = node->step,
			.whole = whole,
			.patch = patch.data,
			.removed = removed.len ? removed.data : NULL});
	node->id = row->checkpoint_id;
	node->chain = apd_checkpoint_weight(row) + (whole || !parent ? 0 : parent->chain);
	struct call *call = call_create(m->f);
	apd_batch_put_checkpoint(&call->batch, row);
	apd_checkpoint_row_unref(row);
	assert_int_equal(call_finish(call), 0);
	apd_state_unref(before);
	apd_buf_finish(&patch);
	apd_buf_finish(&removed);
}

static void assert_same(const struct apd_state *a, const struct apd_state *b)
{
	struct apd_buf text = {0};

	apd_state_add_json(&text, b);
	fixture_assert_state(a, text.data);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->has_messages, b->has_messages);
	apd_buf_finish(&text);
}

/* Compares the thread as it is read in every way. */
static void check(struct model *m)
{
	struct node *head = m->n ? &m->nodes[m->n - 1] : NULL;
	struct apd_load load = {.type = APD_LOAD_THREAD, .id = m->thread};

	assert_int_equal(fixture_load(m->f, &load), 0);
	assert_true(load.found);
	assert_false(load.found_at);
	if (head) {
		assert_true(apd_id_eq(&load.view.head->checkpoint_id, &head->id));
		assert_true(apd_id_eq(&load.newest, &head->id));
		assert_same(load.view.state, head->state);
		assert_int_equal(load.chain, head->chain);
		assert_int_equal(load.view.head->step, head->step);
	} else {
		assert_null(load.view.head);
		assert_true(apd_id_is_nil(&load.newest));
	}
	apd_thread_view_finish(&load.view);
}

/* Reads the state at one checkpoint. */
static void check_at(struct model *m, const struct node *node)
{
	struct apd_load load = {.type = APD_LOAD_CHECKPOINT, .id = m->thread, .at = node->id};

	assert_int_equal(fixture_load(m->f, &load), 0);
	assert_true(load.found && load.found_at);
	assert_true(apd_id_eq(&load.view.head->checkpoint_id, &node->id));
	assert_true(apd_id_eq(&load.newest, &m->nodes[m->n - 1].id));
	assert_same(load.view.state, node->state);
	assert_int_equal(load.chain, node->chain);
	apd_thread_view_finish(&load.view);
}

/* Reads a page of the history. */
static void check_page(struct model *m, size_t before, uint32_t limit)
{
	struct apd_history_read read = {.thread_id = m->thread, .limit = limit};
	size_t n = before < limit ? before : limit;

	if (before < m->n) {
		read.has_before = true;
		read.before = m->nodes[before].id;
	}
	assert_int_equal(fixture_history(m->f, &read), 0);
	assert_int_equal(read.n_items, n);
	for (size_t i = 0; i < n; i++) {
		const struct node *node = &m->nodes[before - 1 - i];

		assert_true(apd_id_eq(&read.items[i].row->checkpoint_id, &node->id));
		assert_int_equal(read.items[i].row->step, node->step);
		assert_same(read.items[i].state, node->state);
	}
	fixture_items_free(read.items, read.n_items);
}

/* Takes back the newest checkpoints. */
static void undo(struct model *m, size_t n)
{
	struct call *call = call_create(m->f);

	apd_batch_undo_checkpoints(
		&call->batch, &m->thread, m->n > n ? &m->nodes[m->n - 1 - n].id : NULL);
	assert_int_equal(call_finish(call), 0);
	for (; n > 0 && m->n > 0; n--)
		apd_state_unref(m->nodes[--m->n].state);
}

static void random_threads(void **state)
{
	struct fixture *f = *state;
	static struct model m;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		m = (struct model){.f = f, .thread = fixture_id(f)};
		fixture_put_thread(f, &m.thread);
		check(&m);
		while (m.n < STEPS) {
			struct node *head = m.n ? &m.nodes[m.n - 1] : NULL;

			commit(&m,
				head && pick(&m, 10) == 0 ? &m.nodes[pick(&m, (unsigned)m.n)]
							  : head);
			if (m.n % 5 == 0)
				check(&m);
			if (m.n > 4 && pick(&m, 12) == 0) {
				undo(&m, 1 + pick(&m, 3));
				check(&m);
			}
		}
		assert_true(m.whole > 3 && m.whole < STEPS / 2);
		fixture_reopen(f);
		for (size_t i = 0; i < m.n; i++)
			check_at(&m, &m.nodes[i]);
		check_page(&m, m.n, 1000);
		check_page(&m, 0, 10);
		for (size_t before = 1; before <= m.n; before += 7)
			check_page(&m, before, 9);
		undo(&m, m.n);
		check(&m);
	}
}

static void checkpoints_that_are_not_there(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f), first, none = fixture_id(f);
	struct apd_history_read read = {
		.thread_id = thread, .has_before = true, .before = none, .limit = 5};
	struct apd_load load = {.type = APD_LOAD_CHECKPOINT, .id = thread, .at = none};

	fixture_put_thread(f, &thread);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_history(f, &read), -ESRCH);
		assert_null(read.items);
		assert_int_equal(fixture_load(f, &load), 0);
		assert_true(load.found);
		assert_false(load.found_at);
		fixture_assert_state(load.view.state, i ? "{\"a\":1}" : "{}");
		apd_thread_view_finish(&load.view);
		fixture_put_checkpoint(f,
			(struct checkpoint_spec){.thread = &thread, .patch = "{\"a\":1}"}, &first);
	}
}

/* Whatever is wrong with a chain is told; no state is made up. */
static void broken_chains(void **state)
{
	static const char *const breaks[] = {
		"DELETE FROM checkpoint WHERE step = 1",
		"UPDATE checkpoint SET patch = '{' WHERE step = 1",
		"UPDATE checkpoint SET patch = '{\"a\" }' WHERE step = 1",
		"UPDATE checkpoint SET patch = '{\"messages\":[{}]}' WHERE step = 1",
		"UPDATE checkpoint SET removed = '[' WHERE step = 1",
		"UPDATE checkpoint SET source = 9 WHERE step = 1",
		"UPDATE checkpoint SET parent_id = x'00' WHERE step = 1",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < APD_COUNT(breaks); i++) {
		struct apd_id thread = fixture_id(f), ids[3];
		struct apd_history_read read = {.thread_id = thread, .limit = 5};
		struct apd_load load = {.type = APD_LOAD_THREAD, .id = thread};
		struct apd_thread_view view;

		fixture_sql(f, "DELETE FROM checkpoint");
		fixture_put_thread(f, &thread);
		for (int s = 0; s < 3; s++)
			fixture_put_checkpoint(f,
				(struct checkpoint_spec){.thread = &thread,
					.parent = s ? &ids[s - 1] : NULL,
					.step = s,
					.patch = "{\"a\":1}"},
				&ids[s]);
		fixture_sql(f, breaks[i]);
		assert_int_equal(f->storage->ops->get_thread(f->storage, &thread, &view), -EBADMSG);
		assert_int_equal(fixture_history(f, &read), -EBADMSG);
		assert_null(read.items);
		assert_int_equal(fixture_load(f, &load), -EBADMSG);
		assert_false(load.found);
	}
}

/* A page of large states is refused, and fewer of them are not. */
static void heavy_history(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f), ids[8];
	struct apd_history_read read = {.thread_id = thread, .limit = 8};
	struct apd_buf patch = {0};

	apd_buf_lit(&patch, "{\"a\":\"");
	memset(apd_buf_reserve(&patch, 10 << 20), 'x', 10 << 20);
	patch.len += 10 << 20;
	apd_buf_lit(&patch, "\"}");
	fixture_put_thread(f, &thread);
	for (int i = 0; i < 8; i++)
		assert_int_equal(fixture_put_checkpoint(f,
					 (struct checkpoint_spec){.thread = &thread,
						 .parent = i ? &ids[i - 1] : NULL,
						 .step = i,
						 .patch = i ? "{}" : patch.data},
					 &ids[i]),
			0);
	assert_int_equal(fixture_history(f, &read), -E2BIG);
	assert_null(read.items);
	read.limit = 5;
	assert_int_equal(fixture_history(f, &read), 0);
	assert_int_equal(read.n_items, 5);
	fixture_items_free(read.items, read.n_items);
	apd_buf_finish(&patch);
}

static void late_history(void **state)
{
	struct fixture *f = *state;
	struct apd_id thread = fixture_id(f);
	struct apd_history_read read = {.thread_id = thread, .limit = 5};

	fixture_put_thread(f, &thread);
	fixture_put_checkpoint(f, (struct checkpoint_spec){.thread = &thread, .patch = "{}"}, NULL);
	fixture_close(f);
	f->budget_ms = 0;
	fixture_open(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fixture_history(f, &read), -ETIME);
	assert_null(read.items);
	assert_true(fixture_has_thread(f, &thread));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(random_threads),
		TEST(checkpoints_that_are_not_there),
		TEST(broken_chains),
		TEST(heavy_history),
		TEST(late_history),
	};

	return cmocka_run_group_tests_name("storage_chain", tests, NULL, NULL);
}
