/*
 * What comes from a worker: taken apart, checked again, handed to the runtime.
 * The worker has checked all of it once so that the agent hears of its
 * mistakes; here a mistake means that the worker is not what was started.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/event_cost.h"
#include "host/message_shape.h"
#include "host/parts.h"

#define QUESTIONS_MAX 1000

/* commit() calls of one run that wait for their answer; each takes a thread in the worker. */
#define COMMITS_MAX 1024

/* ap_error's code and message, generously. */
#define ERROR_TEXT_MAX 4096

/*
 * A run may be so many events of the largest size beyond its credit: each of
 * its threads may have begun to send one while there was some left.
 */
#define EVENTS_OVER 32

/* Credit for log lines goes back in pieces of this size; a worker begins with 64 KiB. */
#define LOG_CREDIT (16u << 10)

/* Names of nodes and steps, namespaces. */
#define NAME_MAX_BYTES (16u << 10)

static struct apd_fields fields_of(struct apd_str payload)
{
	return (struct apd_fields){payload.ptr, payload.ptr + payload.len};
}

/* Takes n fields; false if they are not all there, or more. */
static bool take(struct apd_str payload, struct apd_str *ret_fields, size_t n)
{
	struct apd_fields fields = fields_of(payload);

	for (size_t i = 0; i < n; i++) {
		if (apd_fields_next(&fields, &ret_fields[i]) < 0)
			return false;
	}
	return fields.at == fields.end;
}

/* True if the text is a JSON array of strings, or absent. ret_empty: there is none in it. */
static bool is_strings(struct apd_json *json, struct apd_str text, bool *ret_empty)
{
	*ret_empty = true;
	if (!text.ptr)
		return true;
	if (apd_json_scan(json, text) < 0 || apd_json_type(json, 0) != APD_JSON_ARRAY)
		return false;
	apd_json_each_item (json, 0, i) {
		if (apd_json_type(json, i) != APD_JSON_STRING)
			return false;
		*ret_empty = false;
	}
	return true;
}

/* True if a name or a namespace is no larger than anybody needs. */
static bool is_name(struct apd_str s)
{
	return s.len <= NAME_MAX_BYTES;
}

static const char *take_emit(
	struct apd_pool *pool, struct apd_run_slot *slot, uint32_t channel, struct apd_str payload)
{
	struct apd_str at[3];
	struct apd_emission emission;
	const char *why;
	bool is_root;

	if (!take(payload, at, 3) || !at[2].ptr)
		return "its EMIT is malformed";
	emission = (struct apd_emission){(ap_channel)channel, at[0], at[1], at[2]};
	if (channel < AP_CHANNEL_MESSAGES || channel > AP_CHANNEL_LIFECYCLE)
		return "its EMIT names no channel";
	if (payload.len > (size_t)pool->config->emit_max + 2 * NAME_MAX_BYTES ||
		emission.data.len > pool->config->emit_max)
		return "its EMIT is over the limit";
	slot->credit -= (int64_t)apd_event_cost(emission.ns, emission.node, emission.data);
	if (slot->credit < -EVENTS_OVER * (int64_t)pool->config->emit_max)
		return "it sends events without credit";
	if (!is_name(emission.ns) || !is_strings(&pool->json, emission.ns, &is_root) ||
		!is_name(emission.node))
		return "its EMIT has a bad namespace or node";
	if (channel == AP_CHANNEL_LIFECYCLE && is_root)
		return "its EMIT tells of its own life";
	if (apd_json_scan(&pool->json, emission.data) < 0 ||
		apd_json_type(&pool->json, 0) != APD_JSON_OBJECT)
		return "its EMIT is not a JSON object";
	if (channel == AP_CHANNEL_MESSAGES &&
		apd_message_order_take(
			&slot->order, emission.ns, emission.node, &pool->json, &why) < 0)
		return why;
	pool->sink->emitted(pool->sink_data, &slot->slot, &emission);
	return NULL;
}

