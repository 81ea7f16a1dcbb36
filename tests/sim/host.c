/* The fake host: workers with slots that come late, die and are fenced off. */
#include "sim.h"

#include <stdio.h>

static struct world *world_of(struct apd_host *host)
{
	return apd_container_of(host, struct world, host);
}

static struct slot *slot_of(struct world *w, struct apd_slot *base, enum slot_state state)
{
	struct slot *slot = apd_container_of(base, struct slot, base);

	SIM_CHECK(w, slot->state == state, "a slot is %d and should be %d", (int)slot->state,
		(int)state);
	return slot;
}

static struct agent *agent_of(struct world *w, struct apd_str id)
{
	for (int i = 0; i < N_AGENTS; i++)
		if (apd_str_is(id, w->agents[i].id))
			return &w->agents[i];
	return NULL;
}

static struct apd_agent *op_find(struct apd_host *host, struct apd_str id)
{
	struct agent *agent = agent_of(world_of(host), id);

	return agent ? agent->now : NULL;
}

static unsigned used(const struct worker *worker)
{
	unsigned n = 0;

	for (int i = 0; i < MAX_SLOTS; i++)
		n += worker->slots[i].state != SLOT_FREE;
	return n;
}

/* A free slot of the worker, or NULL. */
static struct slot *free_slot(struct agent *agent, struct worker *worker, bool alone)
{
	unsigned n = used(worker);

	if (!worker->alive || worker->starting || worker->fenced || worker->alone ||
		n >= agent->concurrency || (alone && n))
		return NULL;
	for (unsigned i = 0; i < MAX_SLOTS; i++)
		if (worker->slots[i].state == SLOT_FREE)
			return &worker->slots[i];
	return NULL;
}

static struct apd_slot *op_acquire(struct apd_host *host, struct apd_str id, bool alone)
{
	struct world *w = world_of(host);
	struct agent *agent = agent_of(w, id);

	SIM_CHECK(w, agent && agent->now && agent->now->state != APD_AGENT_BROKEN,
		"a slot of an agent that is not served");
	for (int i = 0; i < MAX_WORKERS && agent->now->state == APD_AGENT_READY; i++) {
		struct slot *slot = free_slot(agent, &agent->workers[i], alone);

		if (!slot)
			continue;
		slot->worker->alone = alone;
		slot->state = SLOT_HELD;
		return &slot->base;
	}
	agent->wanted = true;
	for (int i = 0; i < MAX_WORKERS; i++) {
		struct worker *worker = &agent->workers[i];

		if (worker->alive)
			continue;
		worker->alive = worker->starting = true;
		worker->fenced = worker->alone = false;
		worker->ready_ns = w->now + (int64_t)sim_below(w, 50) * APD_NS_PER_MS;
		break;
	}
	return NULL;
}

/* A creating stream that keeps up holds its run back: no more than a window is under way. */
static void check_window(struct world *w, const struct slot *slot)
{
	const struct client *c = slot->run->creator;

	if (!c || c->left || !c->reading || !c->whole || c->stalled || w->stopping || c->finished ||
		c->attempt != slot->attempt || w->now - c->taken_ns >= w->config.stall_ns)
		return;
	SIM_CHECK(w, slot->credit + slot->sent - c->taken_bytes <= w->config.credit_bytes,
		"run %lu runs away from its reader", slot->run->serial);
}

/* What must be durable before the agent may see the run. */
static void check_promise(struct world *w, struct srun *run, uint32_t attempt)
{
	const struct agent *agent = &w->agents[run->agent];
	const struct apd_run_row *row;

	if (run->behind)
		return;
	SIM_CHECK(w, run->row, "run %lu was invoked before it was durable", run->serial);
	row = run->row->row;
	SIM_CHECK(w, row->status == APD_RUN_PENDING, "run %lu was invoked after its end",
		run->serial);
	SIM_CHECK(w, agent->ready.retry_safe || (row->started_us && row->attempt == attempt),
		"run %lu was invoked before its start was durable", run->serial);
}

