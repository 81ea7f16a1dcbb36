/* The agents as others see them: immutable, published as a set. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "base/log.h"
#include "host/parts.h"

/* Members of an agent's metadata that are apd's own. */
static const char *const reserved[] = {
	"plugin", "version", "generation", "state", "reason", "reload_error"};

static struct apd_str copy(struct apd_str s)
{
	return s.ptr ? (struct apd_str){apd_strndup(s.ptr, s.len), s.len} : APD_STR_ABSENT;
}

/* A sentence about what a plugin did, perhaps in its words, so that a terminal may show it. */
static struct apd_str clean_copy(const char *sentence)
{
	struct apd_buf quoted = {0}, plain = {0};
	struct apd_json json = {0};
	size_t len;

	if (!sentence)
		return APD_STR_ABSENT;
	apd_json_add_string(&quoted, apd_str(sentence)); /* replaces what is not UTF-8 */
	if (apd_json_scan(&json, apd_buf_str(&quoted)) == 0)
		apd_json_unescape(&json, 0, &plain);
	for (size_t i = 0; i < plain.len; i++) {
		if ((unsigned char)plain.data[i] < ' ' || plain.data[i] == 0x7f)
			plain.data[i] = ' ';
	}
	apd_json_finish(&json);
	apd_buf_finish(&quoted);
	len = plain.len;
	return (struct apd_str){apd_buf_steal(&plain), len};
}

static bool is_reserved(const struct apd_json *json, uint32_t key)
{
	for (size_t i = 0; i < APD_COUNT(reserved); i++) {
		if (apd_json_is(json, key, apd_str(reserved[i])))
			return true;
	}
	return false;
}

/* True if the object, which may be absent, has the member. */
static bool has_member(const struct apd_json *object, const struct apd_json *json, uint32_t key)
{
	if (!object || object->count == 0)
		return false;
	apd_json_each_member (object, 0, k) {
		if (apd_json_same_string(object, k, json, key))
			return true;
	}
	return false;
}

/* Adds the members of an object that are neither apd's nor the other's. */
static void add_members(
	struct apd_buf *out, const struct apd_json *json, const struct apd_json *other)
{
	apd_json_each_member (json, 0, k) {
		if (is_reserved(json, k) || has_member(other, json, k))
			continue;
		apd_json_add_comma(out);
		apd_buf_add_str(out, apd_json_slice(json, k));
		apd_buf_add_char(out, ':');
		apd_buf_add_str(out, apd_json_slice(json, k + 1));
	}
}

/* Scans an object; anything else leaves an empty one. */
static void scan_object(struct apd_json *json, struct apd_str text)
{
	if (!text.ptr || apd_json_scan(json, text) < 0 || apd_json_type(json, 0) != APD_JSON_OBJECT)
		apd_json_scan(json, APD_STR("{}"));
}

static const char *state_word(enum apd_agent_state state)
{
	switch (state) {
	case APD_AGENT_READY:
		return "ready";
	case APD_AGENT_STARTING:
		return "starting";
	case APD_AGENT_BROKEN:
		return "broken";
	}
	return "unknown";
}

/* Composes the metadata: the plugin's, the operator's over it, then what only apd may say. */
static struct apd_str make_metadata(struct apd_str plugins, struct apd_str operators,
	const struct apd_generation *generation, enum apd_agent_state state, const char *reason)
{
	struct apd_json base = {0}, over = {0};
	struct apd_buf out = {0};
	size_t len;

	scan_object(&base, plugins);
	scan_object(&over, operators);
	apd_buf_add_char(&out, '{');
	add_members(&out, &base, &over);
	add_members(&out, &over, NULL);
	if (generation) {
		const struct apd_description *description = generation->image->description;

		apd_json_member_str(&out, "plugin", description->name);
		apd_json_member_str(&out, "version", description->version);
		apd_json_member_i64(&out, "generation", generation->image->number);
	}
	apd_json_member_str(&out, "state", apd_str(state_word(state)));
	if (reason)
		apd_json_member_str(&out, "reason", apd_str(reason));
	if (generation && generation->plugin->refusal)
		apd_json_member_str(&out, "reload_error", apd_str(generation->plugin->refusal));
	else if (generation && generation->ward->refusal)
		apd_json_member_str(&out, "reload_error", apd_str(generation->ward->refusal));
	apd_buf_add_char(&out, '}');
	apd_json_finish(&base);
	apd_json_finish(&over);
	len = out.len;
	return (struct apd_str){apd_buf_steal(&out), len};
}

