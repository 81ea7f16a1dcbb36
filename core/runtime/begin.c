/* A run on a kept thread begins: what the request brings becomes a checkpoint. */
#include "runtime/internal.h"

/* Scans what the request says the state is to be changed by. */
static void plan_input(struct apd_runtime *rt, struct apd_run *run, struct checkpoint_plan *plan)
{
	struct apd_str update = run->update.ptr ? run->update : APD_STR("{}");

	*plan = (struct checkpoint_plan){.source = APD_SOURCE_INPUT,
		.run = run,
		.change = {.gen = &rt->gen, .wall_us = runtime_wall(rt)}};
	if (apd_json_scan(&rt->json, update) == 0 && apd_json_type(&rt->json, 0) == APD_JSON_OBJECT)
		plan->change.patch = &rt->json;
	if (run->messages.ptr && apd_json_scan(&rt->json2, run->messages) == 0)
		plan->change.messages = &rt->json2;
}

void apd_rt_run_begin(struct apd_runtime *rt, struct apd_run *run, struct save *save)
{
	struct thread *thread = run->thread;
	struct checkpoint_plan plan;

	if (run->began)
		return;
	plan_input(rt, run, &plan);
	if (apd_rt_checkpoint_make(rt, thread, &thread->tip, &plan, &save->made) < 0) {
		/* The messages are none: the run begins with what there is. */
		plan.change.messages = plan.change.patch = NULL;
		apd_rt_checkpoint_make(rt, thread, &thread->tip, &plan, &save->made);
	}
	run->began = true;
	run->base_known = true;
	apd_rt_tip_copy(&run->base, &thread->tip);
	run->base_id = thread->tip.head ? thread->tip.head->checkpoint_id : (struct apd_id){0};
	apd_batch_put_checkpoint(&save->batch, save->made.row);
}

void apd_rt_run_began(struct apd_run *run, struct save *save)
{
	if (!save->made.row)
		return;
	run->began_durable = true;
	apd_rt_thread_advance(run->thread, save->made.row, save->made.state);
}

void apd_rt_run_unbegin(struct apd_run *run)
{
	run->began = run->began_durable = run->base_known = false;
	apd_rt_tip_finish(&run->base);
}
