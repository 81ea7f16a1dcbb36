/* Deadlines on a libuv loop: any number of them over one timer handle. */
#ifndef APD_HOST_DEADLINE_H
#define APD_HOST_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/heap.h"

/* Something to do at a time; zeroed it is not set. Embed it and set `expired` first. */
struct apd_deadline {
	struct apd_timer timer;
	void (*expired)(struct apd_deadline *deadline);
};

struct apd_deadlines {
	uv_timer_t timer;
	struct apd_heap heap;
	int64_t armed_ns; /* what the handle is set to, 0: not running */
	bool open; /* the handle is not yet closed */
};

/* All of these are for the loop's thread. */
void apd_deadlines_init(struct apd_deadlines *deadlines, uv_loop_t *loop);

/* Forgets all deadlines and starts to close the handle: `open` falls when the loop has done it. */
void apd_deadlines_close(struct apd_deadlines *deadlines);

/* Sets the deadline to a monotonic time, whether it was set or not. */
void apd_deadline_set(
	struct apd_deadlines *deadlines, struct apd_deadline *deadline, int64_t at_ns);
void apd_deadline_set_in(
	struct apd_deadlines *deadlines, struct apd_deadline *deadline, int64_t delay_ns);
void apd_deadline_clear(struct apd_deadlines *deadlines, struct apd_deadline *deadline);

static inline bool apd_deadline_is_set(const struct apd_deadline *deadline)
{
	return deadline->timer.index != 0;
}

#endif
