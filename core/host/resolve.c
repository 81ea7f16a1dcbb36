/* From plugins and configuration to what is served under which agent_id. */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "host/parts.h"

/* What one entry of the configuration comes to. */
struct plan {
	struct apd_plugin *plugin; /* or NULL */
	const struct apd_described *described; /* of its image, or NULL: there is a reason */
	char *reason;
};

bool apd_plugin_is_named(const struct apd_plugin *plugin, const char *name)
{
	size_t stem = strlen(plugin->file) - 3;

	return strcmp(plugin->file, name) == 0 ||
		(strlen(name) == stem && strncmp(plugin->file, name, stem) == 0);
}

/* The first plugin of that name, else the first file of that name, else NULL. */
static struct apd_plugin *find_plugin(const struct apd_pool *pool, const char *name)
{
	struct apd_plugin *plugin, *by_file = NULL;

	apd_list_each (plugin, &pool->plugins, link) {
		if (plugin->image && apd_str_is(plugin->image->description->name, name))
			return plugin;
		if (!apd_plugin_is_named(plugin, name))
			continue;
		if (!by_file || (!by_file->image && plugin->image))
			by_file = plugin;
	}
	return by_file;
}

/* Finds what an entry names: 0, or -ENOENT when it is not there; plan->reason says why. */
static int plan_entry(
	const struct apd_pool *pool, const struct apd_agent_config *entry, struct plan *plan)
{
	const struct apd_description *description;
	struct apd_buf reason = {0};
	int r = -ENOENT;

	plan->plugin = find_plugin(pool, entry->plugin);
	description = plan->plugin && plan->plugin->image ? plan->plugin->image->description : NULL;
	if (!plan->plugin)
		apd_buf_addf(&reason, "there is no plugin \"%s\" in the plugin directories",
			entry->plugin);
	else if (!description) {
		apd_buf_addf(&reason, "plugin %s: %s", plan->plugin->path, plan->plugin->refusal);
		r = 0; /* there, but broken */
	} else if (entry->agent) {
		plan->described = apd_description_find(description, apd_str(entry->agent));
		if (!plan->described)
			apd_buf_addf(&reason, "plugin \"%s\" has no agent \"%s\"", entry->plugin,
				entry->agent);
	} else if (description->n_agents == 1)
		plan->described = &description->agents[0];
	else
		apd_buf_addf(&reason, "plugin \"%s\" has %zu agents: say which in `agent`",
			entry->plugin, description->n_agents);
	if (plan->described)
		return 0;
	plan->reason = apd_buf_steal(&reason);
	return r;
}

/* True if an entry of the configuration takes the agent, so that it is not served by itself. */
static bool is_listed(const struct apd_pool *pool, const struct plan *plans,
	const struct apd_described *described)
{
	for (size_t i = 0; i < pool->config->n_agents; i++) {
		if (plans[i].described == described)
			return true;
	}
	return false;
}

static void add_instance(struct apd_generation *generation, const char *agent_id,
	const struct apd_described *described, const struct apd_agent_config *entry)
{
	const struct apd_host_config *config = generation->plugin->pool->config;
	struct apd_instance *instance = &generation->instances[generation->n_instances++];

	instance->agent_id = apd_strdup(agent_id);
	instance->described = described;
	instance->config = entry;
	instance->isolation = entry && entry->isolation >= 0 ? (enum apd_isolation)entry->isolation
							     : config->isolation;
}

/* The confinement of the entry with this number. */
static const struct apd_confinement *confinement_of(const struct apd_pool *pool, size_t entry)
{
	return pool->confined[entry + 1];
}

/* Makes the generation that the plugin's image and the plans come to; NULL: it has no agents. */
static struct apd_generation *make_generation(struct apd_ward *ward, const struct plan *plans)
{
	struct apd_plugin *plugin = ward->plugin;
	const struct apd_pool *pool = plugin->pool;
	const struct apd_host_config *config = pool->config;
	const struct apd_description *description = plugin->image->description;
	struct apd_generation *generation =
		apd_generation_create(ward, (uint32_t)(config->n_agents + description->n_agents));
	bool serves_rest = !config->serve_listed_only && ward->confinement == pool->confined[0];

