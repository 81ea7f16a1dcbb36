/* Agents and sets of agents: counting references and finding. */
#include "host/agent.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static void free_str(struct apd_str s)
{
	free((char *)s.ptr);
}

struct apd_agent *apd_agent_ref(struct apd_agent *agent)
{
	if (agent)
		atomic_fetch_add_explicit(&agent->refs, 1, memory_order_relaxed);
	return agent;
}

void apd_agent_unref(struct apd_agent *agent)
{
	if (!agent || atomic_fetch_sub_explicit(&agent->refs, 1, memory_order_acq_rel) != 1)
		return;
	free_str(agent->agent_id);
	free_str(agent->name);
	free_str(agent->description);
	free_str(agent->version);
	free_str(agent->capabilities);
	free_str(agent->metadata);
	free_str(agent->input_schema);
	free_str(agent->output_schema);
	free_str(agent->state_schema);
	free_str(agent->config_schema);
	free_str(agent->reason);
	apd_schema_destroy((struct apd_schema *)agent->input);
	apd_schema_destroy((struct apd_schema *)agent->output);
	apd_schema_destroy((struct apd_schema *)agent->config);
	free(agent);
}

struct apd_agent_set *apd_agent_set_ref(struct apd_agent_set *set)
{
	if (set)
		atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
	return set;
}

void apd_agent_set_unref(struct apd_agent_set *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		apd_agent_unref(set->agents[i]);
	free(set->agents);
	free(set);
}

/* The order of ids: by bytes, the shorter first. */
static int compare(struct apd_str a, struct apd_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

struct apd_agent *apd_agent_set_find(const struct apd_agent_set *set, struct apd_str agent_id)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = compare(agent_id, set->agents[mid]->agent_id);

		if (order == 0)
			return set->agents[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}
