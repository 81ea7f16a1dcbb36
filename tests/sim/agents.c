/* What the agents in the fake host do: emit, commit, ask, return, hang, crash. */
#include "sim.h"

#include <stdio.h>

#include "host/event_cost.h"

/* One event; some open a message or close one. */
static void emit(struct world *w, struct slot *slot)
{
	static char padding[3000];
	struct srun *run = slot->run;
	const char *event = "delta";
	char data[4096];
	int pad = slot->flood ? (int)sim_below(w, sizeof(padding)) : (int)sim_below(w, 60);
	struct apd_emission emission = {.channel = AP_CHANNEL_CUSTOM};
	int64_t cost;
	int n;

	if (slot->credit <= 0) {
		if (slot->blocked_ns < 0)
			slot->blocked_ns = w->now;
		return;
	}
	if (sim_chance(w, 30)) {
		emission.channel = AP_CHANNEL_MESSAGES;
		emission.node = APD_STR("node");
		event = slot->open_messages ? "message-finish" : "message-start";
		slot->open_messages ^= 1;
	}
	if (!padding[0])
		memset(padding, 'x', sizeof(padding));
	n = snprintf(data, sizeof(data), "{\"n\":%lu,\"event\":\"%s\",\"pad\":\"%.*s\"}",
		run->emitted++, event, pad, padding);
	emission.data = (struct apd_str){data, (size_t)n};
	cost = (int64_t)apd_event_cost(emission.ns, emission.node, emission.data);
	slot->credit -= cost;
	slot->sent += cost;
	apd_runtime_sink.emitted(w->rt, &slot->base, &emission);
}

/* A commit of a run whose thread ends with it: nothing stays of it. */
static void commit_fleeting(struct world *w, struct slot *slot)
{
	struct apd_commit what = {.number = ++slot->commits,
		.name = APD_STR("step"),
		.patch = APD_STR("{\"answer\":42,\"messages\":[{\"type\":\"ai\"}]}")};

	if (sim_chance(w, 50))
		what.patch = APD_STR("{\"a\":1,\"b\":[2]}");
	if (sim_chance(w, 20))
		what.removed = APD_STR("[\"a\"]");
	apd_runtime_sink.commit(w->rt, &slot->base, &what);
}

static void commit(struct world *w, struct slot *slot)
{
	struct apd_buf *out = &w->buf;
	struct scommit *commit = commit_add(w, slot);
	const struct patch *patch = commit->patch;
	struct apd_commit what = {.number = commit->number, .name = APD_STR("step")};
	size_t len;

	apd_buf_clear(out);
	apd_buf_lit(out, "{");
	patch_add_values(out, patch);
	if (patch->says) {
		if (out->len > 1)
			apd_buf_lit(out, ",");
		apd_buf_lit(out, "\"messages\":");
		patch_add_messages(out, patch);
	}
	apd_buf_lit(out, "}");
	len = out->len;
	if (patch->removed || patch->forgets)
		patch_add_removed(out, patch);
	what.patch = (struct apd_str){out->data, len};
	if (out->len > len)
		what.removed = (struct apd_str){out->data + len, out->len - len};
	sim_story(w, "host: run %lu commits %u: %.*s", slot->run->serial, commit->number,
		out->len < 300 ? (int)out->len : 300, out->data);
	apd_runtime_sink.commit(w->rt, &slot->base, &what);
}

static void done(struct world *w, struct slot *slot, ap_status status)
{
	struct srun *run = slot->run;

	sim_story(w, "host: run %lu returns %d", run->serial, (int)status);
	if (status == AP_OK)
		run->done_ok = true;
	else
		run->done_failed = true;
	if (slot->deadline_ns && w->now >= slot->deadline_ns)
		run->late = true;
	run->paused = status == AP_INTERRUPTED && run->questions.n;
	slot->state = SLOT_DONE;
	commits_orphan(run);
	apd_runtime_sink.done(
		w->rt, &slot->base, status, APD_STR("a_code"), APD_STR("It did not work."));
	SIM_CHECK(w, slot->state == SLOT_FREE, "run %lu's slot was not released", run->serial);
}

/* How an agent ends by itself. */
static void end(struct world *w, struct slot *slot)
{
	unsigned dice = sim_below(w, 100);

	if (slot->run->questions.n && dice < 85)
		done(w, slot, AP_INTERRUPTED);
	else if (dice < 60)
		done(w, slot, AP_OK);
	else if (dice < 75)
		done(w, slot, AP_E_FAILED);
	else if (dice < 80)
		done(w, slot, AP_INTERRUPTED);
	else if (dice < 83)
		done(w, slot, AP_E_CANCELLED);
	else if (dice < 86)
		done(w, slot, AP_E_DEADLINE);
	else if (dice < 88)
		done(w, slot, 77);
	else if (dice < 94)
		worker_kill(w, slot->worker, "SIGSEGV");
	else
		slot->hangs = true;
}

static void act(struct world *w, struct slot *slot)
{
	unsigned dice = sim_below(w, 100);

	/* Most agents sit in commit() until it is answered. */
	if (slot->waits && !slot->many)
		return;
	if (slot->stop && !slot->stubborn && dice < 60) {
		done(w, slot, slot->stop == APD_STOP_DEADLINE ? AP_E_DEADLINE : AP_E_CANCELLED);
		return;
	}
	if (slot->hangs)
		return;
	if (slot->todo == 0) {
		end(w, slot);
		return;
	}
	slot->todo--;
	if (dice < (slot->run->thr ? 45 : 65) || slot->flood)
		emit(w, slot);
	else if (dice < 92 && slot->run->thr)
		commit(w, slot);
	else if (dice < 92)
		commit_fleeting(w, slot);
	else
		questions_ask(w, slot);
}

void agents_step(struct world *w)
{
	if (w->n_active)
		act(w, w->active[sim_below(w, (unsigned)w->n_active)]);
}

/* The operator breaks, removes or mends an agent. */
void agents_change(struct world *w)
{
	struct agent *agent = &w->agents[sim_below(w, N_AGENTS)];
	struct apd_agent *states[] = {&agent->ready, &agent->ready, &agent->ready, &agent->ready,
		&agent->starting, &agent->broken, NULL};

	agent->now = states[sim_below(w, APD_COUNT(states))];
	sim_story(w, "host: %s is %s", agent->id,
		agent->now == &agent->ready              ? "ready"
			: agent->now == &agent->starting ? "starting"
			: agent->now                     ? "broken"
							 : "removed");
	apd_runtime_sink.slots(w->rt, apd_str(agent->id));
}

void agents_finish_all(struct world *w)
{
	for (size_t i = w->n_active; i-- > 0;) {
		/* What one does may end others. */
		if (i < w->n_active && !w->active[i]->hangs && !w->active[i]->waits)
			done(w, w->active[i], AP_OK);
	}
}
