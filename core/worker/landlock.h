/* Landlock: a process gives up all paths but some, for good and for all that it starts. */
#ifndef APD_WORKER_LANDLOCK_H
#define APD_WORKER_LANDLOCK_H

#include "base/buf.h"

/*
 * Keeps this thread, and those it starts, to the paths given, a NUL behind each:
 * read includes execute, write includes read. What the dynamic linker needs
 * for system libraries, and /dev/null and its like, are granted besides. Also
 * out of reach, where the kernel can: signals to processes outside, and their
 * abstract sockets. 0, or a negative errno and a sentence that names the path.
 */
int apd_landlock_restrict(
	struct apd_str read_paths, struct apd_str write_paths, struct apd_buf *error);

#endif
