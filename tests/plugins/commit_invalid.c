/* Commits what the host must refuse. */
#include "plugin.h"

static ap_status step(ap_run *run, const char *ns, const char *patch, const char *removed)
{
	const ap_step step = {.size = sizeof(step),
		.name = LIT("s"),
		.ns = text(ns),
		.patch = text(patch),
		.removed = text(removed)};

	return run->ops->commit(run, &step);
}

static ap_status invoke(void *self, ap_run *run)
{
	static char big[8192];
	const ap_step small = {.size = 12};
	ap_status s[24];
	size_t n = 0;

	(void)self;
	snprintf(big, sizeof(big), "{\"x\":\"%06000d\"}", 0);
	s[n++] = step(run, NULL, "{", NULL);
	s[n++] = step(run, NULL, "[]", NULL);
	s[n++] = step(run, NULL, "{}", "{}");
	s[n++] = step(run, NULL, "{}", "[1]");
	s[n++] = step(run, "\"ns\"", "{}", NULL);
	s[n++] = step(run, NULL, "{\"messages\":{}}", NULL);
	s[n++] = step(run, NULL, "{\"messages\":[1]}", NULL);
	s[n++] = step(run, NULL, "{\"messages\":[{}]}", NULL);
	s[n++] = step(run, NULL, "{\"messages\":[{\"role\":\"ai\"}]}", NULL);
	s[n++] = step(run, NULL, "{\"messages\":[{\"role\":\"ai\",\"content\":[{}]}]}", NULL);
	s[n++] = step(run, NULL, "{\"messages\":[{\"type\":\"remove\"}]}", NULL);
	s[n++] = step(run, NULL,
		"{\"messages\":[{\"role\":\"ai\",\"content\":\"\",\"metadata\":1}]}", NULL);
	s[n++] = step(run, NULL, big, NULL);
	s[n++] = run->ops->commit(run, &small);
	s[n++] = run->ops->commit(run, NULL);
	s[n++] = step(
		run, "[\"a\"]", "{\"messages\":[{\"role\":\"ai\",\"content\":\"\"}]}", "[\"k\"]");
	return tell(run, s, n);
}

ONE_AGENT("commit_invalid", invoke);