/* The agent gets its thread as it is durable; its own input may be on its way. */
static void check_thread(struct world *w, struct srun *run, const struct apd_invocation *what)
{
	struct thr *thr = run->thr;
	const struct srun *earlier = run->began ? NULL : storage_earlier(w, run);
	struct model *model;

	for (size_t i = 0; i < w->n_active; i++)
		SIM_CHECK(w, w->active[i]->run->thr != thr, "two runs on thread %u at once",
			thr->number);
	SIM_CHECK(w, thr->exists, "run %lu was invoked without its thread", run->serial);
	SIM_CHECK(w, !earlier, "run %lu overtakes run %lu", run->serial,
		earlier ? earlier->serial : 0);
	SIM_CHECK(w, run->began || w->agents[run->agent].ready.retry_safe,
		"run %lu was invoked before its beginning was durable", run->serial);
	SIM_CHECK(w, thr->flying == !run->began,
		"run %lu was invoked with %u checkpoints on their way", run->serial, thr->flying);
	commits_forget(run);
	model = run->began ? model_ref(thr_model(thr)) : model_apply(thr_model(thr), run->input);
	SIM_CHECK(w, model_is_json(w, model, what->values, what->transcript),
		"run %lu gets %.*s, %.*s", run->serial, APD_STR_FMT(what->values),
		APD_STR_FMT(what->transcript));
	SIM_CHECK(w, !w->agents[run->agent].ready.wants_transcript || what->transcript.ptr,
		"run %lu gets no transcript", run->serial);
	model_unref(model);
	answers_check(w, run, what);
}

static void op_invoke(
	struct apd_host *host, struct apd_slot *base, const struct apd_invocation *what)
{
	struct world *w = world_of(host);
	struct slot *slot = slot_of(w, base, SLOT_HELD);
	struct srun *run = ledger_by_input(w, what->input);
	const struct agent *agent = &w->agents[run->agent];

	ledger_learn_id(w, run, &what->run_id);
	sim_story(w, "host: run %lu invoked, attempt %u", run->serial, what->attempt);
	SIM_CHECK(w, apd_str_is(what->agent_id, agent->id), "run %lu is the wrong agent's",
		run->serial);
	SIM_CHECK(w, agent->ready.retry_safe || run->invocations == 0, "run %lu was invoked twice",
		run->serial);
	SIM_CHECK(w, !run->slot, "run %lu executes twice at once", run->serial);
	SIM_CHECK(w, !run->over, "run %lu was invoked after its end", run->serial);
	SIM_CHECK(w, !run->invocations || what->attempt > run->attempt || (run->row && w->restarts),
		"run %lu: attempt %u after %u", run->serial, what->attempt, run->attempt);
	SIM_CHECK(w, run->lost_in != w->restarts + 1 || slot->worker->alone,
		"run %lu is tried again among others", run->serial);
	SIM_CHECK(w, what->attempt > run->attempt_floor, "run %lu: attempt %u was used before",
		run->serial, what->attempt);
	check_promise(w, run, what->attempt);
	/* A shutdown that interrupts an attempt does not use it up. */
	SIM_CHECK(w,
		what->attempt == 1 ||
			what->attempt <= agent->ready.max_attempts + (w->restarts - run->born),
		"run %lu: attempt %u of %u", run->serial, what->attempt, agent->ready.max_attempts);
	SIM_CHECK(w, (!run->thr || run->delete_thread) == !!(what->flags & AP_RUN_EPHEMERAL),
		"wrong flags");
	if (run->thr)
		check_thread(w, run, what);
	run->questions = (struct questions){0};
	run->paused = false;
	run->invocations++;
	run->attempt = what->attempt;
	run->emitted = 0;
	run->slot = slot;
	slot->run = ledger_ref(run);
	slot->state = SLOT_INVOKED;
	slot->attempt = what->attempt;
	slot->credit = what->credit;
	slot->sent = 0;
	slot->deadline_ns = what->deadline_ns;
	slot->blocked_ns = -1;
	slot->stop = 0;
	slot->commits = slot->waits = 0;
	slot->many = sim_chance(w, 25);
	slot->open_messages = 0;
	slot->flood = sim_chance(w, 15);
	slot->hangs = sim_chance(w, 5);
	slot->stubborn = sim_chance(w, 15);
	slot->todo = sim_below(w, slot->flood ? 40 : run->thr ? 14 : 6);
	w->active[w->n_active++] = slot;
	slot->active_index = w->n_active;
}