	generation->n_instances = 0;
	for (size_t i = 0; i < config->n_agents; i++) {
		if (plans[i].plugin == plugin && plans[i].described &&
			confinement_of(pool, i) == ward->confinement)
			add_instance(generation, config->agents[i].agent_id, plans[i].described,
				&config->agents[i]);
	}
	for (size_t i = 0; i < description->n_agents && serves_rest; i++) {
		const struct apd_described *described = &description->agents[i];

		if (!is_listed(pool, plans, described))
			add_instance(generation, described->id.ptr, described, NULL);
	}
	if (generation->n_instances)
		return generation;
	apd_generation_unref(generation);
	return NULL;
}

/* Gives the plugin's wards the generations that are due. */
static void renew(struct apd_plugin *plugin, const struct plan *plans)
{
	const struct apd_pool *pool = plugin->pool;
	struct apd_ward *ward;

	apd_ward_take(plugin, pool->confined[0]);
	for (size_t i = 0; i < pool->config->n_agents; i++) {
		if (plans[i].plugin == plugin)
			apd_ward_take(plugin, confinement_of(pool, i));
	}
	apd_list_each (ward, &plugin->wards, link)
		apd_ward_renew(ward, plugin->image ? make_generation(ward, plans) : NULL);
}

static struct apd_route *take_route(struct apd_pool *pool, const char *agent_id)
{
	struct apd_route *route = apd_map_get(&pool->routes, apd_str(agent_id));

	if (route)
		return route;
	route = apd_calloc(1, sizeof(*route));
	route->agent_id = apd_strdup(agent_id);
	apd_list_init(&route->notify);
	apd_map_put(&pool->routes, apd_str(route->agent_id), route);
	return route;
}

/* Leads an agent_id to an instance, unless it leads somewhere already. */
static void lead(struct apd_pool *pool, struct apd_generation *generation, uint32_t i)
{
	struct apd_instance *instance = &generation->instances[i];
	struct apd_route *route = take_route(pool, instance->agent_id);

	if (route->seen) {
		apd_log(APD_LOG_WARN, "host",
			"agent %s of plugin %s is not served: the id is taken by %s",
			instance->agent_id, generation->plugin->path,
			route->generation ? route->generation->plugin->path : "the configuration");
		return;
	}
	route->seen = true;
	route->generation = generation;
	route->instance = i;
	instance->route = route;
	apd_route_refresh(route);
}

/* Leads to what a plugin's wards serve of the entry, or without one by itself; true if any does. */
static bool lead_of_plugin(
	struct apd_pool *pool, struct apd_plugin *plugin, const struct apd_agent_config *entry)
{
	struct apd_ward *ward;
	bool found = false;

	apd_list_each (ward, &plugin->wards, link) {
		for (uint32_t i = 0; ward->current && i < ward->current->n_instances; i++) {
			if (ward->current->instances[i].config != entry)
				continue;
			lead(pool, ward->current, i);
			found = true;
		}
	}
	return found;
}

/* Leads the configured agents, first, to their instances or to the reason why there is none. */
static void lead_entries(struct apd_pool *pool, const struct plan *plans)
{
	const struct apd_host_config *config = pool->config;

	for (size_t i = 0; i < config->n_agents; i++) {
		const struct apd_agent_config *entry = &config->agents[i];
		struct apd_plugin *plugin;
		struct apd_route *route;
		bool found = false;

		/* Not the plan's plugin only: until a ward switches, the old one serves. */
		apd_list_each (plugin, &pool->plugins, link)
			found = found || lead_of_plugin(pool, plugin, entry);
		if (found)
			continue;
		route = take_route(pool, entry->agent_id);
		route->seen = true;
		route->generation = NULL;
		apd_route_break(pool, route, entry,
			plans[i].reason ? plans[i].reason
					: "the version of its plugin that has it is not ready");
	}
}

/* True if an entry of the configuration shows what has become of the plugin. */
static bool is_planned(const struct apd_plugin *plugin, const struct plan *plans)
{
	for (size_t i = 0; i < plugin->pool->config->n_agents; i++) {
		if (plans[i].plugin == plugin)
			return true;
	}
	return false;
}