/* What the operator says of an agent, or else the defaults. */
static void set_limits(struct apd_agent *agent, const struct apd_host_config *config,
	const struct apd_agent_config *entry)
{
	agent->max_queue = entry && entry->max_queue ? entry->max_queue : config->max_queue;
	agent->timeout_ns = entry && entry->timeout_ns ? entry->timeout_ns : config->timeout_ns;
	agent->grace_ns = entry && entry->grace_ns ? entry->grace_ns : config->grace_ns;
	agent->max_attempts =
		entry && entry->max_attempts ? entry->max_attempts : config->max_attempts;
}

/* Compiles a schema that may be absent: 0, or -EINVAL with a sentence in *ret_why to be freed. */
static int compile(
	struct apd_str text, const char *what, struct apd_schema **ret_schema, char **ret_why)
{
	struct apd_schema_error error;
	struct apd_buf why = {0};
	int r;

	if (!text.ptr)
		return 0;
	r = apd_schema_compile(text, ret_schema, &error);
	if (r < 0) {
		apd_buf_addf(
			&why, "its %s is wrong at \"%s\": %s", what, error.path, error.message);
		*ret_why = apd_buf_steal(&why);
	}
	return r;
}

/* Checks the operator's settings against the agent's schema; a sentence, or NULL. */
static char *check_settings(const struct apd_schema *schema, const char *settings)
{
	struct apd_schema_error error;
	struct apd_json json = {0};
	struct apd_buf why = {0};

	if (apd_json_scan(&json, apd_str(settings)) < 0)
		apd_buf_addf(&why, "its settings are not JSON: %s", json.error);
	else if (apd_json_type(&json, 0) != APD_JSON_OBJECT)
		apd_buf_lit(&why, "its settings are not an object");
	else if (schema && apd_schema_check(schema, &json, 0, &error) < 0)
		apd_buf_addf(
			&why, "its settings are wrong at \"%s\": %s", error.path, error.message);
	apd_json_finish(&json);
	return why.len ? apd_buf_steal(&why) : NULL;
}

char *apd_instance_check(const struct apd_instance *instance)
{
	const struct apd_described *described = instance->described;
	const struct apd_agent_config *entry = instance->config;
	const struct {
		struct apd_str text;
		const char *what;
	} schemas[] = {
		{described->input_schema, "input_schema"},
		{described->output_schema, "output_schema"},
		{described->state_schema, "state_schema"},
		{described->config_schema, "config_schema"},
	};
	struct apd_schema *schema = NULL;
	char *why = NULL;

	for (size_t i = 0; i < APD_COUNT(schemas) && !why; i++) {
		compile(schemas[i].text, schemas[i].what, &schema, &why);
		apd_schema_destroy(schema);
		schema = NULL;
	}
	if (!why)
		compile(described->settings_schema, "settings_schema", &schema, &why);
	if (!why)
		why = check_settings(schema, entry && entry->settings ? entry->settings : "{}");
	apd_schema_destroy(schema);
	if (why)
		apd_log(APD_LOG_ERROR, "host", "agent %s: %s", instance->agent_id, why);
	return why;
}

/* The schemas that requests are checked with; they compiled before, or the agent is broken. */
static void set_schemas(struct apd_agent *agent, const struct apd_described *described)
{
	struct apd_schema *schema = NULL;

	agent->input_schema = copy(described->input_schema);
	agent->output_schema = copy(described->output_schema);
	agent->state_schema = copy(described->state_schema);
	agent->config_schema = copy(described->config_schema);
	if (described->input_schema.ptr &&
		apd_schema_compile(described->input_schema, &schema, NULL) == 0)
		agent->input = schema;
	if (described->output_schema.ptr &&
		apd_schema_compile(described->output_schema, &schema, NULL) == 0)
		agent->output = schema;
	if (described->config_schema.ptr &&
		apd_schema_compile(described->config_schema, &schema, NULL) == 0)
		agent->config = schema;
}

static void replace(struct apd_route *route, struct apd_agent *agent)
{
	apd_agent_unref(route->agent);
	route->agent = agent;
}

