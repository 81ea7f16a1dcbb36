/* Allocation that ends the process rather than return NULL. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says so with the one call that needs no memory, and ends the process. */
static void *out_of_memory(void)
{
	static const char line[] = "apd: out of memory\n";

	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(71);
	_exit(70);
}

void *apd_malloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	return p ? p : out_of_memory();
}

void *apd_calloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	return p ? p : out_of_memory();
}

void *apd_realloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	return p ? p : out_of_memory();
}

char *apd_strdup(const char *s)
{
	return apd_strndup(s, strlen(s));
}

char *apd_strndup(const char *s, size_t len)
{
	char *p = apd_malloc(len + 1);

	if (len)
		memcpy(p, s, len);
	p[len] = '\0';
	return p;
}
