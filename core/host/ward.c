/* Wards: the agents of a plugin that are confined alike, and which generation of them serves. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "host/parts.h"

struct apd_ward *apd_ward_take(struct apd_plugin *plugin, const struct apd_confinement *confinement)
{
	struct apd_ward *ward;

	apd_list_each (ward, &plugin->wards, link) {
		if (ward->confinement == confinement)
			return ward;
	}
	ward = apd_calloc(1, sizeof(*ward));
	ward->plugin = plugin;
	ward->confinement = confinement;
	apd_supply_init(ward);
	apd_list_append(&plugin->wards, &ward->link);
	return ward;
}

/* True if two generations serve the same, so that nothing has to change. */
static bool is_same(const struct apd_generation *a, const struct apd_generation *b)
{
	if (!a || !b || a->image != b->image || a->n_instances != b->n_instances)
		return false;
	for (uint32_t i = 0; i < a->n_instances; i++) {
		if (a->instances[i].described != b->instances[i].described ||
			a->instances[i].config != b->instances[i].config)
			return false;
	}
	return true;
}

/* Runs can be made with it, as far as anybody knows: worth keeping until another can do that. */
static bool serves(const struct apd_generation *generation)
{
	return generation && generation->proved && !generation->broken;
}

/* True if the generation serves the agent. */
static bool serves_agent(const struct apd_generation *generation, const char *agent_id)
{
	for (uint32_t i = 0; i < generation->n_instances; i++) {
		if (strcmp(generation->instances[i].agent_id, agent_id) == 0)
			return !generation->instances[i].broken;
	}
	return false;
}

/* The agent that the current generation serves and the next one cannot, or NULL. */
static const struct apd_instance *find_loss(const struct apd_ward *ward)
{
	for (uint32_t i = 0; i < ward->next->n_instances; i++) {
		const struct apd_instance *instance = &ward->next->instances[i];

		if (instance->broken && serves_agent(ward->current, instance->agent_id))
			return instance;
	}
	return NULL;
}

static void drop_next(struct apd_ward *ward)
{
	struct apd_generation *next = ward->next;

	ward->next = NULL;
	if (next)
		apd_generation_retire(next);
}

/* From now on runs go to this generation. */
static void replace(struct apd_ward *ward, struct apd_generation *generation)
{
	if (ward->current)
		apd_generation_retire(ward->current);
	ward->current = generation;
	ward->failures = 0;
	ward->unready = 0;
	apd_deadline_clear(&ward->plugin->pool->deadlines, &ward->backoff);
}

void apd_ward_refuse(struct apd_ward *ward, const char *why)
{
	apd_log(APD_LOG_WARN, "host", "plugin %s: generation %u does not serve: %s; %u goes on",
		ward->plugin->path, ward->next->image->number, why, ward->current->image->number);
	free(ward->refusal);
	ward->refusal = apd_strdup(why);
	drop_next(ward);
	apd_generation_changed(ward->current);
}

/* Refuses the next generation if an agent would be lost with it. */
static bool refuse_loss(struct apd_ward *ward)
{
	const struct apd_instance *lost = find_loss(ward);
	struct apd_buf why = {0};

	if (!lost)
		return false;
	apd_buf_addf(&why, "agent %s: %s", lost->agent_id, lost->broken);
	apd_ward_refuse(ward, why.data);
	apd_buf_finish(&why);
	return true;
}

void apd_ward_switch(struct apd_ward *ward)
{
	struct apd_generation *next = ward->next;

	if (refuse_loss(ward))
		return;
	ward->next = NULL;
	replace(ward, next);
	apd_log(APD_LOG_INFO, "host", "plugin %s: generation %u serves", ward->plugin->path,
		next->image->number);
	apd_registry_reroute(ward->plugin->pool);
}

/* Has the current generation go on until the next one is ready. */
static void prepare(struct apd_ward *ward, struct apd_generation *next)
{
	ward->next = next;
	if (!refuse_loss(ward))
		apd_supply_want(next, false);
}

void apd_ward_renew(struct apd_ward *ward, struct apd_generation *generation)
{
	if (generation && is_same(generation, ward->next)) {
		apd_generation_unref(generation);
		return;
	}
	drop_next(ward);
	free(ward->refusal);
	ward->refusal = NULL;
	if (generation && is_same(generation, ward->current) && !ward->current->unconfined) {
		apd_generation_unref(generation);
		return;
	}
	for (uint32_t i = 0; generation && i < generation->n_instances; i++)
		generation->instances[i].broken = apd_instance_check(&generation->instances[i]);
	if (generation && serves(ward->current))
		prepare(ward, generation);
	else
		replace(ward, generation);
}

void apd_wards_destroy(struct apd_plugin *plugin)
{
	struct apd_ward *ward, *tmp;

	apd_list_each_safe (ward, tmp, &plugin->wards, link) {
		drop_next(ward);
		if (ward->current)
			apd_generation_retire(ward->current);
		free(ward->refusal);
		free(ward);
	}
}
