/* Dates and times of RFC 3339. */
#include "schema/format.h"

/* Reads n digits off the front; -1 if they are not there. */
static int take_digits(struct apd_str *s, size_t n)
{
	int value = 0;

	if (s->len < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (!apd_schema_is_digit(s->ptr[i]))
			return -1;
		value = value * 10 + (s->ptr[i] - '0');
	}
	s->ptr += n;
	s->len -= n;
	return value;
}

/* Takes one character off the front if it is one of those. */
static bool take_char(struct apd_str *s, const char *any)
{
	if (s->len == 0 || !strchr(any, s->ptr[0]))
		return false;
	s->ptr++;
	s->len--;
	return true;
}

static bool take_date(struct apd_str *s)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = take_digits(s, 4), month, day, last;

	if (year < 0 || !take_char(s, "-"))
		return false;
	month = take_digits(s, 2);
	if (month < 1 || month > 12 || !take_char(s, "-"))
		return false;
	day = take_digits(s, 2);
	last = days[month - 1];
	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		last++;
	return day >= 1 && day <= last;
}

/* Takes "Z" or an offset; *ret_minutes is how far it lies ahead of UTC. */
static bool take_offset(struct apd_str *s, int *ret_minutes)
{
	bool behind = s->len && s->ptr[0] == '-';
	int hour, minute;

	*ret_minutes = 0;
	if (take_char(s, "Zz"))
		return true;
	if (!take_char(s, "+-"))
		return false;
	hour = take_digits(s, 2);
	if (hour < 0 || hour > 23 || !take_char(s, ":"))
		return false;
	minute = take_digits(s, 2);
	*ret_minutes = (hour * 60 + minute) * (behind ? -1 : 1);
	return minute >= 0 && minute <= 59;
}

static bool take_time(struct apd_str *s)
{
	int hour = take_digits(s, 2), minute, second, ahead, utc;

	if (hour < 0 || hour > 23 || !take_char(s, ":"))
		return false;
	minute = take_digits(s, 2);
	if (minute < 0 || minute > 59 || !take_char(s, ":"))
		return false;
	second = take_digits(s, 2);
	if (second < 0 || second > 60)
		return false;
	if (take_char(s, ".")) {
		if (take_digits(s, 1) < 0)
			return false;
		while (take_digits(s, 1) >= 0)
			continue;
	}
	if (!take_offset(s, &ahead))
		return false;
	/* A leap second is the last of a day in UTC. */
	utc = (hour * 60 + minute - ahead + 2 * 1440) % 1440;
	return second < 60 || utc == 1439;
}

bool apd_schema_is_date(struct apd_str s)
{
	return take_date(&s) && s.len == 0;
}

bool apd_schema_is_time(struct apd_str s)
{
	return take_time(&s) && s.len == 0;
}

bool apd_schema_is_date_time(struct apd_str s)
{
	return take_date(&s) && take_char(&s, "Tt") && take_time(&s) && s.len == 0;
}

/* Takes numbers with units, which come in order and leave none out between two of them. */
static bool take_units(struct apd_str *s, const char *units, size_t *ret_count)
{
	const char *at = NULL;

	while (s->len && apd_schema_is_digit(s->ptr[0])) {
		const char *unit;

		while (take_digits(s, 1) >= 0)
			continue;
		unit = s->len ? strchr(units, s->ptr[0]) : NULL;
		if (!unit || (at && unit != at + 1))
			return false;
		take_char(s, units);
		at = unit;
		++*ret_count;
	}
	return true;
}

bool apd_schema_is_duration(struct apd_str s)
{
	size_t count = 0, of_time = 0;

	if (!take_char(&s, "P"))
		return false;
	if (s.len > 1 && s.ptr[s.len - 1] == 'W')
		return take_units(&s, "W", &count) && count == 1 && s.len == 0;
	if (!take_units(&s, "YMD", &count))
		return false;
	if (take_char(&s, "T") && (!take_units(&s, "HMS", &of_time) || of_time == 0))
		return false;
	return s.len == 0 && count + of_time > 0;
}
