/* The clients: they create, join, cancel, delete and leave. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

static struct client *client_of(struct apd_run_call *call)
{
	return apd_container_of(call, struct client, call);
}

static struct client *client_create(struct world *w, struct srun *run)
{
	struct client *c = apd_calloc(1, sizeof(*c));

	c->world = w;
	c->run = ledger_ref(run);
	c->slow = sim_chance(w, 25);
	c->index = w->n_clients;
	w->clients[w->n_clients++] = c;
	return c;
}

void client_free(struct client *c)
{
	struct world *w = c->world;

	stream_end(c);
	if (c->run->creator == c)
		c->run->creator = NULL;
	w->clients[c->index] = w->clients[--w->n_clients];
	w->clients[c->index]->index = c->index;
	ledger_unref(w, c->run);
	free(c);
}

static void check_callback(struct client *c)
{
	SIM_CHECK(
		c->world, !c->left, "a client of run %lu was called after it left", c->run->serial);
	SIM_CHECK(c->world, !c->finished, "a client of run %lu was called after the last call",
		c->run->serial);
}

/* A run under way, or about to be, that takes the thread with it. */
static bool deletes(const struct world *w, const struct thr *thr)
{
	for (size_t i = 0; i < w->n_live; i++)
		if (w->live[i]->thr == thr && w->live[i]->delete_thread && !w->live[i]->over)
			return true;
	return false;
}

/* Whether another run is on the thread, or is to be, or the thread is about to go. */
static bool has_runs(const struct world *w, const struct srun *refused)
{
	for (size_t i = 0; i < w->n_live; i++) {
		const struct srun *run = w->live[i];

		if (run != refused && run->thr == refused->thr && !run->refused && !run->over &&
			!run->deleted && !(run->row && run->row->row->status != APD_RUN_PENDING))
			return true;
	}
	return refused->thr->deleting;
}

/* A refusal must have a reason. */
static void check_refusal(struct world *w, const struct srun *run, enum apd_problem_code code)
{
	const struct thr *thr = run->thr;
	struct apd_runtime_stats stats;
	bool steady =
		thr && thr->births == run->births && thr->deaths == run->deaths && !thr->deleting;

	switch (code) {
	case APD_PROBLEM_THREAD_BUSY:
		SIM_CHECK(w, run->multitask == APD_MULTITASK_REJECT || thr->deleting,
			"run %lu need not wait for others", run->serial);
		SIM_CHECK(w, has_runs(w, run), "thread %u is busy with nothing", thr->number);
		break;
	case APD_PROBLEM_QUEUE_FULL:
		apd_runtime_stats(w->rt, &stats);
		SIM_CHECK(w, stats.queued > 0, "an empty queue is full");
		break;
	case APD_PROBLEM_THREAD_NOT_FOUND:
		SIM_CHECK(w, thr && !(steady && run->exists_before),
			"run %lu: its thread is not found and exists", run->serial);
		SIM_CHECK(w, !run->create_thread || thr->deleting || thr->deaths != run->deaths,
			"run %lu makes its thread and it is not found", run->serial);
		break;
	case APD_PROBLEM_NOT_INTERRUPTED:
		SIM_CHECK(w,
			run->answers.kind && (!steady || !thr->questions.n || has_runs(w, run)),
			"run %lu answers what thread %u asks", run->serial, thr->number);
		break;
	case APD_PROBLEM_INVALID_REQUEST:
		SIM_CHECK(w,
			(run->answers.kind && !answers_fit(&run->answers, &thr->questions)) ||
				run->delete_thread || deletes(w, thr),
			"run %lu is refused for nothing", run->serial);
		break;
	default:
		break;
	}
}

/* The client is done, unless it has a stream to read to its end. */
static void last_call(struct client *c)
{
	c->finished = true;
	if (!c->reading)
		client_free(c);
}

