/* Checks of what a plugin hands over. */
#ifndef APD_WORKER_TEXTS_H
#define APD_WORKER_TEXTS_H

#include "ap/agent.h"
#include "base/json_scan.h"

/* Most bytes of a namespace, a node's or a step's name, a question's id; the daemon takes no more. */
#define APD_NAME_MAX (16u << 10)

/* The same range in the core's words. */
static inline struct apd_str apd_text_of_plugin(ap_str s)
{
	return (struct apd_str){s.ptr, s.len};
}

/* True if it is valid UTF-8 without NUL bytes; absent is. */
bool apd_text_ok(struct apd_str s);

/* The text up to a number of bytes, cut between characters; not UTF-8 is cut anywhere. */
struct apd_str apd_text_cut(ap_str s, size_t max);

/*
 * Scans a namespace and checks that it is an array of strings: NULL, or what is
 * wrong with it. Absent is fine.
 */
const char *apd_text_check_ns(struct apd_json *json, struct apd_str ns);

/* True if value i is an array and all its items are of the type. */
bool apd_text_all(const struct apd_json *json, uint32_t i, enum apd_json_type type);

#endif
