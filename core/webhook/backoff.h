/* When a failed delivery is tried again. */
#ifndef APD_WEBHOOK_BACKOFF_H
#define APD_WEBHOOK_BACKOFF_H

#include <stdint.h>

#define APD_BACKOFF_MAX_US (3600LL * 1000000) /* an hour */

/*
 * The delay after the n-th failed attempt (from 1 on) in microseconds: first_us
 * doubled n - 1 times, at most an hour; of that a random part between the half
 * and the whole. The receiver's own wish (Retry-After, 0: none) counts when it
 * is longer, up to an hour. random: 64 random bits. [any]
 */
int64_t apd_backoff_us(int64_t first_us, uint32_t attempts, int64_t wish_us, uint64_t random);

#endif