/* Shows a file of which nothing can be served as a broken agent of the file's name, if it is free. */
static void stand_in(struct apd_plugin *plugin)
{
	struct apd_buf id = {0}, reason = {0};
	struct apd_route *route;

	apd_buf_add(&id, plugin->file, strlen(plugin->file) - 3);
	if (apd_agent_id_ok(apd_buf_str(&id))) {
		route = take_route(plugin->pool, id.data);
		if (!route->seen) {
			route->seen = route->stands_in = true;
			route->generation = NULL;
			apd_buf_addf(&reason, "plugin %s: %s", plugin->path, plugin->refusal);
			apd_route_break(plugin->pool, route, NULL, reason.data);
		}
	}
	apd_buf_finish(&id);
	apd_buf_finish(&reason);
}

/* Shows the broken files that nothing else shows. */
static void stand_in_for_files(struct apd_pool *pool, const struct plan *plans)
{
	struct apd_plugin *plugin;

	if (pool->config->serve_listed_only)
		return;
	apd_list_each (plugin, &pool->plugins, link) {
		if (plugin->seen && !plugin->image && plugin->refusal && !is_planned(plugin, plans))
			stand_in(plugin);
	}
}

static void make_routes(struct apd_pool *pool, const struct plan *plans)
{
	struct apd_plugin *plugin;
	struct apd_ward *ward;
	struct apd_route *route;

	for (size_t at = 0; (route = apd_map_next(&pool->routes, &at));)
		route->seen = route->stands_in = false;
	apd_list_each (plugin, &pool->plugins, link) {
		apd_list_each (ward, &plugin->wards, link) {
			for (uint32_t i = 0; ward->current && i < ward->current->n_instances; i++)
				ward->current->instances[i].route = NULL;
		}
	}
	lead_entries(pool, plans);
	apd_list_each (plugin, &pool->plugins, link)
		lead_of_plugin(pool, plugin, NULL);
	stand_in_for_files(pool, plans);
	for (size_t at = 0; (route = apd_map_next(&pool->routes, &at));) {
		if (!route->seen) {
			route->generation = NULL;
			apd_agent_unref(route->agent);
			route->agent = NULL;
		}
		apd_route_notify(pool, route);
	}
}

/* What the configuration names must be there, when the daemon starts. */
static int check_names(
	struct apd_pool *pool, const struct plan *plans, const int *found, struct apd_buf *error)
{
	const struct apd_host_config *config = pool->config;

	for (size_t i = 0; i < config->n_agents; i++) {
		if (found[i] < 0) {
			apd_buf_addf(error, "agents.%s: %s", config->agents[i].agent_id,
				plans[i].reason);
			return -ENOENT;
		}
	}
	return 0;
}

/* The default agent must be there, too. */
static int check_default(struct apd_pool *pool, struct apd_buf *error)
{
	const char *name = pool->config->default_agent;
	const struct apd_route *route = name ? apd_map_get(&pool->routes, apd_str(name)) : NULL;

	if (!name || (route && route->agent))
		return 0;
	apd_buf_addf(error, "default_agent: there is no agent \"%s\"", name);
	return -ENOENT;
}

/* Looks up what the entries name: -ENOENT in ret_found for those that name what is not there. */
static struct plan *make_plans(const struct apd_pool *pool, int *ret_found)
{
	size_t n = pool->config->n_agents;
	struct plan *plans = apd_calloc(n + 1, sizeof(*plans));

	for (size_t i = 0; i < n; i++)
		ret_found[i] = plan_entry(pool, &pool->config->agents[i], &plans[i]);
	return plans;
}

static void free_plans(const struct apd_pool *pool, struct plan *plans)
{
	for (size_t i = 0; i < pool->config->n_agents; i++)
		free(plans[i].reason);
	free(plans);
}

int apd_registry_resolve(struct apd_pool *pool, struct apd_buf *error)
{
	int *found = apd_calloc(pool->config->n_agents + 1, sizeof(*found));
	struct plan *plans = make_plans(pool, found);
	struct apd_plugin *plugin;
	int r = 0;

	if (error)
		r = check_names(pool, plans, found, error);
	if (r == 0) {
		apd_list_each (plugin, &pool->plugins, link)
			renew(plugin, plans);
		make_routes(pool, plans);
		apd_registry_publish(pool);
		if (error)
			r = check_default(pool, error);
	}
	free_plans(pool, plans);
	free(found);
	return r;
}

void apd_registry_reroute(struct apd_pool *pool)
{
	int *found = apd_calloc(pool->config->n_agents + 1, sizeof(*found));
	struct plan *plans = make_plans(pool, found);

	make_routes(pool, plans);
	apd_registry_publish(pool);
	free_plans(pool, plans);
	free(found);
}
