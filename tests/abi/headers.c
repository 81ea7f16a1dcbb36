/* Compiled in several languages and by several compilers: the headers must be valid in all. */
#include <ap/agent.h>

#include <ap/sugar.h>

static ap_status nothing_invoke(void *self, ap_run *run)
{
	char space[64];
	ap_message m;
	ap_buf b;

	(void)self;
	ap_buf_init(&b, space, sizeof(space), sizeof(space));
	ap_json_add_string(&b, AP_STR("text"));
	ap_log(run, AP_LOG_INFO, "%.*s", AP_FMT(ap_buf_str(&b)));
	ap_message_begin(&m, run, NULL, NULL);
	ap_message_text(&m, run->input);
	ap_message_free(&m);
	return AP_HAS(run, ap_run, flags) ? ap_check(run) : AP_E_UNSUPPORTED;
}

#if !defined(__cplusplus) || __cplusplus >= 202002L
static const ap_agent_info nothing_info = {
	.size = sizeof(ap_agent_info),
	.id = "nothing",
};
static const ap_agent nothing = {
	.size = sizeof(ap_agent),
	.info = &nothing_info,
	.invoke = nothing_invoke,
};
static const ap_agent *const agents[] = {&nothing, NULL};

AP_PLUGIN(.name = "nothing", .version = "1.0.0", .agents = agents);
#else
/* AP_PLUGIN needs C++20; without it a plugin fills the struct itself. */
static ap_plugin make_plugin(void)
{
	ap_plugin plugin = {};
	static const ap_agent *const agents[] = {nullptr};

	(void)nothing_invoke;
	plugin.magic = AP_PLUGIN_MAGIC;
	plugin.size = sizeof(plugin);
	plugin.abi_major = AP_ABI_MAJOR;
	plugin.agents = agents;
	return plugin;
}

const ap_plugin ap_plugin_v1 = make_plugin();
#endif
