/* A receiver of webhooks: a small HTTP server on a thread, whose paths say how it behaves. */
#ifndef WEBHOOK_RECEIVER_H
#define WEBHOOK_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The paths:
 *   /ok 200   /no 500   /gone 410   /moved 302 to /ok   /later 503, Retry-After: 1000
 *   /second 500, but 200 from the second request on   /close nothing: it hangs up
 *   /hang nothing at all   /slow 200 and the beginning of a body   /huge 200 and a body without end
 *   /headers 200 and headers without end   /continue 100 after 100   /garbage no HTTP
 */
struct receiver;

struct receiver *receiver_create(const char *address, uint16_t port);
void receiver_destroy(struct receiver *receiver);
uint16_t receiver_port(const struct receiver *receiver);

/* How many requests came to a path. */
unsigned receiver_count(struct receiver *receiver, const char *path);

/* The most connections at one time, and all there were. */
unsigned receiver_peak(struct receiver *receiver);
unsigned receiver_connections(struct receiver *receiver);

/* The n-th request of all, headers and body; NULL when there are not so many. free() it. */
char *receiver_request(struct receiver *receiver, unsigned n);

/* Answers the requests to /hang that wait, and those that come, with 200. */
void receiver_release(struct receiver *receiver);

#endif
