/* The queue of chores, and making and destroying instances. */
#include "worker/chores.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "worker/state.h"

/* Instances the daemon may number: one an agent of its configuration. */
#define MAX_INSTANCES 65536

void apd_chores_init(struct apd_chores *chores)
{
	pthread_mutex_init(&chores->lock, NULL);
	pthread_cond_init(&chores->added, NULL);
	apd_list_init(&chores->list);
}

static void destroy(struct apd_chore *chore)
{
	apd_list_remove(&chore->link);
	apd_buf_finish(&chore->payload);
	free(chore);
}

void apd_chores_finish(struct apd_chores *chores)
{
	struct apd_chore *chore, *tmp;

	apd_list_each_safe (chore, tmp, &chores->list, link)
		destroy(chore);
	pthread_cond_destroy(&chores->added);
	pthread_mutex_destroy(&chores->lock);
}

void apd_chores_add(
	struct apd_chores *chores, enum apd_chore_kind kind, uint32_t arg, struct apd_str payload)
{
	struct apd_chore *chore = apd_calloc(1, sizeof(*chore));

	chore->kind = kind;
	chore->arg = arg;
	apd_buf_add_str(&chore->payload, payload);
	pthread_mutex_lock(&chores->lock);
	apd_list_append(&chores->list, &chore->link);
	pthread_cond_signal(&chores->added);
	pthread_mutex_unlock(&chores->lock);
}

struct apd_instance *apd_instance_find(struct apd_worker *worker, uint32_t number)
{
	struct apd_instance *instance;

	pthread_mutex_lock(&worker->lock);
	instance = number < worker->n_instances ? worker->instances[number] : NULL;
	pthread_mutex_unlock(&worker->lock);
	return instance;
}

static void put_instance(
	struct apd_worker *worker, uint32_t number, const ap_agent *agent, void *self)
{
	struct apd_instance *instance = apd_calloc(1, sizeof(*instance));

	instance->agent = agent;
	instance->self = self;
	pthread_mutex_lock(&worker->lock);
	if (number >= worker->n_instances) {
		size_t n = number + 1;

		worker->instances = apd_realloc(worker->instances, n * sizeof(*worker->instances));
		for (size_t i = worker->n_instances; i < n; i++)
			worker->instances[i] = NULL;
		worker->n_instances = n;
	}
	worker->instances[number] = instance;
	pthread_mutex_unlock(&worker->lock);
}

void apd_instances_destroy(struct apd_worker *worker)
{
	for (size_t i = worker->n_instances; i-- > 0;) {
		struct apd_instance *instance = worker->instances[i];

		if (instance && instance->agent->create && instance->agent->destroy)
			instance->agent->destroy(instance->self);
		free(instance);
	}
	free(worker->instances);
	worker->instances = NULL;
	worker->n_instances = 0;
}

/* Fills an error that the host found itself; returns its status. */
static ap_status set_error(ap_error *error, ap_status status, const char *code, const char *message)
{
	snprintf(error->code, sizeof(error->code), "%s", code);
	snprintf(error->message, sizeof(error->message), "%s", message);
	return status;
}

/* Makes the instance that a CREATE message asks for. */
static ap_status create(struct apd_worker *worker, const struct apd_chore *chore, ap_error *error)
{
	struct apd_fields fields = {chore->payload.data, chore->payload.data + chore->payload.len};
	const struct apd_mapped_agent *agent;
	struct apd_str id, agent_id, settings;
	void *self = NULL;
	ap_status s = AP_OK;

	if (!chore->payload.data || apd_fields_next(&fields, &id) < 0 ||
		apd_fields_next(&fields, &agent_id) < 0 ||
		apd_fields_next(&fields, &settings) < 0 || chore->arg >= MAX_INSTANCES)
		return set_error(error, AP_E_INVALID, "bad_create", "CREATE is malformed.");
	if (apd_instance_find(worker, chore->arg))
		return set_error(error, AP_E_CONFLICT, "instance_exists", "The instance exists.");
	agent = apd_mapped_find(&worker->mapped, id);
	if (!agent)
		return set_error(
			error, AP_E_NOT_FOUND, "no_agent", "The plugin has no such agent.");
	if (!settings.ptr)
		settings = APD_STR("{}");
	if (agent->agent->create)
		s = agent->agent->create(agent->agent, &worker->host,
			(ap_str){agent_id.ptr, agent_id.len}, (ap_str){settings.ptr, settings.len},
			&self, error);
	if (s < 0)
		return s;
	put_instance(worker, chore->arg, agent->agent, self);
	/* A success that has a name has none that the daemon knows. */
	return AP_OK;
}

static void do_create(struct apd_worker *worker, const struct apd_chore *chore)
{
	ap_error error = {.size = sizeof(error)};
	ap_status s = create(worker, chore, &error);
	struct apd_str fields[3] = {{(const char *)&s, sizeof(s)}, APD_STR_ABSENT, APD_STR_ABSENT};

	/* A plugin may have filled them to the brim. */
	error.code[sizeof(error.code) - 1] = error.message[sizeof(error.message) - 1] = '\0';
	if (s < 0 && error.code[0])
		fields[1] = apd_str(error.code);
	if (s < 0 && error.message[0])
		fields[2] = apd_str(error.message);
	apd_sender_add(&worker->sender, APD_SEND_NOW, APD_FRAME_CREATED, 0, chore->arg, fields, 3);
}

/* The next chore; waits for one. */
static struct apd_chore *take(struct apd_chores *chores)
{
	struct apd_chore *chore;

	pthread_mutex_lock(&chores->lock);
	while (apd_list_empty(&chores->list))
		pthread_cond_wait(&chores->added, &chores->lock);
	chore = apd_list_first(&chores->list, struct apd_chore, link);
	apd_list_remove(&chore->link);
	pthread_mutex_unlock(&chores->lock);
	return chore;
}

enum apd_chore_kind apd_chores_run(struct apd_worker *worker)
{
	for (;;) {
		struct apd_chore *chore = take(&worker->chores);
		enum apd_chore_kind kind = chore->kind;

		if (kind == APD_CHORE_CREATE)
			do_create(worker, chore);
		destroy(chore);
		if (kind != APD_CHORE_CREATE)
			return kind;
	}
}
