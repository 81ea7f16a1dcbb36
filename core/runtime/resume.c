/*
 * Questions and answers: what of a thread's pending questions a run's "resume"
 * answers, and how the agent gets that. What it means follows from the questions
 * alone, which stay as they are while the run is active: so it is decided the
 * same way when the run is created and whenever it is invoked.
 */
#include "runtime/internal.h"

#include "base/json_text.h"

/* The question of an id, or 0. */
static uint32_t find_question(
	const struct apd_json *questions, const struct apd_json *keys, uint32_t k)
{
	apd_json_each_item (questions, 0, i) {
		uint32_t id = apd_json_given(questions, i, APD_STR("id"));

		if (id && apd_json_same_string(questions, id, keys, k))
			return i;
	}
	return 0;
}

/* Whether the answer is a map: an object that names pending questions and nothing else. */
static bool is_map(const struct apd_json *questions, const struct apd_json *resume)
{
	if (apd_json_type(resume, 0) != APD_JSON_OBJECT || resume->toks[0].count == 0)
		return false;
	apd_json_each_member (resume, 0, k)
		if (!find_question(questions, resume, k))
			return false;
	return true;
}

/* Scans both; false when there is nothing to answer. */
static bool scan(struct apd_runtime *rt, struct apd_str interrupts, struct apd_str resume)
{
	return interrupts.ptr && apd_json_scan(&rt->json, interrupts) == 0 &&
		apd_json_type(&rt->json, 0) == APD_JSON_ARRAY && rt->json.toks[0].count > 0 &&
		apd_json_scan(&rt->json2, resume) == 0;
}

int apd_rt_resume_check(struct apd_runtime *rt, struct apd_str interrupts, struct apd_str resume,
	struct apd_problem *problem)
{
	if (!scan(rt, interrupts, resume))
		return apd_problem_set(problem, APD_PROBLEM_NOT_INTERRUPTED,
			"The thread has no question that could be answered.");
	if (rt->json.toks[0].count == 1 || is_map(&rt->json, &rt->json2))
		return 0;
	return apd_problem_set(problem, APD_PROBLEM_INVALID_REQUEST,
		"command.resume: %u questions are pending: expected an object from the ids of some "
		"of them to the answers.",
		rt->json.toks[0].count);
}

static void add_answer(
	struct apd_buf *out, const struct apd_json *questions, uint32_t i, struct apd_str response)
{
	uint32_t ns = apd_json_given(questions, i, APD_STR("namespace"));
	uint32_t id = apd_json_given(questions, i, APD_STR("id"));

	apd_json_add_comma(out);
	apd_buf_lit(out, "{");
	apd_json_member_raw(out, "namespace", ns ? apd_json_slice(questions, ns) : APD_STR("[]"));
	apd_json_member_raw(out, "id", id ? apd_json_slice(questions, id) : APD_STR("\"\""));
	apd_json_member_raw(out, "response", response);
	apd_buf_lit(out, "}");
}

void apd_rt_resume_add(struct apd_runtime *rt, struct apd_buf *out, struct apd_str interrupts,
	struct apd_str resume)
{
	apd_buf_lit(out, "[");
	if (scan(rt, interrupts, resume)) {
		if (!is_map(&rt->json, &rt->json2))
			add_answer(out, &rt->json, 1, apd_json_slice(&rt->json2, 0));
		else
			apd_json_each_member (&rt->json2, 0, k)
				add_answer(out, &rt->json, find_question(&rt->json, &rt->json2, k),
					apd_json_slice(&rt->json2, k + 1));
	}
	apd_buf_lit(out, "]");
}
