/* Misbehaves in the way it is asked to, for seeing what the host makes of it. */
#include <ap/sugar.h>

#include <stdlib.h>

/* Writes where nothing is mapped; volatile, so that the compiler does not see it coming. */
static void write_to_nowhere(void)
{
	int *volatile nowhere = (int *)64;

	*nowhere = 1;
}

/* Never returns and never looks whether it should stop. */
static void spin(void)
{
	volatile int on = 1;

	while (on) {
	}
}

static ap_status crash_invoke(void *self, ap_run *run)
{
	ap_str how = ap_json_get(run->input, "how");

	(void)self;
	if (ap_json_is(how, "segv"))
		write_to_nowhere();
	else if (ap_json_is(how, "abort"))
		abort();
	else if (ap_json_is(how, "exit"))
		exit(EXIT_FAILURE); /* NOLINT: that is what was asked for */
	else if (ap_json_is(how, "loop"))
		spin();
	else if (!ap_json_is(how, "none"))
		return ap_fail(run, AP_E_INVALID, "invalid_input",
			"how: expected segv, abort, exit, loop or none");
	return ap_commit(run, "crash", AP_STR("{\"how\":\"none\"}"));
}

static const ap_agent_info crash_info = {
	.size = sizeof(ap_agent_info),
	.id = "crash",
	.name = "Crash",
	.description = "Misbehaves in the way it is asked to.",
	.version = "1.0.0",
	.input_schema = "{\"type\":\"object\",\"required\":[\"how\"],\"properties\":{\"how\":{"
			"\"enum\":[\"segv\",\"abort\",\"exit\",\"loop\",\"none\"]}}}",
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent crash = {
	.size = sizeof(ap_agent),
	.info = &crash_info,
	.invoke = crash_invoke,
};

AP_PLUGIN(.name = "crash", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&crash, NULL});
