/* HMAC and base64, by GnuTLS. */
#include "webhook/sign.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <inttypes.h>
#include <stdio.h>

#define PREFIX "whsec_"

/* True for what may stand in base64: GnuTLS skips what may not. */
static bool is_base64(struct apd_str text)
{
	size_t padding = 0;

	if (text.len % 4 != 0)
		return false;
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len - padding; i++) {
		char c = text.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			    c == '+' || c == '/'))
			return false;
	}
	return true;
}

/* Adds the bytes that base64 stands for. */
static int decode(struct apd_str text, struct apd_buf *ret_key)
{
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len}, out;

	if (text.len == 0 || text.len > 4 * APD_SECRET_MAX || !is_base64(text) ||
		gnutls_base64_decode2(&in, &out) < 0)
		return -EINVAL;
	apd_buf_add(ret_key, out.data, out.size);
	gnutls_memset(out.data, 0, out.size);
	gnutls_free(out.data);
	return 0;
}

int apd_secret_parse(struct apd_str text, struct apd_buf *ret_key, struct apd_buf *error)
{
	const size_t prefix = sizeof(PREFIX) - 1;
	struct apd_buf key = {0};

	if (text.len >= prefix && memcmp(text.ptr, PREFIX, prefix) == 0) {
		struct apd_str rest = {text.ptr + prefix, text.len - prefix};

		if (decode(rest, &key) < 0) {
			apd_buf_lit(error, "what follows \"" PREFIX "\" is not base64");
			return -EINVAL;
		}
	} else {
		apd_buf_add_str(&key, text);
	}
	if (key.len < APD_SECRET_MIN || key.len > APD_SECRET_MAX) {
		apd_buf_addf(error, "a secret has %d to %d bytes, this one has %zu", APD_SECRET_MIN,
			APD_SECRET_MAX, key.len);
		apd_secret_finish(&key);
		return -EINVAL;
	}
	apd_buf_add_str(ret_key, apd_buf_str(&key));
	apd_secret_finish(&key);
	return 0;
}

void apd_secret_finish(struct apd_buf *key)
{
	if (key->data)
		gnutls_memset(key->data, 0, key->cap);
	apd_buf_finish(key);
}

/* Computes the HMAC of "id.timestamp.body" without gluing it together. */
static int compute(struct apd_str key, const char *id, int64_t timestamp, struct apd_str body,
	unsigned char digest[32])
{
	gnutls_hmac_hd_t hmac;
	char time[24];
	int len = snprintf(time, sizeof(time), ".%" PRId64 ".", timestamp), r;

	if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, key.ptr, key.len) < 0)
		return -EIO;
	r = gnutls_hmac(hmac, id, strlen(id));
	if (r >= 0)
		r = gnutls_hmac(hmac, time, (size_t)len);
	if (r >= 0 && body.len)
		r = gnutls_hmac(hmac, body.ptr, body.len);
	gnutls_hmac_deinit(hmac, digest);
	return r < 0 ? -EIO : 0;
}

int apd_signature_add(struct apd_buf *out, struct apd_str key, const char *id, int64_t timestamp,
	struct apd_str body)
{
	unsigned char digest[32];
	gnutls_datum_t in = {digest, sizeof(digest)}, text;

	if (compute(key, id, timestamp, body, digest) < 0 || gnutls_base64_encode2(&in, &text) < 0)
		return -EIO;
	apd_buf_lit(out, "v1,");
	apd_buf_add(out, text.data, text.size);
	gnutls_free(text.data);
	return 0;
}