static const char *take_commit(
	struct apd_pool *pool, struct apd_run_slot *slot, uint32_t number, struct apd_str payload)
{
	struct apd_str at[4];
	struct apd_commit commit;
	uint32_t messages;
	bool is_empty;

	if (!take(payload, at, 4) || !at[2].ptr)
		return "its COMMIT is malformed";
	commit = (struct apd_commit){number, at[0], at[1], at[2], at[3]};
	if (commit.patch.len + commit.removed.len > pool->config->commit_max)
		return "its COMMIT is over the limit";
	if (number == 0 ? !slot->relaxed : number <= slot->last_commit)
		return "its COMMIT repeats a number";
	if (number && ++slot->open_commits > COMMITS_MAX)
		return "it waits for no COMMITTED";
	if (number)
		slot->last_commit = number;
	if (!is_name(commit.name) || !is_name(commit.ns) ||
		!is_strings(&pool->json, commit.ns, &is_empty) ||
		!is_strings(&pool->json, commit.removed, &is_empty))
		return "its COMMIT has a bad name, namespace or list of keys";
	if (apd_json_scan(&pool->json, commit.patch) < 0 ||
		apd_json_type(&pool->json, 0) != APD_JSON_OBJECT)
		return "its COMMIT is not a JSON object";
	messages = apd_json_member(&pool->json, 0, APD_STR("messages"));
	if (messages && apd_message_shape_check(&pool->json, messages))
		return "its COMMIT has messages that are none";
	pool->sink->commit(pool->sink_data, &slot->slot, &commit);
	return NULL;
}

/* Takes one question and checks it; NULL if it is fine. */
static const char *take_question(
	struct apd_pool *pool, struct apd_fields *fields, struct apd_map *ids, struct apd_ask *ask)
{
	bool is_root;

	if (apd_fields_next(fields, &ask->id) < 0 || apd_fields_next(fields, &ask->ns) < 0 ||
		apd_fields_next(fields, &ask->payload) < 0)
		return "its ASK is malformed";
	if (ask->id.len == 0 || !is_name(ask->id) || apd_map_put(ids, ask->id, ask))
		return "its ASK has an id that is empty or not unique";
	if (!is_name(ask->ns) || !is_strings(&pool->json, ask->ns, &is_root))
		return "its ASK has a bad namespace";
	if (!ask->payload.ptr || apd_json_scan(&pool->json, ask->payload) < 0)
		return "its ASK is not JSON";
	return NULL;
}

static const char *take_ask(
	struct apd_pool *pool, struct apd_run_slot *slot, uint32_t n, struct apd_str payload)
{
	struct apd_fields fields = fields_of(payload);
	struct apd_ask asks[QUESTIONS_MAX];
	struct apd_str continuation;
	struct apd_map ids = {0};
	const char *why = NULL;

	if (slot->asked)
		return "it asks twice in one run";
	if (n == 0 || n > QUESTIONS_MAX || apd_fields_next(&fields, &continuation) < 0)
		return "its ASK is malformed";
	if (payload.len > (size_t)pool->config->commit_max + n * NAME_MAX_BYTES)
		return "its ASK is over the limit";
	for (uint32_t i = 0; i < n && !why; i++)
		why = take_question(pool, &fields, &ids, &asks[i]);
	apd_map_finish(&ids);
	if (!why && fields.at != fields.end)
		why = "its ASK is malformed";
	if (why)
		return why;
	slot->asked = true;
	pool->sink->asked(pool->sink_data, &slot->slot, asks, n, continuation);
	return NULL;
}

static const char *take_done(
	struct apd_pool *pool, struct apd_run_slot *slot, uint32_t arg, struct apd_str payload)
{
	struct apd_str at[2];

	if (!take(payload, at, 2) || at[0].len > ERROR_TEXT_MAX || at[1].len > ERROR_TEXT_MAX)
		return "its DONE is malformed";
	apd_slot_ended(slot);
	apd_supply_succeeded(slot->process->generation->ward);
	pool->sink->done(pool->sink_data, &slot->slot, (ap_status)arg, at[0], at[1]);
	return NULL;
}