void apd_route_refresh(struct apd_route *route)
{
	const struct apd_generation *generation = route->generation;
	const struct apd_instance *instance = &generation->instances[route->instance];
	const struct apd_described *described = instance->described;
	const char *reason = generation->broken ? generation->broken : instance->broken;
	struct apd_agent *agent = apd_calloc(1, sizeof(*agent));

	atomic_init(&agent->refs, 1);
	agent->agent_id = copy(apd_str(instance->agent_id));
	agent->name = copy(described->name);
	agent->description = copy(described->description);
	agent->version = copy(described->version);
	agent->capabilities = copy(described->capabilities);
	agent->messages = described->messages;
	agent->needs_thread = described->flags & AP_AGENT_NEEDS_THREAD;
	agent->retry_safe = described->flags & AP_AGENT_RETRY_SAFE;
	agent->wants_transcript = described->flags & AP_AGENT_WANTS_TRANSCRIPT;
	agent->max_concurrency = described->max_concurrency;
	agent->state = reason        ? APD_AGENT_BROKEN
		: generation->proved ? APD_AGENT_READY
				     : APD_AGENT_STARTING;
	agent->reason = clean_copy(reason);
	agent->metadata = make_metadata(described->metadata,
		apd_str(instance->config ? instance->config->metadata : NULL), generation,
		agent->state, agent->reason.ptr);
	set_limits(agent, generation->plugin->pool->config, instance->config);
	set_schemas(agent, described);
	replace(route, agent);
}

void apd_route_break(struct apd_pool *pool, struct apd_route *route,
	const struct apd_agent_config *config, const char *reason)
{
	struct apd_agent *agent = apd_calloc(1, sizeof(*agent));

	/* Not again at every reload; and a file's refusal has been told. */
	if (config && !(route->agent && apd_str_is(route->agent->reason, reason)))
		apd_log(APD_LOG_ERROR, "host", "agent %s is broken: %s", route->agent_id, reason);
	atomic_init(&agent->refs, 1);
	agent->agent_id = copy(apd_str(route->agent_id));
	agent->name = copy(agent->agent_id);
	agent->version = copy(APD_STR(""));
	agent->capabilities = copy(APD_STR("{}"));
	agent->max_concurrency = 1;
	agent->state = APD_AGENT_BROKEN;
	agent->reason = clean_copy(reason);
	agent->metadata = make_metadata(APD_STR_ABSENT, apd_str(config ? config->metadata : NULL),
		NULL, agent->state, agent->reason.ptr);
	set_limits(agent, pool->config, config);
	replace(route, agent);
}

static int by_id(const void *a, const void *b)
{
	struct apd_str left = (*(struct apd_agent *const *)a)->agent_id;
	struct apd_str right = (*(struct apd_agent *const *)b)->agent_id;

	return strcmp(left.ptr, right.ptr);
}

void apd_registry_publish(struct apd_pool *pool)
{
	struct apd_agent_set *set = apd_calloc(1, sizeof(*set)), *old;
	const char *name = pool->config->default_agent;
	struct apd_agent *only = NULL;
	struct apd_route *route;
	size_t n = 0;

	atomic_init(&set->refs, 1);
	set->agents = apd_calloc(pool->routes.count + 1, sizeof(struct apd_agent *));
	for (size_t at = 0; (route = apd_map_next(&pool->routes, &at));) {
		if (!route->agent)
			continue;
		set->agents[set->count++] = apd_agent_ref(route->agent);
		if (!route->stands_in) {
			only = route->agent;
			n++;
		}
	}
	qsort(set->agents, set->count, sizeof(struct apd_agent *), by_id);
	if (name)
		set->fallback = apd_agent_set_find(set, apd_str(name));
	else if (n == 1)
		set->fallback = only;
	pthread_mutex_lock(&pool->mutex);
	old = pool->set;
	pool->set = set;
	pthread_mutex_unlock(&pool->mutex);
	apd_agent_set_unref(old);
}

void apd_generation_changed(struct apd_generation *generation)
{
	bool changed = false;

	for (uint32_t i = 0; i < generation->n_instances; i++) {
		struct apd_route *route = generation->instances[i].route;

		if (!route)
			continue;
		apd_route_refresh(route);
		apd_route_notify(generation->plugin->pool, route);
		changed = true;
	}
	if (changed)
		apd_registry_publish(generation->plugin->pool);
}
