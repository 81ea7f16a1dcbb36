/*
 * What an event costs of a run's credit. The worker takes it, the host checks
 * it and the runtime gives it back, so that all three have to reckon alike.
 */
#ifndef APD_HOST_EVENT_COST_H
#define APD_HOST_EVENT_COST_H

#include <stdint.h>

#include <stdint.h>

#include "base/str.h"

/*
 * What the log needs for an event beside its texts. Were it free, a window of
 * small events would be larger than the log, and a reader that keeps up be overtaken.
 */
#define APD_EVENT_OVERHEAD 160u

static inline uint64_t apd_event_cost(struct apd_str ns, struct apd_str node, struct apd_str data)
{
	return APD_EVENT_OVERHEAD + ns.len + node.len + data.len;
}

#endif
