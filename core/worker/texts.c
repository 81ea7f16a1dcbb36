/* UTF-8 and shapes of JSON. */
#include "worker/texts.h"

/* How many bytes the character at s has, or 0 if it is none. */
static size_t char_length(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return s[0] ? 1 : 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n > len)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool apd_text_ok(struct apd_str s)
{
	const unsigned char *at = (const unsigned char *)s.ptr;
	size_t left = s.len;

	while (left) {
		size_t n = char_length(at, left);

		if (!n)
			return false;
		at += n;
		left -= n;
	}
	return true;
}

struct apd_str apd_text_cut(ap_str s, size_t max)
{
	size_t len = s.ptr ? s.len : 0;

	if (len > max) {
		len = max;
		while (len > max - 3 && len > 0 && ((unsigned char)s.ptr[len] & 0xc0) == 0x80)
			len--;
	}
	return (struct apd_str){s.ptr, len};
}

bool apd_text_all(const struct apd_json *json, uint32_t i, enum apd_json_type type)
{
	if (apd_json_type(json, i) != APD_JSON_ARRAY)
		return false;
	apd_json_each_item (json, i, item)
		if (apd_json_type(json, item) != type)
			return false;
	return true;
}

const char *apd_text_check_ns(struct apd_json *json, struct apd_str ns)
{
	if (!ns.ptr)
		return NULL;
	if (apd_json_scan(json, ns) < 0)
		return json->error;
	return apd_text_all(json, 0, APD_JSON_STRING) ? NULL : "expected an array of strings";
}
