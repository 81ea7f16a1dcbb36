/* A hash map from bytes to pointers. The bytes are the element's: they must live as long as it is in. */
#ifndef APD_BASE_MAP_H
#define APD_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"
#include "base/str.h"

struct apd_map_slot {
	struct apd_str key; /* absent: free */
	uint64_t hash;
	void *value;
};

/* All zero is an empty map. */
struct apd_map {
	struct apd_map_slot *slots;
	size_t cap; /* zero or a power of two */
	size_t count;
};

/* Frees the map, not what it points to. */
void apd_map_finish(struct apd_map *map);

/* The element of a key, or NULL. */
void *apd_map_get(const struct apd_map *map, struct apd_str key);

/* Puts an element; returns the one that it replaces, or NULL. The value must not be NULL. */
void *apd_map_put(struct apd_map *map, struct apd_str key, void *value);

/* Takes an element out and returns it, or NULL. */
void *apd_map_remove(struct apd_map *map, struct apd_str key);

/* The next element from *at on, or NULL; start with *at = 0. The map must not change meanwhile. */
void *apd_map_next(const struct apd_map *map, size_t *at);

/* A UUID as a key. */
static inline struct apd_str apd_id_key(const struct apd_id *id)
{
	return (struct apd_str){(const char *)id->bytes, sizeof(id->bytes)};
}

/* The hash that the map uses; also good elsewhere. Not for untrusted keys across processes. */
uint64_t apd_hash(struct apd_str s);

#endif
