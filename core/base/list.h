/* An intrusive, circular, doubly linked list. */
#ifndef APD_BASE_LIST_H
#define APD_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

/* A head, or a link in an element. An element that is in no list points to itself or to NULL. */
struct apd_list {
	struct apd_list *prev;
	struct apd_list *next;
};

static inline void apd_list_init(struct apd_list *list)
{
	list->prev = list->next = list;
}

static inline bool apd_list_empty(const struct apd_list *list)
{
	return list->next == list || !list->next;
}

/* True if the element is in a list. */
static inline bool apd_list_linked(const struct apd_list *link)
{
	return link->next && link->next != link;
}

static inline void apd_list_append(struct apd_list *list, struct apd_list *link)
{
	link->prev = list->prev;
	link->next = list;
	list->prev->next = link;
	list->prev = link;
}

static inline void apd_list_prepend(struct apd_list *list, struct apd_list *link)
{
	apd_list_append(list->next, link);
}

/* Takes the element out; harmless when it is in no list. */
static inline void apd_list_remove(struct apd_list *link)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): one that was freed is in no list. */
	if (link->next) {
		link->prev->next = link->next;
		link->next->prev = link->prev;
	}
	apd_list_init(link);
}

/* Moves all elements to the end of another list. */
static inline void apd_list_splice(struct apd_list *to, struct apd_list *from)
{
	if (apd_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	apd_list_init(from);
}

/* Walks the elements; the body must not remove any. */
#define apd_list_each(pos, list, member)                                     \
	for (pos = apd_container_of((list)->next, __typeof__(*pos), member); \
		&pos->member != (list);                                      \
		pos = apd_container_of(pos->member.next, __typeof__(*pos), member))

/* Walks the elements; the body may remove the current one. */
#define apd_list_each_safe(pos, tmp, list, member)                              \
	for (pos = apd_container_of((list)->next, __typeof__(*pos), member),    \
	    tmp = apd_container_of(pos->member.next, __typeof__(*pos), member); \
		&pos->member != (list);                                         \
		pos = tmp, tmp = apd_container_of(tmp->member.next, __typeof__(*pos), member))

/* The first element; the list must not be empty. */
#define apd_list_first(list, type, member) apd_container_of((list)->next, type, member)

#endif
