/* Where agents are put to the test: see stage.h. */
#include "stage.h"

#include <ap/sugar.h>

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

const ap_agent *stage_load(const char *path, const char *id)
{
	void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const ap_plugin *plugin;
	const ap_agent_info *info;

	if (!file)
		fail_msg("%s", dlerror());
	plugin = dlsym(file, AP_PLUGIN_SYMBOL);
	assert_non_null(plugin);
	assert_int_equal(plugin->magic, AP_PLUGIN_MAGIC);
	assert_int_equal(plugin->size, sizeof(*plugin));
	assert_int_equal(plugin->abi_major, 1);
	assert_int_equal(plugin->needs_minor, 0);
	assert_non_null(plugin->agents[0]);
	assert_null(plugin->agents[1]);
	info = plugin->agents[0]->info;
	assert_string_equal(info->id, id);
	assert_int_equal(info->size, sizeof(*info));
	assert_int_equal(info->max_concurrency, AP_UNLIMITED);
	dlclose(file);
	return plugin->agents[0];
}

/* A schema that the plugin carries is an object. */
static void assert_schema(const char *schema)
{
	json_t *json = schema ? json_loads(schema, JSON_REJECT_DUPLICATES, NULL) : json_object();

	assert_true(json_is_object(json));
	json_decref(json);
}

void stage_init(struct stage *stage, const char *path, const char *id, const char *settings)
{
	ap_error err = {.size = sizeof(err)};

	memset(stage, 0, sizeof(*stage));
	stage->agent = stage_load(path, id);
	assert_schema(stage->agent->info->input_schema);
	assert_schema(stage->agent->info->output_schema);
	assert_schema(stage->agent->info->settings_schema);
	fake_run_init(&stage->fake);
	stage->fake.run.input = AP_STR("null");
	stage->fake.run.values = AP_STR("{}");
	if (stage->agent->create)
		assert_int_equal(stage->agent->create(stage->agent, &stage->fake.host, ap_cstr(id),
					 ap_cstr(settings), &stage->self, &err),
			AP_OK);
}

void stage_finish(struct stage *stage)
{
	if (stage->agent->destroy)
		stage->agent->destroy(stage->self);
	fake_run_finish(&stage->fake);
}

ap_status stage_invoke(struct stage *stage)
{
	return stage->agent->invoke(stage->self, &stage->fake.run);
}

const char *stage_committed(struct stage *stage)
{
	char *line, *id, *end;

	assert_true(stage->fake.count > 0);
	line = stage->fake.lines[stage->fake.count - 1];
	assert_memory_equal(line, "commit ", 7);
	id = strstr(line, "\"id\":\"");
	end = id ? strchr(id + 6, '"') : NULL;
	if (end)
		memmove(id, end + 2, strlen(end + 2) + 1);
	return line;
}
