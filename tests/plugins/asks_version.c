/*
 * Asks, and leaves its version in the continuation. Resumed, it commits which
 * version asked and which goes on; built as two plugins with one agent. The
 * first knows only its own bytes.
 */
#include "plugin.h"

#define TEXT_(n) #n
#define TEXT(n)  TEXT_(n)

static ap_status invoke(void *self, ap_run *run)
{
	const ap_question question = {
		.size = sizeof(question), .id = LIT("q"), .payload = LIT("\"?\"")};
	const ap_question *const questions[] = {&question};
	char patch[64];
	ap_status s;

	(void)self;
	if (run->continuation.ptr) {
		char asked = run->continuation.len == 2 ? run->continuation.ptr[1] : '0';

		if (asked < '1' || asked > '0' + VERSION)
			return run->ops->fail(run, AP_E_INVALID, LIT("unknown_continuation"),
				LIT("Left by another version."));
		snprintf(patch, sizeof(patch), "{\"asked\":%c,\"went_on\":%d}", asked, VERSION);
		return commit(run, patch);
	}
	s = run->ops->interrupt(run, questions, 1, LIT("v" TEXT(VERSION)));
	return s == AP_OK ? AP_INTERRUPTED : s;
}

static const ap_agent_info info = {
	.size = sizeof(info), .id = "asks_version", .max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};
AP_PLUGIN(.name = "asks_version", .version = TEXT(VERSION), .license = "MIT", .agents = agents);
