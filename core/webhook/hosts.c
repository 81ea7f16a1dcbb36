/*
 * What is known of each host: how much it may have at once, and when rows that
 * find it busy may have their turn. A host that gave no answer gets one attempt
 * at a time until it answers, so that the slow and the dead leave room.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "webhook/backoff.h"
#include "webhook/internal.h"

/* So many deliveries wait in memory for one host; further ones wait in storage. */
#define WAITING_MAX 16

/* Hosts that are quiet are remembered up to this number. */
#define QUIET_MAX 1024

/* Rows that are put off come back no sooner, lest storage be asked in vain. */
#define PUT_OFF_MIN_US 250000

#define SPACING_MIN_US 1000

/* The host of that name, known or new. */
struct host *webhook_host_get(struct apd_webhook *webhook, struct apd_str name)
{
	struct host *host = apd_map_get(&webhook->hosts, name);

	if (host)
		return host;
	host = apd_calloc(1, sizeof(*host));
	apd_buf_add_str(&host->name, name);
	apd_list_init(&host->waiting);
	apd_list_init(&host->line);
	apd_map_put(&webhook->hosts, apd_buf_str(&host->name), host);
	return host;
}

static void destroy(struct host *host)
{
	apd_buf_finish(&host->name);
	free(host);
}

/* Forgets a host with nothing under way of which nothing need be known. */
void webhook_host_forget(struct apd_webhook *webhook, struct host *host)
{
	if (host->flying || host->n_waiting)
		return;
	if (webhook->hosts.count <= QUIET_MAX &&
		(host->failures || host->slot_us > apd_clock_wall_us()))
		return;
	apd_map_remove(&webhook->hosts, apd_buf_str(&host->name));
	destroy(host);
}

void webhook_hosts_finish(struct apd_webhook *webhook)
{
	struct host *host;

	for (size_t at = 0; (host = apd_map_next(&webhook->hosts, &at));)
		destroy(host);
	apd_map_finish(&webhook->hosts);
}

static unsigned limit(const struct apd_webhook *webhook, const struct host *host)
{
	return host->failures ? 1 : webhook->config.max_per_host;
}

/* True if one more attempt may begin. */
bool webhook_host_free(const struct apd_webhook *webhook, const struct host *host)
{
	return host->flying < limit(webhook, host) &&
		webhook->n_flying < webhook->config.max_in_flight;
}

/* True if one more delivery may wait for it in memory. */
bool webhook_host_room(const struct host *host)
{
	return !host->failures && host->n_waiting < WAITING_MAX;
}

/* Lets a delivery wait for its host. */
void webhook_host_enqueue(struct delivery *delivery)
{
	struct apd_webhook *webhook = delivery->webhook;
	struct host *host = delivery->host;

	if (host->n_waiting++ == 0)
		apd_list_append(&webhook->lines, &host->line);
	webhook->n_waiting++;
	apd_list_append(&host->waiting, &delivery->link);
}

/* The delivery that waited longest for the host, or NULL. */
struct delivery *webhook_host_dequeue(struct apd_webhook *webhook, struct host *host)
{
	struct delivery *delivery;

	if (!host->n_waiting)
		return NULL;
	delivery = apd_list_first(&host->waiting, struct delivery, link);
	apd_list_remove(&delivery->link);
	webhook->n_waiting--;
	if (--host->n_waiting == 0)
		apd_list_remove(&host->line);
	return delivery;
}

/*
 * When (wall clock) a row that finds the host busy may have its turn: behind all
 * that were put off before, as fast as the host has been working. So a host
 * with thousands of rows costs each of them about one visit.
 */
int64_t webhook_host_put_off(struct apd_webhook *webhook, struct host *host)
{
	int64_t now = apd_clock_wall_us(), spacing = host->mean_us / limit(webhook, host), slot;

	if (spacing < SPACING_MIN_US)
		spacing = SPACING_MIN_US;
	slot = now + (host->n_waiting + 1) * spacing;
	if (slot < host->slot_us)
		slot = host->slot_us;
	slot += spacing;
	if (slot > now + APD_BACKOFF_MAX_US)
		slot = now + APD_BACKOFF_MAX_US;
	host->slot_us = slot;
	if (slot < now + PUT_OFF_MIN_US)
		slot = now + PUT_OFF_MIN_US;
	return slot + (int64_t)(apd_id_random(&webhook->gen) % PUT_OFF_MIN_US);
}

/* An attempt ended: it took so long, and brought an answer or none. */
void webhook_host_learn(struct host *host, int64_t took_ns, bool answered)
{
	int64_t took_us = took_ns / APD_NS_PER_US;

	host->mean_us = host->mean_us ? (host->mean_us * 3 + took_us) / 4 : took_us;
	host->failures = answered ? 0 : host->failures + 1;
}
