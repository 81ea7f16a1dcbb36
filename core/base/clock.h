/* Time: a monotonic clock in nanoseconds and the wall clock in microseconds. */
#ifndef APD_BASE_CLOCK_H
#define APD_BASE_CLOCK_H

#include <stdint.h>

#include "base/str.h"

#define APD_NS_PER_US 1000LL
#define APD_NS_PER_MS 1000000LL
#define APD_NS_PER_S  1000000000LL

/* Where a room gets its time from; the simulator has its own. */
struct apd_clock {
	int64_t (*mono_ns)(const struct apd_clock *clock);
	int64_t (*wall_us)(const struct apd_clock *clock);
};

/* The machine's clocks. [any] */
extern const struct apd_clock apd_clock_system;

/* The machine's monotonic clock (CLOCK_MONOTONIC). [any] */
int64_t apd_clock_mono_ns(void);

/* The machine's wall clock, microseconds since 1970. [any] */
int64_t apd_clock_wall_us(void);

#define APD_TIME_TEXT 27 /* characters of 2026-11-23T17:04:05.123456Z */

/*
 * Writes a wall time as RFC 3339 in UTC with microseconds, and a NUL. Times
 * outside the years 0000 to 9999 become the first or last one within. [any]
 */
void apd_time_format(int64_t wall_us, char out[APD_TIME_TEXT + 1]);

/*
 * Reads an RFC 3339 time with any offset. A leap second counts as the second
 * after it. Returns 0, or -EINVAL also for a time that in UTC lies outside the
 * years 0000 to 9999. [any]
 */
int apd_time_parse(struct apd_str s, int64_t *ret_wall_us);

#endif
