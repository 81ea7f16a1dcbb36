/* UUIDs and their generator (xoshiro256** under a version 7 layout). */
#include "base/id.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";

/* True where the text form has a dash before byte i. */
static bool dash_before(size_t i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

int apd_id_parse(struct apd_str s, struct apd_id *ret_id)
{
	struct apd_id id;
	size_t at = 0;

	if (s.len != APD_ID_TEXT)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(id.bytes); i++) {
		int high, low;

		if (dash_before(i) && s.ptr[at++] != '-')
			return -EINVAL;
		high = apd_hex_value(s.ptr[at++]);
		low = apd_hex_value(s.ptr[at++]);
		if (high < 0 || low < 0)
			return -EINVAL;
		id.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_id = id;
	return 0;
}

void apd_id_format(const struct apd_id *id, char out[APD_ID_TEXT + 1])
{
	size_t at = 0;

	for (size_t i = 0; i < sizeof(id->bytes); i++) {
		if (dash_before(i))
			out[at++] = '-';
		out[at++] = hex_digits[id->bytes[i] >> 4];
		out[at++] = hex_digits[id->bytes[i] & 15];
	}
	out[at] = '\0';
}

bool apd_id_is_nil(const struct apd_id *id)
{
	static const struct apd_id nil;

	return apd_id_eq(id, &nil);
}

static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t apd_id_random(struct apd_id_gen *gen)
{
	uint64_t *s = gen->state;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

void apd_id_gen_init(struct apd_id_gen *gen, uint64_t seed)
{
	*gen = (struct apd_id_gen){0};
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15u;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		gen->state[i] = z ^ z >> 31;
	}
}

void apd_id_gen_init_random(struct apd_id_gen *gen)
{
	uint64_t seed;

	apd_id_gen_init(gen, 0);
	if (getrandom(gen->state, sizeof(gen->state), 0) != sizeof(gen->state)) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		seed = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 32 ^
			(uint64_t)(uintptr_t)gen;
		apd_id_gen_init(gen, seed);
	}
}

struct apd_id apd_id_next(struct apd_id_gen *gen, int64_t wall_us)
{
	uint64_t ms = (uint64_t)wall_us / 1000;
	uint64_t random = apd_id_random(gen);
	struct apd_id id;

	/* A counter of 26 bits under the millisecond, so that ids of one generator sort. */
	if (ms > gen->last_ms) {
		gen->last_ms = ms;
		gen->counter = (uint32_t)(random >> 40) & 0xffffff;
	} else if (++gen->counter >> 26) {
		gen->counter = 0;
		gen->last_ms++;
	}
	ms = gen->last_ms;
	for (int i = 0; i < 6; i++)
		id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	id.bytes[6] = (uint8_t)(0x70 | (gen->counter >> 22 & 0x0f));
	id.bytes[7] = (uint8_t)(gen->counter >> 14);
	id.bytes[8] = (uint8_t)(0x80 | (gen->counter >> 8 & 0x3f));
	id.bytes[9] = (uint8_t)gen->counter;
	for (int i = 10; i < 16; i++)
		id.bytes[i] = (uint8_t)(random >> 8 * (i - 10));
	return id;
}
