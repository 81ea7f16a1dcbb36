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

/* True if the plugin's file is the one named, with or without ".so". */
static bool is_file_named(const struct apd_plugin *plugin, const char *name)
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
		if (!is_file_named(plugin, name))
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

/* True if the environment has a variable of that name. */
static bool has_env(char **env, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(env[i], name, len) == 0 && env[i][len] == '=')
			return true;
	}
	return false;
}

/* Adds what an entry lets through: the first entry that names a variable wins. */
static size_t add_env(char **env, size_t n, const char *const *allowed)
{
	for (; allowed && *allowed; allowed++) {
		size_t len = strcspn(*allowed, "=");
		struct apd_buf pair = {0};
		const char *value;

		if (has_env(env, n, *allowed, len))
			continue;
		value = (*allowed)[len] == '=' ? *allowed + len + 1 : getenv(*allowed);
		if (!value)
			continue;
		apd_buf_addf(&pair, "%.*s=%s", (int)len, *allowed, value);
		env[n++] = apd_buf_steal(&pair);
	}
	return n;
}

/* The environment of the generation's processes: all that its entries let through. */
static void make_env(struct apd_generation *generation)
{
	size_t room = 1, n = 0;

	for (uint32_t i = 0; i < generation->n_instances; i++) {
		const struct apd_agent_config *entry = generation->instances[i].config;

		for (const char *const *at = entry ? entry->env : NULL; at && *at; at++)
			room++;
	}
	generation->env = apd_calloc(room, sizeof(*generation->env));
	for (uint32_t i = 0; i < generation->n_instances; i++) {
		const struct apd_agent_config *entry = generation->instances[i].config;

		if (entry)
			n = add_env(generation->env, n, entry->env);
	}
}

/* Makes the generation that the plugin's image and the plans come to; it may have no instances. */
static struct apd_generation *make_generation(struct apd_plugin *plugin, const struct plan *plans)
{
	const struct apd_host_config *config = plugin->pool->config;
	const struct apd_description *description = plugin->image->description;
	struct apd_generation *generation = apd_generation_create(
		plugin, plugin->image, (uint32_t)(config->n_agents + description->n_agents));

	generation->n_instances = 0;
	for (size_t i = 0; i < config->n_agents; i++) {
		if (plans[i].plugin == plugin && plans[i].described)
			add_instance(generation, config->agents[i].agent_id, plans[i].described,
				&config->agents[i]);
	}
	for (size_t i = 0; i < description->n_agents && !config->serve_listed_only; i++) {
		const struct apd_described *described = &description->agents[i];

		if (!is_listed(plugin->pool, plans, described))
			add_instance(generation, described->id.ptr, described, NULL);
	}
	make_env(generation);
	return generation;
}

/* True if two generations serve the same, so that nothing has to change. */
static bool is_same(const struct apd_generation *a, const struct apd_generation *b)
{
	if (a->image != b->image || a->n_instances != b->n_instances)
		return false;
	for (uint32_t i = 0; i < a->n_instances; i++) {
		if (a->instances[i].described != b->instances[i].described ||
			a->instances[i].config != b->instances[i].config)
			return false;
	}
	return true;
}

/* Gives the plugin the generation that is due. */
static void renew(struct apd_plugin *plugin, const struct plan *plans)
{
	struct apd_generation *next = plugin->image ? make_generation(plugin, plans) : NULL;

	if (next && plugin->current && is_same(next, plugin->current)) {
		apd_generation_unref(next);
		return;
	}
	if (next && next->n_instances == 0) {
		apd_generation_unref(next);
		next = NULL;
	}
	if (plugin->current)
		apd_generation_retire(plugin->current);
	plugin->current = next;
	if (!next)
		return;
	plugin->failures = 0;
	memset(plugin->deaths, 0, sizeof(plugin->deaths));
	apd_deadline_clear(&plugin->pool->deadlines, &plugin->backoff);
	for (uint32_t i = 0; i < next->n_instances; i++)
		next->instances[i].broken = apd_instance_check(&next->instances[i]);
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

/* Leads the configured agents, first, to their instances or to the reason why there is none. */
static void lead_entries(struct apd_pool *pool, const struct plan *plans)
{
	const struct apd_host_config *config = pool->config;

	for (size_t i = 0; i < config->n_agents; i++) {
		struct apd_generation *generation =
			plans[i].described ? plans[i].plugin->current : NULL;
		struct apd_route *route;

		if (!generation) {
			route = take_route(pool, config->agents[i].agent_id);
			route->seen = true;
			route->generation = NULL;
			apd_route_break(pool, route, &config->agents[i], plans[i].reason);
			continue;
		}
		for (uint32_t j = 0; j < generation->n_instances; j++) {
			if (generation->instances[j].config == &config->agents[i])
				lead(pool, generation, j);
		}
	}
}

static void make_routes(struct apd_pool *pool, const struct plan *plans)
{
	struct apd_plugin *plugin;
	struct apd_route *route;

	for (size_t at = 0; (route = apd_map_next(&pool->routes, &at));)
		route->seen = false;
	apd_list_each (plugin, &pool->plugins, link) {
		for (uint32_t i = 0; plugin->current && i < plugin->current->n_instances; i++)
			plugin->current->instances[i].route = NULL;
	}
	lead_entries(pool, plans);
	apd_list_each (plugin, &pool->plugins, link) {
		for (uint32_t i = 0; plugin->current && i < plugin->current->n_instances; i++) {
			if (!plugin->current->instances[i].config)
				lead(pool, plugin->current, i);
		}
	}
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

int apd_registry_resolve(struct apd_pool *pool, struct apd_buf *error)
{
	size_t n = pool->config->n_agents;
	struct plan *plans = apd_calloc(n + 1, sizeof(*plans));
	int *found = apd_calloc(n + 1, sizeof(*found));
	struct apd_plugin *plugin;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		found[i] = plan_entry(pool, &pool->config->agents[i], &plans[i]);
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
	for (size_t i = 0; i < n; i++)
		free(plans[i].reason);
	free(plans);
	free(found);
	return r;
}
