/*
 * Memory. Small allocations never fail: when the machine has no memory left
 * the process ends with a log line, and recovery from disk is truthful. What a
 * client or an agent can make large is bounded before it is allocated.
 */
#ifndef APD_BASE_ALLOC_H
#define APD_BASE_ALLOC_H

#include <stddef.h>

/*
 * Like malloc, calloc, realloc, strdup and strndup, but never NULL. Free with free(). [any]
 * apd_strndup copies exactly len bytes, whether or not there is a NUL among them, and adds one.
 */
void *apd_malloc(size_t size) __attribute__((malloc, returns_nonnull));
void *apd_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *apd_realloc(void *old, size_t size) __attribute__((returns_nonnull));
char *apd_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *apd_strndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));

/* The struct of the given type that holds the member at ptr. */
#define apd_container_of(ptr, type, member) ((type *)(((char *)(ptr)) - offsetof(type, member)))

#define APD_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Runs fn on the address of the variable when it leaves its scope. */
#define APD_CLEANUP(fn) __attribute__((cleanup(fn)))

#endif
