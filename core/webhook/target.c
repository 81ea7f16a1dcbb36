/* URLs by libcurl's own parser, so that what is checked is what is used. */
#include "webhook/target.h"

#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"

#define URL_MAX 8192

/* Parses a URL of http or https; NULL with a sentence in error. */
static CURLU *parse(struct apd_str text, struct apd_buf *error)
{
	CURLU *url = curl_url();
	char *copy, *scheme = NULL;
	bool good;

	if (!url || text.len == 0 || text.len > URL_MAX || memchr(text.ptr, '\0', text.len)) {
		apd_buf_lit(error, "not a URL");
		curl_url_cleanup(url);
		return NULL;
	}
	copy = apd_strndup(text.ptr, text.len);
	good = curl_url_set(url, CURLUPART_URL, copy, 0) == CURLUE_OK;
	free(copy);
	if (!good) {
		apd_buf_lit(error, "not a URL");
		curl_url_cleanup(url);
		return NULL;
	}
	good = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	curl_free(scheme);
	if (!good) {
		apd_buf_lit(error, "neither http nor https");
		curl_url_cleanup(url);
		return NULL;
	}
	curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
	return url;
}

/* Adds "host:port" in lower case; the port also where it is the scheme's own. */
static int add_host(struct apd_buf *out, CURLU *url)
{
	char *host = NULL, *port = NULL;
	int r = -EINVAL;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] &&
		curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
		for (const char *c = host; *c; c++)
			apd_buf_add_char(out, *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c);
		apd_buf_addf(out, ":%s", port);
		r = 0;
	}
	curl_free(host);
	curl_free(port);
	return r;
}

int apd_target_init(struct apd_target *target, struct apd_str url, struct apd_buf *error)
{
	*target = (struct apd_target){.url = parse(url, error)};
	if (!target->url)
		return -EINVAL;
	if (add_host(&target->host, target->url) < 0) {
		apd_buf_lit(error, "a URL without a host");
		apd_target_finish(target);
		return -EINVAL;
	}
	return 0;
}

void apd_target_finish(struct apd_target *target)
{
	curl_url_cleanup(target->url);
	target->url = NULL;
	apd_buf_finish(&target->host);
}

void apd_target_add_text(struct apd_buf *out, struct apd_str url)
{
	struct apd_buf error = {0};
	CURLU *parsed = parse(url, &error);
	char *text = NULL;

	if (parsed) {
		curl_url_set(parsed, CURLUPART_USER, NULL, 0);
		curl_url_set(parsed, CURLUPART_PASSWORD, NULL, 0);
		curl_url_set(parsed, CURLUPART_OPTIONS, NULL, 0);
		curl_url_set(parsed, CURLUPART_QUERY, NULL, 0);
	}
	if (parsed && curl_url_get(parsed, CURLUPART_URL, &text, 0) == CURLUE_OK)
		apd_buf_add_cstr(out, text);
	else
		apd_buf_lit(out, "(not a URL of http or https)");
	curl_free(text);
	curl_url_cleanup(parsed);
	apd_buf_finish(&error);
}
