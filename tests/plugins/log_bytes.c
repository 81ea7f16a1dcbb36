/* Logs and prints bytes that no log may show as they are; so does its description have some. */
#include "plugin.h"

static ap_status invoke(void *self, ap_run *run)
{
	static const char printed[] = "printed gr\xfc\xdf \xe2\x82 \xc2\x9b!\0 \xc3\xa4.\n";

	(void)self;
	/* Latin-1; half a character; a surrogate; CSI as a character; a NUL in the middle. */
	run->host->log(run->host, AP_LOG_INFO,
		LIT("logged gr\xfc\xdf \xe2\x82 \xed\xa0\x80 \xc2\x9b!\0 \xc3\xa4."));
	fwrite(printed, 1, sizeof(printed) - 1, stdout);
	fflush(stdout);
	return commit(run, "{\"done\":true}");
}

static const ap_agent_info info = {.size = sizeof(info),
	.id = "log_bytes",
	.description = "bad \033[31m\nred \302\233 \177",
	.max_concurrency = AP_UNLIMITED};
static const ap_agent agent = {.size = sizeof(agent), .info = &info, .invoke = invoke};
static const ap_agent *const agents[] = {&agent, NULL};

AP_PLUGIN(.name = "log_bytes", .version = "1.0.0\033[1m", .agents = agents);
