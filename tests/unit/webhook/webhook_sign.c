/*
 * Signatures and secrets. The signatures were made with
 *   printf %s 'ID.TIMESTAMP.BODY' | openssl dgst -sha256 -hmac KEY -binary | base64
 * and -mac HMAC -macopt hexkey:31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0 for
 * the one whose key is base64.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "webhook/sign.h"

static const struct {
	const char *secret;
	const char *id;
	int64_t timestamp;
	const char *body;
	const char *signature;
} vectors[] = {
	{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
		"{\"test\": 2432232314}", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
	{"a plain secret of some length", "0193579b-1c2d-7e3f-8a4b-5c6d7e8f9a0b", 1700000000,
		"{\"run\":{\"status\":\"success\"}}",
		"v1,4GDM9kPfIj7pP+HXT2+vKhrgVYL6r3wRil/i6GSPP0s="},
	{"0123456789abcdef", "id", 0, "", "v1,oIYlTM1y+emM3J8mgX5Q9W57DdkezpZh4atawmS+0Tk="},
};

static void signatures(void **state)
{
	(void)state;
	for (size_t i = 0; i < APD_COUNT(vectors); i++) {
		struct apd_buf key = {0}, error = {0}, out = {0};

		assert_int_equal(apd_secret_parse(apd_str(vectors[i].secret), &key, &error), 0);
		assert_int_equal(apd_signature_add(&out, apd_buf_str(&key), vectors[i].id,
					 vectors[i].timestamp, apd_str(vectors[i].body)),
			0);
		assert_string_equal(out.data, vectors[i].signature);
		apd_buf_finish(&out);
		apd_secret_finish(&key);
	}
}

static void check_key(const char *text, const void *bytes, size_t len)
{
	struct apd_buf key = {0}, error = {0};

	assert_int_equal(apd_secret_parse(apd_str(text), &key, &error), 0);
	assert_int_equal(key.len, len);
	assert_memory_equal(key.data, bytes, len);
	apd_secret_finish(&key);
	assert_null(key.data);
}

static void secrets(void **state)
{
	(void)state;
	check_key("whsec_AAECAwQFBgcICQoLDA0ODw==",
		"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16);
	check_key("whsec_+/+/+/+/+/+/+/+/+/+/+/+/",
		"\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf\xfb\xff\xbf", 18);
	check_key("WHSEC_is not the prefix", "WHSEC_is not the prefix", 23);
	check_key("sixteen letters!", "sixteen letters!", 16);
}

static void check_refused(const char *text, const char *sentence)
{
	struct apd_buf key = {0}, error = {0};

	if (apd_secret_parse(apd_str(text), &key, &error) == 0)
		fail_msg("taken: %s", text);
	assert_string_equal(error.data, sentence);
	assert_int_equal(key.len, 0);
	apd_buf_finish(&error);
	apd_secret_finish(&key);
}

static void bad_secrets_are_refused(void **state)
{
	static const char no_base64[] = "what follows \"whsec_\" is not base64";
	char text[400] = {0};

	(void)state;
	check_refused("", "a secret has 16 to 256 bytes, this one has 0");
	check_refused("fifteen letters", "a secret has 16 to 256 bytes, this one has 15");
	check_refused("whsec_AAAA", "a secret has 16 to 256 bytes, this one has 3");
	check_refused("whsec_", no_base64);
	check_refused("whsec_AAECAwQFBgcICQoLDA0ODw=", no_base64);
	check_refused("whsec_AAECAwQFBgcICQoLDA0ODw===", no_base64);
	check_refused("whsec_AAECAwQFBgcI CQoLDA0ODw==", no_base64);
	check_refused("whsec_AAECAwQFBgcICQoLDA0OD_-=", no_base64);
	check_refused("whsec_A=ECAwQFBgcICQoLDA0ODw==", no_base64);
	memset(text, 'x', 257);
	check_refused(text, "a secret has 16 to 256 bytes, this one has 257");
	memset(text, 'A', 6 + 348);
	memcpy(text, "whsec_", 6);
	check_refused(text, "a secret has 16 to 256 bytes, this one has 261");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures),
		cmocka_unit_test(secrets),
		cmocka_unit_test(bad_secrets_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
