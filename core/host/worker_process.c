/* A worker process: its start, its instances, its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "host/parts.h"

/* How long a process may take to quit. Its destroy() should return within a second. */
#define QUIT_NS (5 * APD_NS_PER_S)

static struct apd_process *process_of(struct apd_child *child)
{
	return apd_container_of(child, struct apd_process, child);
}

void apd_process_dirty(struct apd_process *process)
{
	if (!apd_list_linked(&process->dirty))
		apd_list_append(&process->pool->dirty, &process->dirty);
	apd_pool_kick(process->pool);
}

static const char *on_frame(
	struct apd_child *child, const struct apd_frame *frame, struct apd_str payload)
{
	return apd_frames_take(process_of(child), frame, payload);
}

/* Who waits for a slot may get one here now. */
static void on_drained(struct apd_child *child)
{
	apd_generation_notify(process_of(child)->generation);
}

/* Says in the log how a process ended, and counts it. */
static void report(struct apd_process *process, const char *reason, bool was_asked)
{
	const struct apd_plugin *plugin = process->generation->plugin;

	if (process->killed) {
		atomic_fetch_add_explicit(&process->pool->killed, 1, memory_order_relaxed);
		apd_log(APD_LOG_WARN, "host", "plugin %s: its worker was killed: %s", plugin->path,
			reason);
	} else if (!was_asked) {
		atomic_fetch_add_explicit(&process->pool->crashes, 1, memory_order_relaxed);
		apd_log(APD_LOG_ERROR, "host", "plugin %s: its worker ended: %s", plugin->path,
			reason);
	} else {
		bool clean = strcmp(reason, "exit status 0") == 0;

		apd_log(clean ? APD_LOG_DEBUG : APD_LOG_WARN, "host",
			"plugin %s: a worker that was told to quit ended: %s", plugin->path,
			reason);
	}
}

static void on_dead(struct apd_child *child, const char *reason)
{
	struct apd_process *process = process_of(child);
	struct apd_pool *pool = process->pool;
	struct apd_generation *generation = process->generation;
	bool was_ready = process->state >= APD_PROCESS_READY;
	bool was_asked = process->state == APD_PROCESS_ENDING;

	process->state = APD_PROCESS_DEAD;
	apd_list_remove(&process->dirty);
	apd_list_remove(&process->link);
	apd_list_remove(&process->all);
	apd_watch_clear(process);
	generation->ward->processes--;
	atomic_fetch_sub_explicit(&pool->alive, 1, memory_order_relaxed);
	report(process, reason, was_asked);
	if (process->unconfined && !pool->stopping)
		apd_supply_unconfined(generation, reason);
	else if (!was_asked && !process->killed && !pool->stopping)
		apd_supply_failed(generation, was_ready, reason);
	apd_slots_lost(process, reason);
	/* Perhaps there was one too many for these. */
	if (generation->ward->current)
		apd_supply_check(generation->ward->current);
	if (generation->ward->next)
		apd_supply_check(generation->ward->next);
}

static void on_closed(struct apd_child *child)
{
	struct apd_process *process = process_of(child);

	process->pool->processes--;
	apd_map_finish(&process->runs);
	apd_generation_unref(process->generation);
	free(process->use);
	free(process);
}

static const struct apd_child_ops ops = {
	.frame = on_frame,
	.dead = on_dead,
	.closed = on_closed,
	.drained = on_drained,
};

/* Kills it for what it did not do in its time. */
static void kill_late(struct apd_process *process, const char *what, int64_t limit_ns)
{
	char why[80];

	snprintf(why, sizeof(why), "%s within %.3g s", what, (double)limit_ns / APD_NS_PER_S);
	apd_child_kill(&process->child, why);
}

/* HELLO, the instances or the end did not come in time. */
static void on_phase(struct apd_deadline *deadline)
{
	struct apd_process *process = apd_container_of(deadline, struct apd_process, phase);
	const struct apd_host_config *config = process->pool->config;

	switch (process->state) {
	case APD_PROCESS_HELLO:
		kill_late(process, "it did not say HELLO", config->hello_ns);
		break;
	case APD_PROCESS_CREATING:
		kill_late(process, "its create() did not return", config->create_ns);
		break;
	case APD_PROCESS_ENDING:
		apd_child_kill(&process->child, "it did not quit in time");
		break;
	case APD_PROCESS_READY:
	case APD_PROCESS_DEAD:
		break;
	}
}