static void op_stop(struct apd_host *host, struct apd_slot *base, enum apd_stop_reason reason)
{
	struct world *w = world_of(host);
	struct slot *slot = slot_of(w, base, SLOT_INVOKED);

	sim_story(w, "host: run %lu told to stop, %d", slot->run->serial, (int)reason);
	SIM_CHECK(w, slot->stop == 0 || reason == APD_STOP_ROLLBACK, "a run is stopped twice");
	if (reason == APD_STOP_DEADLINE) {
		SIM_CHECK(w, w->now >= slot->deadline_ns, "a deadline came early");
		slot->run->late = true;
	}
	slot->stop = (int)reason;
	if (reason == APD_STOP_ROLLBACK)
		slot->run->rolled_in = w->restarts + 1;
}

static void op_committed(
	struct apd_host *host, struct apd_slot *base, uint32_t number, ap_status status)
{
	struct world *w = world_of(host);
	struct slot *slot = slot_of(w, base, SLOT_INVOKED);

	if (slot->run->thr) {
		commits_answered(w, slot, number, status);
		return;
	}
	SIM_CHECK(w, number == slot->commits, "commit %u is answered instead of %u", number,
		slot->commits);
	SIM_CHECK(w, status == (slot->stop == APD_STOP_ROLLBACK ? AP_E_CANCELLED : AP_OK),
		"commit of run %lu gives %d", slot->run->serial, (int)status);
}

static void op_credit(struct apd_host *host, struct apd_slot *base, uint32_t bytes)
{
	struct world *w = world_of(host);
	struct slot *slot = slot_of(w, base, SLOT_INVOKED);

	slot->credit += bytes;
	SIM_CHECK(w, bytes > 0 && slot->credit <= w->config.credit_bytes,
		"run %lu has %ld of credit", slot->run->serial, (long)slot->credit);
	if (slot->credit > 0)
		slot->blocked_ns = -1;
	check_window(w, slot);
}

static void op_listening(struct apd_host *host, struct apd_slot *base, uint32_t channels)
{
	(void)channels;
	slot_of(world_of(host), base, SLOT_INVOKED);
}

void slot_free(struct world *w, struct slot *slot)
{
	size_t i = slot->active_index;

	slot->state = SLOT_FREE;
	slot->worker->alone &= used(slot->worker) > 0;
	if (i) {
		slot->active_index = 0;
		w->active[i - 1] = w->active[--w->n_active];
		if (i - 1 < w->n_active)
			w->active[i - 1]->active_index = i;
	}
	if (slot->run) {
		commits_orphan(slot->run);
		slot->run->slot = NULL;
		ledger_unref(w, slot->run);
		slot->run = NULL;
	}
}

static void op_release(struct apd_host *host, struct apd_slot *base)
{
	struct world *w = world_of(host);
	struct slot *slot = apd_container_of(base, struct slot, base);

	SIM_CHECK(w, slot->state == SLOT_HELD || slot->state == SLOT_DONE,
		"a slot is released while it is %d", (int)slot->state);
	slot_free(w, slot);
}

static void op_abandon(struct apd_host *host, struct apd_slot *base)
{
	struct world *w = world_of(host);
	struct slot *slot = slot_of(w, base, SLOT_INVOKED);

	sim_story(w, "host: run %lu abandoned", slot->run->serial);
	if (slot->deadline_ns && w->now >= slot->deadline_ns)
		slot->run->late = true;
	SIM_CHECK(w, slot->stop, "a run is abandoned that was not told to stop");
	slot->worker->fenced = true;
	slot_free(w, slot);
}

