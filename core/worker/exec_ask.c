/* interrupt(): checks the questions and sends them. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "worker/exec.h"
#include "worker/texts.h"

#define QUESTION_SIZE (offsetof(ap_question, payload) + sizeof(((ap_question *)0)->payload))

/* More questions at once than any person answers. */
#define MAX_QUESTIONS 1000
/* Fields of a question in the frame. */
#define FIELDS 3

/* Checks the texts of one question: NULL, or what is wrong. Under the op lock. */
static const char *problem_with(
	struct apd_exec *exec, const struct apd_str fields[FIELDS], struct apd_map *ids)
{
	struct apd_json *json = &exec->thread->json;
	const char *why;

	if (!fields[0].len || !apd_text_ok(fields[0]))
		return "a question needs an id";
	if (fields[0].len > APD_NAME_MAX || fields[1].len > APD_NAME_MAX)
		return "an id or a namespace is too long";
	if (apd_map_put(ids, fields[0], ids))
		return "two questions have the same id";
	why = apd_text_check_ns(&exec->thread->ns_json, fields[1]);
	if (why)
		return why;
	return apd_json_scan(json, fields[2]) < 0 ? json->error : NULL;
}

/* Takes the questions apart: AP_OK, or a failure. fields has room for 1 + 3 * n. */
static ap_status take_questions(struct apd_exec *exec, const ap_question *const *questions,
	size_t n, ap_str continuation, struct apd_str *fields)
{
	size_t left = exec->worker->setup.commit_max;

	fields[0] = apd_text_of_plugin(continuation);
	for (size_t i = 0; i < n; i++) {
		struct apd_str *at = fields + 1 + FIELDS * i;
		ap_question copy;

		if (!questions[i] || questions[i]->size < QUESTION_SIZE)
			return AP_E_INVALID;
		apd_struct_copy(&copy, sizeof(copy), questions[i], questions[i]->size);
		at[0] = apd_text_of_plugin(copy.id);
		at[1] = apd_text_of_plugin(copy.ns);
		at[2] = apd_text_of_plugin(copy.payload);
	}
	for (size_t i = 0; i < 1 + FIELDS * n; i++) {
		if (fields[i].len > left) {
			apd_exec_explain(exec, "interrupt() refused questions of over %u bytes",
				exec->worker->setup.commit_max);
			return AP_E_LIMIT;
		}
		left -= fields[i].len;
	}
	return AP_OK;
}

/* Checks and sends questions that were taken apart. */
static ap_status ask(struct apd_exec *exec, size_t n, const struct apd_str *fields)
{
	struct apd_map ids = {0};
	const char *why = NULL;
	bool again;

	pthread_mutex_lock(&exec->op_lock);
	again = exec->asked;
	for (size_t i = 0; i < n && !why && !again; i++)
		why = problem_with(exec, fields + 1 + FIELDS * i, &ids);
	if (!why && !again) {
		exec->asked = true;
		apd_sender_add(&exec->worker->sender, APD_SEND_SOON, APD_FRAME_ASK, exec->number,
			(uint32_t)n, fields, 1 + FIELDS * n);
	}
	pthread_mutex_unlock(&exec->op_lock);
	apd_map_finish(&ids);
	if (again) {
		apd_misuse(exec->worker, exec->number, "interrupt() twice in one invoke()");
		return AP_E_MISUSE;
	}
	if (why) {
		apd_exec_explain(exec, "interrupt() refused the questions: %s", why);
		return AP_E_INVALID;
	}
	return AP_OK;
}

ap_status apd_exec_interrupt(
	ap_run *run, const ap_question *const *questions, size_t n, ap_str continuation)
{
	struct apd_exec *exec = run->impl;
	struct apd_str *fields = NULL;
	ap_status s;

	s = apd_exec_enter(exec, "interrupt");
	if (s < 0)
		return s;
	if (run->flags & AP_RUN_EPHEMERAL) {
		apd_exec_explain(exec,
			"interrupt() gave AP_E_UNSUPPORTED: the thread ends with "
			"the run, so nobody could answer");
		s = AP_E_UNSUPPORTED;
	} else if (!questions || n == 0) {
		s = AP_E_INVALID;
	} else if (n > MAX_QUESTIONS) {
		s = AP_E_LIMIT;
	} else {
		fields = apd_calloc(1 + FIELDS * n, sizeof(*fields));
		s = take_questions(exec, questions, n, continuation, fields);
		if (s == AP_OK)
			s = ask(exec, n, fields);
	}
	apd_exec_leave(exec);
	free(fields);
	return s;
}