int apd_process_start(struct apd_generation *generation)
{
	struct apd_pool *pool = generation->plugin->pool;
	const struct apd_host_config *config = pool->config;
	const struct apd_child_spec spec = {
		.program = config->worker_path,
		.name = generation->image->description->name.ptr,
		.env = (const char *const *)generation->ward->confinement->env,
		.plugin_fd = generation->image->memfd,
		.message_max = config->message_max,
		.log_dropped = &pool->log_dropped,
		.in_process = config->in_process,
		.strays = &pool->strays,
	};
	struct apd_process *process = apd_calloc(1, sizeof(*process));
	int r = apd_child_start(&process->child, pool->loop, &pool->deadlines, &spec, &ops);

	if (r < 0) {
		free(process);
		return r;
	}
	process->pool = pool;
	process->generation = apd_generation_ref(generation);
	process->state = APD_PROCESS_HELLO;
	process->use = apd_calloc(generation->n_instances, sizeof(*process->use));
	process->phase.expired = on_phase;
	apd_list_init(&process->slots);
	apd_list_init(&process->dirty);
	apd_list_append(&generation->processes, &process->link);
	apd_list_append(&pool->all, &process->all);
	apd_watch_init(process);
	generation->ward->processes++;
	pool->processes++;
	atomic_fetch_add_explicit(&pool->alive, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->spawned, 1, memory_order_relaxed);
	apd_setup_add(&process->child.out, config, generation->ward->confinement,
		generation->plugin->file, false);
	apd_process_dirty(process);
	apd_deadline_set_in(&pool->deadlines, &process->phase, config->hello_ns);
	return 0;
}

/* All instances have answered: runs may begin. */
static void become_ready(struct apd_process *process)
{
	struct apd_generation *generation = process->generation;
	bool first = !generation->proved;

	process->state = APD_PROCESS_READY;
	apd_deadline_clear(&process->pool->deadlines, &process->phase);
	if (generation->retired) {
		apd_process_end(process);
		return;
	}
	apd_watch_idle(process);
	generation->proved = true;
	if (generation == generation->ward->current)
		generation->ward->unready = 0;
	if (generation == generation->ward->next)
		apd_ward_switch(generation->ward);
	else if (first)
		apd_generation_changed(generation);
	apd_generation_notify(generation);
}

const char *apd_process_hello(struct apd_process *process)
{
	struct apd_generation *generation = process->generation;

	if (process->state == APD_PROCESS_ENDING)
		return NULL;
	if (process->state != APD_PROCESS_HELLO)
		return "it said HELLO twice";
	process->state = APD_PROCESS_CREATING;
	for (uint32_t i = 0; i < generation->n_instances; i++) {
		const struct apd_instance *instance = &generation->instances[i];
		const char *settings = instance->config ? instance->config->settings : NULL;
		const struct apd_str fields[] = {
			instance->described->id,
			apd_str(instance->agent_id),
			apd_str(settings ? settings : "{}"),
		};

		process->use[i] = APD_NO_INSTANCE;
		if (instance->broken)
			continue;
		apd_frame_add(
			&process->child.out, APD_FRAME_CREATE, 0, i, fields, APD_COUNT(fields));
		process->creating++;
	}
	apd_process_dirty(process);
	apd_deadline_set_in(
		&process->pool->deadlines, &process->phase, process->pool->config->create_ns);
	if (process->creating == 0)
		become_ready(process);
	return NULL;
}

/* An instance could not be made: breaks the agent, unless other processes have it. */
static void instance_failed(struct apd_process *process, struct apd_instance *instance,
	ap_status status, struct apd_str code, struct apd_str message)
{
	struct apd_buf why = {0};

	apd_buf_addf(&why, "its create() failed with status %d", status);
	if (code.len)
		apd_buf_addf(&why, " (%.*s)", APD_STR_FMT(code));
	if (message.len)
		apd_buf_addf(&why, ": %.*s", APD_STR_FMT(message));
	apd_log(APD_LOG_ERROR, "host", "agent %s: %s", instance->agent_id, why.data);
	if (instance->proved || instance->broken) {
		apd_buf_finish(&why);
		return;
	}
	instance->broken = apd_buf_steal(&why);
	if (!process->generation->retired)
		apd_generation_changed(process->generation);
}

const char *apd_process_created(
	struct apd_process *process, uint32_t instance, struct apd_str payload)
{
	struct apd_fields fields = {payload.ptr, payload.ptr + payload.len};
	struct apd_generation *generation = process->generation;
	struct apd_str code, message;
	int32_t status;

	if (process->state == APD_PROCESS_ENDING)
		return NULL;
	if (process->state != APD_PROCESS_CREATING || instance >= generation->n_instances ||
		process->use[instance] != APD_NO_INSTANCE || process->creating == 0)
		return "it made an instance that was not asked for";
	if (apd_fields_struct(&fields, &status, sizeof(status)) < 0 ||
		apd_fields_next(&fields, &code) < 0 || apd_fields_next(&fields, &message) < 0)
		return "its CREATED is malformed";
	process->creating--;
	if (status >= 0) {
		process->use[instance] = 0;
		generation->instances[instance].proved = true;
	} else
		instance_failed(process, &generation->instances[instance], status, code, message);
	if (process->creating == 0)
		become_ready(process);
	return NULL;
}

void apd_process_end(struct apd_process *process)
{
	if (process->state != APD_PROCESS_READY && process->state != APD_PROCESS_HELLO &&
		process->state != APD_PROCESS_CREATING)
		return;
	process->state = APD_PROCESS_ENDING;
	apd_frame_add(&process->child.out, APD_FRAME_QUIT, 0, 0, NULL, 0);
	apd_process_dirty(process);
	apd_deadline_set_in(&process->pool->deadlines, &process->phase, QUIT_NS);
}

void apd_process_fence_kill(struct apd_process *process)
{
	process->killed = true;
	apd_child_kill(&process->child, "a run in it did not stop");
}
