/* The timer heap. */
#include "base/heap.h"

#include <stdlib.h>

#include "base/alloc.h"

static void place(struct apd_heap *heap, size_t i, struct apd_timer *timer)
{
	heap->items[i] = timer;
	timer->index = i + 1;
}

static void sift_up(struct apd_heap *heap, size_t i, struct apd_timer *timer)
{
	while (i > 0 && timer->at_ns < heap->items[(i - 1) / 2]->at_ns) {
		place(heap, i, heap->items[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	place(heap, i, timer);
}

static void sift_down(struct apd_heap *heap, size_t i, struct apd_timer *timer)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
			heap->items[child + 1]->at_ns < heap->items[child]->at_ns)
			child++;
		if (heap->items[child]->at_ns >= timer->at_ns)
			break;
		place(heap, i, heap->items[child]);
		i = child;
	}
	place(heap, i, timer);
}

void apd_heap_finish(struct apd_heap *heap)
{
	free(heap->items);
	*heap = (struct apd_heap){0};
}

void apd_heap_set(struct apd_heap *heap, struct apd_timer *timer, int64_t at_ns)
{
	apd_heap_clear(heap, timer);
	if (heap->count == heap->cap) {
		heap->cap = heap->cap ? heap->cap * 2 : 16;
		heap->items = apd_realloc(heap->items, heap->cap * sizeof(struct apd_timer *));
	}
	timer->at_ns = at_ns;
	sift_up(heap, heap->count++, timer);
}

void apd_heap_clear(struct apd_heap *heap, struct apd_timer *timer)
{
	struct apd_timer *last;
	size_t i;

	if (timer->index == 0)
		return;
	i = timer->index - 1;
	timer->index = 0;
	last = heap->items[--heap->count];
	if (last == timer)
		return;
	if (i > 0 && last->at_ns < heap->items[(i - 1) / 2]->at_ns)
		sift_up(heap, i, last);
	else
		sift_down(heap, i, last);
}
