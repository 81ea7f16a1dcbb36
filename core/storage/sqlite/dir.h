/* The data directory: made, locked against a second daemon, private. */
#ifndef APD_STORAGE_SQLITE_DIR_H
#define APD_STORAGE_SQLITE_DIR_H

#include "base/buf.h"

/*
 * Makes the directory with its parents (0700) and the database file in it
 * (0600, SQLite gives the same mode to the files beside it), and takes the
 * lock. Returns 0 with a descriptor whose closing gives the lock back,
 * -EWOULDBLOCK when another daemon has it, or what the system said; `error`
 * gets a sentence.
 */
int apd_dir_claim(const char *dir, const char *db_path, int *ret_lock_fd, struct apd_buf *error);

/* Gives the directory back. */
void apd_dir_release(int lock_fd);

#endif
