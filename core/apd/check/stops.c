/* The checks that stop runs. */
#include "apd/check/session.h"
#include "base/clock.h"

/* Ops after which emit() is made to fail, one run each. */
#define OPS_MAX 8
/* A deadline that comes while a run is at work. */
#define SOON_NS (20 * APD_NS_PER_MS)

static void stop_before(struct apd_check_session *session, uint32_t agent)
{
	struct apd_check_input input;
	struct apd_check_run run = {.agent = agent, .input = &input, .stop_at_once = true};

	if (!apd_check_input_make(session, agent, false, &input))
		return;
	apd_check_session_run(session, &run, 1);
	apd_check_input_finish(&input);
}

void apd_check_stop_before_start(struct apd_check *check)
{
	apd_check_each_agent(check, stop_before);
}

static void stop_within(struct apd_check_session *session, uint32_t agent)
{
	static const enum apd_stop_reason reasons[] = {APD_STOP_CANCEL, APD_STOP_ROLLBACK};
	unsigned tried = session->check->tried;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct apd_check_input input;
		struct apd_check_run run = {
			.agent = agent, .input = &input, .stop = reasons[i], .stop_at_op = 1};
		int r;

		if (!apd_check_input_make(session, agent, false, &input))
			return;
		r = apd_check_session_run(session, &run, 1);
		apd_check_input_finish(&input);
		if (r < 0)
			return;
		if (!run.stopped) {
			session->check->tried = tried;
			apd_check_skip(session->check,
				"agent %s: its runs end before they can be stopped",
				session->description->agents[agent].id.ptr);
		}
	}
}

void apd_check_stop_while_running(struct apd_check *check)
{
	apd_check_each_agent(check, stop_within);
}

static void pass_deadline(struct apd_check_session *session, uint32_t agent)
{
	const int64_t deadlines[] = {-SOON_NS, SOON_NS};

	for (size_t i = 0; i < 2; i++) {
		struct apd_check_input input;
		struct apd_check_run run = {.agent = agent,
			.input = &input,
			.stop = APD_STOP_DEADLINE,
			.patience_ns = SOON_NS,
			.stop_at_once = deadlines[i] < 0,
			.deadline_ns = apd_clock_mono_ns() + deadlines[i]};
		int r;

		if (!apd_check_input_make(session, agent, false, &input))
			return;
		r = apd_check_session_run(session, &run, 1);
		apd_check_input_finish(&input);
		if (r < 0)
			return;
	}
}

void apd_check_deadline_passed(struct apd_check *check)
{
	apd_check_each_agent(check, pass_deadline);
}

/* Lets an agent send n events or commits; from then on emit() fails. */
static void cut_off(struct apd_check_session *session, uint32_t agent)
{
	struct apd_check *check = session->check;
	unsigned tried = check->tried;
	struct apd_check_input input;
	bool emits = false;

	if (!apd_check_input_make(session, agent, false, &input))
		return;
	for (uint32_t n = 1; n <= OPS_MAX; n++) {
		struct apd_check_run run = {.agent = agent, .input = &input, .stop_at_op = n};

		if (apd_check_session_run(session, &run, 1) < 0)
			break;
		emits = emits || run.events;
		if (run.events + run.commits < n)
			break;
	}
	apd_check_input_finish(&input);
	if (!emits && check->result != APD_CHECK_FAIL) {
		check->tried = tried;
		apd_check_skip(check, "agent %s: it emits nothing",
			session->description->agents[agent].id.ptr);
	}
}

void apd_check_emit_returns_cancelled(struct apd_check *check)
{
	apd_check_each_agent(check, cut_off);
}
