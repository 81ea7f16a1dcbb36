/* The fake world of the runtime's direct tests. */
#include "fakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_storage.h"
#include "host/event_cost.h"

static int64_t mono_ns(const struct apd_clock *clock)
{
	return apd_container_of(clock, struct fake, clock)->now;
}

static int64_t wall_us(const struct apd_clock *clock)
{
	return 1700000000000000 + mono_ns(clock) / 1000;
}

static void op_commit(struct apd_storage *storage, struct apd_batch *batch)
{
	apd_list_append(&apd_container_of(storage, struct fake, storage)->batches, &batch->link);
}

static void op_load(struct apd_storage *storage, struct apd_load *load)
{
	apd_list_append(&apd_container_of(storage, struct fake, storage)->loads, &load->link);
}

static void finish_load(struct fake *f, struct apd_load *load, int result)
{
	if (result == 0 && load->type == APD_LOAD_ACTIVE_RUNS)
		fake_load_active(f, load);
	else if (result == 0)
		fake_load_thread(f, load);
	load->done(load, result);
}

void fake_store(struct fake *f, int result)
{
	const char *wrong;

	while (!apd_list_empty(&f->loads)) {
		struct apd_load *load = apd_list_first(&f->loads, struct apd_load, link);

		apd_list_remove(&load->link);
		finish_load(f, load, result);
	}
	apd_runtime_flush(f->rt);
	while (!apd_list_empty(&f->batches)) {
		struct apd_batch *batch = apd_list_first(&f->batches, struct apd_batch, link);

		apd_list_remove(&batch->link);
		batch->done(batch, result < 0 ? result : fake_apply(f, batch));
	}
	apd_runtime_flush(f->rt);
	wrong = apd_runtime_inspect(f->rt);
	assert_string_equal(wrong ? wrong : "", "");
}

void fake_store_all(struct fake *f)
{
	do
		fake_store(f, 0);
	while (!apd_list_empty(&f->loads) || !apd_list_empty(&f->batches));
}

static struct fake *fake_of(struct apd_host *host)
{
	return apd_container_of(host, struct fake, host);
}

static struct fake_slot *slot_of(struct apd_slot *slot)
{
	return apd_container_of(slot, struct fake_slot, base);
}

static struct apd_agent *op_find(struct apd_host *host, struct apd_str id)
{
	struct fake *f = fake_of(host);

	return apd_str_is(id, "a") && !f->removed ? &f->agent : NULL;
}

static struct apd_slot *op_acquire(struct apd_host *host, struct apd_str id, bool alone)
{
	struct fake *f = fake_of(host);

	(void)id;
	for (unsigned i = 0; i < f->n_slots; i++) {
		struct fake_slot *slot = &f->slots[i];

		if (slot->used)
			continue;
		slot->used = true;
		slot->alone = alone;
		return &slot->base;
	}
	return NULL;
}

static void copy(char *to, size_t size, struct apd_str s)
{
	snprintf(to, size, "%.*s", APD_STR_FMT(s));
}

static void op_invoke(
	struct apd_host *host, struct apd_slot *base, const struct apd_invocation *what)
{
	struct fake_slot *slot = slot_of(base);

	(void)host;
	slot->invoked++;
	slot->credit = what->credit;
	slot->listening = what->listening;
	slot->attempt = what->attempt;
	slot->stopped = 0;
	copy(slot->values, sizeof(slot->values), what->values);
	copy(slot->transcript, sizeof(slot->transcript), what->transcript);
	copy(slot->resume, sizeof(slot->resume), what->resume);
	copy(slot->jump, sizeof(slot->jump), what->jump);
	copy(slot->continuation, sizeof(slot->continuation), what->continuation);
	slot->flags = what->flags;
}

static void op_stop(struct apd_host *host, struct apd_slot *base, enum apd_stop_reason reason)
{
	(void)host;
	slot_of(base)->stopped++;
	slot_of(base)->reason = reason;
}

static void op_committed(
	struct apd_host *host, struct apd_slot *base, uint32_t number, ap_status status)
{
	(void)host;
	slot_of(base)->commit = number;
	slot_of(base)->committed = status;
}

static void op_credit(struct apd_host *host, struct apd_slot *base, uint32_t bytes)
{
	(void)host;
	slot_of(base)->credit += bytes;
}

static void op_listening(struct apd_host *host, struct apd_slot *base, uint32_t channels)
{
	(void)host;
	slot_of(base)->listening = channels;
}

static void op_release(struct apd_host *host, struct apd_slot *base)
{
	(void)host;
	slot_of(base)->used = false;
}

static void op_abandon(struct apd_host *host, struct apd_slot *base)
{
	(void)host;
	slot_of(base)->abandoned++;
	slot_of(base)->used = false;
}

