/* The scalars of apd.yaml. */
#include "apd/config_scalar.h"

#include <errno.h>

#include "base/json_scan.h"
#include "base/json_text.h"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit sizes[] = {
	{"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10}, {"B", 1}, {"", 1}, {NULL, 0}};
static const struct unit durations[] = {{"d", 86400000000000LL}, {"h", 3600000000000LL},
	{"m", 60000000000LL}, {"s", 1000000000LL}, {"ms", 1000000LL}, {"us", 1000LL}, {"ns", 1},
	{NULL, 0}};

/* Reads digits and a unit. */
static int read_units(struct apd_str text, const struct unit *units, int64_t *ret_value)
{
	int64_t value = 0;
	size_t at = 0;

	for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, text.ptr[at] - '0', &value))
			return -EINVAL;
	if (at == 0)
		return -EINVAL;
	text.ptr += at;
	text.len -= at;
	for (; units->name; units++)
		if (apd_str_is(text, units->name))
			return __builtin_mul_overflow(value, units->factor, ret_value) ? -EINVAL
										       : 0;
	return -EINVAL;
}

int config_scalar_count(struct apd_str text, int64_t *ret_value)
{
	return read_units(text, no_units, ret_value);
}

int config_scalar_bytes(struct apd_str text, int64_t *ret_value)
{
	return read_units(text, sizes, ret_value);
}

int config_scalar_duration(struct apd_str text, int64_t *ret_value)
{
	if (apd_str_is(text, "0")) {
		*ret_value = 0;
		return 0;
	}
	return read_units(text, durations, ret_value);
}

void config_scalar_show(struct apd_buf *out, enum config_type type, int64_t value)
{
	const struct unit *unit = type == CONFIG_DURATION ? durations
		: type == CONFIG_BYTES                    ? sizes
							  : no_units;

	while (unit[1].name && (value == 0 || value % unit->factor != 0))
		unit++;
	apd_buf_add_i64(out, value / unit->factor);
	apd_buf_add_cstr(out, unit->name);
}

void config_scalar_add_json(struct apd_buf *out, struct apd_str text, bool plain)
{
	struct apd_json json = {0};

	if (plain && (text.len == 0 || apd_str_is(text, "~") || apd_str_is(text, "null")))
		apd_buf_lit(out, "null");
	else if (plain && apd_json_scan(&json, text) == 0 &&
		apd_json_type(&json, 0) < APD_JSON_STRING)
		apd_buf_add_str(out, apd_json_slice(&json, 0));
	else
		apd_json_add_string(out, text);
	apd_json_finish(&json);
}

size_t config_scalar_distance(struct apd_str a, struct apd_str b)
{
	size_t row[65];

	if (a.len > 64 || b.len > 64)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t change = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
			size_t least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = change < least ? change : least;
		}
	}
	return row[b.len];
}

bool config_scalar_is_agent_id(struct apd_str text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	if (text.len == 0 || text.len > 64)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!memchr(allowed, text.ptr[i], sizeof(allowed) - 1))
			return false;
	return true;
}
