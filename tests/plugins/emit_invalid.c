/* Emits what the host must refuse, then what it must take, and tells the statuses. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	static char big[4096];
	const ap_event small = {.size = 8, .channel = AP_CHANNEL_CUSTOM, .data = LIT("{}")};
	const ap_event bad_node = {.size = sizeof(bad_node),
		.channel = AP_CHANNEL_CUSTOM,
		.node = LIT("\xff"),
		.data = LIT("{}")};
	ap_status s[16];
	size_t n = 0;

	(void)self;
	snprintf(big, sizeof(big), "{\"x\":\"%02000d\"}", 0);
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, NULL, "{\"name\":}");
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, NULL, "[]");
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, NULL, NULL);
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, "{}", "{}");
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, "[1]", "{}");
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, NULL, big);
	s[n++] = run->ops->emit(run, &small);
	s[n++] = run->ops->emit(run, &bad_node);
	s[n++] = run->ops->emit(run, NULL);
	s[n++] = emit(run, AP_CHANNEL_LIFECYCLE, NULL, "{\"event\":\"started\"}");
	s[n++] = emit(run, AP_CHANNEL_LIFECYCLE, "[]", "{\"event\":\"started\"}");
	s[n++] = emit(run, AP_CHANNEL_LIFECYCLE, "[\"child\"]", "{\"event\":\"started\"}");
	s[n++] = emit(run, AP_CHANNEL_CUSTOM, "[ ]", "{\"name\":\"fine\",\"payload\":0.10}");
	return tell(run, s, n);
}

ONE_AGENT("emit_invalid", invoke);
