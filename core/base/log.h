/* The log: one line an event on stderr, with time, level and a room's name. */
#ifndef APD_BASE_LOG_H
#define APD_BASE_LOG_H

#include "base/str.h"

enum apd_log_level {
	APD_LOG_DEBUG = 1,
	APD_LOG_INFO = 2,
	APD_LOG_WARN = 3,
	APD_LOG_ERROR = 4,
};

/* Lines below this level are dropped; APD_LOG_INFO until it is called. [any] */
void apd_log_set_level(enum apd_log_level level);

/* True if a line of the level would be written: for skipping costly ones. [any] */
bool apd_log_enabled(enum apd_log_level level);

/*
 * Writes a line: "2026-11-23T17:04:05.123456Z warn host: message". Control
 * characters in the message and what is not UTF-8 are escaped as \xNN, so that
 * nobody forges a line and the log is valid UTF-8. errno stays as it was. [any]
 */
void apd_log(enum apd_log_level level, const char *room, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for a message as it is, which may have any bytes. [any] */
void apd_log_text(enum apd_log_level level, const char *room, struct apd_str message);

#endif
