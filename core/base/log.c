/* One write() a line, so that lines of several threads do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

static _Atomic int lowest = APD_LOG_INFO;

void apd_log_set_level(enum apd_log_level level)
{
	atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

bool apd_log_enabled(enum apd_log_level level)
{
	return (int)level >= atomic_load_explicit(&lowest, memory_order_relaxed);
}

static const char *level_name(enum apd_log_level level)
{
	switch (level) {
	case APD_LOG_DEBUG:
		return "debug";
	case APD_LOG_INFO:
		return "info";
	case APD_LOG_WARN:
		return "warn";
	case APD_LOG_ERROR:
		return "error";
	}
	return "?";
}

void apd_log_text(enum apd_log_level level, const char *room, struct apd_str message)
{
	struct apd_buf line = {0};
	char now[APD_TIME_TEXT + 1];
	size_t done = 0;
	int saved = errno;

	if (!apd_log_enabled(level))
		return;
	apd_time_format(apd_clock_wall_us(), now);
	apd_buf_addf(&line, "%s %s %s: ", now, level_name(level), room);
	apd_buf_add_visible(&line, message);
	apd_buf_add_char(&line, '\n');
	while (done < line.len) {
		ssize_t n = write(STDERR_FILENO, line.data + done, line.len - done);

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0)
			done += (size_t)n;
	}
	apd_buf_finish(&line);
	errno = saved;
}

void apd_log(enum apd_log_level level, const char *room, const char *fmt, ...)
{
	struct apd_buf message = {0};
	va_list ap;

	if (!apd_log_enabled(level))
		return;
	va_start(ap, fmt);
	apd_buf_addv(&message, fmt, ap);
	va_end(ap);
	apd_log_text(level, room, apd_buf_str(&message));
	apd_buf_finish(&message);
}
