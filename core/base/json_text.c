/* JSON text writers. */
#include "base/json_text.h"

#include "base/clock.h"
#include "base/utf8.h"

/* Adds a byte that cannot stand as it is. */
static void add_escape(struct apd_buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		apd_buf_lit(out, "\\\"");
		break;
	case '\\':
		apd_buf_lit(out, "\\\\");
		break;
	case '\n':
		apd_buf_lit(out, "\\n");
		break;
	case '\r':
		apd_buf_lit(out, "\\r");
		break;
	case '\t':
		apd_buf_lit(out, "\\t");
		break;
	default:
		apd_buf_addf(out, "\\u%04x", c);
	}
}

void apd_json_add_string(struct apd_buf *out, struct apd_str s)
{
	/* Of an absent string, not even the end can be computed. */
	const unsigned char *at = (const unsigned char *)(s.ptr ? s.ptr : "");
	const unsigned char *end = at + s.len, *plain = at;

	apd_buf_reserve(out, s.len + 2);
	apd_buf_add_char(out, '"');
	while (at < end) {
		size_t n = *at < 0x20 || *at == '"' || *at == '\\'
			? 0
			: apd_utf8_length(at, (size_t)(end - at));

		if (n) {
			at += n;
			continue;
		}
		apd_buf_add(out, plain, (size_t)(at - plain));
		if (*at < 0x80 && *at)
			add_escape(out, *at);
		else
			apd_buf_lit(out, "\xef\xbf\xbd");
		plain = ++at;
	}
	apd_buf_add(out, plain, (size_t)(end - plain));
	apd_buf_add_char(out, '"');
}

void apd_json_add_comma(struct apd_buf *out)
{
	char last = out->len ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[' && last != ':')
		apd_buf_add_char(out, ',');
}

void apd_json_add_key(struct apd_buf *out, const char *key)
{
	apd_json_add_comma(out);
	apd_buf_add_char(out, '"');
	apd_buf_add_cstr(out, key);
	apd_buf_lit(out, "\":");
}

void apd_json_member_str(struct apd_buf *out, const char *key, struct apd_str value)
{
	apd_json_add_key(out, key);
	apd_json_add_string(out, value);
}

void apd_json_member_raw(struct apd_buf *out, const char *key, struct apd_str json)
{
	apd_json_add_key(out, key);
	apd_buf_add_str(out, json);
}

void apd_json_member_i64(struct apd_buf *out, const char *key, int64_t value)
{
	apd_json_add_key(out, key);
	apd_buf_add_i64(out, value);
}

void apd_json_member_bool(struct apd_buf *out, const char *key, bool value)
{
	apd_json_add_key(out, key);
	apd_buf_add_cstr(out, value ? "true" : "false");
}

void apd_json_member_id(struct apd_buf *out, const char *key, const struct apd_id *value)
{
	char text[APD_ID_TEXT + 1];

	apd_id_format(value, text);
	apd_json_add_key(out, key);
	apd_buf_add_char(out, '"');
	apd_buf_add(out, text, APD_ID_TEXT);
	apd_buf_add_char(out, '"');
}

void apd_json_member_time(struct apd_buf *out, const char *key, int64_t wall_us)
{
	char text[APD_TIME_TEXT + 1];

	apd_time_format(wall_us, text);
	apd_json_add_key(out, key);
	apd_buf_add_char(out, '"');
	apd_buf_add(out, text, APD_TIME_TEXT);
	apd_buf_add_char(out, '"');
}

void apd_json_add_pointer(struct apd_buf *out, struct apd_str segment)
{
	apd_buf_add_char(out, '/');
	for (size_t i = 0; i < segment.len; i++) {
		if (segment.ptr[i] == '~')
			apd_buf_lit(out, "~0");
		else if (segment.ptr[i] == '/')
			apd_buf_lit(out, "~1");
		else
			apd_buf_add_char(out, segment.ptr[i]);
	}
}
