/* A hash that is the same in every process and for ever, so that it may be stored: 64 bit FNV-1a. */
#ifndef APD_BASE_HASH_H
#define APD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define APD_HASH_START 0xcbf29ce484222325u

/* Goes on with more bytes from what a hash was before them. */
static inline uint64_t apd_hash_add(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

#endif
