/* The machine's clocks, and RFC 3339. */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

int64_t apd_clock_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * APD_NS_PER_S + now.tv_nsec;
}

int64_t apd_clock_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_mono_ns(const struct apd_clock *clock)
{
	(void)clock;
	return apd_clock_mono_ns();
}

static int64_t system_wall_us(const struct apd_clock *clock)
{
	(void)clock;
	return apd_clock_wall_us();
}

const struct apd_clock apd_clock_system = {system_mono_ns, system_wall_us};

/* What can be written with a year of four digits: 0000-01-01 to the end of 9999. */
#define FIRST_WALL_US (-719528LL * 86400 * 1000000)
#define LAST_WALL_US  (2932897LL * 86400 * 1000000 - 1)

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
	int64_t era, year_of_era, day_of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
		day_of_year - 719468;
}

/* The date of a number of days since 1970-01-01. */
static void date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = (int)(yoe + era * 400 + (*ret_month <= 2));
}

/* Writes n decimal digits. */
static char *put_digits(char *at, int64_t value, int n)
{
	for (int i = n - 1; i >= 0; i--) {
		at[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return at + n;
}

void apd_time_format(int64_t wall_us, char out[APD_TIME_TEXT + 1])
{
	static const int64_t us_per_day = 86400LL * 1000000;
	int64_t days, rest;
	int year, month, day;
	char *at = out;

	if (wall_us < FIRST_WALL_US)
		wall_us = FIRST_WALL_US;
	if (wall_us > LAST_WALL_US)
		wall_us = LAST_WALL_US;
	days = wall_us / us_per_day;
	rest = wall_us % us_per_day;
	if (rest < 0) {
		rest += us_per_day;
		days--;
	}
	date_of(days, &year, &month, &day);
	at = put_digits(at, year, 4);
	*at++ = '-';
	at = put_digits(at, month, 2);
	*at++ = '-';
	at = put_digits(at, day, 2);
	*at++ = 'T';
	at = put_digits(at, rest / 3600000000LL, 2);
	*at++ = ':';
	at = put_digits(at, rest / 60000000 % 60, 2);
	*at++ = ':';
	at = put_digits(at, rest / 1000000 % 60, 2);
	*at++ = '.';
	at = put_digits(at, rest % 1000000, 6);
	*at++ = 'Z';
	*at = '\0';
}

/* Reads n digits at *at and moves on; -1 if they are not there. */
static int64_t take_digits(struct apd_str s, size_t *at, int n)
{
	int64_t value = 0;

	for (int i = 0; i < n; i++, (*at)++) {
		if (*at >= s.len || s.ptr[*at] < '0' || s.ptr[*at] > '9')
			return -1;
		value = value * 10 + (s.ptr[*at] - '0');
	}
	return value;
}

/* Takes one of the characters; false if none of them is next. */
static bool take_any(struct apd_str s, size_t *at, const char *chars)
{
	if (*at >= s.len || s.ptr[*at] == '\0' || !strchr(chars, s.ptr[*at]))
		return false;
	(*at)++;
	return true;
}

/* Days of a month. */
static int month_days(int64_t year, int64_t month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Reads "Z" or "+01:00" at the end; the offset in minutes. */
static int take_offset(struct apd_str s, size_t *at, int64_t *ret_minutes)
{
	int64_t hours, minutes;
	bool west;

	if (take_any(s, at, "Zz")) {
		*ret_minutes = 0;
		return 0;
	}
	west = *at < s.len && s.ptr[*at] == '-';
	if (!take_any(s, at, "+-"))
		return -EINVAL;
	hours = take_digits(s, at, 2);
	if (hours < 0 || hours > 23 || !take_any(s, at, ":"))
		return -EINVAL;
	minutes = take_digits(s, at, 2);
	if (minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
	return 0;
}

/* Reads the fraction after a full stop, in microseconds; digits beyond them are dropped. */
static int64_t take_fraction(struct apd_str s, size_t *at)
{
	int64_t value = 0;
	int digits = 0;

	for (; *at < s.len && s.ptr[*at] >= '0' && s.ptr[*at] <= '9'; (*at)++, digits++)
		if (digits < 6)
			value = value * 10 + (s.ptr[*at] - '0');
	if (digits == 0)
		return -1;
	for (int i = digits; i < 6; i++)
		value *= 10;
	return value;
}

int apd_time_parse(struct apd_str s, int64_t *ret_wall_us)
{
	int64_t year, month, day, hour, minute, second, fraction = 0, offset, wall_us;
	size_t at = 0;

	year = take_digits(s, &at, 4);
	if (year < 0 || !take_any(s, &at, "-"))
		return -EINVAL;
	month = take_digits(s, &at, 2);
	if (month < 1 || month > 12 || !take_any(s, &at, "-"))
		return -EINVAL;
	day = take_digits(s, &at, 2);
	if (day < 1 || day > month_days(year, month) || !take_any(s, &at, "Tt"))
		return -EINVAL;
	hour = take_digits(s, &at, 2);
	if (hour < 0 || hour > 23 || !take_any(s, &at, ":"))
		return -EINVAL;
	minute = take_digits(s, &at, 2);
	if (minute < 0 || minute > 59 || !take_any(s, &at, ":"))
		return -EINVAL;
	second = take_digits(s, &at, 2);
	if (second < 0 || second > 60)
		return -EINVAL;
	if (take_any(s, &at, ".") && (fraction = take_fraction(s, &at)) < 0)
		return -EINVAL;
	if (take_offset(s, &at, &offset) < 0 || at != s.len)
		return -EINVAL;
	/* A leap second exists only at the end of a UTC minute 23:59. */
	if (second == 60 && ((hour * 60 + minute - offset) % 1440 + 1440) % 1440 != 1439)
		return -EINVAL;
	wall_us = (((days_of(year, (int)month, (int)day) * 24 + hour) * 60 + minute - offset) * 60 +
			  second) *
			1000000 +
		fraction;
	if (wall_us < FIRST_WALL_US || wall_us > LAST_WALL_US)
		return -EINVAL;
	*ret_wall_us = wall_us;
	return 0;
}
