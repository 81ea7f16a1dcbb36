/* commit(): checks a step, sends it, and waits until the daemon has it. */
#include "host/message_shape.h"
#include "worker/exec.h"
#include "worker/texts.h"

#define STEP_SIZE (offsetof(ap_step, removed) + sizeof(((ap_step *)0)->removed))

/* Checks the patch: NULL, or what is wrong with it. */
static const char *problem_with_patch(struct apd_json *json, struct apd_str patch)
{
	uint32_t messages;

	if (apd_json_scan(json, patch) < 0)
		return json->error;
	if (apd_json_type(json, 0) != APD_JSON_OBJECT)
		return "the patch must be an object";
	messages = apd_json_member(json, 0, APD_STR("messages"));
	return messages ? apd_message_shape_check(json, messages) : NULL;
}

/* Checks all texts of a step: NULL, or what is wrong. Under the op lock. */
static const char *problem_with(struct apd_exec *exec, const struct apd_str fields[4])
{
	struct apd_json *json = &exec->thread->json;
	const char *why;

	if (!apd_text_ok(fields[0]))
		return "the name is not UTF-8";
	why = apd_text_check_ns(&exec->thread->ns_json, fields[1]);
	if (why)
		return why;
	if (fields[3].ptr) {
		if (apd_json_scan(json, fields[3]) < 0)
			return json->error;
		if (!apd_text_all(json, 0, APD_JSON_STRING))
			return "removed must be an array of strings";
	}
	return problem_with_patch(json, fields[2]);
}

/*
 * What a commit that waits should return now, if it should; answers come before
 * reasons to give up. Locked.
 */
static bool is_decided(struct apd_exec *exec, struct apd_commit_wait *wait)
{
	uint32_t halt = atomic_load(&exec->halt);

	if (wait->answered)
		return true;
	if (halt & APD_HALT_OVER)
		wait->status = AP_E_MISUSE;
	else if ((halt & APD_HALT_REASON) == APD_STOP_ROLLBACK)
		wait->status = AP_E_CANCELLED;
	else if (atomic_load(&exec->worker->lost))
		wait->status = AP_E_UNAVAILABLE;
	else
		return false;
	return true;
}

/*
 * Sends a checked step and waits for its answer, unless nobody was promised
 * anything about the run. Under the op lock, which it gives up.
 */
static ap_status send_and_wait(struct apd_exec *exec, const struct apd_str fields[4])
{
	struct apd_commit_wait wait = {.number = ++exec->n_commits};
	bool over;

	if (!apd_commit_waits(exec->relaxed, wait.number, fields[2].len + fields[3].len)) {
		apd_sender_add(&exec->worker->sender, APD_SEND_LATER, APD_FRAME_COMMIT,
			exec->number, 0, fields, 4);
		pthread_mutex_unlock(&exec->op_lock);
		return AP_OK;
	}
	pthread_mutex_lock(&exec->lock);
	apd_list_append(&exec->commits, &wait.link);
	pthread_mutex_unlock(&exec->lock);
	apd_sender_add(&exec->worker->sender,
		apd_crew_idle(&exec->worker->crew) ? APD_SEND_NOW : APD_SEND_SOON, APD_FRAME_COMMIT,
		exec->number, wait.number, fields, 4);
	pthread_mutex_unlock(&exec->op_lock);

	pthread_mutex_lock(&exec->lock);
	while (!is_decided(exec, &wait))
		pthread_cond_wait(&exec->changed, &exec->lock);
	apd_list_remove(&wait.link);
	over = !wait.answered && (atomic_load(&exec->halt) & APD_HALT_OVER);
	pthread_mutex_unlock(&exec->lock);
	if (over)
		apd_misuse(exec->worker, exec->number, "invoke() returned during commit()");
	return wait.status;
}

/* Checks what needs no look into the texts. */
static ap_status check_step(struct apd_exec *exec, const struct apd_str fields[4])
{
	size_t most = exec->worker->setup.commit_max, left = most;

	if (fields[0].len > APD_NAME_MAX || fields[1].len > APD_NAME_MAX) {
		apd_exec_explain(exec, "commit() refused a name or namespace of over %u bytes",
			APD_NAME_MAX);
		return AP_E_LIMIT;
	}
	for (size_t i = 2; i < 4; i++) {
		if (fields[i].len > left) {
			apd_exec_explain(exec, "commit() refused a step of over %zu bytes", most);
			return AP_E_LIMIT;
		}
		left -= fields[i].len;
	}
	return AP_OK;
}

/* Commits a step that has all fields. */
static ap_status commit(struct apd_exec *exec, const ap_step *step)
{
	const struct apd_str fields[4] = {
		apd_text_of_plugin(step->name),
		apd_text_of_plugin(step->ns),
		apd_text_of_plugin(step->patch),
		apd_text_of_plugin(step->removed),
	};
	const char *why;
	ap_status s;

	if ((atomic_load(&exec->halt) & APD_HALT_REASON) == APD_STOP_ROLLBACK)
		return AP_E_CANCELLED;
	s = check_step(exec, fields);
	if (s < 0)
		return s;
	pthread_mutex_lock(&exec->op_lock);
	why = problem_with(exec, fields);
	if (!why)
		return send_and_wait(exec, fields);
	pthread_mutex_unlock(&exec->op_lock);
	apd_exec_explain(exec, "commit() refused a step: %s", why);
	return AP_E_INVALID;
}

ap_status apd_exec_commit(ap_run *run, const ap_step *step)
{
	struct apd_exec *exec = run->impl;
	ap_status s;
	ap_step copy;

	s = apd_exec_enter(exec, "commit");
	if (s < 0)
		return s;
	if (!step || step->size < STEP_SIZE) {
		s = AP_E_INVALID;
	} else {
		apd_struct_copy(&copy, sizeof(copy), step, step->size);
		s = commit(exec, &copy);
	}
	apd_exec_leave(exec);
	return s;
}
