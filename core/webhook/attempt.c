/*
 * One attempt: a POST that goes to an allowed address or nowhere, and what its
 * end means. Nothing of the environment counts (no proxy, no netrc), nothing is
 * followed, and of the answer only the status and Retry-After are of interest.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "webhook/internal.h"
#include "webhook/sign.h"

/* More than this of an answer is not read; an answer that has a status counts nonetheless. */
#define HEADERS_MAX (64u * 1024)
#define BODY_MAX    (64u * 1024)

/* The connection is only worth so much waiting for the rest of a body. */
#define BODY_NS (1 * APD_NS_PER_S)

/*
 * Makes the socket that is connected to exactly this address, or refuses. It is
 * asked for every address of a name, after resolution.
 */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct delivery *delivery = data;
	struct attempt *attempt = &delivery->attempt;
	int fd;

	(void)purpose;
	if (!apd_address_allowed(&delivery->webhook->rules, &address->addr, address->addrlen)) {
		apd_buf_clear(&attempt->refused);
		apd_address_add_text(&attempt->refused, &address->addr, address->addrlen);
		apd_buf_addf(&attempt->refused, " is not allowed (%s)",
			apd_address_class_name(
				apd_address_classify(&address->addr, address->addrlen)));
		return CURL_SOCKET_BAD;
	}
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	attempt->opened++;
	return fd;
}

/* Counts header lines, and notices the last one of the final answer. */
static size_t take_header(char *line, size_t size, size_t n, void *data)
{
	struct delivery *delivery = data;
	struct attempt *attempt = &delivery->attempt;
	size_t len = size * n;
	long status = 0;

	attempt->header_bytes += len;
	if (attempt->header_bytes > HEADERS_MAX)
		return 0;
	if (len <= 2 && (len == 0 || line[0] == '\r' || line[0] == '\n') && !attempt->answered_ns &&
		curl_easy_getinfo(attempt->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
		status >= 200)
		attempt->answered_ns = apd_clock_mono_ns();
	return len;
}

/* Drops the body, as far as it is worth reading. */
static size_t take_body(char *bytes, size_t size, size_t n, void *data)
{
	struct delivery *delivery = data;

	(void)bytes;
	delivery->attempt.body_bytes += size * n;
	return delivery->attempt.body_bytes > BODY_MAX ? 0 : size * n;
}

/* Adds a header; false when there is no memory. */
static bool add_header(struct attempt *attempt, struct apd_buf *line)
{
	struct curl_slist *list = curl_slist_append(attempt->headers, line->data);

	apd_buf_clear(line);
	if (!list)
		return false;
	attempt->headers = list;
	return true;
}

/* Adds the headers of Standard Webhooks, and takes away those that libcurl would add. */
static int add_headers(struct delivery *delivery)
{
	struct attempt *attempt = &delivery->attempt;
	int64_t timestamp = apd_clock_wall_us() / 1000000;
	char id[APD_ID_TEXT + 1];
	struct apd_buf line = {0};
	int r = 0;

	apd_id_format(&delivery->row->id, id);
	apd_buf_addf(&line, "webhook-id: %s", id);
	if (!add_header(attempt, &line))
		r = -ENOMEM;
	apd_buf_lit(&line, "webhook-timestamp: ");
	apd_buf_add_i64(&line, timestamp);
	if (!add_header(attempt, &line))
		r = -ENOMEM;
	if (delivery->webhook->key.len) {
		apd_buf_lit(&line, "webhook-signature: ");
		if (apd_signature_add(&line, apd_buf_str(&delivery->webhook->key), id, timestamp,
			    delivery->row->body) < 0 ||
			!add_header(attempt, &line))
			r = -ENOMEM;
	}
	apd_buf_clear(&line);
	apd_buf_lit(&line, "Content-Type: application/json");
	if (!add_header(attempt, &line))
		r = -ENOMEM;
	/* A receiver that does not answer to Expect would cost a second. */
	apd_buf_lit(&line, "Expect:");
	if (!add_header(attempt, &line))
		r = -ENOMEM;
	apd_buf_finish(&line);
	return r;
}

/* Tells the easy handle what to send and where to. */
static CURLcode set_request(struct delivery *delivery)
{
	CURL *easy = delivery->attempt.easy;
	CURLcode code = CURLE_OK;

#define SET(option, value)       \
	if (code == CURLE_OK)    \
	code = curl_easy_setopt( \
		easy, option, value) /* the value's type differs, so this is a macro */
	SET(CURLOPT_CURLU, delivery->target.url);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)delivery->row->body.len);
	SET(CURLOPT_POSTFIELDS, delivery->row->body.len ? delivery->row->body.ptr : "");
	SET(CURLOPT_HTTPHEADER, delivery->attempt.headers);
	SET(CURLOPT_USERAGENT, "apd");
	SET(CURLOPT_PRIVATE, delivery);
	SET(CURLOPT_ERRORBUFFER, delivery->attempt.error);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, delivery);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, delivery);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, delivery);
	return code;
}