/* A frame of a run. Those of runs that are over are of no interest to anybody. */
static const char *take_of_run(
	struct apd_process *process, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_run_slot *slot = apd_slot_find(process, frame->run);
	struct apd_pool *pool = process->pool;

	if (!slot || pool->stopping)
		return NULL;
	switch (frame->type) {
	case APD_FRAME_EMIT:
		return take_emit(pool, slot, frame->arg, payload);
	case APD_FRAME_COMMIT:
		return take_commit(pool, slot, frame->arg, payload);
	case APD_FRAME_ASK:
		return take_ask(pool, slot, frame->arg, payload);
	default:
		return take_done(pool, slot, frame->arg, payload);
	}
}

/* The agent of a run that is open, for the log. */
static struct apd_str agent_of(const struct apd_process *process, uint32_t run)
{
	const struct apd_run_slot *slot = run ? apd_slot_find(process, run) : NULL;

	if (!slot)
		return APD_STR_ABSENT;
	return apd_str(process->generation->instances[slot->instance].agent_id);
}

static const char *take_log(
	struct apd_process *process, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_str line;
	uint32_t level = frame->arg;

	if (!take(payload, &line, 1))
		return "its LOG is malformed";
	if (level < APD_LOG_DEBUG || level > APD_LOG_ERROR)
		level = APD_LOG_INFO;
	apd_output_log(&process->child.output, (enum apd_log_level)level,
		agent_of(process, frame->run), line);
	/* A line costs its length and one. */
	process->log_owed += (uint32_t)line.len + 1;
	if (process->log_owed < LOG_CREDIT)
		return NULL;
	apd_frame_add(&process->child.out, APD_FRAME_CREDIT, 0, process->log_owed, NULL, 0);
	process->log_owed = 0;
	apd_process_dirty(process);
	return NULL;
}

static const char *take_misuse(
	struct apd_process *process, const struct apd_frame *frame, struct apd_str payload)
{
	struct apd_buf text = {0};
	struct apd_str what;

	if (!take(payload, &what, 1))
		return "its MISUSE is malformed";
	apd_buf_lit(&text, "plugin misbehaving: ");
	apd_buf_add_str(&text, what);
	apd_output_log(&process->child.output, APD_LOG_WARN, agent_of(process, frame->run),
		apd_buf_str(&text));
	apd_buf_finish(&text);
	return NULL;
}

/* The worker says that it cannot serve, and is about to exit: the log has to know why. */
static const char *take_failed(struct apd_process *process, struct apd_str payload)
{
	struct apd_str at[2];

	if (!take(payload, at, 2))
		return "its FAILED is malformed";
	snprintf(process->child.why, sizeof(process->child.why), "%.*s: %.*s", APD_STR_FMT(at[0]),
		APD_STR_FMT(at[1]));
	process->unconfined =
		process->state == APD_PROCESS_HELLO && apd_setup_is_confinement(at[0]);
	return NULL;
}

const char *apd_frames_take(
	struct apd_process *process, const struct apd_frame *frame, struct apd_str payload)
{
	process->heard_ns = (int64_t)uv_now(process->pool->loop) * APD_NS_PER_MS;
	switch (frame->type) {
	case APD_FRAME_EMIT:
	case APD_FRAME_COMMIT:
	case APD_FRAME_ASK:
	case APD_FRAME_DONE:
		return take_of_run(process, frame, payload);
	case APD_FRAME_HELLO:
		return apd_process_hello(process);
	case APD_FRAME_FAILED:
		return take_failed(process, payload);
	case APD_FRAME_CREATED:
		return apd_process_created(process, frame->arg, payload);
	case APD_FRAME_LOG:
		return take_log(process, frame, payload);
	case APD_FRAME_PONG:
		apd_watch_pong(process);
		return NULL;
	case APD_FRAME_MISUSE:
		return take_misuse(process, frame, payload);
	default:
		return "it sent a frame of an unknown type";
	}
}