static void on_refused(struct apd_run_call *call, const struct apd_problem *problem)
{
	struct client *c = client_of(call);

	sim_story(c->world, "client: run %lu refused: %s", c->run->serial,
		apd_problem_word(problem->code));
	check_callback(c);
	SIM_CHECK(c->world, !c->creator || !c->accepted || c->world->stopping,
		"run %lu was refused after it was accepted", c->run->serial);
	if (c->creator && !c->world->stopping) {
		c->run->refused = true;
		ledger_retire(c->world, c->run);
	}
	if (c->creator && !c->world->stopping)
		check_refusal(c->world, c->run, problem->code);
	stream_end(c);
	last_call(c);
}

/* Who executes on the thread of a run that undoes it knows by now. */
static void check_undoing(struct world *w, const struct srun *run)
{
	for (size_t i = 0; run->thr && i < w->n_active; i++) {
		const struct slot *slot = w->active[i];

		SIM_CHECK(w,
			slot->run == run || slot->run->thr != run->thr ||
				slot->stop == APD_STOP_ROLLBACK,
			"run %lu is to be undone and does not know", slot->run->serial);
	}
}

static void on_accepted(struct apd_run_call *call)
{
	struct client *c = client_of(call);
	struct world *w = c->world;

	sim_story(w, "client: run %lu accepted", c->run->serial);
	check_callback(c);
	SIM_CHECK(w, !c->accepted, "run %lu was accepted twice", c->run->serial);
	c->accepted = true;
	ledger_learn_id(w, c->run, &call->row->run_id);
	SIM_CHECK(w,
		c->run->behind || c->run->row || c->run->delete_asked || c->run->over ||
			c->run->undone,
		"run %lu was told of and is not durable", c->run->serial);
	c->run->told = true;
	if (c->creator && c->run->multitask == APD_MULTITASK_ROLLBACK && !w->stopping &&
		!ledger_may_be_stopped(c->run))
		check_undoing(w, c->run);
	if (c->mode == APD_MODE_STREAM) {
		SIM_CHECK(w, call->log, "a stream has no log");
		c->whole = c->creator && c->run->attempt <= 1;
		stream_begin(c,
			c->creator ? call->log_seq
				   : (sim_chance(w, 50) ? UINT64_MAX : call->log_seq / 2));
	}
	if (c->mode == APD_MODE_BACKGROUND)
		last_call(c);
}

static void on_ended(struct apd_run_call *call)
{
	struct client *c = client_of(call);

	sim_story(c->world, "client: run %lu ended as %s", c->run->serial,
		apd_run_status_word(call->row->status));
	check_callback(c);
	SIM_CHECK(c->world, c->mode != APD_MODE_STREAM || c->accepted,
		"run %lu's stream ended before it began", c->run->serial);
	SIM_CHECK(
		c->world, !c->run->refused, "run %lu ended though it was refused", c->run->serial);
	ledger_told_end(c->world, c->run, call->row);
	last_call(c);
}

static const struct apd_run_call_ops call_ops = {on_refused, on_accepted, on_ended};

/* What the run may do to others of its thread. */
static void overtake(struct world *w, const struct srun *run)
{
	if (run->multitask != APD_MULTITASK_INTERRUPT && run->multitask != APD_MULTITASK_ROLLBACK)
		return;
	for (size_t i = 0; i < w->n_live; i++) {
		struct srun *other = w->live[i];

		if (other == run || other->thr != run->thr || other->over)
			continue;
		other->overtaken = true;
		other->undone |= run->multitask == APD_MULTITASK_ROLLBACK;
	}
}

/* What only runs of kept threads have. */
static void choose_thread(struct world *w, struct srun *run, struct apd_run_spec *spec)
{
	run->thr = thr_ref(thr_pick(w));
	run->input = patch_make(w, PATCH_REQUEST, thr_model(run->thr));
	run->create_thread = sim_chance(w, 50);
	run->delete_thread = sim_chance(w, 10);
	run->multitask = (enum apd_multitask)(sim_chance(w, 30) ? 0 : sim_below(w, 4));
	run->jumps = sim_chance(w, 5);
	answers_choose(w, run);
	run->exists_before = run->thr->exists;
	run->births = run->thr->births;
	run->deaths = run->thr->deaths;
	spec->has_thread = true;
	spec->thread_id = run->thr->id;
	spec->create_thread = run->create_thread;
	spec->delete_thread = run->delete_thread;
	spec->multitask = run->multitask;
	overtake(w, run);
}

