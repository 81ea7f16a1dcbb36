/* UUIDs: 16 bytes inside, 36 characters outside; those apd makes are version 7. */
#ifndef APD_BASE_ID_H
#define APD_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define APD_ID_TEXT 36 /* characters of a UUID, without a NUL */

struct apd_id {
	uint8_t bytes[16];
};

/* Reads any UUID in its 36 character form, in either case. Returns 0 or -EINVAL. */
int apd_id_parse(struct apd_str s, struct apd_id *ret_id);

/* Writes the 36 characters in lower case and a NUL. */
void apd_id_format(const struct apd_id *id, char out[APD_ID_TEXT + 1]);

static inline bool apd_id_eq(const struct apd_id *a, const struct apd_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* True for the id of 16 zero bytes, which stands for "none". */
bool apd_id_is_nil(const struct apd_id *id);

/*
 * Makes version 7 UUIDs that rise within one generator even when the clock
 * does not. Not for two threads at once: give each its own.
 */
struct apd_id_gen {
	uint64_t state[4];
	uint64_t last_ms;
	uint32_t counter;
};

/* Seeds the generator: with randomness in the daemon, with the seed in the simulator. */
void apd_id_gen_init(struct apd_id_gen *gen, uint64_t seed);

/* Seeds it from the kernel. */
void apd_id_gen_init_random(struct apd_id_gen *gen);

/* Makes the next id for a wall clock in microseconds. */
struct apd_id apd_id_next(struct apd_id_gen *gen, int64_t wall_us);

/* 64 random bits of the generator: for jitter and the like, not for secrets. */
uint64_t apd_id_random(struct apd_id_gen *gen);

#endif
