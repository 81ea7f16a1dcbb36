/*
 * Commits before it asks. Resumed, it must find what it committed and none of
 * what the first request brought; anything else takes the process down.
 */
#include "plugin.h"

#include <stdlib.h>

static int has(ap_str text, const char *part)
{
	return text.ptr && memmem(text.ptr, text.len, part, strlen(part));
}

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("\"go on?\"")};
	const ap_question *const questions[] = {&question};
	ap_status s;

	(void)self;
	if (!run->resume.ptr) {
		s = commit(run,
			"{\"kept\":[1],\"messages\":[{\"role\":\"ai\",\"id\":\"a1\",\"content\":\"?"
			"\"}]}");
		if (s == AP_OK)
			s = run->ops->interrupt(run, questions, 1, LIT("x"));
		return s == AP_OK ? AP_INTERRUPTED : s;
	}
	if (!has(run->values, "\"kept\":[1]") || !has(run->transcript, "\"a1\"") ||
		run->messages.ptr || run->input.len != 4 || run->flags & AP_RUN_EPHEMERAL)
		abort();
	return commit(run, "{\"kept\":[1,2]}");
}

static const ap_agent_info info = {.size = sizeof(info),
	.id = "asks_state",
	.flags = AP_AGENT_WANTS_TRANSCRIPT,
	.capabilities = (const char *const[]){"ap.io.messages", NULL},
	.max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};
AP_PLUGIN(.name = "asks_state", .version = "1.0.0", .license = "MIT", .agents = agents);