void clients_create(struct world *w)
{
	struct apd_run_spec spec = {.mode = (enum apd_run_mode)sim_below(w, 3)};
	struct apd_runtime_stats before, after;
	struct srun *run;
	struct client *c;

	if (w->n_clients == MAX_CLIENTS)
		return;
	run = ledger_add(w);
	run->agent = (int)sim_below(w, N_AGENTS);
	run->mode = spec.mode;
	if (sim_chance(w, 50))
		choose_thread(w, run, &spec);
	else
		run->input = patch_make(w, PATCH_REQUEST, NULL);
	run->webhook = sim_chance(w, 15);
	run->keep_going = spec.keep_going = sim_chance(w, 30);
	run->behind =
		!run->thr && spec.mode != APD_MODE_BACKGROUND && !spec.keep_going && !run->webhook;
	request_make(w, run, &spec);
	c = client_create(w, run);
	c->mode = spec.mode;
	c->creator = true;
	run->creator = c;
	c->call.ops = &call_ops;
	w->created++;
	sim_story(w, "client: creates run %lu, mode %d, thread %u: %.300s", run->serial,
		(int)spec.mode, run->thr ? run->thr->number : 0, run->request->data);
	apd_runtime_stats(w->rt, &before);
	apd_runtime_create_run(w->rt, &spec, &c->call);
	apd_runtime_stats(w->rt, &after);
	SIM_CHECK(w, after.queued <= before.queued || before.queued < w->config.max_queue,
		"run %lu got into a full queue", run->serial);
}

/* A run that is known to exist, or NULL. */
static struct srun *known_run(struct world *w)
{
	struct srun *run = ledger_pick(w);

	return run && run->has_id && (run->told || run->behind || sim_chance(w, 10)) ? run : NULL;
}

/* The runtime says that it does not know the run: it must not be one that it owes an end. */
static void check_unknown(struct world *w, const struct srun *run)
{
	bool gone = run->over || run->delete_asked || run->rollback_asked || run->undone;

	if (!run->told || gone || w->recovering || run->refused)
		return;
	/* It ended and left memory without that anybody waited. */
	if (run->row && run->row->row->status != APD_RUN_PENDING)
		return;
	/* A write-behind run lives no longer than its daemon. */
	if (run->behind && !run->slot && !run->row)
		return;
	sim_fail(w, "run %lu is lost", run->serial);
}

void clients_join(struct world *w)
{
	struct srun *run = known_run(w);
	struct client *c;

	if (!run || w->n_clients == MAX_CLIENTS)
		return;
	c = client_create(w, run);
	c->mode = sim_chance(w, 50) ? APD_MODE_STREAM : APD_MODE_WAIT;
	c->call.ops = &call_ops;
	sim_story(w, "client: joins run %lu, mode %d", run->serial, (int)c->mode);
	if (apd_runtime_join_run(w->rt, &run->id, c->mode, &c->call) == -ENOENT) {
		client_free(c);
		check_unknown(w, run);
	}
}

/* Asks how a run is: what is told must be so. */
void clients_look(struct world *w)
{
	struct srun *run = known_run(w);
	const struct apd_run_row *row;

	if (!run)
		return;
	row = apd_runtime_find_run(w->rt, &run->id);
	if (!row) {
		check_unknown(w, run);
		return;
	}
	SIM_CHECK(w, apd_id_eq(&row->run_id, &run->id), "run %lu is another", run->serial);
	SIM_CHECK(w, !run->deleted, "run %lu was deleted and can be seen", run->serial);
	SIM_CHECK(w, !run->over || row->status == run->status,
		"run %lu was told to be %d and looks like %d", run->serial, (int)run->status,
		(int)row->status);
	SIM_CHECK(w, run->behind || run->row || run->delete_asked || run->undone,
		"run %lu can be seen and is not durable", run->serial);
	if (run->behind || !run->row)
		return;
	SIM_CHECK(w, row->status == run->row->row->status, "run %lu looks like %d and is %d",
		run->serial, (int)row->status, (int)run->row->row->status);
	SIM_CHECK(w, !row->started_us || run->row->row->started_us || w->stopping,
		"run %lu seems to have started", run->serial);
}

