/* Emits messages out of order. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	static const char start[] = "{\"event\":\"message-start\",\"role\":\"ai\",\"id\":\"m\"}";
	static const char block[] =
		"{\"event\":\"content-block-start\",\"index\":0,\"content\":{\"type\":\"text\"}}";
	static const char delta[] = "{\"event\":\"content-block-delta\",\"index\":0,"
				    "\"delta\":{\"type\":\"text-delta\",\"text\":\"a\"}}";
	static const char end[] = "{\"event\":\"message-finish\"}";
	ap_status s[6];

	(void)self;
	s[0] = emit(run, AP_CHANNEL_MESSAGES, NULL, delta);
	s[1] = emit(run, AP_CHANNEL_MESSAGES, NULL, start);
	s[2] = emit(run, AP_CHANNEL_MESSAGES, NULL, start);
	s[3] = emit(run, AP_CHANNEL_MESSAGES, "[\"other\"]", start);
	s[4] = emit(run, AP_CHANNEL_MESSAGES, "[]", block);
	s[5] = emit(run, AP_CHANNEL_MESSAGES, NULL, end);
	return tell(run, s, 6);
}

ONE_AGENT("emit_order", invoke);
