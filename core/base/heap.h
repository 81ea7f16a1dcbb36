/* A binary heap of timers: the element with the earliest time is on top. Intrusive. */
#ifndef APD_BASE_HEAP_H
#define APD_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* A timer; all zero is one that is not set. Embed it. */
struct apd_timer {
	int64_t at_ns;
	size_t index; /* its place in the heap plus one; 0: not set */
};

/* All zero is an empty heap. */
struct apd_heap {
	struct apd_timer **items;
	size_t count;
	size_t cap;
};

void apd_heap_finish(struct apd_heap *heap);

/* Sets the timer to a time, whether it was set or not. */
void apd_heap_set(struct apd_heap *heap, struct apd_timer *timer, int64_t at_ns);

/* Takes the timer out; harmless when it is not set. */
void apd_heap_clear(struct apd_heap *heap, struct apd_timer *timer);

/* The earliest timer, or NULL. */
static inline struct apd_timer *apd_heap_top(const struct apd_heap *heap)
{
	return heap->count ? heap->items[0] : NULL;
}

#endif
