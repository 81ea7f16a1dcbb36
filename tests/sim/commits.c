/* Commits of agents to kept threads: sent, on their way, durable or refused, answered once. */
#include "sim.h"

#include <stdlib.h>

struct scommit *commit_add(struct world *w, struct slot *slot)
{
	struct scommit *commit = apd_calloc(1, sizeof(*commit));
	struct srun *run = slot->run;

	commit->number = ++slot->commits;
	commit->patch = patch_make(w, PATCH_COMMIT, thr_model(run->thr));
	apd_list_append(&run->commits, &commit->link);
	slot->waits++;
	return commit;
}

static void commit_free(struct scommit *commit)
{
	apd_list_remove(&commit->link);
	patch_unref(commit->patch);
	free(commit);
}

static struct scommit *find_stored(struct world *w, const struct apd_checkpoint_row *row)
{
	struct srun *run = ledger_find(w, &row->run_id);
	struct scommit *commit;

	SIM_CHECK(w, run, "a checkpoint of an unknown run");
	apd_list_each (commit, &run->commits, link)
		if (commit->state != COMMIT_SENT &&
			apd_id_eq(&commit->checkpoint_id, &row->checkpoint_id))
			return commit;
	sim_fail(w, "run %lu: a checkpoint of no commit", run->serial);
}

/* The checkpoint is on its way: it must be that of the oldest commit, and the only one. */
void commit_storing(struct world *w, const struct apd_checkpoint_row *row)
{
	struct srun *run = ledger_find(w, &row->run_id);
	struct scommit *commit;

	SIM_CHECK(w, run, "a checkpoint of an unknown run");
	apd_list_each (commit, &run->commits, link) {
		SIM_CHECK(w, commit->state != COMMIT_STORING,
			"run %lu: two commits are on their way", run->serial);
		if (commit->state != COMMIT_SENT)
			continue;
		commit->state = COMMIT_STORING;
		commit->checkpoint_id = row->checkpoint_id;
		return;
	}
	sim_fail(w, "run %lu: a checkpoint that no agent asked for", run->serial);
}

void commit_failed(struct world *w, const struct apd_checkpoint_row *row)
{
	struct scommit *commit = find_stored(w, row);

	commit->state = COMMIT_FAILED;
	if (commit->orphan)
		commit_free(commit);
}

/* The patch of a commit that is durable now; the caller's reference. */
struct patch *commit_stored(struct world *w, const struct apd_checkpoint_row *row)
{
	struct scommit *commit = find_stored(w, row);
	struct patch *patch = patch_ref(commit->patch);

	SIM_CHECK(w, commit->state == COMMIT_STORING, "a commit is stored twice");
	commit->state = COMMIT_DURABLE;
	if (commit->orphan)
		commit_free(commit);
	return patch;
}

/* The attempt is over: nobody waits for its commits. Those that are on their way may arrive. */
void commits_orphan(struct srun *run)
{
	struct scommit *commit, *tmp;

	if (!run->thr)
		return;
	apd_list_each_safe (commit, tmp, &run->commits, link) {
		commit->orphan = true;
		if (commit->state == COMMIT_DURABLE || commit->state == COMMIT_FAILED)
			commit_free(commit);
	}
}

void commits_forget(struct srun *run)
{
	while (!apd_list_empty(&run->commits))
		commit_free(apd_list_first(&run->commits, struct scommit, link));
}

void commits_answered(struct world *w, struct slot *slot, uint32_t number, ap_status status)
{
	struct srun *run = slot->run;
	struct scommit *commit = NULL, *other;

	apd_list_each (other, &run->commits, link) {
		if (other->orphan)
			continue;
		commit = other;
		break;
	}
	SIM_CHECK(w, commit && commit->number == number, "run %lu: answer to commit %u for %u",
		run->serial, number, commit ? commit->number : 0);
	sim_story(w, "host: commit %u of run %lu gives %d", number, run->serial, (int)status);
	if (status == AP_OK)
		SIM_CHECK(w, commit->state == COMMIT_DURABLE,
			"run %lu: commit %u succeeds and is not durable", run->serial, number);
	else if (status == AP_E_CANCELLED)
		SIM_CHECK(w, slot->stop == APD_STOP_ROLLBACK,
			"run %lu: commit %u was cancelled by nobody", run->serial, number);
	else
		SIM_CHECK(w, status == AP_E_UNAVAILABLE && commit->state == COMMIT_FAILED,
			"run %lu: commit %u gives %d", run->serial, number, (int)status);
	slot->waits--;
	commit->orphan = true;
	if (commit->state != COMMIT_STORING)
		commit_free(commit);
}
