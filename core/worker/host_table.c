/* What the plugin gets of the host: the log, and (in later versions) extensions. */
#include <stdarg.h>
#include <stdio.h>

#include "worker/exec.h"
#include "worker/texts.h"

/* Credit for log lines at the start. */
#define LOG_CREDIT (64 << 10)
/* After so many reports of misuse the point is made. */
#define MAX_MISUSES 64

void apd_host_log(struct apd_worker *worker, uint32_t run, ap_level level, struct apd_str message)
{
	struct apd_str cut =
		apd_text_cut((ap_str){message.ptr, message.len}, worker->setup.log_max);

	if (atomic_load(&worker->log_credit) <= 0) {
		atomic_fetch_add(&worker->log_dropped, 1);
		return;
	}
	/* Every line costs what the daemon will give back: its length, so none may be empty. */
	if (!cut.len)
		cut = APD_STR(" ");
	atomic_fetch_sub(&worker->log_credit, (int64_t)cut.len);
	apd_sender_add(
		&worker->sender, APD_SEND_SOON, APD_FRAME_LOG, run, (uint32_t)level, &cut, 1);
}

void apd_host_log_credit(struct apd_worker *worker, uint32_t bytes)
{
	uint64_t dropped;
	char line[64];

	if (atomic_fetch_add(&worker->log_credit, bytes) + bytes <= 0)
		return;
	dropped = atomic_exchange(&worker->log_dropped, 0);
	if (!dropped)
		return;
	snprintf(line, sizeof(line), "%llu log lines were dropped", (unsigned long long)dropped);
	apd_host_log(worker, 0, AP_LOG_WARN, apd_str(line));
}

void apd_misuse(struct apd_worker *worker, uint32_t run, const char *fmt, ...)
{
	char text[256];
	struct apd_str field;
	unsigned before = atomic_fetch_add(&worker->misuses, 1);
	va_list ap;

	if (before >= MAX_MISUSES)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	field = apd_str(before == MAX_MISUSES - 1 ? "more misuse, which is not reported" : text);
	apd_sender_add(&worker->sender, APD_SEND_SOON, APD_FRAME_MISUSE, run, 0, &field, 1);
}

static void table_log(const ap_host *host, ap_level level, ap_str message)
{
	struct apd_worker *worker = host->impl;
	struct apd_exec *exec = apd_exec_current;
	bool mine = exec && exec->worker == worker;

	if (level < AP_LOG_DEBUG || level > AP_LOG_ERROR)
		level = AP_LOG_INFO;
	apd_host_log(worker, mine ? exec->number : 0, level, apd_text_of_plugin(message));
}

static const void *table_get_extension(const ap_host *host, const char *id)
{
	(void)host;
	(void)id;
	return NULL;
}

void apd_host_table_init(ap_host *host, struct apd_worker *worker)
{
	*host = (ap_host){
		.size = sizeof(*host),
		.abi_minor = AP_ABI_MINOR,
		.name = "apd",
		.version = APD_VERSION,
		.impl = worker,
		.log = table_log,
		.get_extension = table_get_extension,
	};
	atomic_store(&worker->log_credit, LOG_CREDIT);
}
