/* Writing JSON text into a buffer. The caller keeps the grammar; these keep the strings right. */
#ifndef APD_BASE_JSON_TEXT_H
#define APD_BASE_JSON_TEXT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/str.h"

/*
 * Adds s as a JSON string with its quotes. Bytes that are not UTF-8 and NULs
 * become U+FFFD, so that the scanner always takes the result.
 */
void apd_json_add_string(struct apd_buf *out, struct apd_str s);

/* Adds `"key":`, with a comma before it unless the last byte is '{' or '['. Key: plain ASCII. */
void apd_json_add_key(struct apd_buf *out, const char *key);

/* Adds a comma unless the last byte is '{', '[' or ':'. */
void apd_json_add_comma(struct apd_buf *out);

/* Members: key and value, with the comma where one is due. */
void apd_json_member_str(struct apd_buf *out, const char *key, struct apd_str value);
void apd_json_member_raw(struct apd_buf *out, const char *key, struct apd_str json);
void apd_json_member_i64(struct apd_buf *out, const char *key, int64_t value);
void apd_json_member_bool(struct apd_buf *out, const char *key, bool value);
void apd_json_member_id(struct apd_buf *out, const char *key, const struct apd_id *value);
void apd_json_member_time(struct apd_buf *out, const char *key, int64_t wall_us);

/* Adds s as one segment of a JSON pointer, "/" first, "~" and "/" escaped. */
void apd_json_add_pointer(struct apd_buf *out, struct apd_str segment);

#endif
