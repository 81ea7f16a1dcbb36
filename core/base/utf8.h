/* UTF-8, and text from elsewhere made fit for a log or a terminal. */
#ifndef APD_BASE_UTF8_H
#define APD_BASE_UTF8_H

#include "base/buf.h"

/* Length of the valid UTF-8 sequence that s, of at least one byte, begins with, or 0. */
static inline size_t apd_utf8_length(const unsigned char *s, size_t len)
{
	size_t n = s[0] < 0x80                ? 1
		: s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		: s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		: s[0] >= 0xf0 && s[0] < 0xf5 ? 4
					      : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* The longest beginning of s of at most max bytes that ends between characters. */
struct apd_str apd_utf8_cut(struct apd_str s, size_t max);

/*
 * Adds s with all that is not a character to be seen as \xNN: control bytes,
 * the control characters from U+0080 to U+009F, and what is not UTF-8. What is
 * added is valid UTF-8 in one line.
 */
void apd_buf_add_visible(struct apd_buf *out, struct apd_str s);

#endif
