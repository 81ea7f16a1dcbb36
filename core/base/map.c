/* Open addressing with linear probing and backward-shift deletion. */
#include "base/map.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/alloc.h"

/* A seed per process, so that clients cannot choose ids that collide. */
static uint64_t hash_seed(void)
{
	static _Atomic uint64_t seed;
	uint64_t value = atomic_load_explicit(&seed, memory_order_relaxed);
	uint64_t none = 0;

	if (value)
		return value;
	if (getrandom(&value, sizeof(value), 0) != sizeof(value))
		value = (uint64_t)(uintptr_t)&seed;
	value |= 1;
	return atomic_compare_exchange_strong(&seed, &none, value) ? value : none;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide product = (wide)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t apd_hash(struct apd_str s)
{
	uint64_t h = hash_seed() ^ s.len;
	uint64_t word;
	size_t i = 0;

	for (; i + 8 <= s.len; i += 8) {
		memcpy(&word, s.ptr + i, 8);
		h = mix(h ^ word, 0x9e3779b97f4a7c15u);
	}
	word = 0;
	if (i < s.len)
		memcpy(&word, s.ptr + i, s.len - i);
	h = mix(h ^ word, 0xbf58476d1ce4e5b9u);
	return mix(h, 0x94d049bb133111ebu);
}

void apd_map_finish(struct apd_map *map)
{
	free(map->slots);
	*map = (struct apd_map){0};
}

/* The slot of a key, or the free slot where it would go. */
static size_t find_slot(const struct apd_map *map, struct apd_str key, uint64_t hash)
{
	size_t mask = map->cap - 1;
	size_t i = (size_t)hash & mask;

	while (map->slots[i].key.ptr &&
		(map->slots[i].hash != hash || !apd_str_eq(map->slots[i].key, key)))
		i = (i + 1) & mask;
	return i;
}

static void grow(struct apd_map *map)
{
	struct apd_map bigger = {.cap = map->cap ? map->cap * 2 : 16, .count = map->count};

	bigger.slots = apd_calloc(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < map->cap; i++) {
		const struct apd_map_slot *slot = &map->slots[i];

		if (slot->key.ptr)
			bigger.slots[find_slot(&bigger, slot->key, slot->hash)] = *slot;
	}
	free(map->slots);
	*map = bigger;
}

void *apd_map_get(const struct apd_map *map, struct apd_str key)
{
	size_t i;

	if (map->count == 0)
		return NULL;
	i = find_slot(map, key, apd_hash(key));
	return map->slots[i].key.ptr ? map->slots[i].value : NULL;
}

void *apd_map_put(struct apd_map *map, struct apd_str key, void *value)
{
	uint64_t hash = apd_hash(key);
	void *old = NULL;
	size_t i;

	if ((map->count + 1) * 4 > map->cap * 3)
		grow(map);
	i = find_slot(map, key, hash);
	if (map->slots[i].key.ptr)
		old = map->slots[i].value;
	else
		map->count++;
	map->slots[i] = (struct apd_map_slot){key, hash, value};
	return old;
}

void *apd_map_remove(struct apd_map *map, struct apd_str key)
{
	size_t mask = map->cap - 1;
	size_t hole, i;
	void *value;

	if (map->count == 0)
		return NULL;
	hole = find_slot(map, key, apd_hash(key));
	if (!map->slots[hole].key.ptr)
		return NULL;
	value = map->slots[hole].value;
	for (i = (hole + 1) & mask; map->slots[i].key.ptr; i = (i + 1) & mask) {
		size_t home = (size_t)map->slots[i].hash & mask;

		/* Move it into the hole unless its home lies behind the hole. */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole] = (struct apd_map_slot){0};
	map->count--;
	return value;
}

void *apd_map_next(const struct apd_map *map, size_t *at)
{
	while (*at < map->cap) {
		const struct apd_map_slot *slot = &map->slots[(*at)++];

		if (slot->key.ptr)
			return slot->value;
	}
	return NULL;
}
