/* The checks that need a loaded plugin, but no run: descriptions, instances, extensions. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apd/check/random.h"
#include "apd/check/session.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "worker/mapped.h"

#define DESCRIBE_NS (100 * APD_NS_PER_MS)
#define CYCLES      1000
/* After so many cycles caches are full. */
#define WARM_CYCLES 100
/* Settings by chance that create() gets. */
#define BAD_CONFIGS 50

/* The plugin, loaded into this process without a worker, by a host that offers nothing. */
struct loaded {
	struct apd_check *check;
	struct apd_mapped mapped;
	ap_host host;
};

void apd_check_describe(struct apd_check *check)
{
	int64_t start = apd_clock_mono_ns(), took;
	struct apd_check_session session;

	if (apd_check_session_open(&session, check) < 0) {
		check->hopeless = true;
		return;
	}
	took = apd_clock_mono_ns() - start;
	check->tried++;
	if (took > DESCRIBE_NS)
		apd_check_fail(check, "it took %d ms until the plugin was loaded and described",
			(int)(took / APD_NS_PER_MS));
	apd_check_session_close(&session);
}

static void no_log(const ap_host *host, ap_level level, ap_str message)
{
	(void)host;
	(void)level;
	(void)message;
}

static const void *no_extension(const ap_host *host, const char *id)
{
	(void)host;
	(void)id;
	return NULL;
}

/* Maps the plugin and calls its init(); -1 when the check has failed. */
static int load(struct loaded *loaded, struct apd_check *check)
{
	struct apd_buf error = {0};
	ap_error e = {.size = sizeof(e)};
	const char *step;
	int r;

	*loaded = (struct loaded){.check = check,
		.host = {.size = sizeof(ap_host),
			.abi_minor = AP_ABI_MINOR,
			.name = "apd",
			.version = APD_VERSION,
			.log = no_log,
			.get_extension = no_extension}};
	r = apd_mapped_open(&loaded->mapped, check->target->memfd, &step, &error);
	if (r < 0)
		apd_check_fail(check, "%s: %s", step, error.data);
	apd_buf_finish(&error);
	if (r == 0 && loaded->mapped.plugin.init &&
		loaded->mapped.plugin.init(&loaded->host, &e) < 0) {
		apd_check_fail(check, "init() fails: %.50s: %.300s", e.code, e.message);
		r = -1;
	}
	return r;
}

static void unload(struct loaded *loaded)
{
	if (loaded->mapped.plugin.deinit)
		loaded->mapped.plugin.deinit();
	apd_mapped_finish(&loaded->mapped);
}

/* Calls create() with settings: what it returns. On success the instance is in *ret_self. */
static ap_status create(struct loaded *loaded, const struct apd_mapped_agent *agent,
	struct apd_str settings, void **ret_self, ap_error *error)
{
	struct apd_str id = apd_str(agent->info.id);
	/* A copy that ends where it ends, so that reading on is found. */
	char *text = apd_strndup(settings.ptr, settings.len);
	ap_status s;

	*error = (ap_error){.size = sizeof(*error)};
	*ret_self = NULL;
	s = agent->agent->create(agent->agent, &loaded->host, (ap_str){id.ptr, id.len},
		(ap_str){text, settings.len}, ret_self, error);
	free(text);
	error->code[sizeof(error->code) - 1] = error->message[sizeof(error->message) - 1] = '\0';
	return s;
}

static void destroy(const struct apd_mapped_agent *agent, void *self)
{
	if (agent->agent->destroy)
		agent->agent->destroy(self);
}

/* Gives create() settings that match the schema, if at all, but that nobody means. */
static void try_settings(
	struct loaded *loaded, const struct apd_mapped_agent *agent, struct apd_str settings)
{
	ap_error error;
	ap_status s;
	void *self;

	if (!apd_check_matches(apd_str(agent->info.settings_schema), settings))
		return;
	loaded->check->tried++;
	s = create(loaded, agent, settings, &self, &error);
	if (s >= 0)
		destroy(agent, self);
	else if (!error.code[0] && !error.message[0])
		apd_check_fail(loaded->check,
			"agent %s: create() refuses %.*s with %d and says nothing in its error",
			agent->info.id, settings.len > 100 ? 100 : (int)settings.len, settings.ptr,
			(int)s);
}

