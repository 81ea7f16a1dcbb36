/* The agent "echo": says the last message again, word by word, or gives the input back. */
#include <ap/sugar.h>

#define MAX_DELAY_MS 60000

/* What create() makes: the operator's settings. */
struct echo {
	int64_t delay_ms; /* between two words */
};

static ap_status echo_create(const ap_agent *agent, const ap_host *host, ap_str agent_id,
	ap_str settings, void **self, ap_error *err)
{
	ap_str delay = ap_json_get(settings, "delay_ms");
	struct echo *echo;
	int64_t ms = 0;

	(void)agent;
	(void)host;
	(void)agent_id;
	if (delay.ptr && (ap_json_int(delay, &ms) != AP_OK || ms < 0 || ms > MAX_DELAY_MS))
		return ap_error_set(err, AP_E_INVALID, "invalid_settings",
			"delay_ms: expected an integer from 0 to %d", MAX_DELAY_MS);
	echo = malloc(sizeof(*echo));
	if (!echo)
		return ap_error_set(err, AP_E_NOMEM, "no_memory", "There is no memory left.");
	echo->delay_ms = ms;
	*self = echo;
	return AP_OK;
}

static void echo_destroy(void *self)
{
	free(self);
}

/* The length of the next word of a text that is not empty, with the spaces around it. */
static size_t word_length(ap_str text)
{
	size_t n = 0;

	while (n < text.len && ap_json_space_(text.ptr[n]))
		n++;
	while (n < text.len && !ap_json_space_(text.ptr[n]))
		n++;
	while (n < text.len && ap_json_space_(text.ptr[n]))
		n++;
	return n;
}

/* Streams the text; AP_OK, or why it stopped on the way. */
static ap_status say(const struct echo *echo, ap_message *m, ap_str text)
{
	ap_status status = m->status;

	if (m->quiet && echo->delay_ms == 0)
		return ap_message_text(m, text);
	while (text.len && status == AP_OK) {
		size_t n = word_length(text);

		status = ap_message_text(m, ap_mem(text.ptr, n));
		text = ap_mem(text.ptr + n, text.len - n);
		if (status == AP_OK && text.len)
			status = ap_sleep_ms(m->run, echo->delay_ms);
	}
	return status == AP_OK ? ap_message_end(m) : status;
}

/* Answers the last message with its own text. */
static ap_status echo_message(const struct echo *echo, ap_run *run, ap_str last)
{
	ap_message m;
	char space[1024];
	ap_buf content;
	ap_str text;
	ap_status status, kept;

	ap_buf_init(&content, space, sizeof(space), 0);
	text = ap_message_read(last, &content);
	if (content.status != AP_OK) {
		status = content.status;
		ap_buf_free(&content);
		return ap_fail(run, status, "no_memory", "There is no memory for the message.");
	}
	ap_message_begin_if_heard(&m, run, "echo", NULL);
	status = say(echo, &m, text);
	/* A stopped run keeps what was said: a commit still works during the grace. */
	kept = ap_message_commit(&m, "echo");
	ap_message_free(&m);
	ap_buf_free(&content);
	return status != AP_OK ? status : kept;
}

/* Gives the input back as it is. */
static ap_status echo_input(ap_run *run)
{
	char space[2048];
	ap_buf patch;
	ap_status status;

	ap_buf_init(&patch, space, sizeof(space), 0);
	ap_buf_add_char(&patch, '{');
	ap_json_member_raw(&patch, "echo", run->input);
	ap_buf_add_char(&patch, '}');
	status = patch.status;
	if (status == AP_OK)
		status = ap_commit(run, "echo", ap_buf_str(&patch));
	ap_buf_free(&patch);
	return status;
}

static ap_status echo_invoke(void *self, ap_run *run)
{
	ap_str last = ap_json_last(run->messages);

	return last.ptr ? echo_message(self, run, last) : echo_input(run);
}

static const ap_agent_info echo_info = {
	.size = sizeof(ap_agent_info),
	.flags = AP_AGENT_RETRY_SAFE,
	.id = "echo",
	.name = "Echo",
	.description = "Says the last message again, word by word, or gives the input back.",
	.version = "1.0.0",
	.capabilities = (const char *const[]){"ap.io.messages", "ap.io.streaming", NULL},
	.settings_schema =
		"{\"type\":\"object\",\"properties\":{\"delay_ms\":{\"type\":\"integer\","
		"\"minimum\":0,\"maximum\":60000,\"default\":0,"
		"\"description\":\"Milliseconds between two words.\"}},"
		"\"additionalProperties\":false}",
	.max_concurrency = AP_UNLIMITED,
};

static const ap_agent echo_agent = {
	.size = sizeof(ap_agent),
	.info = &echo_info,
	.create = echo_create,
	.destroy = echo_destroy,
	.invoke = echo_invoke,
};

AP_PLUGIN(.name = "echo", .version = "1.0.0", .license = "MIT",
	.agents = (const ap_agent *const[]){&echo_agent, NULL});
