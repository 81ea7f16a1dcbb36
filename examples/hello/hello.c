/* The smallest agent: greets whoever the input names. */
#include <ap/sugar.h>

static ap_status hello_invoke(void *self, ap_run *run)
{
	ap_str name = ap_json_get(run->input, "name"); /* a JSON string, or absent */
	char text[1024];
	ap_buf patch;

	(void)self;
	ap_buf_init(&patch, text, sizeof(text), sizeof(text));
	ap_buf_add_cstr(&patch, "{\"hello\":");
	ap_buf_add(&patch, name.ptr ? name : AP_STR("\"world\""));
	ap_buf_add_char(&patch, '}');
	if (patch.status != AP_OK)
		return ap_fail(run, patch.status, "name_too_long", "The name is too long.");
	return ap_commit(run, "hello", ap_buf_str(&patch));
}

static const ap_agent_info hello_info = {
	.size = sizeof(ap_agent_info),
	.id = "hello",
	.name = "Hello",
	.description = "Greets whoever the input names.",
	.version = "1.0.0",
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent hello = {
	.size = sizeof(ap_agent),
	.info = &hello_info,
	.invoke = hello_invoke,
};

AP_PLUGIN(.name = "hello", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&hello, NULL});
