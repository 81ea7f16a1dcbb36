/* my_agent: replace this sentence by what your agent does, and "my_agent" everywhere. */
#include <ap/sugar.h>

/* What one instance keeps between runs. Runs share it: see max_concurrency below. */
struct my_agent {
	int64_t max_words;
};

/* Makes an instance from the operator's settings, already checked against the schema below. */
static ap_status my_create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	struct my_agent *my = calloc(1, sizeof(*my));

	(void)agent;
	if (!my)
		return ap_error_set(err, AP_E_NOMEM, "no_memory", "There is no memory left.");
	my->max_words = 100;
	ap_json_int(ap_json_get(settings, "max_words"), &my->max_words);
	ap_host_log(host, AP_LOG_INFO, "%.*s is ready", AP_FMT(agent_id));
	*self = my;
	return AP_OK;
}

static void my_destroy(void *self)
{
	free(self);
}

/* One run: reads the last message, streams an answer, commits it. */
static ap_status my_invoke(void *self, ap_run *run)
{
	const struct my_agent *my = self;
	ap_str last = ap_json_last(run->messages);
	ap_message answer;
	ap_status status = AP_OK;

	if (!last.ptr)
		return ap_fail(run, AP_E_INVALID, "no_message", "There is no message to answer.");

	ap_message_begin(&answer, run, "answer", NULL);
	for (int64_t i = 0; status == AP_OK && i < my->max_words && i < 5; i++) {
		status = ap_message_text(&answer, i == 0 ? AP_STR("Words") : AP_STR(" words"));
		if (status == AP_OK)
			status = ap_sleep_ms(run, 50); /* where the real work would be */
	}
	if (status == AP_OK)
		status = ap_message_end(&answer);
	if (status == AP_OK)
		status = ap_message_commit(&answer, "answer");
	ap_message_free(&answer);
	return status;
}

static const ap_agent_info my_info = {
	.size = sizeof(ap_agent_info),
	.id = "my_agent",
	.name = "My agent",
	.description = "Answers every message with a few words.",
	.version = "0.1.0",
	.capabilities = (const char *const[]){"ap.io.messages", "ap.io.streaming", NULL},
	.settings_schema = "{\"type\":\"object\",\"properties\":{"
			   "\"max_words\":{\"type\":\"integer\",\"minimum\":1}}}",
	/* Nothing in struct my_agent changes after create(), so any number of runs may share it. */
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent my_agent = {
	.size = sizeof(ap_agent),
	.info = &my_info,
	.create = my_create,
	.destroy = my_destroy,
	.invoke = my_invoke,
};

AP_PLUGIN(.name = "my_agent", .version = "0.1.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&my_agent, NULL});
