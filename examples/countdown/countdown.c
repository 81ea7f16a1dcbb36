/* Counts down: streams custom events, keeps its progress, and stops when it is told. */
#include <ap/sugar.h>

/* One tick: an event for whoever watches, and a step of state that stays. */
static ap_status tick(ap_run *run, int64_t left)
{
	char text[64];
	ap_buf b;
	ap_status status;

	ap_buf_init(&b, text, sizeof(text), sizeof(text));
	ap_buf_addf(&b, "{\"left\":%lld}", (long long)left);
	status = ap_emit_custom(run, "tick", ap_buf_str(&b));
	return status != AP_OK ? status : ap_commit(run, "tick", ap_buf_str(&b));
}

static ap_status countdown_invoke(void *self, ap_run *run)
{
	int64_t left, step_ms = 1000;
	ap_status status;

	(void)self;
	/* The host has checked the input against the schema: only "step_ms" may be absent. */
	if (ap_json_int(ap_json_get(run->input, "from"), &left) != AP_OK)
		return ap_fail(run, AP_E_INVALID, "invalid_input", "from: expected an integer");
	ap_json_int(ap_json_get(run->input, "step_ms"), &step_ms);

	for (status = tick(run, left); status == AP_OK && left > 0; status = tick(run, left)) {
		status = ap_sleep_ms(run, step_ms);
		if (status != AP_OK)
			break;
		left--;
	}
	if (status == AP_E_CANCELLED || status == AP_E_DEADLINE)
		ap_log(run, AP_LOG_INFO, "stopped with %lld left", (long long)left);
	return status;
}

static const ap_agent_info countdown_info = {
	.size = sizeof(ap_agent_info),
	.flags = AP_AGENT_RETRY_SAFE,
	.id = "countdown",
	.name = "Countdown",
	.description = "Counts down to zero and tells about every step.",
	.version = "1.0.0",
	.capabilities = (const char *const[]){"ap.io.streaming", NULL},
	.input_schema = "{\"type\":\"object\",\"required\":[\"from\"],\"properties\":{"
			"\"from\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000},"
			"\"step_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600000,"
			"\"default\":1000}}}",
	.output_schema = "{\"type\":\"object\",\"required\":[\"left\"],\"properties\":{"
			 "\"left\":{\"type\":\"integer\",\"minimum\":0}}}",
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent countdown = {
	.size = sizeof(ap_agent),
	.info = &countdown_info,
	.invoke = countdown_invoke,
};

AP_PLUGIN(.name = "countdown", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&countdown, NULL});
