/* The thread: its start, its loop and its end. */
#include "webhook/webhook.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "webhook/internal.h"
#include "webhook/sign.h"

/* The longest sleep: a wall clock that jumps is noticed after so long. */
#define SLEEP_MAX_MS 30000

/* Idle connections that are kept for the next delivery, since certificates cost milliseconds. */
#define CONNECTIONS_KEPT 64

/* Wakes the loop. [any] */
static void wake(void *data)
{
	struct apd_webhook *webhook = data;

	curl_multi_wakeup(webhook->multi);
}

void apd_webhook_poke(struct apd_webhook *webhook)
{
	if (!atomic_exchange(&webhook->poked, true))
		wake(webhook);
}

/* Takes the attempts that ended; true if there were any. */
static bool reap(struct apd_webhook *webhook)
{
	struct CURLMsg *message;
	bool some = false;
	int left;

	while ((message = curl_multi_info_read(webhook->multi, &left))) {
		CURLcode code = message->data.result;
		char *delivery = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &delivery);
		webhook_queue_ended((struct delivery *)(void *)delivery, code);
		some = true;
	}
	return some;
}

/* Ends the attempts whose answer is there while its body dawdles; true if there were any. */
static bool cut_bodies(struct apd_webhook *webhook, int64_t *ret_when_ns)
{
	struct delivery *delivery, *next;
	int64_t now = apd_clock_mono_ns();
	bool some = false;

	apd_list_each_safe (delivery, next, &webhook->flying, link) {
		if (!webhook_attempt_overdue(&delivery->attempt, now, ret_when_ns))
			continue;
		webhook_queue_ended(delivery, CURLE_OPERATION_TIMEDOUT);
		some = true;
	}
	return some;
}

/* How long to sleep when nothing comes in; libcurl knows its own times. */
static int sleep_ms(const struct apd_webhook *webhook, int64_t when_ns)
{
	int64_t now_ns = apd_clock_mono_ns(), now_us = apd_clock_wall_us();
	int64_t ns = SLEEP_MAX_MS * APD_NS_PER_MS;

	if (webhook_queue_readable(webhook, now_us, now_ns))
		return 0;
	if (when_ns - now_ns < ns)
		ns = when_ns - now_ns;
	if (webhook->due_us > now_us && webhook->due_us - now_us < ns / APD_NS_PER_US)
		ns = (webhook->due_us - now_us) * APD_NS_PER_US;
	if (webhook->read_ns > now_ns && webhook->read_ns - now_ns < ns)
		ns = webhook->read_ns - now_ns;
	if (!apd_list_empty(&webhook->stuck)) {
		const struct delivery *first =
			apd_list_first(&webhook->stuck, struct delivery, link);

		if (first->again_ns - now_ns < ns)
			ns = first->again_ns - now_ns;
	}
	return ns <= 0 ? 0 : (int)((ns + APD_NS_PER_MS - 1) / APD_NS_PER_MS);
}

/* One turn of the loop, without the sleep; returns how long that may be. */
static int turn(struct apd_webhook *webhook)
{
	int64_t when_ns = INT64_MAX;
	int running;
	bool some;

	if (atomic_exchange(&webhook->poked, false))
		webhook->news = true;
	apd_mailbox_drain(&webhook->mailbox);
	webhook_settle_again(webhook);
	webhook_queue_read(webhook);
	webhook_queue_start(webhook);
	curl_multi_perform(webhook->multi, &running);
	some = reap(webhook);
	some = cut_bodies(webhook, &when_ns) || some;
	return some ? 0 : sleep_ms(webhook, when_ns);
}

static void *thread_main(void *data)
{
	struct apd_webhook *webhook = data;

	while (!atomic_load(&webhook->stop)) {
		int ms = turn(webhook);

		if (!atomic_load(&webhook->stop))
			curl_multi_poll(webhook->multi, NULL, 0, ms, NULL);
	}
	webhook_queue_drop(webhook);
	return NULL;
}

/* Reads secret and networks; -1 with a sentence in error. */
static int set_rules(
	struct apd_webhook *webhook, const struct apd_webhook_config *config, struct apd_buf *error)
{
	const char *const *allow = config->allow;
	struct apd_address_rules *rules = &webhook->rules;