void fake_init(struct fake *f)
{
	static const struct apd_storage_ops storage_ops = {.commit = op_commit, .load = op_load};
	static const struct apd_host_ops host_ops = {op_find, op_acquire, op_invoke, op_stop,
		op_committed, op_credit, op_listening, op_release, op_abandon};

	memset(f, 0, sizeof(*f));
	f->clock = (struct apd_clock){mono_ns, wall_us};
	f->now = APD_NS_PER_S;
	f->storage.ops = &storage_ops;
	f->host.ops = &host_ops;
	apd_list_init(&f->batches);
	apd_list_init(&f->loads);
	f->n_slots = 1;
	atomic_init(&f->agent.refs, 1);
	f->agent.agent_id = APD_STR("a");
	f->agent.state = APD_AGENT_READY;
	f->agent.max_queue = 2;
	f->agent.max_attempts = 3;
	f->agent.timeout_ns = 60 * APD_NS_PER_S;
	f->agent.grace_ns = 10 * APD_NS_PER_S;
	f->config = (struct apd_runtime_config){.max_queue = 10,
		.credit_bytes = 1000,
		.ring_bytes = 100000,
		.events_max_bytes = 1000000,
		.linger_ns = 60 * APD_NS_PER_S,
		.stall_ns = 5 * APD_NS_PER_S,
		.shutdown_grace_ns = 5 * APD_NS_PER_S,
		.retry_delay_ns = APD_NS_PER_S,
		.seed = 42};
}

static void recovered(void *data, int result)
{
	(void)data;
	assert_int_equal(result, 0);
}

static void hooks_told(void *data)
{
	((struct fake *)data)->hooks_told++;
}

void fake_start(struct fake *f)
{
	struct apd_runtime_deps deps = {&f->clock, &f->storage, &f->host, hooks_told, f};

	f->rt = apd_runtime_create(&f->config, &deps);
	apd_runtime_recover(f->rt, recovered, f);
	fake_store(f, 0);
}

void fake_finish(struct fake *f)
{
	apd_runtime_destroy(f->rt);
	apd_run_row_unref(f->stored);
	fake_storage_finish(f);
}

void fake_restart(struct fake *f)
{
	apd_runtime_destroy(f->rt);
	apd_list_init(&f->batches);
	apd_list_init(&f->loads);
	for (unsigned i = 0; i < FAKE_SLOTS; i++)
		f->slots[i] = (struct fake_slot){0};
	/* Another life does not make the ids of the one before. */
	f->config.seed++;
	fake_start(f);
	fake_store_all(f);
}

static void take(struct fake_call *c)
{
	apd_run_row_unref(c->row);
	c->row = apd_run_row_ref(c->call.row);
	if (c->call.log && !c->log)
		c->log = apd_event_log_ref(c->call.log);
}

static void on_refused(struct apd_run_call *call, const struct apd_problem *problem)
{
	struct fake_call *c = apd_container_of(call, struct fake_call, call);

	c->refused++;
	c->code = problem->code;
}

static void on_accepted(struct apd_run_call *call)
{
	struct fake_call *c = apd_container_of(call, struct fake_call, call);

	c->accepted++;
	c->log_seq = call->log_seq;
	take(c);
}

static void on_ended(struct apd_run_call *call)
{
	struct fake_call *c = apd_container_of(call, struct fake_call, call);

	c->ended++;
	take(c);
}

void fake_call_init(struct fake_call *call)
{
	static const struct apd_run_call_ops ops = {on_refused, on_accepted, on_ended};

	memset(call, 0, sizeof(*call));
	call->call.ops = &ops;
}

void fake_call_finish(struct fake_call *call)
{
	apd_run_row_unref(call->row);
	apd_event_log_unref(call->log);
}

/* Adds what a restart has to find in the request: its command, its strategy, its webhook. */
static void add_command(char *text, size_t size, const struct apd_run_spec *spec)
{
	static const char *const words[] = {"reject", "enqueue", "interrupt", "rollback"};
	size_t len = strlen(text) - 1;

	len += (size_t)snprintf(
		text + len, size - len, ",\"multitask_strategy\":\"%s\"", words[spec->multitask]);
	if (spec->webhook.ptr)
		len += (size_t)snprintf(text + len, size - len, ",\"webhook\":\"%.*s\"",
			APD_STR_FMT(spec->webhook));
	snprintf(text + len, size - len, ",\"command\":{\"resume\":%s,\"update\":%s,\"goto\":%s}}",
		spec->resume.ptr ? spec->resume.ptr : "null",
		spec->update.ptr ? spec->update.ptr : "null",
		spec->jump.ptr ? spec->jump.ptr : "null");
}

void fake_create(struct fake *f, struct fake_call *call, enum apd_run_mode mode,
	const struct apd_run_spec *more, const char *messages)
{
	struct apd_run_spec spec = more ? *more : (struct apd_run_spec){0};
	char text[1024];

	snprintf(text, sizeof(text), "{\"agent_id\":\"a\",\"input\":1,\"metadata\":{}%s%s}",
		messages ? ",\"messages\":" : "", messages ? messages : "");
	add_command(text, sizeof(text), &spec);
	spec.mode = mode;
	spec.request = apd_text_create(apd_str(text));
	spec.agent_id = (struct apd_str){spec.request->data + 13, 1};
	spec.input = (struct apd_str){strstr(spec.request->data, "1"), 1};
	spec.metadata = (struct apd_str){strstr(spec.request->data, "{}"), 2};
	if (messages)
		spec.messages = (struct apd_str){strchr(spec.request->data, '['), strlen(messages)};
	fake_call_init(call);
	apd_runtime_create_run(f->rt, &spec, &call->call);
	apd_text_unref(spec.request);
	apd_runtime_flush(f->rt);
}