/* Tells the easy handle what it must not do, and how long it has. */
static CURLcode set_bounds(struct delivery *delivery)
{
	const struct apd_webhook *webhook = delivery->webhook;
	CURL *easy = delivery->attempt.easy;
	long ms = (long)(webhook->config.timeout_ns / APD_NS_PER_MS);
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TIMEOUT_MS, ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, ms);
	/* Else a name server that hangs would hold up the whole thread when its time is over. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_SHARE, webhook->share);
	if (webhook->ca_file) {
		SET(CURLOPT_CAINFO, webhook->ca_file);
	}
#undef SET
	return code;
}

/* Begins an attempt: 0 when the multi handle has it, or -ENOMEM. */
int webhook_attempt_begin(struct delivery *delivery)
{
	struct attempt *attempt = &delivery->attempt;

	*attempt = (struct attempt){.started_ns = apd_clock_mono_ns()};
	attempt->easy = curl_easy_init();
	if (attempt->easy && add_headers(delivery) == 0 && set_request(delivery) == CURLE_OK &&
		set_bounds(delivery) == CURLE_OK &&
		curl_multi_add_handle(delivery->webhook->multi, attempt->easy) == CURLM_OK)
		return 0;
	webhook_attempt_finish(delivery);
	return -ENOMEM;
}

/* True when the answer's body has had its time; else when that will be. */
bool webhook_attempt_overdue(const struct attempt *attempt, int64_t now_ns, int64_t *ret_when_ns)
{
	if (!attempt->answered_ns)
		return false;
	if (now_ns >= attempt->answered_ns + BODY_NS)
		return true;
	if (attempt->answered_ns + BODY_NS < *ret_when_ns)
		*ret_when_ns = attempt->answered_ns + BODY_NS;
	return false;
}

/* Says why there was no answer. The library's sentences name hosts, never credentials. */
static void explain(const struct attempt *attempt, CURLcode code, struct outcome *outcome)
{
	if (attempt->refused.len && !attempt->opened) {
		apd_buf_add_str(&outcome->why, apd_buf_str(&attempt->refused));
		outcome->final = true;
	} else if (attempt->header_bytes > HEADERS_MAX) {
		apd_buf_lit(&outcome->why, "the answer's header is too long");
	} else {
		apd_buf_add_cstr(&outcome->why,
			attempt->error[0] ? attempt->error : curl_easy_strerror(code));
	}
}

/* Judges an attempt that ended with this code; outcome: all zero, and why is to be finished. */
void webhook_attempt_judge(struct delivery *delivery, CURLcode code, struct outcome *outcome)
{
	struct attempt *attempt = &delivery->attempt;
	curl_off_t wish = 0;
	long status = 0;

	curl_easy_getinfo(attempt->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Whatever happened to its body: an answer whose header came is an answer. */
	outcome->answered = attempt->answered_ns != 0;
	if (!outcome->answered) {
		explain(attempt, code, outcome);
		return;
	}
	outcome->delivered = status >= 200 && status < 300;
	if (outcome->delivered)
		return;
	outcome->final = status == 410;
	apd_buf_addf(&outcome->why, "status %ld", status);
	if (curl_easy_getinfo(attempt->easy, CURLINFO_RETRY_AFTER, &wish) == CURLE_OK && wish > 0)
		outcome->wish_us = wish > 86400 ? 86400LL * 1000000 : (int64_t)wish * 1000000;
}

/* Breaks off what is still under way and gives everything back. */
void webhook_attempt_finish(struct delivery *delivery)
{
	struct attempt *attempt = &delivery->attempt;

	if (attempt->easy) {
		curl_multi_remove_handle(delivery->webhook->multi, attempt->easy);
		curl_easy_cleanup(attempt->easy);
	}
	curl_slist_free_all(attempt->headers);
	apd_buf_finish(&attempt->refused);
	*attempt = (struct attempt){0};
}
