/* Cutting a plugin's output into lines, and counting them. */
#include "host/output.h"

#include "base/clock.h"
#include "base/utf8.h"

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

/* Says in the log who said what; the line may have any bytes. */
static void write_line(const struct apd_output *output, enum apd_log_level level,
	struct apd_str agent_id, struct apd_str line)
{
	struct apd_buf text = {0};

	apd_buf_add_cstr(&text, output->name);
	if (agent_id.ptr) {
		apd_buf_add_char(&text, '/');
		apd_buf_add_str(&text, agent_id);
	}
	apd_buf_lit(&text, ": ");
	apd_buf_add_str(&text, line);
	apd_log_text(level, "agent", apd_buf_str(&text));
	apd_buf_finish(&text);
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
	write_line(output, level, agent_id, apd_utf8_cut(line, LINE_MAX_BYTES));
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
		output->line.len = apd_utf8_cut(apd_buf_str(&output->line), LINE_MAX_BYTES - 3).len;
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