void host_init(struct world *w)
{
	static const struct apd_host_ops ops = {op_find, op_acquire, op_invoke, op_stop,
		op_committed, op_credit, op_listening, op_release, op_abandon};

	w->host.ops = &ops;
	for (int i = 0; i < N_AGENTS; i++) {
		struct agent *agent = &w->agents[i];
		struct apd_agent *now = &agent->ready;

		snprintf(agent->id, sizeof(agent->id), "a%d", i);
		agent->concurrency = 1 + sim_below(w, MAX_SLOTS);
		now->agent_id = apd_str(agent->id);
		atomic_init(&now->refs, 1);
		now->state = APD_AGENT_READY;
		now->retry_safe = sim_chance(w, 40);
		now->max_attempts = 1 + sim_below(w, 4);
		now->max_queue = 1 + sim_below(w, 20);
		now->wants_transcript = sim_chance(w, 20);
		now->needs_thread = i == N_AGENTS - 1 && sim_chance(w, 30);
		now->timeout_ns = (1 + (int64_t)sim_below(w, 8000)) * APD_NS_PER_MS;
		now->grace_ns = (int64_t)sim_below(w, 3000) * APD_NS_PER_MS;
		memcpy(&agent->starting, now, sizeof(*now));
		agent->starting.state = APD_AGENT_STARTING;
		memcpy(&agent->broken, now, sizeof(*now));
		agent->broken.state = APD_AGENT_BROKEN;
		agent->broken.reason = APD_STR("it is broken");
		agent->now = now;
		for (int k = 0; k < MAX_WORKERS; k++) {
			agent->workers[k].agent = i;
			for (int s = 0; s < MAX_SLOTS; s++)
				agent->workers[k].slots[s].worker = &agent->workers[k];
		}
	}
}

/* Kills a worker: its runs are lost, one after the other. */
void worker_kill(struct world *w, struct worker *worker, const char *reason)
{
	sim_story(w, "host: a worker of a%d dies: %s", worker->agent, reason);
	worker->alive = worker->starting = worker->fenced = false;
	for (int i = 0; i < MAX_SLOTS; i++) {
		struct slot *slot = &worker->slots[i];
		bool held = slot->state != SLOT_FREE;

		if (!held)
			continue;
		if (slot->run)
			slot->run->lost_in = w->restarts + 1;
		slot_free(w, slot);
		apd_runtime_sink.lost(w->rt, &slot->base, reason);
	}
	worker->alone = false;
}

/* The daemon died: so do all workers. */
void host_crash(struct world *w)
{
	while (w->n_active)
		slot_free(w, w->active[0]);
	for (int i = 0; i < N_AGENTS; i++)
		for (int k = 0; k < MAX_WORKERS; k++) {
			struct worker *worker = &w->agents[i].workers[k];

			worker->alive = worker->starting = worker->fenced = worker->alone = false;
			for (int s = 0; s < MAX_SLOTS; s++)
				worker->slots[s].state = SLOT_FREE;
		}
}

/* Workers become ready, fenced ones go once they are empty. */
void host_timers(struct world *w)
{
	for (int i = 0; i < N_AGENTS; i++) {
		struct agent *agent = &w->agents[i];

		for (int k = 0; k < MAX_WORKERS; k++) {
			struct worker *worker = &agent->workers[k];

			if (worker->starting && worker->ready_ns <= w->now)
				worker->starting = false;
			if (worker->fenced && used(worker) == 0)
				worker->alive = worker->fenced = false;
		}
	}
}

/* Says where it is worth asking again. */
void host_wake(struct world *w)
{
	for (int i = 0; i < N_AGENTS; i++) {
		struct agent *agent = &w->agents[i];

		if (!agent->wanted)
			continue;
		agent->wanted = false;
		apd_runtime_sink.slots(w->rt, apd_str(agent->id));
	}
}
