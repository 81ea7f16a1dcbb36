/* Deadlines: a heap, and one timer handle that is armed for its top. */
#include "host/deadline.h"

#include "base/alloc.h"
#include "base/clock.h"

static void on_timer(uv_timer_t *timer);

/* Arms the handle for the earliest deadline; a later one than armed for costs a spurious wake. */
static void arm(struct apd_deadlines *deadlines)
{
	const struct apd_timer *top = apd_heap_top(&deadlines->heap);
	int64_t delay;

	if (!top || (deadlines->armed_ns && deadlines->armed_ns <= top->at_ns))
		return;
	deadlines->armed_ns = top->at_ns;
	delay = top->at_ns - apd_clock_mono_ns();
	uv_update_time(deadlines->timer.loop);
	uv_timer_start(&deadlines->timer, on_timer,
		delay > 0 ? (uint64_t)(delay + APD_NS_PER_MS - 1) / APD_NS_PER_MS : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct apd_deadlines *deadlines = timer->data;
	int64_t now = apd_clock_mono_ns();
	struct apd_timer *top;

	deadlines->armed_ns = 0;
	while ((top = apd_heap_top(&deadlines->heap)) && top->at_ns <= now) {
		struct apd_deadline *deadline = apd_container_of(top, struct apd_deadline, timer);

		apd_heap_clear(&deadlines->heap, top);
		deadline->expired(deadline);
	}
	if (deadlines->open)
		arm(deadlines);
}

void apd_deadlines_init(struct apd_deadlines *deadlines, uv_loop_t *loop)
{
	*deadlines = (struct apd_deadlines){.open = true};
	uv_timer_init(loop, &deadlines->timer);
	deadlines->timer.data = deadlines;
}

static void on_closed(uv_handle_t *handle)
{
	struct apd_deadlines *deadlines = handle->data;

	deadlines->open = false;
}

void apd_deadlines_close(struct apd_deadlines *deadlines)
{
	struct apd_timer *top;

	while ((top = apd_heap_top(&deadlines->heap)))
		apd_heap_clear(&deadlines->heap, top);
	apd_heap_finish(&deadlines->heap);
	if (!uv_is_closing((uv_handle_t *)&deadlines->timer))
		uv_close((uv_handle_t *)&deadlines->timer, on_closed);
}

void apd_deadline_set(struct apd_deadlines *deadlines, struct apd_deadline *deadline, int64_t at_ns)
{
	apd_heap_set(&deadlines->heap, &deadline->timer, at_ns);
	arm(deadlines);
}

void apd_deadline_set_in(
	struct apd_deadlines *deadlines, struct apd_deadline *deadline, int64_t delay_ns)
{
	apd_deadline_set(deadlines, deadline, apd_clock_mono_ns() + delay_ns);
}

void apd_deadline_clear(struct apd_deadlines *deadlines, struct apd_deadline *deadline)
{
	apd_heap_clear(&deadlines->heap, &deadline->timer);
}
