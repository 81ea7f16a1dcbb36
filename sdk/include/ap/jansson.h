/*
 * ap/jansson.h - a bridge for plugins that use jansson on their own side
 *
 * No part of the ABI: what crosses to the host is text, as always.  Include it
 * only in plugins that link jansson themselves:
 *
 *	apd_add_agent(planner planner.c LIBRARIES jansson)
 *
 * Mind that jansson rewrites numbers: 0.1 read as a real comes out as
 * 0.10000000000000001.  Values that only pass through are better left as text.
 */
#ifndef AP_JANSSON_H
#define AP_JANSSON_H

#include <ap/agent.h>

#include <jansson.h>
#include <stdlib.h>

#include <ap/sugar/run.h>

/* Parses any JSON value; NULL if it is absent or none.  The caller decrefs it. [any] */
static inline json_t *ap_json_parse(ap_str text)
{
	return text.ptr ? json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL) : NULL;
}

/* Commits an object, which stays the caller's; NULL is AP_E_INVALID. [run] */
static inline ap_status ap_commit_json(ap_run *run, const char *step, const json_t *patch)
{
	char *text;
	ap_status status;

	if (!json_is_object(patch))
		return AP_E_INVALID;
	text = json_dumps(patch, JSON_COMPACT);
	if (!text)
		return AP_E_NOMEM;
	status = ap_commit(run, step, ap_cstr(text));
	free(text);
	return status;
}

#endif /* AP_JANSSON_H */
