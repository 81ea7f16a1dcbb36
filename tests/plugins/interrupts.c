/* Asks rightly and wrongly, twice, and tells what it got; resumed, it shows the answers. */
#include "plugin.h"

static ap_status ask(ap_run *run, const char *a, const char *b, const char *payload)
{
	const ap_question first = {.size = sizeof(first), .id = text(a), .payload = text(payload)};
	const ap_question second = {.size = sizeof(second), .id = text(b), .payload = LIT("null")};
	const ap_question *const questions[] = {&first, &second};

	return run->ops->interrupt(run, questions, b ? 2 : 1, LIT("v1\0bytes"));
}

static ap_status invoke(void *self, ap_run *run)
{
	char patch[512];
	ap_status s[8];
	size_t n = 0;

	(void)self;
	if (run->resume.ptr) {
		snprintf(patch, sizeof(patch), "{\"resume\":%s,\"left\":%d}", run->resume.ptr,
			run->continuation.len == 8 &&
				!memcmp(run->continuation.ptr, "v1\0bytes", 8));
		return commit(run, patch);
	}
	s[n++] = run->ops->interrupt(run, NULL, 0, (ap_str){NULL, 0});
	s[n++] = ask(run, "", NULL, "1");
	s[n++] = ask(run, "q", "q", "1");
	s[n++] = ask(run, "q", NULL, "{");
	s[n++] = ask(run, "q", "r", "{\"ok\":true}");
	s[n++] = ask(run, "t", NULL, "1");
	tell(run, s, n);
	return s[4] == AP_OK ? AP_INTERRUPTED : AP_OK;
}

ONE_AGENT("interrupts", invoke);
