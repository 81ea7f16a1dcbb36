/* The Host and Origin headers: whether they name this machine, and each other. */
#ifndef APD_HTTP_HOSTNAME_H
#define APD_HTTP_HOSTNAME_H

#include "base/str.h"

/*
 * True if a Host header names this very machine: localhost, a name below it,
 * 127.0.0.0/8 or [::1], with any port. Anything else on a loopback address is a
 * web page that had its own name resolve to us (DNS rebinding). [any]
 */
bool apd_http_host_is_loopback(struct apd_str host);

/* True if an Origin header ("http://host:port") is that of the Host header. [any] */
bool apd_http_origin_is_host(struct apd_str origin, struct apd_str host);

#endif
