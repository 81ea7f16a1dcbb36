/* Signatures as Standard Webhooks wants them: HMAC-SHA256 over id, time and body. */
#ifndef APD_WEBHOOK_SIGN_H
#define APD_WEBHOOK_SIGN_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define APD_SECRET_MIN 16 /* bytes of a key */
#define APD_SECRET_MAX 256

/*
 * Reads a secret: "whsec_" and base64, or any other text, which is the key as it
 * stands. The key is added to the buffer. 0, or -EINVAL with a sentence in
 * error: not base64, too short, too long. [any]
 */
int apd_secret_parse(struct apd_str text, struct apd_buf *ret_key, struct apd_buf *error);

/* Overwrites a key before it is freed. */
void apd_secret_finish(struct apd_buf *key);

/*
 * Adds "v1,<base64>": the signature of "id.timestamp.body". 0, or -EIO when the
 * library refuses, which it does for want of memory. [any]
 */
int apd_signature_add(struct apd_buf *out, struct apd_str key, const char *id, int64_t timestamp,
	struct apd_str body);

#endif
