/* Text for logs and terminals. */
#include "base/utf8.h"

struct apd_str apd_utf8_cut(struct apd_str s, size_t max)
{
	size_t n = max;

	if (s.len <= max)
		return s;
	/* Back to the beginning of a sequence, unless it is none: then anywhere will do. */
	while (n > 0 && max - n < 4 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
		n--;
	if (apd_utf8_length((const unsigned char *)s.ptr + n, s.len - n) == 0)
		n = max;
	return (struct apd_str){s.ptr, n};
}

/* How many of the first bytes can be shown as they are: a character, or none. */
static size_t visible_length(const unsigned char *at, size_t len)
{
	size_t n = apd_utf8_length(at, len);

	if (at[0] < 0x20 || at[0] == 0x7f || (n == 2 && at[0] == 0xc2 && at[1] < 0xa0))
		return 0;
	return n;
}

void apd_buf_add_visible(struct apd_buf *out, struct apd_str s)
{
	const unsigned char *at = (const unsigned char *)(s.ptr ? s.ptr : "");
	const unsigned char *end = at + s.len, *plain = at;

	while (at < end) {
		size_t n = visible_length(at, (size_t)(end - at));

		if (n) {
			at += n;
			continue;
		}
		apd_buf_add(out, plain, (size_t)(at - plain));
		apd_buf_addf(out, "\\x%02x", *at);
		plain = ++at;
	}
	apd_buf_add(out, plain, (size_t)(at - plain));
}
