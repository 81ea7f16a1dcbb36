/*
 * What a worker sends to the daemon, between what the runtime asks of the host.
 * A process without a process behind it: frames are handed to it, and whatever
 * reaches the runtime must be what host.h promises. The input's first byte says
 * how the process and its runs are set up; messages follow as in wire.h, whose
 * types from 0x80 on are the runtime's.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "fuzz/wire.h"
#include "host/message_shape.h"
#include "host/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SLOTS    4
#define EMIT_MAX 64

/* What the runtime asks, in a message's type. */
enum {
	DO_INVOKE = 0x80,
	DO_STOP,
	DO_COMMITTED,
	DO_CREDIT,
	DO_LISTENING,
	DO_RELEASE,
};

/* A run as the runtime knows it. */
struct run {
	struct apd_slot *slot; /* NULL: none */
	bool asked, done, relaxed;
	uint32_t last_commit;
};

struct lab {
	uv_loop_t loop;
	struct apd_host_config config;
	struct apd_pool pool;
	struct apd_plugin plugin;
	struct apd_ward ward;
	struct apd_described described;
	struct apd_instance instances[3];
	uint32_t use[3];
	struct apd_generation generation;
	struct apd_process process;
	struct run runs[SLOTS];
	struct apd_json json;
};

/* Ends the process if something that has to hold does not. */
static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The run of a slot that may still be heard of. */
static struct run *run_of(struct apd_slot *slot)
{
	struct run *run = slot->run;

	must(run->slot == slot && !run->done);
	return run;
}

/* Scans JSON that the host has scanned before; the index of its value. */
static enum apd_json_type type_of(struct lab *lab, struct apd_str text)
{
	must(text.ptr && apd_json_scan(&lab->json, text) == 0);
	return apd_json_type(&lab->json, 0);
}

/* An array of strings, or absent; returns how many. */
static uint32_t must_be_strings(struct lab *lab, struct apd_str text)
{
	uint32_t count = 0;

	if (!text.ptr)
		return 0;
	must(type_of(lab, text) == APD_JSON_ARRAY);
	apd_json_each_item (&lab->json, 0, i) {
		must(apd_json_type(&lab->json, i) == APD_JSON_STRING);
		count++;
	}
	return count;
}

static void emitted(void *data, struct apd_slot *slot, const struct apd_emission *emission)
{
	struct lab *lab = data;
	uint32_t depth = must_be_strings(lab, emission->ns);

	run_of(slot);
	must(emission->channel >= AP_CHANNEL_MESSAGES && emission->channel <= AP_CHANNEL_LIFECYCLE);
	must(emission->channel != AP_CHANNEL_LIFECYCLE || depth > 0);
	must(emission->data.len <= EMIT_MAX);
	must(type_of(lab, emission->data) == APD_JSON_OBJECT);
}

static void commit(void *data, struct apd_slot *slot, const struct apd_commit *commit)
{
	struct run *run = run_of(slot);
	struct lab *lab = data;
	uint32_t messages;

	must(commit->number ? commit->number > run->last_commit : run->relaxed);
	if (commit->number)
		run->last_commit = commit->number;
	must_be_strings(lab, commit->ns);
	must_be_strings(lab, commit->removed);
	must(type_of(lab, commit->patch) == APD_JSON_OBJECT);
	messages = apd_json_member(&lab->json, 0, APD_STR("messages"));
	must(!messages || apd_message_shape_check(&lab->json, messages) == NULL);
}

static void asked(void *data, struct apd_slot *slot, const struct apd_ask *asks, size_t n,
	struct apd_str continuation)
{
	struct run *run = run_of(slot);
	struct lab *lab = data;

	must(!run->asked && n > 0 && (continuation.ptr || continuation.len == 0));
	run->asked = true;
	for (size_t i = 0; i < n; i++) {
		must(asks[i].id.len > 0);
		must_be_strings(lab, asks[i].ns);
		type_of(lab, asks[i].payload);
		for (size_t k = 0; k < i; k++)
			must(!apd_str_eq(asks[i].id, asks[k].id));
	}
}