void fake_sleep(struct fake *f, int64_t ns)
{
	f->now += ns;
	apd_runtime_run_timers(f->rt);
	apd_runtime_flush(f->rt);
}

void fake_commit_later(struct fake *f, unsigned slot, const char *patch)
{
	struct apd_commit commit = {.number = ++f->slots[slot].commits,
		.name = APD_STR("step"),
		.patch = apd_str(patch)};

	apd_runtime_sink.commit(f->rt, &f->slots[slot].base, &commit);
}

void fake_commit(struct fake *f, unsigned slot, const char *patch)
{
	fake_commit_later(f, slot, patch);
	assert_int_equal(f->slots[slot].commit, f->slots[slot].commits);
}

void fake_emit(struct fake *f, unsigned slot, ap_channel channel, const char *data)
{
	struct apd_emission emission = {.channel = channel, .data = apd_str(data)};

	f->slots[slot].credit -= (int64_t)apd_event_cost(emission.ns, emission.node, emission.data);
	apd_runtime_sink.emitted(f->rt, &f->slots[slot].base, &emission);
}

void fake_done(struct fake *f, unsigned slot, ap_status status)
{
	apd_runtime_sink.done(
		f->rt, &f->slots[slot].base, status, APD_STR("own"), APD_STR("Because."));
	apd_runtime_flush(f->rt);
}

void fake_ask(struct fake *f, unsigned slot, const char *id, const char *continuation)
{
	struct apd_ask ask = {apd_str(id), APD_STR_ABSENT, APD_STR("{\"ok\":null}")};

	apd_runtime_sink.asked(f->rt, &f->slots[slot].base, &ask, 1,
		continuation ? apd_str(continuation) : APD_STR_ABSENT);
	fake_done(f, slot, AP_INTERRUPTED);
}

void fake_lose(struct fake *f, unsigned slot)
{
	f->slots[slot].used = false;
	apd_runtime_sink.lost(f->rt, &f->slots[slot].base, "SIGSEGV");
	apd_runtime_flush(f->rt);
}

struct apd_run_spec fake_spec(unsigned id, enum apd_multitask multitask)
{
	struct apd_run_spec spec = {.has_thread = true, .multitask = multitask};

	spec.thread_id.bytes[0] = (uint8_t)id;
	return spec;
}

static void thread_done(struct apd_thread_call *call, const struct apd_problem *problem)
{
	struct fake_thread_call *c = apd_container_of(call, struct fake_thread_call, call);
	struct apd_buf out = {0};

	c->done++;
	c->code = problem ? problem->code : APD_PROBLEM_NONE;
	if (call->view.thread) {
		c->id = call->view.thread->thread_id;
		apd_thread_view_add_json(&out, &call->view);
		copy(c->json, sizeof(c->json), apd_buf_str(&out));
		apd_buf_finish(&out);
	}
}

void fake_thread_call_init(struct fake_thread_call *call)
{
	memset(call, 0, sizeof(*call));
	call->call.done = thread_done;
}

void fake_patch(struct fake *f, struct fake_thread_call *call, unsigned id, const char *metadata,
	const char *values, const struct apd_id *checkpoint_id)
{
	struct apd_id thread_id = fake_spec(id, APD_MULTITASK_REJECT).thread_id;
	struct apd_thread_patch patch = {0};
	char text[512];
	size_t len = metadata ? strlen(metadata) : 0;

	snprintf(text, sizeof(text), "%s%s", metadata ? metadata : "", values ? values : "");
	patch.text = apd_text_create(apd_str(text));
	if (metadata)
		patch.metadata = (struct apd_str){patch.text->data, len};
	if (values)
		patch.values = (struct apd_str){patch.text->data + len, strlen(values)};
	if (checkpoint_id) {
		patch.has_checkpoint = true;
		patch.checkpoint_id = *checkpoint_id;
	}
	fake_thread_call_init(call);
	apd_runtime_patch_thread(f->rt, &thread_id, &patch, &call->call);
	apd_text_unref(patch.text);
	assert_int_equal(call->done, 0);
	apd_runtime_flush(f->rt);
}

const char *fake_events(struct apd_event_log *log)
{
	static const char *const kinds[] = {
		"", "started", "emitted", "updates", "values", "checkpoint", "ended"};
	static char text[4096];
	struct apd_event_reader reader;
	const struct apd_event *event;
	size_t len = 0;

	text[0] = '\0';
	apd_event_reader_init(&reader, log, 0);
	while (apd_event_reader_next(&reader, &event) == APD_READ_EVENT) {
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s%s", len ? " " : "", kinds[event->kind]);
		if (event->kind == APD_EVENT_EMITTED)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, ":%.*s", APD_STR_FMT(event->data));
	}
	apd_event_reader_finish(&reader);
	return text;
}
