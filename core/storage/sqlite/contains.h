/* The SQL function apd_contains(metadata, filter): JSON containment within a search. */
#ifndef APD_STORAGE_SQLITE_CONTAINS_H
#define APD_STORAGE_SQLITE_CONTAINS_H

#include <sqlite3.h>

/*
 * Gives a connection the function. NULL metadata counts as "{}"; a filter that
 * is no JSON fails the statement. Returns 0 or a negative errno.
 */
int apd_contains_register(sqlite3 *db);

#endif