void clients_cancel(struct world *w)
{
	struct srun *run = known_run(w);
	bool rollback = sim_chance(w, 30);
	bool rolled, cancelled;
	struct client *c = NULL;

	if (!run || w->n_clients == MAX_CLIENTS)
		return;
	if (sim_chance(w, 50)) {
		c = client_create(w, run);
		c->mode = APD_MODE_WAIT;
		c->canceller = true;
		c->call.ops = &call_ops;
	}
	rolled = run->rollback_asked;
	cancelled = run->cancel_asked;
	run->cancel_asked = true;
	run->rollback_asked |= rollback;
	run->cancelled_in = w->restarts + 1;
	sim_story(w, "client: cancels run %lu%s", run->serial, rollback ? ", rollback" : "");
	if (apd_runtime_cancel_run(w->rt, &run->id, rollback, c ? &c->call : NULL) == -ENOENT) {
		run->rollback_asked = rolled;
		run->cancel_asked = cancelled;
		run->cancelled_in = 0;
		if (c)
			client_free(c);
		check_unknown(w, run);
	}
}

static void on_deleted(struct apd_change *base, int result)
{
	struct change *change = apd_container_of(base, struct change, change);
	struct world *w = change->world;

	sim_story(w, "client: deletion of run %lu gives %d", change->run->serial, result);
	SIM_CHECK(w, !change->answered, "a deletion is answered twice");
	change->answered = true;
	if (result == -EBUSY)
		change->run->delete_asked = change->asked_before;
	if (result == 0) {
		SIM_CHECK(w, !change->run->row, "run %lu was deleted and is stored",
			change->run->serial);
		SIM_CHECK(w, !apd_runtime_find_run(w->rt, &change->run->id),
			"run %lu was deleted and is found", change->run->serial);
	}
	apd_list_remove(&change->link);
	apd_list_append(&w->answered_changes, &change->link);
}

/* Those that were answered long ago cannot be again; where the daemon died, none will be. */
void clients_forget_changes(struct world *w, struct apd_list *changes)
{
	while (!apd_list_empty(changes)) {
		struct change *change = apd_list_first(changes, struct change, link);

		apd_list_remove(&change->link);
		ledger_unref(w, change->run);
		free(change);
	}
}

void clients_delete(struct world *w)
{
	struct srun *run = known_run(w);
	struct change *change;

	/* One that ended, mostly: what is active must refuse. */
	if (!run || (!run->over && sim_chance(w, 80)))
		return;
	change = apd_calloc(1, sizeof(*change));
	change->world = w;
	change->run = ledger_ref(run);
	change->change.done = on_deleted;
	change->asked_before = run->delete_asked;
	run->delete_asked |=
		run->over || run->behind || (run->row && run->row->row->status != APD_RUN_PENDING);
	apd_list_append(&w->changes, &change->link);
	sim_story(w, "client: deletes run %lu", run->serial);
	apd_runtime_delete_run(w->rt, &run->id, &change->change);
}

void clients_leave(struct world *w)
{
	struct client *c;

	if (w->n_clients == 0)
		return;
	c = w->clients[sim_below(w, (unsigned)w->n_clients)];
	sim_story(w, "client: leaves run %lu", c->run->serial);
	if (c->creator && c->mode != APD_MODE_BACKGROUND && !c->run->keep_going && !c->finished) {
		c->run->creator_left = true;
		c->run->cancelled_in = w->restarts + 1;
	}
	c->left = true;
	apd_runtime_leave(w->rt, &c->call);
	client_free(c);
}

void clients_hang_up(struct world *w)
{
	for (size_t i = 0; i < w->n_clients; i++)
		stream_end(w->clients[i]);
}

void clients_crash(struct world *w)
{
	while (w->n_clients)
		client_free(w->clients[0]);
}