static void done(void *data, struct apd_slot *slot, ap_status status, struct apd_str code,
	struct apd_str message)
{
	(void)data;
	(void)status;
	must(code.ptr || code.len == 0);
	must(message.ptr || message.len == 0);
	run_of(slot)->done = true;
}

static void lost(void *data, struct apd_slot *slot, const char *reason)
{
	(void)data;
	(void)slot;
	(void)reason;
	abort(); /* nothing here lets go of the process */
}

static void slots(void *data, struct apd_str agent_id)
{
	(void)data;
	(void)agent_id;
}

static const struct apd_host_sink sink = {
	.emitted = emitted,
	.commit = commit,
	.asked = asked,
	.done = done,
	.lost = lost,
	.slots = slots,
};

/* The one lab: it is made anew but for its loop, whose handles stay. */
static struct lab *the_lab(void)
{
	static struct lab *lab;

	if (!lab) {
		lab = calloc(1, sizeof(*lab));
		must(lab && uv_loop_init(&lab->loop) == 0);
		apd_deadlines_init(&lab->pool.deadlines, &lab->loop);
		uv_idle_init(&lab->loop, &lab->pool.idle);
		/* Above all levels: what workers log is of no interest here. */
		apd_log_set_level((enum apd_log_level)(APD_LOG_ERROR + 1));
	}
	return lab;
}

static void set_up(struct lab *lab, bool creating)
{
	struct apd_pool *pool = &lab->pool;
	struct apd_process *process = &lab->process;

	lab->config = (struct apd_host_config){.emit_max = EMIT_MAX, .commit_max = 1024};
	pool->host.ops = &apd_pool_ops;
	pool->config = &lab->config;
	pool->loop = &lab->loop;
	pool->sink = &sink;
	pool->sink_data = lab;
	pool->serving = true;
	apd_list_init(&pool->notify);
	apd_list_init(&pool->supply);
	apd_list_init(&pool->dirty);
	apd_list_init(&pool->free_slots);
	lab->plugin = (struct apd_plugin){.pool = pool, .path = "fuzz.so"};
	lab->ward = (struct apd_ward){.plugin = &lab->plugin};
	lab->described.max_concurrency = UINT32_MAX;
	for (uint32_t i = 0; i < APD_COUNT(lab->instances); i++) {
		lab->instances[i] =
			(struct apd_instance){.agent_id = "a", .described = &lab->described};
		lab->use[i] = creating ? APD_NO_INSTANCE : 0;
	}
	lab->generation = (struct apd_generation){.refs = 1,
		.plugin = &lab->plugin,
		.ward = &lab->ward,
		.instances = lab->instances,
		.n_instances = 3,
		.proved = true};
	apd_list_init(&lab->generation.processes);
	*process =
		(struct apd_process){.pool = pool, .generation = &lab->generation, .use = lab->use};
	process->child.output.name = "fuzz";
	/* One more than there are, so that none of them makes the process ready. */
	process->creating = creating ? 4 : 0;
	process->state = creating ? APD_PROCESS_CREATING : APD_PROCESS_READY;
	apd_list_init(&process->slots);
	apd_watch_init(process);
}

static void tear_down(struct lab *lab)
{
	struct apd_process *process = &lab->process;

	apd_watch_clear(process);
	while (!apd_list_empty(&process->slots)) {
		struct apd_run_slot *slot =
			apd_list_first(&process->slots, struct apd_run_slot, link);

		apd_list_remove(&slot->link);
		apd_message_order_finish(&slot->order);
		free(slot);
	}
	apd_slots_finish(&lab->pool);
	apd_map_finish(&process->runs);
	apd_list_remove(&process->dirty);
	apd_buf_finish(&process->child.out);
	apd_output_finish(&process->child.output);
	for (size_t i = 0; i < APD_COUNT(lab->instances); i++)
		free(lab->instances[i].broken);
	for (size_t i = 0; i < SLOTS; i++)
		lab->runs[i] = (struct run){0};
}