void apd_check_create_bad_config(struct apd_check *check)
{
	static const char *const odd[] = {"{}", "{\"\":null}", "{\"unheard of\":[1,{\"a\":[]}]}"};
	struct apd_str schema;
	struct apd_id_gen random;
	struct loaded loaded;

	if (load(&loaded, check) < 0)
		return;
	apd_id_gen_init(&random, check->target->seed);
	apd_check_skip(check, "no agent has a create()");
	for (size_t i = 0; i < loaded.mapped.n_agents; i++) {
		const struct apd_mapped_agent *agent = &loaded.mapped.agents[i];

		if (!agent->agent->create)
			continue;
		for (size_t j = 0; j < APD_COUNT(odd); j++)
			try_settings(&loaded, agent, apd_str(odd[j]));
		schema = apd_str(agent->info.settings_schema);
		for (int j = 0; j < BAD_CONFIGS; j++) {
			struct apd_buf settings = {0};

			if (apd_check_random(&random,
				    schema.ptr ? schema : APD_STR("{\"type\":\"object\"}"), j == 0,
				    &settings))
				try_settings(&loaded, agent, apd_buf_str(&settings));
			apd_buf_finish(&settings);
		}
	}
	unload(&loaded);
}

/* Bytes that are allocated, or 0 where the allocator does not tell. */
static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

/* Creates and destroys an agent over and over. */
static void cycle(struct loaded *loaded, const struct apd_mapped_agent *agent)
{
	const char *given = loaded->check->target->settings;
	struct apd_str settings = apd_str(given ? given : "{}");
	size_t before = 0, after;
	ap_error error;
	void *self;

	if (!apd_check_matches(apd_str(agent->info.settings_schema), settings)) {
		apd_check_skip(loaded->check,
			"agent %s: %s does not match its settings_schema: say --settings",
			agent->info.id, settings.ptr);
		return;
	}
	for (int i = 0; i < CYCLES; i++) {
		if (i == WARM_CYCLES)
			before = allocated();
		if (create(loaded, agent, settings, &self, &error) < 0) {
			apd_check_fail(loaded->check,
				"agent %s: create() refuses the settings %s: %s%s%s",
				agent->info.id, settings.ptr, error.code, error.code[0] ? ": " : "",
				error.message);
			return;
		}
		destroy(agent, self);
	}
	loaded->check->tried++;
	after = allocated();
	if (after > before && after - before >= (CYCLES - WARM_CYCLES) * 16)
		apd_check_fail(loaded->check,
			"agent %s: each create() and destroy() leaves %zu bytes", agent->info.id,
			(after - before) / (CYCLES - WARM_CYCLES));
}

void apd_check_create_destroy(struct apd_check *check)
{
	struct loaded loaded;

	if (load(&loaded, check) < 0)
		return;
	apd_check_skip(check, "no agent has a create()");
	for (size_t i = 0; i < loaded.mapped.n_agents; i++)
		if (loaded.mapped.agents[i].agent->create)
			cycle(&loaded, &loaded.mapped.agents[i]);
	unload(&loaded);
}

void apd_check_unknown_extension(struct apd_check *check)
{
	static const char *const unknown[] = {
		"com.example.unheard-of/1", "ap.unheard-of/1", "ap.store", ""};
	const char *given = check->target->settings;
	struct loaded loaded;
	ap_error error;
	void *self;

	if (load(&loaded, check) < 0)
		return;
	for (size_t i = 0; i < loaded.mapped.n_agents; i++) {
		const struct apd_mapped_agent *agent = &loaded.mapped.agents[i];
		struct apd_str settings = apd_str(given ? given : "{}");

		/* This host has no extension at all: that must not be the end of anybody. */
		if (agent->agent->create &&
			apd_check_matches(apd_str(agent->info.settings_schema), settings) &&
			create(&loaded, agent, settings, &self, &error) >= 0)
			destroy(agent, self);
		for (size_t j = 0; agent->agent->get_extension && j < APD_COUNT(unknown); j++)
			if (agent->agent->get_extension(agent->agent, unknown[j]))
				apd_check_fail(check,
					"agent %s: get_extension(\"%s\") gives something",
					agent->info.id, unknown[j]);
	}
	unload(&loaded);
}