	if (config->secret && apd_secret_parse(apd_str(config->secret), &webhook->key, error) < 0)
		return -1;
	rules->allow_private = config->allow_private;
	for (; allow && *allow; allow++) {
		rules->networks = apd_realloc(
			rules->networks, (rules->n_networks + 1) * sizeof(*rules->networks));
		if (apd_network_parse(apd_str(*allow), &rules->networks[rules->n_networks]) < 0) {
			apd_buf_addf(error, "\"%s\" is not a network such as 10.0.0.0/8", *allow);
			return -1;
		}
		rules->n_networks++;
	}
	return 0;
}

/* Makes what libcurl keeps between attempts. */
static int set_curl(struct apd_webhook *webhook, struct apd_buf *error)
{
	webhook->multi = curl_multi_init();
	webhook->share = curl_share_init();
	if (!webhook->multi || !webhook->share ||
		curl_multi_setopt(webhook->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT) !=
			CURLM_OK ||
		curl_share_setopt(webhook->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
			CURLSHE_OK) {
		apd_buf_lit(error, "libcurl cannot be set up");
		return -1;
	}
	return 0;
}

/* Starts the thread; signals are for others. */
static int start(struct apd_webhook *webhook, struct apd_buf *error)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&webhook->thread, NULL, thread_main, webhook);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		apd_buf_addf(error, "the webhook thread cannot be started: %s", strerror(r));
		return -1;
	}
	pthread_setname_np(webhook->thread, "apd-webhook");
	return 0;
}

struct apd_webhook *apd_webhook_create(const struct apd_webhook_config *config,
	const struct apd_webhook_deps *deps, struct apd_buf *error)
{
	struct apd_webhook *webhook;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		apd_buf_lit(error, "libcurl cannot be set up");
		return NULL;
	}
	webhook = apd_calloc(1, sizeof(*webhook));
	webhook->config = *config;
	webhook->config.secret = NULL;
	webhook->config.allow = NULL;
	webhook->config.ca_file = NULL;
	webhook->ca_file = config->ca_file ? apd_strdup(config->ca_file) : NULL;
	webhook->deps = *deps;
	webhook->news = true;
	webhook->due_us = INT64_MAX;
	apd_list_init(&webhook->lines);
	apd_list_init(&webhook->flying);
	apd_list_init(&webhook->stuck);
	apd_mailbox_init(&webhook->mailbox, wake, webhook);
	apd_id_gen_init_random(&webhook->gen);
	/* settled() reads it, on the thread and, once that has ended, on the runtime's. */
	webhook->running = true;
	if (set_rules(webhook, config, error) < 0 || set_curl(webhook, error) < 0 ||
		start(webhook, error) < 0) {
		webhook->running = false;
		apd_webhook_destroy(webhook);
		return NULL;
	}
	return webhook;
}

void apd_webhook_stop(struct apd_webhook *webhook)
{
	if (!webhook || !webhook->running)
		return;
	atomic_store(&webhook->stop, true);
	wake(webhook);
	pthread_join(webhook->thread, NULL);
	webhook->running = false;
}

void apd_webhook_destroy(struct apd_webhook *webhook)
{
	if (!webhook)
		return;
	apd_webhook_stop(webhook);
	apd_mailbox_drain(&webhook->mailbox);
	assert(webhook->n_settling == 0);
	webhook_hosts_finish(webhook);
	apd_map_finish(&webhook->taken);
	curl_multi_cleanup(webhook->multi);
	curl_share_cleanup(webhook->share);
	curl_global_cleanup();
	apd_secret_finish(&webhook->key);
	free(webhook->rules.networks);
	free(webhook->ca_file);
	free(webhook);
}

void apd_webhook_stats(const struct apd_webhook *webhook, struct apd_webhook_stats *ret_stats)
{
	*ret_stats = (struct apd_webhook_stats){0};
	if (!webhook)
		return;
	ret_stats->delivered = atomic_load_explicit(&webhook->delivered, memory_order_relaxed);
	ret_stats->failed_attempts = atomic_load_explicit(&webhook->failed, memory_order_relaxed);
	ret_stats->given_up = atomic_load_explicit(&webhook->given_up, memory_order_relaxed);
	ret_stats->in_flight = atomic_load_explicit(&webhook->in_flight, memory_order_relaxed);
}
