/*
 * Which addresses webhooks may go to. Asked about the very address that a
 * socket is about to be connected to, so that no name, redirect or second
 * answer of a name server gets around it.
 */
#ifndef APD_WEBHOOK_ADDRESS_H
#define APD_WEBHOOK_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/str.h"

/* What an address is for. */
enum apd_address_class {
	APD_ADDRESS_PUBLIC,
	APD_ADDRESS_LOOPBACK,
	APD_ADDRESS_PRIVATE,
	APD_ADDRESS_LINK_LOCAL,
	APD_ADDRESS_SHARED, /* 100.64.0.0/10: behind a carrier's NAT */
	APD_ADDRESS_UNSPECIFIED,
	APD_ADDRESS_MULTICAST,
	APD_ADDRESS_RESERVED,
};

/* A network: the first `bits` bits of an address. */
struct apd_network {
	int family; /* AF_INET or AF_INET6 */
	unsigned bits;
	uint8_t bytes[16];
};

/*
 * Reads "10.0.0.0/8", "fd00::/8" or a single address. 0, or -EINVAL, also for a
 * network whose address has bits behind its length. [any]
 */
int apd_network_parse(struct apd_str text, struct apd_network *ret_network);

/*
 * The class of an address. IPv6 addresses that carry an IPv4 address (mapped,
 * compatible, translated, NAT64, 6to4, ISATAP) are of the class of that one,
 * unless they are of no use to the public anyway. [any]
 */
enum apd_address_class apd_address_classify(const struct sockaddr *address, socklen_t len);

/* The class in a word or two: "loopback". */
const char *apd_address_class_name(enum apd_address_class class);

/* What is allowed beside public addresses. */
struct apd_address_rules {
	bool allow_private; /* loopback, private, link-local and shared ones */
	struct apd_network *networks;
	size_t n_networks;
};

/* True if the rules allow the address. [any] */
bool apd_address_allowed(
	const struct apd_address_rules *rules, const struct sockaddr *address, socklen_t len);

/* Adds the address as text, without its port. */
void apd_address_add_text(struct apd_buf *out, const struct sockaddr *address, socklen_t len);

#endif