/* Begins a run, as acquire() and invoke() do. */
static void begin(struct lab *lab, struct run *run, const struct wire_message *message)
{
	struct apd_invocation what = {.agent_id = APD_STR("a"),
		.input = message->fields[0],
		.credit = message->arg & 0x7f,
		.relaxed = message->arg & 0x80};
	struct apd_process *process = &lab->process;
	struct apd_run_slot *slot;

	if (process->state != APD_PROCESS_READY)
		return;
	slot = apd_calloc(1, sizeof(*slot));
	slot->process = process;
	slot->phase = APD_SLOT_ACQUIRED;
	apd_message_order_init(&slot->order);
	apd_list_append(&process->slots, &slot->link);
	process->use[0]++;
	process->open++;
	slot->slot.run = run;
	*run = (struct run){.slot = &slot->slot, .relaxed = what.relaxed};
	apd_pool_ops.invoke(&lab->pool.host, run->slot, &what);
}

/* Does what the runtime would. */
static void ask(struct lab *lab, const struct wire_message *message)
{
	struct run *run = &lab->runs[message->run % SLOTS];
	struct apd_host *host = &lab->pool.host;

	if (!run->slot) {
		if (message->type == DO_INVOKE)
			begin(lab, run, message);
		return;
	}
	if (message->type == DO_STOP)
		apd_pool_ops.stop(host, run->slot, APD_STOP_CANCEL);
	if (message->type == DO_COMMITTED)
		apd_pool_ops.committed(host, run->slot, message->arg, AP_OK);
	if (message->type == DO_CREDIT)
		apd_pool_ops.credit(host, run->slot, message->arg);
	if (message->type == DO_LISTENING)
		apd_pool_ops.listening(host, run->slot, message->arg);
	/* One that goes on would be abandoned, which is about processes. */
	if (message->type == DO_RELEASE && run->done) {
		apd_pool_ops.release(host, run->slot);
		run->slot = NULL;
	}
}

/* Hands a frame over, from memory of its exact size; false if it broke the protocol. */
static bool hand_over(struct lab *lab, const struct wire_message *message)
{
	struct apd_frame frame = {.type = message->type, .run = message->run, .arg = message->arg};
	struct apd_buf out = {0};
	const char *why;
	char *payload;
	size_t len;

	apd_frame_add(&out, frame.type, frame.run, frame.arg, message->fields, message->n_fields);
	len = out.len - sizeof(frame);
	payload = apd_malloc(len ? len : 1);
	memcpy(payload, out.data + sizeof(frame), len);
	frame.length = (uint32_t)len;
	why = apd_frames_take(&lab->process, &frame, (struct apd_str){payload, len});
	must(!why || why[0]);
	free(payload);
	apd_buf_finish(&out);
	return !why;
}

/* What the daemon would send must be frames. */
static void check_sent(const struct apd_buf *out)
{
	struct apd_frame_reader reader = {.max = SIZE_MAX};
	struct apd_frame frame;
	struct apd_str payload;
	size_t room;

	while (out->len) {
		char *to = apd_frame_reader_room(&reader, &room);

		if (room < out->len) {
			apd_buf_reserve(&reader.in, out->len + 1);
			continue;
		}
		memcpy(to, out->data, out->len);
		apd_frame_reader_got(&reader, out->len);
		break;
	}
	while (apd_frame_reader_next(&reader, &frame, &payload) > 0)
		must(frame.type >= APD_FRAME_SETUP && frame.type <= APD_FRAME_QUIT);
	must(reader.taken == reader.in.len);
	apd_frame_reader_finish(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire wire = {data, data + size};
	struct lab *lab = the_lab();
	struct wire_message message;
	bool goes_on = true;

	set_up(lab, wire_byte(&wire) & 1);
	while (goes_on && wire_next(&wire, &message)) {
		if (message.type >= DO_INVOKE)
			ask(lab, &message);
		else
			goes_on = hand_over(lab, &message);
	}
	check_sent(&lab->process.child.out);
	tear_down(lab);
	return 0;
}
