/* Cutting a plugin's output into lines, and counting them. */
#include "host/output.h"

#include "base/clock.h"

#define LINE_MAX_BYTES   8192
#define LINES_PER_SECOND 1000

/* Tells how many lines were dropped since it was last told. */
static void tell_lost(struct apd_output *output)
{
	if (output->lost == 0)
		return;
	apd_log(APD_LOG_WARN, "agent", "%s: %llu lines dropped: more than %d a second",
		output->name, (unsigned long long)output->lost, LINES_PER_SECOND);
	output->lost = 0;
}

void apd_output_log(struct apd_output *output, enum apd_log_level level, struct apd_str agent_id,
	struct apd_str line)
{
	int64_t second;

	if (!apd_log_enabled(level))
		return;
	second = apd_clock_mono_ns() / APD_NS_PER_S;
	if (second != output->second) {
		output->second = second;
		output->lines = 0;
		tell_lost(output);
	}
	if (output->lines >= LINES_PER_SECOND) {
		output->lost++;
		if (output->dropped)
			atomic_fetch_add_explicit(output->dropped, 1, memory_order_relaxed);
		return;
	}
	output->lines++;
	if (line.len > LINE_MAX_BYTES)
		line.len = LINE_MAX_BYTES;
	if (agent_id.ptr)
		apd_log(level, "agent", "%s/%.*s: %.*s", output->name, APD_STR_FMT(agent_id),
			APD_STR_FMT(line));
	else
		apd_log(level, "agent", "%s: %.*s", output->name, APD_STR_FMT(line));
}

static void end_line(struct apd_output *output)
{
	if (output->line.len)
		apd_output_log(output, APD_LOG_INFO, APD_STR_ABSENT, apd_buf_str(&output->line));
	apd_buf_clear(&output->line);
	output->cut = false;
}

/* Adds to the line that is begun, up to its limit. */
static void add(struct apd_output *output, const char *data, size_t n)
{
	size_t room = LINE_MAX_BYTES - output->line.len;

	if (output->cut)
		return;
	apd_buf_add(&output->line, data, n < room ? n : room);
	if (n > room) {
		output->cut = true;
		output->line.len -= 3;
		apd_buf_lit(&output->line, "...");
	}
}

void apd_output_take(struct apd_output *output, const char *data, size_t n)
{
	while (n) {
		const char *end = memchr(data, '\n', n);
		size_t len = end ? (size_t)(end - data) : n;

		add(output, data, len);
		if (!end)
			return;
		end_line(output);
		data += len + 1;
		n -= len + 1;
	}
}

void apd_output_finish(struct apd_output *output)
{
	end_line(output);
	tell_lost(output);
	apd_buf_finish(&output->line);
}
