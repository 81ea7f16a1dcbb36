/* emit(): checks an event, waits for credit, sends it. */
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "host/event_cost.h"
#include "worker/exec.h"
#include "worker/texts.h"

#define EVENT_SIZE (offsetof(ap_event, data) + sizeof(((ap_event *)0)->data))

/* Waits while there is no credit: AP_OK, or why the run must stop. */
static ap_status wait_for_credit(struct apd_exec *exec)
{
	int64_t deadline = exec->run.deadline_ns;
	struct timespec at = {
		.tv_sec = deadline / APD_NS_PER_S, .tv_nsec = deadline % APD_NS_PER_S};

	pthread_mutex_lock(&exec->lock);
	while (atomic_load(&exec->credit) <= 0 && !atomic_load(&exec->halt)) {
		int r = 0;

		if (deadline)
			r = pthread_cond_clockwait(
				&exec->changed, &exec->lock, CLOCK_MONOTONIC, &at);
		else
			pthread_cond_wait(&exec->changed, &exec->lock);
		if (r == ETIMEDOUT)
			break;
	}
	pthread_mutex_unlock(&exec->lock);
	return apd_exec_check(&exec->run);
}

/* Checks namespace and data: NULL, or what is wrong. Under the op lock. */
static const char *problem_with(struct apd_exec *exec, ap_channel channel, struct apd_str ns,
	struct apd_str node, struct apd_str data)
{
	struct apd_json *json = &exec->thread->json, *ns_json = &exec->thread->ns_json;
	const char *why;

	why = apd_text_check_ns(ns_json, ns);
	if (why)
		return why;
	if (channel == AP_CHANNEL_LIFECYCLE && (!ns.ptr || ns_json->toks[0].count == 0))
		return "lifecycle events are for children: the namespace must not be empty";
	if (!apd_text_ok(node))
		return "the node is not UTF-8";
	if (apd_json_scan(json, data) < 0)
		return json->error;
	if (apd_json_type(json, 0) != APD_JSON_OBJECT)
		return "the data must be an object";
	if (channel == AP_CHANNEL_MESSAGES &&
		apd_message_order_take(&exec->order, ns, node, json, &why) < 0)
		return why;
	return NULL;
}

/* Takes the op lock when there is credit, or says why the run must stop. */
static ap_status take_turn(struct apd_exec *exec)
{
	ap_status s;

	for (;;) {
		pthread_mutex_lock(&exec->op_lock);
		/* Looked at under the lock: threads that waited together must not all go ahead. */
		if (atomic_load_explicit(&exec->credit, memory_order_relaxed) > 0)
			return AP_OK;
		pthread_mutex_unlock(&exec->op_lock);
		s = wait_for_credit(exec);
		if (s < 0)
			return s;
	}
}

/* Checks and sends an event that needs no further look at its size. */
static ap_status send_event(struct apd_exec *exec, const ap_event *event)
{
	const struct apd_str fields[] = {
		apd_text_of_plugin(event->ns),
		apd_text_of_plugin(event->node),
		apd_text_of_plugin(event->data),
	};
	const char *why;
	ap_status s;

	s = take_turn(exec);
	if (s < 0)
		return s;
	why = problem_with(exec, event->channel, fields[0], fields[1], fields[2]);
	if (!why) {
		atomic_fetch_sub(
			&exec->credit, (int64_t)apd_event_cost(fields[0], fields[1], fields[2]));
		apd_sender_add(&exec->worker->sender, APD_SEND_SOON, APD_FRAME_EMIT, exec->number,
			(uint32_t)event->channel, fields, 3);
	}
	pthread_mutex_unlock(&exec->op_lock);
	if (!why)
		return AP_OK;
	apd_exec_explain(exec, "emit() refused an event: %s", why);
	return AP_E_INVALID;
}

/* Checks what needs no look into the texts. */
static ap_status check_event(struct apd_exec *exec, const ap_event *event)
{
	uint32_t most = exec->worker->setup.emit_max;

	if (event->channel < AP_CHANNEL_MESSAGES || event->channel > AP_CHANNEL_LIFECYCLE) {
		apd_misuse(exec->worker, exec->number,
			"emit() on channel %d, which is not for agents", event->channel);
		return AP_E_MISUSE;
	}
	if (event->data.len > most) {
		apd_exec_explain(exec, "emit() refused an event of over %u bytes", most);
		return AP_E_LIMIT;
	}
	if (event->ns.len > APD_NAME_MAX || event->node.len > APD_NAME_MAX) {
		apd_exec_explain(
			exec, "emit() refused a namespace or node of over %u bytes", APD_NAME_MAX);
		return AP_E_LIMIT;
	}
	return AP_OK;
}

ap_status apd_exec_emit(ap_run *run, const ap_event *event)
{
	struct apd_exec *exec = run->impl;
	ap_event copy;
	ap_status s;

	s = apd_exec_enter(exec, "emit");
	if (s < 0)
		return s;
	s = apd_exec_check(run);
	if (s < 0)
		goto leave;
	s = AP_E_INVALID;
	if (!event || event->size < EVENT_SIZE)
		goto leave;
	apd_struct_copy(&copy, sizeof(copy), event, event->size);
	s = check_event(exec, &copy);
	if (s == AP_OK)
		s = send_event(exec, &copy);
leave:
	apd_exec_leave(exec);
	return s;
}
